"""The formats a movie may have: the one list that readers, file dialogs, followers and help texts are made from."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_menndl.movie.movie import Movie


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes
    ----------
    name : str
        For a person to read.
    suffixes : tuple of str
        In small letters, with the point; the first is the usual one.
    beginnings : tuple of bytes
        How its files begin; may be empty.
    read : callable
        ``read(path, signal)`` yields a Movie without reading its frames; `signal` is the name or number of one of
        several images, None where nobody chose. InputError where there is no movie.
    folders : bool
        Whether it is a folder.
    """

    name: str
    suffixes: tuple[str, ...]
    beginnings: tuple[bytes, ...]
    read: Callable[[Path, str | int | None], Movie]
    folders: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({' '.join(self.suffixes)})"


def _reader(module: str, function: str) -> Callable[[Path, str | int | None], Movie]:
    """A function of this folder that is imported at the first file: this list itself costs no import."""

    def read(path: Path, signal: str | int | None = None) -> Movie:
        movie: Movie = getattr(import_module(f"napari_menndl.movie.{module}"), function)(path, signal)
        return movie

    return read


TIFF = Format(
    "TIFF",
    (".tif", ".tiff", ".btf", ".tf8"),
    (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    _reader("tiff", "read_tiff"),
)
#: A single one is a picture rather than a movie: windows leave it to others.
PICTURES = (
    Format("PNG", (".png",), (b"\x89PNG",), _reader("pictures", "read_picture")),
    Format("JPEG", (".jpg", ".jpeg"), (b"\xff\xd8\xff",), _reader("pictures", "read_picture")),
)
FORMATS: tuple[Format, ...] = (
    TIFF,
    Format("NumPy", (".npy",), (b"\x93NUMPY",), _reader("npy", "read_npy")),
    Format("zarr or OME-Zarr", (".zarr",), (), _reader("ome_zarr", "read_zarr"), folders=True),
    *PICTURES,
)

READABLE = "a movie as " + ", ".join(map(str, FORMATS)) + ", or a folder of single images"


def suffixes(folders: bool | None = None) -> tuple[str, ...]:
    """All suffixes, or those of formats that are folders, or of those that are files."""
    return tuple(s for one in FORMATS if folders is None or one.folders == folders for s in one.suffixes)


def by_suffix(path: Path) -> Format | None:
    """The format that a path is named as."""
    return next((one for one in FORMATS if path.suffix.lower() in one.suffixes), None)


def by_content(beginning: bytes) -> Format | None:
    """The format of a file that begins so."""
    return next((one for one in FORMATS if any(beginning.startswith(mark) for mark in one.beginnings)), None)
