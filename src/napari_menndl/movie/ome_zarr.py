"""Frames and calibration of zarr arrays and OME-Zarr images (0.1 to 0.5; zarr formats 2 and 3)."""

from __future__ import annotations

import json
import math
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.storage import LocalStore

from napari_menndl.errors import InputError
from napari_menndl.movie.absent import (
    AbsentWarning,
    spans,
    type_with_nan,
    warn_of_absent,
    warn_of_fill,
    without_fill,
)
from napari_menndl.movie.axes import FrameAxes, axis_letters, check_dtype, frame_axes
from napari_menndl.movie.calibration import read_frame_time, read_pixel_size, unknown_on_error
from napari_menndl.movie.metadata import RECORDING, UNKNOWN, written_metadata
from napari_menndl.movie.movie import Movie, lazy_frames, one_after_another
from napari_menndl.movie.signals import Signal, Wanted, choose, only_one

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MARKS = ("zarr.json", ".zarray", ".zgroup")
NO_CHUNKS = "no chunk of them was written"


def is_zarr(path: Path) -> bool:
    """Whether a folder is a zarr array or group."""
    return any((path / mark).is_file() for mark in MARKS)


class ZarrFrames:
    """Reads single frames of a zarr array whose other axes have length 1.

    Parameters
    ----------
    array : zarr array
    axes : FrameAxes
    fill : float or None
        Value that marks pixels without a measurement.
    lost : dict of int to bool array
        By chunk along time: which chunks are lost. With any, or a `fill`, frames are such that they hold NaN.
    """

    def __init__(
        self,
        array: zarr.Array[Any],
        axes: FrameAxes,
        fill: float | None = None,
        lost: Mapping[int, NDArray[np.bool_]] | None = None,
    ) -> None:
        self.array = array
        self.axes = axes
        self.fill = fill
        self.lost = lost or {}
        self.dtype = array.dtype if fill is None and not self.lost else type_with_nan(array.dtype)

    def __call__(self, t: int) -> NDArray[Any]:
        frame = self.axes.cut(self.array, t)
        if self.fill is not None:
            frame = without_fill(frame, self.fill)
        frame = frame.astype(self.dtype, copy=False)
        time, edges = self.axes.time, self.array.shards or self.array.chunks
        if time is not None and (chunks := self.lost.get(t // edges[time])) is not None:
            for axis in (self.axes.height, self.axes.width):
                chunks = np.repeat(chunks, edges[axis], axis)
            # Of the same number of axes as the array, with one frame in it.
            gone = self.axes.cut(chunks, 0)[: frame.shape[0], : frame.shape[1]]
            frame = np.where(gone, np.nan, frame).astype(self.dtype)
        return frame


def read_zarr(path: Path, signal: Wanted = None) -> Movie:
    """Open a zarr array, or the finest level of an OME-Zarr image, as a movie.

    Parameters
    ----------
    path : Path
    signal : str, int, callable or None
        Name or number of the image or array in a group; None: the largest image, with a warning.

    Raises
    ------
    InputError
        If it is not zarr, if the group holds neither an image nor a single array, if the array holds Python objects or
        uses a pickle codec, or if it has more axes than time, height and width.
    """
    try:
        node = zarr.open(str(path), mode="r")
    except Exception as error:  # zarr, its stores and its codecs raise many types of error
        unknown = type(error).__name__ == "UnknownCodecError"  # by name: zarr and numcodecs each define one
        raise InputError(
            f"a zarr array or OME-Zarr image at {path}",
            f"{type(error).__name__}: {error}",
            "Install what reads this codec, or have the array saved with zstd, blosc or gzip."
            if unknown
            else "Check that the whole folder was copied, hidden files included.",
        ) from error
    if isinstance(node, zarr.Array):
        only_one(signal, str(path))
        return movie_of(node, path.stem, str(path))
    images = [_ome(group, image, path) for group, image in multiscales(node)] or _arrays(node, signal, path)
    signals = [image.signal(number, path) for number, image in enumerate(images)]
    chosen = choose(signals, signal, path.name, lambda number: images[number].calibration(path.name, 1)[0])
    movies = [images[one.number].movie(path) for one in chosen]
    return one_after_another(movies, movies[0].name, str(path))


@dataclass(frozen=True)
class ZarrImage:
    """An array of a group with its metadata.

    Attributes
    ----------
    array : zarr array
    name : str
        May be empty.
    axes : sequence of str or None, or None
        Names of the axes.
    scale : list of float, or None
        Size of a pixel along each axis.
    units : list of str or None
        Units of the scale.
    place : str
        Path of its group, used as its name if the metadata give none.
    recording : dict or None
        Acquisition metadata that `write_movie` stored.
    """

    array: zarr.Array[Any]
    name: str
    axes: Sequence[str | None] | None
    scale: list[object] | None = None
    units: Sequence[str | None] = ()
    place: str = ""
    recording: Any = None

    def signal(self, number: int, path: Path) -> Signal:
        """Return the image as a `Signal` for the choice among several."""
        shape, dtype = self.array.shape, self.array.dtype
        try:
            check_array(self.array, str(path))
            with warnings.catch_warnings():  # warnings are given for the chosen signal only
                warnings.simplefilter("ignore")
                axes = frame_axes(shape, self.axes or names_of(self.array), str(path))
        except InputError as problem:
            return Signal(number, self.name or self.place, shape, dtype, None, problem, apart=True)
        return Signal(number, self.name or self.place, shape, dtype, axes, apart=True)

    def movie(self, path: Path) -> Movie:
        """Return the image as a movie."""
        movie = movie_of(self.array, self.name or path.stem, str(path), self.axes)
        pixel_size, frame_time = self.calibration(path.name, len(movie))
        metadata = written_metadata(self.recording, path.name) if self.recording else UNKNOWN
        return replace(movie, pixel_size=pixel_size, frame_time=frame_time, metadata=metadata)

    def calibration(self, source: str, count: int) -> tuple[tuple[float, float] | None, float | None]:
        """Return pixel size (y, x) [nm] and frame time [s] of `count` frames, None where unknown."""
        return unknown_on_error(lambda: self._calibration(source, count), source)

    def _calibration(self, source: str, count: int) -> tuple[tuple[float, float] | None, float | None]:
        if self.scale is None or self.axes is None:
            return None, None
        letters = axis_letters(self.axes, self.array.shape)
        y, x = letters.index("Y"), letters.index("X")
        pixel_size = read_pixel_size((self.scale[y], self.scale[x]), (self.units[y], self.units[x]), source)
        t = letters.find("T")
        if t < 0 or not self.units[t] or count < 2:
            return pixel_size, None
        return pixel_size, read_frame_time(self.scale[t], self.units[t], source)


def movie_of(array: zarr.Array[Any], name: str, source: str, axes: Sequence[str | None] | None = None) -> Movie:
    """Return a zarr array as a movie; its axes are guessed if neither `axes` nor the array names them."""
    check_array(array, source)
    where = frame_axes(array.shape, axes or names_of(array), source)
    absent, lost, empty = _unwritten(array, where)
    warn_of_absent(absent, where.shape[0], source, NO_CHUNKS)
    edge = 1 if where.time is None else (array.shards or array.chunks)[where.time]
    if lost:
        numbers = [t for t in range(where.shape[0]) if t // edge in lost]
        warnings.warn(
            f"Parts of frames in {source} ({spans(numbers)}) have no data where other frames have some: they count as "
            f"missing, NaN. Parts that were recorded as {array.fill_value} everywhere look the same.",
            AbsentWarning,
            stacklevel=3,
        )
    if empty:
        warnings.warn(
            f"Parts of frames in {source} were never written ({spans(empty)}), in any frame: they read as "
            f"{array.fill_value}, which zarr does not write.",
            AbsentWarning,
            stacklevel=3,
        )
    fill = _fill(array)
    if fill is not None:
        warn_of_fill(fill, source)
    read = ZarrFrames(array, where, fill, lost)
    frames = lazy_frames(read, where.shape, read.dtype)
    return Movie(frames, name=name, source=source, absent=dict.fromkeys(absent, NO_CHUNKS))


def check_array(array: zarr.Array[Any], source: str) -> None:
    """Refuse an array that does not hold real numbers, or whose codec can execute code."""
    check_dtype(array.dtype, source)
    if "pickle" in json.dumps(array.metadata.to_dict().get("codecs", ""), default=str) + json.dumps(
        [array.metadata.to_dict().get(key) for key in ("filters", "compressor")], default=_codec
    ):
        raise InputError(
            "an array packed by a harmless codec",
            f"pickle in {source}",
            "Have it saved without pickle, which can run code.",
        )


def _codec(codec: Any) -> Any:
    return codec.get_config() if hasattr(codec, "get_config") else str(codec)


def names_of(array: zarr.Array[Any]) -> list[str | None] | None:
    """Return an array's axis names: zarr 3's dimension_names or xarray's attribute; None if it has none."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if not isinstance(names, list | tuple) or len(names) != array.ndim or not any(names):
        return None
    return [None if name is None else str(name) for name in names]


def _fill(array: zarr.Array[Any]) -> float | None:
    """Return the value of pixels without a measurement, by the convention of netCDF and xarray."""
    for key in ("_FillValue", "missing_value"):
        value = array.attrs.get(key)
        if isinstance(value, int | float) and np.isfinite(value):
            return float(value)
    return None


def _unwritten(array: zarr.Array[Any], axes: FrameAxes) -> tuple[list[int], dict[int, NDArray[np.bool_]], list[int]]:
    """Find the chunks that are not there. They read as the fill value, whether lost or not written for being empty.

    Where other frames have a chunk it counts as lost: a part of a frame that was recorded hardly has the fill value in
    all of its pixels, and if it has, nothing can be seen there. Where no frame has one, it may be an empty border.

    Returns
    -------
    absent : list of int
        Frames without any chunk.
    lost : dict of int to bool array
        By chunk along time: lost chunks of frames that have others, in an array with as many axes as `array`.
    empty : list of int
        Frames with chunks that no frame has.
    """
    there, edge = _written(array, axes.time)
    along = there.reshape(len(there), -1)
    some: NDArray[np.bool_] = np.any(along, axis=1)
    in_no_frame: NDArray[np.bool_] = ~np.any(along, axis=0)
    frames = [(t, t // edge) for t in range(axes.shape[0])]
    lost = {} if axes.time is None else {n: ~row & ~in_no_frame for n, row in enumerate(along) if some[n]}
    grids = {
        n: np.moveaxis(gone.reshape(1, *there.shape[1:]), 0, axes.time or 0) for n, gone in lost.items() if gone.any()
    }
    return (
        [t for t, n in frames if not some[n]],
        grids,
        [t for t, n in frames if some[n]] if in_no_frame.any() else [],
    )


def unwritten(array: zarr.Array[Any], axis: int) -> list[int]:
    """Return the indices along an axis with a chunk that was never written."""
    there, edge = _written(array, axis)
    return [n for n in range(array.shape[axis]) if not there[n // edge].all()]


def _written(array: zarr.Array[Any], axis: int | None) -> tuple[NDArray[np.bool_], int]:
    """Return whether each chunk exists, the axis first (a new one if None), and the chunk's length along it."""
    edges = array.shards or array.chunks
    counts = tuple(-(-n // edge) for n, edge in zip(array.shape, edges, strict=True))
    there = np.ones(counts, bool)
    if isinstance(array.store, LocalStore) and math.isfinite(float(array.fill_value or 0)):
        folder = Path(array.store.root) / array.path
        written = {
            os.path.relpath(os.path.join(at, name), folder).replace(os.sep, "/")
            for at, _, names in os.walk(folder)
            for name in names
        }
        for index in np.ndindex(*counts):
            there[index] = array.metadata.encode_chunk_key(index) in written
    if axis is None:
        return there[None], 1
    return np.moveaxis(there, axis, 0), edges[axis]


def multiscales(group: zarr.Group) -> list[tuple[zarr.Group, dict[str, Any]]]:
    """Return the multiscale images of a group, or of its sub-groups, where bioformats2raw stores them."""
    own = _multiscales(group)
    if own:
        return [(group, image) for image in own]
    found = sorted(group.groups(), key=lambda item: (not item[0].isdecimal(), item[0].zfill(9)))
    return [(child, image) for _, child in found for image in _multiscales(child)]


def _multiscales(group: zarr.Group) -> list[dict[str, Any]]:
    attributes: dict[str, Any] = dict(group.attrs)
    ome = attributes.get("ome", attributes)
    images = ome.get("multiscales") if isinstance(ome, dict) else None
    return [image for image in images if isinstance(image, dict)] if isinstance(images, list) else []


def _arrays(group: zarr.Group, wanted: Wanted, path: Path) -> list[ZarrImage]:
    arrays = sorted(group.arrays())
    if not arrays or (len(arrays) > 1 and wanted is None):
        names = ", ".join([*(name for name, _ in arrays), *(name for name, _ in group.groups())][:8]) or "nothing"
        raise InputError(
            f"an OME-Zarr image or a single array in {path}",
            names,
            "Open one array of it: path/to.zarr/name, or signal='name'.",
        )
    return [ZarrImage(array, name if len(arrays) > 1 else "", None) for name, array in arrays]


def array_of(group: zarr.Group, name: str, path: Path) -> zarr.Array[Any]:
    """Return an array of a group; InputError if there is none."""
    array = group.get(name)
    if not isinstance(array, zarr.Array):
        raise InputError(f"array {name!r} in {path}", "none", "Check that the whole folder was copied.")
    return array


def _ome(group: zarr.Group, image: dict[str, Any], path: Path) -> ZarrImage:
    """Return the finest level of an image."""
    try:
        level = image["datasets"][0]
        array = array_of(group, str(level["path"]), path)
        # Before 0.4 an axis is a plain letter; before 0.3 there are five unnamed axes.
        axes = [a if isinstance(a, dict) else {"name": a} for a in image.get("axes") or "tczyx"[-array.ndim :]]
        names = [str(axis["name"]) for axis in axes]
        if len(names) != array.ndim:
            raise ValueError(f"{len(names)} axes for an array of shape {array.shape}")
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"OME-Zarr metadata with axes and a dataset in {path}",
            f"{type(error).__name__}: {error}",
            "Write the image again with a current OME-Zarr library, or open its array: path/to.zarr/0.",
        ) from error
    units = [None if axis.get("unit") is None else str(axis["unit"]) for axis in axes]
    name = str(image.get("name") or "")
    return ZarrImage(
        array, name, names, _scale(image, level, len(names)), units, group.path, group.attrs.get(RECORDING)
    )


def _scale(image: dict[str, Any], level: dict[str, Any], n: int) -> list[object]:
    """Return the pixel size along each of n axes; invalid values are kept, to be reported later."""
    scale = [1.0] * n
    transforms = [level.get("coordinateTransformations"), image.get("coordinateTransformations")]
    for transform in (one for several in transforms if isinstance(several, list) for one in several):
        if not isinstance(transform, dict) or transform.get("type") != "scale":
            continue
        values: Any = transform.get("scale")
        try:
            scale = [a * float(b) for a, b in zip(scale, values, strict=True)]
        except (TypeError, ValueError):
            return [values] * n
    return list(scale)
