"""`open_movie`: files, folders, patterns and arrays become a Movie without being read."""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import dask.array as da
import numpy as np
import zarr

from napari_menndl.errors import InputError
from napari_menndl.movie.axes import check_dtype, frame_axes, guess_axes
from napari_menndl.movie.calibration import CalibrationWarning, given_frame_time, given_pixel_size
from napari_menndl.movie.microscope import FORMATS, read_microscope
from napari_menndl.movie.movie import Movie, lazy_frames
from napari_menndl.movie.ome_zarr import is_zarr, movie_of, read_zarr
from napari_menndl.movie.tiff import read_tiff

if TYPE_CHECKING:
    from numpy.typing import NDArray

TIFF = (".tif", ".tiff", ".btf", ".tf8")
MICROSCOPE = tuple(suffix for _, suffixes, _ in FORMATS for suffix in suffixes)
READABLE = "a TIFF file or series (.tif), an array (.npy), a zarr array or OME-Zarr image (.zarr)"
#: How files begin, to recognise one that bears a wrong suffix.
_BEGINNINGS = {
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"II+\0": ".tif",
    b"MM\0+": ".tif",
    b"\x93NUMPY": ".npy",
    b"\x89HDF": ".h5",
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"PK\x03\x04": ".zip",
}

Source: TypeAlias = (
    "str | os.PathLike[str] | NDArray[Any] | da.Array | zarr.Array[Any] | Movie | Sequence[str | os.PathLike[str]]"
)


def open_movie(
    source: Source, *, pixel_size: float | Sequence[float] | None = None, frame_time: float | None = None
) -> Movie:
    """Open a movie without reading its frames.

    Parameters
    ----------
    source : path, array, list of paths or Movie
        A TIFF file (ImageJ, OME or plain), a ``.npy`` file, a zarr array or OME-Zarr image; a folder of single
        frames, a pattern (``"frames/*.tif"``, in natural order) or a list of files (in its order);
        an array of numpy, dask or zarr, (T, Y, X) or (Y, X).
    pixel_size : float or (y, x) float [nm], optional
        Instead of what the file says.
    frame_time : float [s], optional
        Instead of what the file says.

    Returns
    -------
    Movie
        With `pixel_size` and `frame_time` None where the file does not say, or says what cannot be
        (then with a `CalibrationWarning`).

    Raises
    ------
    InputError
        If there is nothing to read, if it is damaged, or if it is no movie of real numbers, (T, Y, X).
    """
    given: dict[str, Any] = {}
    if pixel_size is not None:
        given["pixel_size"] = given_pixel_size(pixel_size)
    if frame_time is not None:
        given["frame_time"] = given_frame_time(frame_time)
    with warnings.catch_warnings():
        if "pixel_size" in given:  # what is overruled needs no warning
            warnings.filterwarnings("ignore", "The pixel size", CalibrationWarning)
        if "frame_time" in given:
            warnings.filterwarnings("ignore", "The frame time", CalibrationWarning)
        movie = _open(source)
    return replace(movie, **given) if given else movie


def _open(source: Source) -> Movie:
    if isinstance(source, Movie):
        return source
    if isinstance(source, zarr.Array):
        return movie_of(source, Path(source.path).stem or "array", str(source.store_path))
    if isinstance(source, str | os.PathLike):
        return _open_path(Path(source).expanduser(), os.fspath(source))
    if isinstance(source, da.Array) or hasattr(source, "__array__"):
        return _open_array(source)
    if isinstance(source, Sequence) and source and all(isinstance(path, str | os.PathLike) for path in source):
        return _open_series([Path(path).expanduser() for path in source], f"{len(source)} files")
    raise InputError(READABLE, f"a {type(source).__name__}", "Give a path, a list of paths or an array.")


def _open_array(array: Any) -> Movie:
    array = array if isinstance(array, da.Array) else np.asarray(array)
    check_dtype(array.dtype, "the array")
    shape = frame_axes(array.shape, guess_axes(array.shape), "an array")
    frames = array.reshape(shape)
    if isinstance(frames, da.Array):
        return Movie(frames.rechunk((1, -1, -1)), name="array")
    return Movie(lazy_frames(frames.__getitem__, shape, frames.dtype), name="array")


def _open_path(path: Path, text: str) -> Movie:
    if path.is_dir():
        if path.suffix.lower() in MICROSCOPE:
            return read_microscope(path)
        return read_zarr(path) if is_zarr(path) or path.suffix == ".zarr" else _open_folder(path)
    if path.exists():
        return _open_file(path)
    if any(mark in text for mark in "*?["):
        paths = sorted((Path(p) for p in glob.glob(str(path), recursive=True)), key=_natural)
        if not paths:
            raise InputError(f"files like {text}", "none", "Check the pattern, and put it in quotes in a shell.")
        return _open_series(paths, text)
    parent = path.parent
    while not parent.exists():
        parent = parent.parent
    raise InputError(f"a file or folder at {path}", f"none; {parent} exists", "Check the spelling and the disk.")


