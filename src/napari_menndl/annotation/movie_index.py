"""Index of the annotations of a movie: those next to its file, and those stored elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from filelock import FileLock

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.errors import InputError
from napari_menndl.files import atomic_write
from napari_menndl.movie.identity import movie_digest
from napari_menndl.movie.movie import one_frame
from napari_menndl.movie.preparation import same_frames, steps_from_json

if TYPE_CHECKING:
    from napari_menndl.movie.movie import Movie

SUFFIX = ".annotation.zarr"


class AnnotationIndex:
    """Index to find the annotations of a movie, and the path for a new one.

    Parameters
    ----------
    folder : Path
        The user's folder: for annotations of movies that are no file or whose folder cannot be written, and for
        ``annotations.json``, which lists the paths of annotations by movie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "annotations.json"
        self._keys: WeakKeyDictionary[Movie, tuple[str, ...]] = WeakKeyDictionary()
        self._known: WeakKeyDictionary[Movie, dict[tuple[Path, int], bool]] = WeakKeyDictionary()

    def find(self, movie: Movie) -> list[Path]:
        """Return the existing annotations of a movie: the latest remembered first, then those next to its file.

        A movie is identified by its frames, wherever its file is. Annotations drawn on other frames than it has are
        `others`; if an annotation has no recorded frames, as in older versions, name and path suffice. Annotations of
        the movie with other preparation steps (`Movie.prepared`) are neither.
        """
        return [path for path in self._candidates(movie) if self._is_of(path, movie)]

    def others(self, movie: Movie) -> list[Path]:
        """Return annotations from the same places as in `find`, but drawn on other frames than the movie has now."""
        return [path for path in self._candidates(movie) if not self._is_of(path, movie)]

    def _candidates(self, movie: Movie) -> list[Path]:
        index = self._read()
        known = [Path(p) for key in self._keys_of(movie) for p in reversed(index.get(key, []))]
        beside = []
        if source := _file_of(movie):
            name = re.compile(re.escape(_stem(source)) + r"(\.[^.]+)?" + re.escape(SUFFIX))
            beside = sorted(p for p in source.parent.glob(f"*{SUFFIX}") if name.fullmatch(p.name))
        return [p for p in dict.fromkeys([*known, *beside]) if _drawn_on(p, movie)]

    def _is_of(self, path: Path, movie: Movie) -> bool:
        """Whether an annotation belongs to a movie; True if that cannot be determined."""
        known = self._known.setdefault(movie, {})
        key = path, (path / "zarr.json").stat().st_mtime_ns  # read again after a change
        if key not in known:
            try:
                known[key] = Annotation.open(path).is_of(movie) is not False
            except InputError:  # damaged: the problem is reported when it is opened
                known[key] = True
        return known[key]

    def place(self, movie: Movie) -> Path:
        """Return the path for a new annotation: next to the movie's file or, if not writable, in the user's folder."""
        source = _file_of(movie)
        if source and os.access(source.parent, os.W_OK):
            folder, stem = source.parent, _stem(source)
        else:
            folder, stem = self._folder, stem_for(movie.name)
        numbers = ("", *(f".{n}" for n in range(2, 1000)))
        return next(p for n in numbers if not (p := folder / f"{stem}{n}{SUFFIX}").exists())

    def remember(self, movie: Movie, annotation: Path) -> None:
        """Record that an annotation belongs to a movie.

        Raises
        ------
        InputError
            If the user's folder cannot be written.
        """
        path = str(Path(annotation).resolve())
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._file.with_suffix(".lock"), timeout=5):
                index = self._read()
                for key in self._keys_of(movie):
                    index[key] = [*(p for p in index.get(key, []) if p != path), path]
                atomic_write(self._file, json.dumps(index, indent=1).encode())
        except OSError as error:
            raise InputError(
                "a folder to note the annotations of movies in",
                f"{self._folder}: {error}",
                "The annotation itself is kept; open it by its path next time.",
            ) from error

    def _keys_of(self, movie: Movie) -> tuple[str, ...]:
        """Return the keys of a movie in the index: the digest of its frames, and its path."""
        if movie not in self._keys:
            # Cached, since it reads a frame, and is called whenever a layer is added or removed.
            keys = (movie_digest(movie), key_of(movie))
            self._keys[movie] = tuple(key for key in keys if key)
        return self._keys[movie]

    def _read(self) -> dict[str, list[str]]:
        try:
            index = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}  # not essential: annotations next to their movies are found without it
        return index if isinstance(index, dict) else {}


def _drawn_on(annotation: Path, movie: Movie) -> bool:
    """Whether an annotation exists and was drawn on a movie with the same steps; True if it is damaged."""
    try:
        steps = json.loads((annotation / "zarr.json").read_bytes())["attributes"].get("steps")
        return same_frames(steps_from_json(steps), movie.steps)
    except OSError:
        return False
    except (ValueError, KeyError, TypeError, AttributeError, InputError):
        return True


def stem_for(name: str) -> str:
    """Return a file name stem from a movie's name, for a movie that is no file."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "movie"


def key_of(movie: Movie) -> str:
    """Return the key of a movie in older versions: its path or, if it is no file, a digest of shape and first frame."""
    if source := _file_of(movie):
        return str(source)
    first = one_frame(movie.frames, 0)
    return hashlib.sha256(f"{movie.shape} {first.dtype}".encode() + first.tobytes()).hexdigest()


def _file_of(movie: Movie) -> Path | None:
    path = Path(movie.source)
    return path.resolve() if path.is_absolute() and path.exists() else None


def _stem(source: Path) -> str:
    return source.name if source.is_dir() and source.suffix != ".zarr" else re.sub(r"(\.ome)?\.[^.]+$", "", source.name)
