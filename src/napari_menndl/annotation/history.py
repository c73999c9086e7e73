"""Undo history of an annotation: its last strokes, on disk, so that they survive a restart or a crash."""

from __future__ import annotations

import os
import warnings
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from napari_menndl.errors import InputError
from napari_menndl.files import fsync_soon

if TYPE_CHECKING:
    from pathlib import Path

#: Number of strokes to keep; older ones cannot be undone.
MOST_STROKES = 200

_UNDONE = ".undone.npz"


@dataclass(frozen=True, eq=False)
class Stroke:
    """A change of the labels of one frame, within a rectangle.

    Attributes
    ----------
    frame : int
    corner : (y, x) int [px]
        Upper left corner of the rectangle.
    before, after : (H, W) uint8
        Labels of the rectangle.
    """

    frame: int
    corner: tuple[int, int]
    before: npt.NDArray[np.uint8]
    after: npt.NDArray[np.uint8]

    @classmethod
    def between(cls, frame: int, before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> Stroke | None:
        """Return the stroke that turns one label image (Y, X) uint8 of a frame into another; None if they are equal."""
        differ = before != after
        rows, columns = np.flatnonzero(differ.any(axis=1)), np.flatnonzero(differ.any(axis=0))
        if not rows.size:
            return None
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        return cls(frame, (int(rows[0]), int(columns[0])), before[box].copy(), after[box].copy())

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the rectangle in the frame."""
        (y, x), (height, width) = self.corner, self.before.shape
        return slice(y, y + height), slice(x, x + width)


def claim(annotation: Path) -> FileLock:
    """Lock an annotation on disk for painting, until the lock is released or the process ends.

    Raises
    ------
    InputError
        If another process holds the lock.

    Warns
    -----
    UserWarning
        If it can be written but not locked, as on some network drives.
    """
    lock = FileLock(annotation / "history" / ".lock", timeout=0)
    try:
        (annotation / "history").mkdir(exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise InputError(
            "an annotation that nobody else paints",
            f"{annotation}, open in another napari",
            "Close it there, or begin an annotation of your own.",
        ) from error
    except (OSError, NotImplementedError) as error:
        effective = os.access in os.supports_effective_ids
        if os.access(annotation, os.W_OK, effective_ids=effective):  # else it cannot be painted, which is said then
            why = getattr(error, "strerror", None) or error
            warnings.warn(
                f"{annotation.name} cannot be locked here ({why}). Paint it in one napari only: of two at once, "
                "each would overwrite what the other paints.",
                stacklevel=2,
            )
    return lock


class History:
    """The painted strokes, done and undone.

    Each stroke is one file, whose name tells whether it is undone. Every operation creates or renames a single file,
    so that after a crash it is either done or not.

    Parameters
    ----------
    folder : Path
        Created when the first stroke is recorded.
    most : int
        Number of strokes to keep.
    """

    def __init__(self, folder: Path, most: int = MOST_STROKES) -> None:
        self._folder = folder
        self._most = most
        files = list(folder.glob("[0-9]*.npz")) if folder.is_dir() else []
        self._undone = sorted((f for f in files if f.name.endswith(_UNDONE)), reverse=True)
        self._done = sorted(set(files) - set(self._undone))

    @property
    def can_undo(self) -> bool:
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        return bool(self._undone)

    def record(self, stroke: Stroke) -> None:
        """Store a painted stroke; undone strokes are deleted.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        while self._undone:
            self._undone.pop(0).unlink(missing_ok=True)
        number = int(self._done[-1].name.split(".")[0]) + 1 if self._done else 0
        file = self._folder / f"{number:09d}.npz"
        beside = file.with_suffix(".partial")
        with beside.open("wb") as handle:
            np.savez_compressed(
                handle, frame=stroke.frame, corner=stroke.corner, before=stroke.before, after=stroke.after
            )
        beside.replace(file)
        fsync_soon(file)
        self._done.append(file)
        while len(self._done) > self._most:
            self._done.pop(0).unlink(missing_ok=True)

    def to_undo(self) -> Stroke | None:
        """Return the next stroke to undo, or None; call `undone` afterwards."""
        return self._read(self._done[-1]) if self._done else None

    def to_redo(self) -> Stroke | None:
        """Return the next stroke to redo, or None; call `redone` afterwards."""
        return self._read(self._undone[-1]) if self._undone else None

    def undone(self) -> None:
        file = self._done.pop()
        self._undone.append(file.rename(file.with_name(file.name.replace(".npz", _UNDONE))))
        fsync_soon(self._undone[-1])

    def redone(self) -> None:
        file = self._undone.pop()
        self._done.append(file.rename(file.with_name(file.name.replace(_UNDONE, ".npz"))))
        fsync_soon(self._done[-1])

    def clear(self) -> None:
        """Delete all strokes; the labels do not change."""
        for file in (*self._undone, *reversed(self._done)):
            file.unlink(missing_ok=True)
        self._done, self._undone = [], []

    def _read(self, file: Path) -> Stroke:
        try:
            with np.load(file, allow_pickle=False) as stored:
                y, x = (int(n) for n in stored["corner"])
                before, after = (np.asarray(stored[name], np.uint8) for name in ("before", "after"))
                frame = int(stored["frame"])
            if before.ndim != 2 or before.shape != after.shape or min(frame, y, x) < 0:
                raise ValueError(f"shapes {before.shape} and {after.shape}")
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                "a stroke to undo or redo",
                f"{os.fspath(file)}: {type(error).__name__}: {error}",
                "Nothing is lost of the labels; delete this file to go on without it.",
            ) from error
        return Stroke(frame, (y, x), before, after)