def _open_file(path: Path) -> Movie:
    suffix = path.suffix.lower()
    if suffix in MICROSCOPE:
        return read_microscope(path)
    try:
        with path.open("rb") as file:
            beginning = file.read(8)
    except OSError as error:
        raise InputError(f"a readable file at {path}", str(error), "Check its permissions and the disk.") from error
    if not beginning:
        raise InputError(READABLE, f"an empty file, {path}", "Copy it anew from where it was recorded.")
    content = next((name for mark, name in _BEGINNINGS.items() if beginning.startswith(mark)), None)
    reader = read_tiff if suffix in TIFF else read_npy if suffix == ".npy" else None
    right = content is None or (content == ".tif" and suffix in TIFF) or content == suffix
    if not right and content in (".tif", ".npy"):
        raise InputError(READABLE, f"{path.name}, whose content is {content[1:]}", f"Rename it to end in {content}.")
    if reader is None or not right:
        raise InputError(READABLE, f"{path.name}{'' if right else f', whose content is {content}'}", _remedy(suffix))
    return reader(path)


def _remedy(suffix: str) -> str:
    if suffix == ".npz":
        return "Save the one array as .npy: np.save('movie.npy', np.load('movie.npz')['name'])."
    if suffix in (".mp4", ".avi", ".mov", ".gif", ".png", ".jpg", ".jpeg"):
        return "Use the recorded intensities: a picture or video has lost them. Export the movie as TIFF."
    return "Export the movie as TIFF, or open it yourself and give the array."


class NpyFrames:
    """Reads single frames of a ``.npy`` file; the file is open only while it reads."""

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self.path = path
        self.shape = shape

    def __call__(self, t: int) -> NDArray[Any]:
        mapped = np.load(self.path, mmap_mode="r", allow_pickle=False)
        lead = np.unravel_index(t, mapped.shape[:-2]) if mapped.ndim > 2 else ()
        return np.array(mapped[tuple(int(i) for i in lead)])


def read_npy(path: Path) -> Movie:
    """A ``.npy`` file as a movie; InputError where it is damaged or holds Python objects."""
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, TypeError) as error:
        raise InputError(
            f"a complete .npy file of numbers at {path}", str(error), "Save it again: np.save(path, frames)."
        ) from error
    check_dtype(mapped.dtype, str(path))
    shape = frame_axes(mapped.shape, guess_axes(mapped.shape), str(path))
    return Movie(lazy_frames(NpyFrames(path, shape), shape, mapped.dtype), name=path.stem, source=str(path))


def _open_folder(path: Path) -> Movie:
    files = sorted((p for p in path.iterdir() if p.is_file() and not p.name.startswith(".")), key=_natural)
    frames = [p for p in files if p.suffix.lower() in TIFF] or [p for p in files if p.suffix.lower() == ".npy"]
    if not frames:
        what = ", ".join(p.name for p in files[:3]) or "nothing"
        raise InputError(f"a series of .tif or .npy files in {path}", what, "Choose the folder of the frames.")
    return _open_series(frames, str(path))


def _open_series(paths: Sequence[Path], source: str) -> Movie:
    """Files one after another as one movie."""
    movies: list[Movie] = []
    for path in paths:
        movie = _open_path(path, str(path))
        if movies and (movie.shape[1:], movie.frames.dtype) != (movies[0].shape[1:], movies[0].frames.dtype):
            raise InputError(
                f"frames all of {movies[0].shape[1:]} {movies[0].frames.dtype}, like {paths[0].name}",
                f"{path.name} of {movie.shape[1:]} {movie.frames.dtype}",
                "Leave it out, or open the movies one by one.",
            )
        movies.append(movie)
    first = movies[0]
    pixel_size = first.pixel_size
    sizes = [movie.pixel_size for movie in movies]
    if pixel_size and not all(size and np.allclose(size, pixel_size, rtol=1e-3) for size in sizes):
        pixel_size = None
        warnings.warn(
            f"The pixel size is not the same in all files of {source}: it counts as unknown. Give it with pixel_size=…",
            CalibrationWarning,
            stacklevel=4,
        )
    name = paths[0].parent.name if len(paths) > 1 else first.name
    frames = da.concatenate([movie.frames for movie in movies]) if len(movies) > 1 else first.frames
    return Movie(frames, pixel_size, first.frame_time, name or first.name, source)


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    """Order in which frame 2 comes before frame 10."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", str(path))]
