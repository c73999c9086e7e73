"""Frames and calibration of zarr arrays and OME-Zarr images (0.1 to 0.5; zarr formats 2 and 3)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_menndl.errors import InputError
from napari_menndl.movie.axes import check_dtype, frame_axes, guess_axes
from napari_menndl.movie.calibration import read_frame_time, read_pixel_size
from napari_menndl.movie.movie import Movie, lazy_frames

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MARKS = ("zarr.json", ".zarray", ".zgroup")


def is_zarr(path: Path) -> bool:
    """Whether a folder is a zarr array or group."""
    return any((path / mark).is_file() for mark in MARKS)


class ZarrFrames:
    """Reads single frames of a zarr array, all other axes being of length 1."""

    def __init__(self, array: zarr.Array[Any], axis: int | None) -> None:
        self.array = array
        self.axis = axis

    def __call__(self, t: int) -> NDArray[Any]:
        lead = self.array.ndim - 2
        index: tuple[int | slice, ...] = tuple(t if axis == self.axis else 0 for axis in range(lead))
        return np.asarray(self.array[(*index, slice(None), slice(None))])


def read_zarr(path: Path) -> Movie:
    """A zarr array, or the finest level of an OME-Zarr image, as a movie.

    Raises
    ------
    InputError
        If it is no zarr, if there is not exactly one image in it, if it holds Python objects or is packed with
        pickle, or if it has more axes than time, height and width.
    """
    try:
        node = zarr.open(str(path), mode="r")
    except Exception as error:  # zarr, its stores and its codecs each have their own kinds of error
        raise InputError(
            f"a zarr array or OME-Zarr image at {path}",
            f"{type(error).__name__}: {error}",
            "Check that the whole folder was copied, hidden files included.",
        ) from error
    if isinstance(node, zarr.Array):
        return movie_of(node, path.stem, str(path))
    node, image = _image(node, path)
    if image is None:
        arrays = sorted(name for name, _ in node.arrays())
        if len(arrays) != 1:
            names = ", ".join([*arrays, *(name for name, _ in node.groups())][:8]) or "nothing"
            raise InputError(
                f"an OME-Zarr image or a single array in {path}", names, "Open one array of it: path/to.zarr/name."
            )
        return movie_of(_array(node, arrays[0], path), path.stem, str(path))
    return _ome_movie(node, image, path)


def movie_of(array: zarr.Array[Any], name: str, source: str, axes: str | None = None) -> Movie:
    """A zarr array as a movie; its axes are guessed where they are not named."""
    check_dtype(array.dtype, source)
    if "pickle" in json.dumps(array.metadata.to_dict().get("codecs", ""), default=str) + json.dumps(
        [array.metadata.to_dict().get(key) for key in ("filters", "compressor")], default=_codec
    ):
        raise InputError(
            "an array packed by a harmless codec",
            f"pickle in {source}",
            "Have it saved without pickle, which can run code.",
        )
    axes = axes or guess_axes(array.shape)
    shape = frame_axes(array.shape, axes, source)
    if not axes.endswith("YX"):
        raise InputError("axes that end in Y, X", f"{axes} in {source}", "Transpose the array and save it again.")
    axis = next((i for i in range(array.ndim - 2) if array.shape[i] != 1), None)
    return Movie(lazy_frames(ZarrFrames(array, axis), shape, array.dtype), name=name, source=source)


def _codec(codec: Any) -> Any:
    return codec.get_config() if hasattr(codec, "get_config") else str(codec)


def _image(group: zarr.Group, path: Path) -> tuple[zarr.Group, dict[str, Any] | None]:
    """The multiscale image of a group; bioformats2raw keeps its images in sub-groups 0, 1 and so on."""
    for candidate in (group, group.get("0")):
        if not isinstance(candidate, zarr.Group):
            continue
        attributes: dict[str, Any] = dict(candidate.attrs)
        images = attributes.get("ome", attributes).get("multiscales") or []
        if images:
            return candidate, images[0]
    return group, None


def _array(group: zarr.Group, name: str, path: Path) -> zarr.Array[Any]:
    array = group.get(name)
    if not isinstance(array, zarr.Array):
        raise InputError(f"array {name!r} in {path}", "none", "Check that the whole folder was copied.")
    return array


def _ome_movie(group: zarr.Group, image: dict[str, Any], path: Path) -> Movie:
    try:
        level = image["datasets"][0]
        array = _array(group, str(level["path"]), path)
        # Before 0.4 an axis is a plain letter, before 0.3 there are five of them unnamed.
        axes = [a if isinstance(a, dict) else {"name": a} for a in image.get("axes") or "tczyx"[-array.ndim :]]
        scale = np.ones(len(axes))
        for transform in [*level.get("coordinateTransformations", ()), *image.get("coordinateTransformations", ())]:
            if transform.get("type") == "scale":
                scale = scale * np.asarray(transform["scale"], float)
        letters = "".join(str(axis["name"])[:1].upper() for axis in axes)
        if len(axes) != array.ndim:
            raise ValueError(f"{len(axes)} axes for an array of shape {array.shape}")
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"OME-Zarr metadata with axes, a dataset and its scale in {path}",
            f"{type(error).__name__}: {error}",
            "Write the image again with a current OME-Zarr library, or open its array: path/to.zarr/0.",
        ) from error
    movie = movie_of(array, str(image.get("name") or path.stem), str(path), letters)
    units = [axis.get("unit") for axis in axes]
    y, x = letters.index("Y"), letters.index("X")
    pixel_size = read_pixel_size((scale[y], scale[x]), (units[y], units[x]), path.name)
    frame_time = None
    if "T" in letters and units[letters.index("T")] and len(movie) > 1:
        t = letters.index("T")
        frame_time = read_frame_time(float(scale[t]), units[t], path.name)
    return Movie(movie.frames, pixel_size, frame_time, movie.name, movie.source)
