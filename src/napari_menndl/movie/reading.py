"""`open_movie`: opens files, folders, patterns and arrays as a lazy `Movie`."""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import dask.array as da
import numpy as np
import zarr

from napari_menndl.errors import InputError
from napari_menndl.movie.absent import AbsentWarning, unmasked, warn_of_absent
from napari_menndl.movie.axes import check_dtype, frame_axes
from napari_menndl.movie.calibration import CalibrationWarning, given_frame_time, given_pixel_size
from napari_menndl.movie.formats import FORMATS, READABLE, by_content, by_suffix
from napari_menndl.movie.movie import Movie, lazy_frames, one_after_another, stamp_of
from napari_menndl.movie.ome_zarr import is_zarr, movie_of, read_zarr
from napari_menndl.movie.signals import Wanted, ask_once, only_one

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Magic bytes of other file types, to recognise files with a wrong suffix.
_OTHERS = {b"PK\x03\x04": "zip"}

Source: TypeAlias = (
    "str | os.PathLike[str] | NDArray[Any] | da.Array | zarr.Array[Any] | Movie | Sequence[str | os.PathLike[str]]"
)


def open_movie(
    source: Source,
    *,
    pixel_size: float | Sequence[float] | None = None,
    frame_time: float | None = None,
    signal: Wanted = None,
) -> Movie:
    """Open a movie without reading its frames.

    Parameters
    ----------
    source : path, array, list of paths or Movie
        A file of one of `napari_menndl.movie.formats.FORMATS`; a folder of single frames, a pattern
        (``"frames/*.tif"``, in natural order) or a list of files (in its order); a numpy, dask, zarr or xarray array,
        (T, Y, X) or (Y, X), or in the order of its named axes.
    pixel_size : float or (y, x) float [nm], optional
        Overrides the file's value.
    frame_time : float [s], optional
        Overrides the file's value.
    signal : str, int or callable, optional
        Name or number (from 0) of one of several images in a file; or a callable that chooses: ``signal(question)``
        gets a `signals.Question` and returns a number. By default, similar images are concatenated, and of others the
        largest is taken, with a warning.

    Returns
    -------
    Movie
        `pixel_size` and `frame_time` are None if the file gives none, or (with a `CalibrationWarning`) implausible
        ones.

    Raises
    ------
    InputError
        If there is nothing to read, if it is damaged, or if it is not a movie of real numbers, (T, Y, X).

    Warns
    -----
    UserWarning
        Names everything that is guessed, missing or left out.
    """
    given: dict[str, Any] = {}
    if pixel_size is not None:
        given["pixel_size"] = given_pixel_size(pixel_size)
    if frame_time is not None:
        given["frame_time"] = given_frame_time(frame_time)
    with warnings.catch_warnings():
        if "pixel_size" in given:  # overridden values need no warning
            warnings.filterwarnings("ignore", "The pixel size", CalibrationWarning)
        if "frame_time" in given:
            warnings.filterwarnings("ignore", "The frame time", CalibrationWarning)
        movie = _open(source, ask_once(signal) if callable(signal) else signal)
    # The scale given for a prepared movie is that of the recorded one.
    return replace(movie.raw, **given).prepared(movie.steps) if given else movie


def _open(source: Source, signal: Wanted) -> Movie:
    if isinstance(source, str | os.PathLike):
        if (found := os.fspath(source)) == "" or re.match(r"[A-Za-z][\w+.-]+://", str(found)):
            raise InputError("a path on this machine", repr(found), "Copy the recording here, and give its path.")
        return _open_path(Path(source).expanduser(), signal)
    if isinstance(source, Sequence) and source and all(isinstance(path, str | os.PathLike) for path in source):
        return _open_series([Path(path).expanduser() for path in source], f"{len(source)} files", signal)
    only_one(signal, f"a {type(source).__name__}")
    if isinstance(source, Movie):
        return source
    if isinstance(source, zarr.Array):
        return movie_of(source, Path(source.path).stem or "array", str(source.store_path))
    if isinstance(source, da.Array) or hasattr(source, "__array__"):
        return _open_array(source)
    raise InputError(READABLE, f"a {type(source).__name__}", "Give a path, a list of paths or an array.")


