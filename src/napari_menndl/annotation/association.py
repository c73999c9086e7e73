"""Which annotations belong to a movie: those beside its file, and those that were kept elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from filelock import FileLock

from napari_menndl.errors import InputError
from napari_menndl.files import write_whole

if TYPE_CHECKING:
    from napari_menndl.movie.movie import Movie

SUFFIX = ".annotation.zarr"


class AnnotationIndex:
    """Finds the annotations of a movie again, and says where a new one goes.

    Parameters
    ----------
    folder : Path
        A person's own: for the annotations of movies whose folder cannot be written, or that are no file, and for
        ``annotations.json``, which says where annotations are that do not lie beside their movie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "annotations.json"
        self._keys: WeakKeyDictionary[Movie, str] = WeakKeyDictionary()

    def find(self, movie: Movie) -> list[Path]:
        """Annotations of a movie that are there now; the latest remembered first, then those beside it."""
        known = [Path(p) for p in reversed(self._read().get(self._key(movie), []))]
        beside = []
        if source := _file_of(movie):
            name = re.compile(re.escape(_stem(source)) + r"(\.[^.]+)?" + re.escape(SUFFIX))
            beside = sorted(p for p in source.parent.glob(f"*{SUFFIX}") if name.fullmatch(p.name))
        return [p for p in dict.fromkeys([*known, *beside]) if (p / "zarr.json").is_file()]

    def place(self, movie: Movie) -> Path:
        """Where a new annotation of a movie goes: beside its file or, where that cannot be, in the person's folder."""
        source = _file_of(movie)
        if source and os.access(source.parent, os.W_OK):
            folder, stem = source.parent, _stem(source)
        else:
            folder, stem = self._folder, stem_for(movie.name)
        numbers = ("", *(f".{n}" for n in range(2, 1000)))
        return next(p for n in numbers if not (p := folder / f"{stem}{n}{SUFFIX}").exists())

    def remember(self, movie: Movie, annotation: Path) -> None:
        """Note that an annotation belongs to a movie.

        Raises
        ------
        InputError
            The person's folder cannot be written.
        """
        path = str(Path(annotation).resolve())
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._file.with_suffix(".lock"), timeout=5):
                index = self._read()
                key = self._key(movie)
                index[key] = [*(p for p in index.get(key, []) if p != path), path]
                write_whole(self._file, json.dumps(index, indent=1).encode())
        except OSError as error:
            raise InputError(
                "a folder to note the annotations of movies in",
                f"{self._folder}: {error}",
                "The annotation itself is kept; open it by its path next time.",
            ) from error

    def _key(self, movie: Movie) -> str:
        if movie not in self._keys:
            self._keys[movie] = key_of(movie)  # reads a frame, perhaps; asked for whenever a layer comes or goes
        return self._keys[movie]

    def _read(self) -> dict[str, list[str]]:
        try:
            index = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}  # a list for comfort: without it the annotations beside their movies are still found
        return index if isinstance(index, dict) else {}


def stem_for(name: str) -> str:
    """What the annotation of a movie that is no file is called, by the movie's name."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "movie"


def key_of(movie: Movie) -> str:
    """What a movie is known by: its file, or its shape and first frame where it is none."""
    if source := _file_of(movie):
        return str(source)
    first = movie.frames[0].compute(scheduler="synchronous")
    return hashlib.sha256(f"{movie.shape} {first.dtype}".encode() + first.tobytes()).hexdigest()


def _file_of(movie: Movie) -> Path | None:
    path = Path(movie.source)
    return path.resolve() if path.is_absolute() and path.exists() else None


def _stem(source: Path) -> str:
    return source.name if source.is_dir() and source.suffix != ".zarr" else re.sub(r"(\.ome)?\.[^.]+$", "", source.name)
