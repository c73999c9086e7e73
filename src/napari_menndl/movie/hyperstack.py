"""Files with more axes than time, height and width: one is chosen as time, the others are fixed at an index."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_menndl.errors import InputError
from napari_menndl.movie.axes import axis_letters, check_dtype
from napari_menndl.movie.formats import TIFF
from napari_menndl.movie.metadata import UNKNOWN, Metadata
from napari_menndl.movie.movie import Movie, lazy_frames
from napari_menndl.movie.ome_zarr import array_of, multiscales, names_of
from napari_menndl.movie.tiff import tiff_pages
from napari_menndl.movie.tiff_header import metadata_of, scale_of

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_MEANING = {"T": "time", "Z": "depth", "C": "channel"}


@dataclass(frozen=True, eq=False)
class Hyperstack:
    """An array whose last two axes are Y and X, after two or more others longer than 1.

    Attributes
    ----------
    array : array of numpy or zarr
        Read on access.
    axes : str
        A letter per axis.
    path : Path
    pixel_size : (y, x) float [nm] or None
    metadata : Metadata
    """

    array: Any
    axes: str
    path: Path
    pixel_size: tuple[float, float] | None = None
    metadata: Metadata = UNKNOWN

    @property
    def open_axes(self) -> tuple[int, ...]:
        """Axes that can be chosen as time."""
        return tuple(axis for axis in range(self.array.ndim - 2) if self.array.shape[axis] > 1)

    @property
    def likely_time(self) -> int:
        """The axis that the file names as time, or else the first."""
        return next((axis for axis in self.open_axes if self.axes[axis] == "T"), self.open_axes[0])

    def title(self, axis: int) -> str:
        """Describe an axis for the user: its index, length and meaning."""
        meaning = _MEANING.get(self.axes[axis])
        return f"Axis {axis}, length {self.array.shape[axis]}" + (f" ({meaning})" if meaning else "")

    def movie(self, time: int, at: Mapping[int, int] | None = None) -> Movie:
        """Return the frames along one axis.

        Parameters
        ----------
        time : int
            The axis that is time.
        at : mapping of axis to index, optional
            Index at which each other axis is fixed; 0 by default.

        Raises
        ------
        InputError
            If there is no such axis or index.
        """
        cut = dict.fromkeys(range(self.array.ndim - 2), 0) | dict(at or {})
        if time not in self.open_axes or not all(0 <= i < self.array.shape[axis] for axis, i in cut.items()):
            raise InputError(
                f"a time axis among {self.open_axes} and indices within {self.array.shape}",
                f"axis {time}, the others at {dict(at or {})}",
                "Choose another axis or index.",
            )

        def read(t: int) -> NDArray[Any]:
            index = tuple(t if axis == time else i for axis, i in sorted(cut.items()))
            return np.asarray(self.array[index])

        height, width = self.array.shape[-2:]
        frames = lazy_frames(read, (self.array.shape[time], height, width), self.array.dtype)
        return Movie(frames, self.pixel_size, None, self.path.stem, str(self.path), metadata=self.metadata)


def find_many_axes(path: str | os.PathLike[str], number: int | None = None) -> Hyperstack | None:
    """Return the array at a path if it has too many axes for a movie; None for anything else.

    Parameters
    ----------
    path : path
    number : int, optional
        Number of one of several images of a file; by default the largest of a TIFF file, the first of a zarr group.
    """
    path = Path(path)
    try:
        found = (
            _tiff(path, number)
            if path.suffix.lower() in TIFF.suffixes
            else _npy(path)
            if path.suffix == ".npy"
            else _zarr(path, number)
        )
        if found is None or not found.axes.endswith("YX") or len(found.open_axes) < 2:
            return None
        check_dtype(found.array.dtype, str(path))
    except Exception:  # errors are reported when the file is opened
        return None
    return found


def _npy(path: Path) -> Hyperstack:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return Hyperstack(array, _letters(None, array.shape), path)


def _zarr(path: Path, number: int | None) -> Hyperstack | None:
    node = zarr.open(str(path), mode="r")
    if not isinstance(node, zarr.Group):
        return Hyperstack(node, _letters(names_of(node), node.shape), path)
    images = multiscales(node)
    if not images:
        return None
    group, image = images[number or 0]
    array = array_of(group, str(image["datasets"][0]["path"]), path)
    axes = [axis["name"] if isinstance(axis, dict) else axis for axis in image.get("axes", ())]
    return Hyperstack(array, _letters(axes if len(axes) == array.ndim else names_of(array), array.shape), path)


def _tiff(path: Path, number: int | None) -> Hyperstack:
    pages = tiff_pages(path)
    series = max(range(len(pages.series)), key=lambda one: pages.series[one].size) if number is None else number
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixel_size, _ = scale_of(pages.header, path.name, series)
        metadata = metadata_of(pages.header, path.name, series)
    return Hyperstack(pages.array(series), pages.series[series].axes, path, pixel_size, metadata)


def _letters(names: Sequence[str | None] | None, shape: tuple[int, ...]) -> str:
    if names is not None:
        return axis_letters(names, shape)
    # An unnamed axis is not assumed to be time: the user is asked.
    return axis_letters([None] * len(shape), shape).replace("T", "Q")