def _open_array(source: Any) -> Movie:
    names = getattr(source, "dims", None)  # xarray's
    array = getattr(source, "data", source) if names is not None else source
    array = unmasked(array if isinstance(array, da.Array | np.ma.MaskedArray) else np.asarray(array))
    check_dtype(array.dtype, "the array")
    named = [str(name) for name in names] if isinstance(names, tuple) and len(names) == array.ndim else None
    axes = frame_axes(array.shape, named, "an array")
    if not isinstance(array, da.Array):
        return Movie(lazy_frames(partial(axes.cut, np.asarray(array)), axes.shape, array.dtype), name="array")
    order = [axis for axis in range(array.ndim) if axis not in (axes.height, axes.width)]
    frames = array.transpose([*order, axes.height, axes.width]).reshape(axes.shape)
    return Movie(frames.rechunk((1, -1, -1)), name="array")


def _open_path(path: Path, signal: Wanted) -> Movie:
    try:
        path.exists()
    except OSError as error:  # such as a name that is too long, or a folder without permission
        raise InputError(f"a file or folder at {path}", str(error), "Check its name and its permissions.") from error
    if path.is_dir():
        named = by_suffix(path)
        if named is not None and named.folders:
            return named.read(path, signal)
        return read_zarr(path, signal) if is_zarr(path) else _open_folder(path, signal)
    if path.exists():
        return _open_file(path, signal)
    if path.is_symlink():
        raise InputError(f"a file or folder at {path}", "a link that leads nowhere", "Copy the file itself.")
    folder = path
    while not folder.exists():
        folder = folder.parent
    # Brackets in the name of an existing folder are not a pattern.
    pattern = str(path.relative_to(folder))
    if any(mark in pattern for mark in "*?["):
        found = glob.glob(pattern, root_dir=folder, recursive=True)
        paths = sorted((folder / name for name in found), key=natural_order)
        if not paths:
            raise InputError(f"files like {path}", "none", "Check the pattern, and put it in quotes in a shell.")
        return _open_series(paths, str(path), signal)
    raise InputError(f"a file or folder at {path}", f"none; {folder} exists", "Check the spelling and the disk.")


def _open_file(path: Path, signal: Wanted) -> Movie:
    suffix = path.suffix.lower()
    if not path.is_file():  # reading from a pipe would block forever
        raise InputError(f"a file or folder at {path}", "a pipe or a device", "Save it as a file first.")
    try:
        stamp = stamp_of(path)
        with path.open("rb") as file:
            beginning = file.read(8)
    except OSError as error:
        raise InputError(f"a readable file at {path}", str(error), "Check its permissions and the disk.") from error
    if not beginning:
        raise InputError(READABLE, f"an empty file, {path}", "Copy it anew from where it was recorded.")
    named, content = by_suffix(path), by_content(beginning)
    other = next((name for mark, name in _OTHERS.items() if beginning.startswith(mark)), None)
    if named is None and content is not None:
        warnings.warn(f"{path.name} is opened as {content.name}, which is what it contains.", stacklevel=5)
        return _stamped(content.read(path, signal), path, stamp)
    if named is not None and content not in (None, named):
        usual = content.suffixes[0]
        remedy = f"Rename it to end in {usual}."
        if usual in _PICTURES:
            remedy += " Better: " + _remedy(usual)
        raise InputError(READABLE, f"{path.name}, whose content is {content.name}", remedy)
    if named is None or not named.files or (other is not None and named.beginnings):
        raise InputError(READABLE, f"{path.name}{f', whose content is {other}' if other else ''}", _remedy(suffix))
    return _stamped(named.read(path, signal), path, stamp)


