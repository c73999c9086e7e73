"""File formats of movies: the registry behind readers, file dialogs, watchers and help texts."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_menndl.movie.movie import Movie
    from napari_menndl.movie.signals import Wanted


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes
    ----------
    name : str
        Display name.
    suffixes : tuple of str
        Lower-case suffixes with the dot; the first is the usual one.
    beginnings : tuple of bytes
        Magic bytes at the start of its files; may be empty.
    read : callable
        ``read(path, signal)`` returns a Movie without reading its frames; `signal` is the name or number of one of
        several images, a callable that chooses, or None for the default. InputError if there is no movie.
    files, folders : bool
        Whether it is stored as a file, as a folder.
    """

    name: str
    suffixes: tuple[str, ...]
    beginnings: tuple[bytes, ...]
    read: Callable[[Path, Wanted], Movie]
    files: bool = True
    folders: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({' '.join(self.suffixes)})"


def _reader(module: str, function: str) -> Callable[[Path, Wanted], Movie]:
    """Return a reader that imports its module on first use, so that importing this registry is cheap."""

    def read(path: Path, signal: Wanted = None) -> Movie:
        movie: Movie = getattr(import_module(f"napari_menndl.movie.{module}"), function)(path, signal)
        return movie

    return read


TIFF = Format(
    "TIFF",
    (".tif", ".tiff", ".btf", ".tf8"),
    (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    _reader("tiff", "read_tiff"),
)
_microscope = _reader("microscope", "read_microscope")
MRC = Format("MRC", (".mrc", ".mrcs", ".rec", ".map"), (), _microscope)
HDF5 = Format(
    "HDF5 of Velox, NCEM, HyperSpy, NSID, USID or NeXus",
    (".emd", ".hspy", ".h5", ".hdf5", ".nxs"),
    (b"\x89HDF\r\n\x1a\n",),
    _microscope,
)
#: Formats of microscopes and their software. MRC has no magic bytes: it begins with the image width; those of zip-based
#: formats would match any zip.
MICROSCOPE: tuple[Format, ...] = (
    Format("Gatan DigitalMicrograph", (".dm3", ".dm4"), (b"\0\0\0\x03", b"\0\0\0\x04"), _microscope),
    Format("FEI TIA", (".ser",), (b"II\x97\x01",), _microscope),
    Format("FEI TIA's index", (".emi",), (), _microscope),
    MRC,
    HDF5,
    Format("Nion Swift", (".ndata", ".ndata1"), (), _microscope),
    Format("HyperSpy in zarr", (".zspy",), (), _microscope, folders=True),
)
#: A single image of these formats is rarely a movie: napari's reader leaves it to others.
PICTURES = (
    Format("PNG", (".png",), (b"\x89PNG",), _reader("pictures", "read_picture")),
    Format("JPEG", (".jpg", ".jpeg"), (b"\xff\xd8\xff",), _reader("pictures", "read_picture")),
)
_video = _reader("video", "read_video")
VIDEOS = (
    Format(
        "MP4",
        (".mp4", ".m4v", ".mov"),
        tuple(bytes((0, 0, 0, size)) + b"ftyp" for size in range(0x10, 0x40, 4)),
        _video,
    ),
    Format("AVI", (".avi",), (), _video),
    Format("Matroska", (".mkv", ".webm"), (b"\x1aE\xdf\xa3",), _video),
    Format("Windows Media", (".wmv", ".asf"), (b"0&\xb2u\x8ef\xcf\x11",), _video),
    Format("MPEG", (".mpg", ".mpeg"), (b"\0\0\x01\xba",), _video),
)
FORMATS: tuple[Format, ...] = (
    TIFF,
    Format("NumPy", (".npy",), (b"\x93NUMPY",), _reader("npy", "read_npy")),
    Format("zarr or OME-Zarr", (".zarr",), (), _reader("ome_zarr", "read_zarr"), files=False, folders=True),
    *PICTURES,
    *MICROSCOPE,
    *VIDEOS,
)

READABLE = "a movie as " + ", ".join(map(str, FORMATS)) + ", or a folder of single images"


def suffixes(files: bool = False) -> tuple[str, ...]:
    """Return all suffixes, or only those of formats stored as files."""
    return tuple(s for one in FORMATS if one.files or not files for s in one.suffixes)


def by_suffix(path: Path) -> Format | None:
    """Return the format of a path by its suffix."""
    return next((one for one in FORMATS if path.suffix.lower() in one.suffixes), None)


def by_content(beginning: bytes) -> Format | None:
    """Return the format of a file by its first bytes."""
    return next((one for one in FORMATS if any(beginning.startswith(mark) for mark in one.beginnings)), None)
