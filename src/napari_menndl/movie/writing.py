"""Writing of movies as TIFF or OME-Zarr; a failed write leaves no partial file behind."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
import zarr

from napari_menndl.errors import InputError
from napari_menndl.files import check_new
from napari_menndl.movie.metadata import RECORDING
from napari_menndl.movie.movie import one_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_menndl.movie.movie import Movie

Progress = Callable[[int, int], None]
#: Data types and largest size [bytes] of ImageJ's TIFF; other movies are written as OME-TIFF.
_IMAGEJ_DTYPES = ("uint8", "uint16", "float32")
_IMAGEJ_BYTES = 2**32 - 2**20


def write_movie(
    movie: Movie, path: str | os.PathLike[str], progress: Progress | None = None, *, overwrite: bool = False
) -> Path:
    """Write a movie, frame by frame.

    Parameters
    ----------
    movie : Movie
    path : path
        ``.tif``/``.tiff``: ImageJ's TIFF, or OME-TIFF for ``.ome.tif``, over 4 GB, or for data types that ImageJ lacks;
        ``.zarr``: OME-Zarr 0.5.
    progress : callable, optional
        Called after each frame with the number of frames written and the total.
    overwrite : bool
        Whether to replace an existing file or folder.

    Returns
    -------
    Path
        The path that was written.

    Raises
    ------
    InputError
        If the suffix is none of these, the path exists or cannot be written, or the disk is full.
    """
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if suffix not in (".tif", ".tiff", ".zarr"):
        raise InputError("a path that ends in .tif or .zarr", str(path), "Choose one of the two.")
    check_new(path, overwrite=overwrite)
    if not path.parent.is_dir():
        raise InputError(f"a folder {path.parent}", "none", "Create it first.")
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part{suffix}")
    try:
        if suffix == ".zarr":
            _write_zarr(movie, beside, progress)
        else:
            _write_tiff(movie, beside, path.name.lower(), progress)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        os.replace(beside, path)
    except OSError as error:
        raise InputError(
            f"{path} to be writable", str(error), "Choose a folder you may write to, on a disk with enough room."
        ) from error
    finally:
        if beside.is_dir():
            shutil.rmtree(beside, ignore_errors=True)
        else:
            beside.unlink(missing_ok=True)
    return path


def _stored_dtype(movie: Movie) -> np.dtype[Any]:
    dtype = np.dtype(movie.frames.dtype)
    return np.dtype("uint8") if dtype.kind == "b" else dtype.newbyteorder("=")


def _raw_frames(movie: Movie, progress: Progress | None) -> Iterator[NDArray[Any]]:
    dtype = _stored_dtype(movie)
    for t in range(len(movie)):
        movie.frame(t)  # raises on a bad frame before it is written
        yield one_frame(movie.frames, t).astype(dtype)
        if progress is not None:
            progress(t + 1, len(movie))


def _write_tiff(movie: Movie, path: Path, name: str, progress: Progress | None) -> None:
    dtype = _stored_dtype(movie)
    size = int(np.prod(movie.shape)) * dtype.itemsize
    imagej = dtype.name in _IMAGEJ_DTYPES and size < _IMAGEJ_BYTES and ".ome." not in name
    metadata: dict[str, object] = {"axes": "TYX"}
    if recording := movie.metadata.to_json():
        metadata[RECORDING if imagej else "Description"] = json.dumps({RECORDING: recording})
    resolution = None
    y, x = movie.pixel_size or (None, None)
    if imagej:
        if movie.frame_time:
            metadata |= {"finterval": movie.frame_time}
        if y and x:
            resolution = (1 / x, 1 / y)
            metadata |= {"unit": "nm"}
    else:
        if movie.frame_time:
            metadata |= {"TimeIncrement": movie.frame_time, "TimeIncrementUnit": "s"}
        if y and x:
            metadata |= {"PhysicalSizeY": y, "PhysicalSizeYUnit": "nm", "PhysicalSizeX": x, "PhysicalSizeXUnit": "nm"}
    with tifffile.TiffWriter(path, imagej=imagej, ome=not imagej, bigtiff=size >= _IMAGEJ_BYTES) as tiff:
        tiff.write(
            _raw_frames(movie, progress),
            shape=movie.shape,
            dtype=dtype,
            photometric="minisblack",
            resolution=resolution,
            metadata=metadata,
        )


def _write_zarr(movie: Movie, path: Path, progress: Progress | None) -> None:
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    y, x = movie.pixel_size or (None, None)
    axes: list[dict[str, str]] = [
        {"name": "t", "type": "time"} | ({"unit": "second"} if movie.frame_time else {}),
        {"name": "y", "type": "space"} | ({"unit": "nanometer"} if y else {}),
        {"name": "x", "type": "space"} | ({"unit": "nanometer"} if x else {}),
    ]
    scale = [movie.frame_time or 1.0, y or 1.0, x or 1.0]
    level: dict[str, Any] = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
    image: dict[str, Any] = {"name": movie.name, "axes": axes, "datasets": [level]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    if recording := movie.metadata.to_json():
        group.attrs[RECORDING] = recording
    array = group.create_array(
        "0",
        shape=movie.shape,
        chunks=(1, *movie.shape[1:]),
        dtype=_stored_dtype(movie),
        dimension_names=["t", "y", "x"],
        config={"write_empty_chunks": True},  # a chunk left unwritten would read as a missing frame
    )
    for t, frame in enumerate(_raw_frames(movie, progress)):
        array[t] = frame