def _stamped(movie: Movie, path: Path, stamp: tuple[int, int]) -> Movie:
    # A file may be opened as part of a larger recording, with another source.
    return replace(movie, stamp=stamp) if movie.source == str(path) else movie


_PICTURES = (".gif", ".png", ".jpg", ".jpeg")


def _remedy(suffix: str) -> str:
    if suffix == ".npz":
        return "Save the one array as .npy: np.save('movie.npy', np.load('movie.npz')['name'])."
    if suffix in _PICTURES:
        return "Use the recorded intensities: a picture or video has lost them. Export the movie as TIFF."
    return "Export the movie as TIFF, or open it yourself and give the array."


def _open_folder(path: Path, signal: Wanted) -> Movie:
    try:
        there = [p for p in path.iterdir() if not p.name.startswith(".")]
    except OSError as error:
        raise InputError(f"a readable folder at {path}", str(error), "Check its permissions and the disk.") from error
    # A broken link counts as an absent frame.
    files = sorted((p for p in there if p.is_file() or (p.is_symlink() and not p.exists())), key=natural_order)
    kinds = [one for one in FORMATS if one.files and any(by_suffix(file) is one for file in files)]
    if not kinds:
        names = files or [p for p in there if p.is_dir()]
        what = ("" if files else "only folders: ") + ", ".join(p.name for p in names[:3]) if names else "nothing"
        known = " or ".join(one.suffixes[0] for one in FORMATS if one.files)
        raise InputError(f"a series of {known} files in {path}", what, "Choose the folder of the frames.")
    if len(kinds) > 1:
        others = " and ".join(str(one) for one in kinds[1:])
        warnings.warn(f"In {path} the {kinds[0]} files are the movie; those of {others} are left out.", stacklevel=5)
    chosen = [file for file in files if by_suffix(file) is kinds[0]]
    if twins := len(chosen) - len({file.stem for file in chosen}):
        endings = " and ".join(sorted({file.suffix for file in chosen}))
        warnings.warn(
            f"In {path} {twins} names come twice, with the endings {endings}: each file counts as a frame of its own. "
            'Choose the one kind with a pattern, such as "folder/*.tif".',
            stacklevel=5,
        )
    return _open_series(chosen, str(path), signal)


def _open_series(paths: Sequence[Path], source: str, signal: Wanted) -> Movie:
    """Concatenate files into one movie; files that name one another are opened once.

    If each file holds one frame, some may be damaged: their frames are absent.
    """
    movies: list[Movie] = []
    unread: dict[int, InputError] = {}
    said: dict[tuple[type[Warning], str], list[str]] = {}
    known: set[str] = set()
    for path in paths:
        if os.path.abspath(path) in known:
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                movie = _open_path(path, signal)
            except InputError as error:
                # If the question about the first file was not answered, it is not repeated for the next.
                if len(paths) == 1 or (callable(signal) and not movies):
                    raise
                unread[len(movies) + len(unread)] = error
                continue
        for one in caught:
            text = str(one.message)
            said.setdefault((one.category, text.replace(path.name, "…")), []).append(text)
        if movies and (movie.shape[1:], movie.frames.dtype) != (movies[0].shape[1:], movies[0].frames.dtype):
            raise InputError(
                f"frames all of {movies[0].shape[1:]} {movies[0].frames.dtype}, like {paths[0].name}",
                f"{path.name} of {movie.shape[1:]} {movie.frames.dtype}",
                "Leave it out, or open the movies one by one.",
            )
        named = {str(file) for file in movie.files}
        if twice := sorted(known & named):
            raise InputError(
                f"each file of the recording once, under the name that the recording has for it, in {source}",
                f"{path.name}, which is of the same recording as {Path(twice[0]).name}",
                f"Give {path.name} its name back, or leave it out.",
            )
        movies.append(movie)
        known |= named
    if unread:
        movies = _with_missing(movies, unread, source)
    for (category, _), texts in said.items():
        more = f" The same of {len(texts) - 1} more files." if len(texts) > 1 else ""
        warnings.warn(texts[0] + more, category, stacklevel=5)
    others = len(known - {os.path.abspath(path) for path in paths})
    if others and len(paths) > 1:
        warnings.warn(
            f"{source}: the files are parts of a recording with {others} files more, which are opened as well.",
            stacklevel=5,
        )
    if odd := _named_otherwise([path.name for path in paths]):
        names = f"{', '.join(odd[:3])}{' …' if len(odd) > 3 else ''} {'is' if len(odd) == 1 else 'are'}"
        warnings.warn(
            f"{source}: {names} named unlike the other {len(paths) - len(odd)} files, and taken for frames. "
            'Name the frames with a pattern, such as "folder/frame_*.tif", if that is wrong.',
            stacklevel=5,
        )
    if gap := _gap_in_numbers([path.name for path in paths]):
        warnings.warn(
            f"{source}: {gap}, in a series that is numbered one by one otherwise. Frames are numbered as if none were "
            "missing.",
            AbsentWarning,
            stacklevel=5,
        )
    name = (paths[0].parent.name if len(paths) > 1 else movies[0].name) or movies[0].name
    return one_after_another(movies, name, source)


def _with_missing(movies: list[Movie], unread: dict[int, InputError], source: str) -> list[Movie]:
    """Insert an absent frame for each file of a single frame that cannot be read.

    Parameters
    ----------
    movies : list of Movie
        Movies of the readable files.
    unread : dict of int to InputError
        Errors by position among all files.
    source : str

    Raises
    ------
    InputError
        The first error, if most files are unreadable, or if it is unknown how many frames they held.
    """
    if len(unread) >= len(movies) or any(len(movie) != 1 for movie in movies):
        raise next(iter(unread.values()))
    blank = replace(movies[0], frames=da.zeros_like(movies[0].frames), files=frozenset())
    for place, error in unread.items():  # in ascending order
        movies.insert(place, replace(blank, absent={0: error.found}))
    warn_of_absent(unread.keys(), len(movies), source, next(iter(unread.values())).found)
    return movies


def _named_otherwise(names: Sequence[str]) -> list[str]:
    """Return names that differ from most by more than numbers, such as an average or a copy."""
    patterns = [re.sub(r"\d+", "0", name).casefold() for name in names]
    usual = max(patterns, key=patterns.count, default="")
    odd = [name for name, pattern in zip(names, patterns, strict=True) if pattern != usual]
    return odd if len(odd) * 3 <= len(names) else []


def _gap_in_numbers(names: Sequence[str]) -> str:
    """Describe a gap in the numbers of consecutively numbered files; empty if there is none."""
    parts = [re.split(r"([0-9]+)", name) for name in names]
    if len(names) < 4 or len({len(one) for one in parts}) > 1:
        return ""
    differing = [i for i, column in enumerate(zip(*parts, strict=True)) if len(set(column)) > 1]
    if len(differing) != 1 or differing[0] % 2 == 0:
        return ""
    numbers = [int(one[differing[0]]) for one in parts]
    steps = [after - before for before, after in pairwise(numbers)]
    usual = max(set(steps), key=steps.count)
    odd = [i for i, step in enumerate(steps) if step != usual]
    # Other differences mean that the numbers are times or something else.
    if usual < 1 or len(odd) > len(steps) / 4 or any(steps[i] < usual or steps[i] % usual for i in odd):
        return ""
    lacking = sum(steps[i] // usual - 1 for i in odd)
    return f"{lacking} files seem to be missing, the first after {names[odd[0]]}" if odd else ""


def natural_order(path: Path) -> list[tuple[bool, int, str]]:
    """Sort key by which frame 2 comes before frame 10."""
    # ``isdecimal`` rather than ``isdigit``: int() cannot convert superscripts.
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", str(path))]
