"""Write-back cache of label frames: brush strokes change a frame in memory, which is written when a stroke ends."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.files import fsync_soon

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

#: Number of frames kept in memory.
KEPT = 4


class FrameCache:
    """Labels on disk, read and written like a numpy array, with the last few frames cached in memory.

    Values are on disk when an assignment returns or, during a stroke, when `flush` returns; reads always see the latest
    values. Only access to a single frame is cached; any other access goes to the disk.

    Parameters
    ----------
    stored : zarr.Array
        (T, Y, X) uint8 in a local folder, one chunk per frame.

    Attributes
    ----------
    stored : zarr.Array
    under_way : callable
        Returns whether a stroke is being painted; its end is marked by a call of `flush`.
    """

    ndim = 3

    def __init__(self, stored: Any) -> None:
        self.stored = stored
        self.shape: tuple[int, int, int] = stored.shape
        self.dtype = np.dtype(stored.dtype)
        self.under_way: Callable[[], bool] = lambda: False
        self._folder = Path(stored.store.root) / stored.path
        self._frames: OrderedDict[int, tuple[Any, npt.NDArray[np.uint8]]] = OrderedDict()
        self._changed: set[int] = set()
        self._lock = RLock()  # counts and reviews read in other threads

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self[:], dtype)

    def __getitem__(self, key: Any) -> Any:
        """Return a copy of the values, never a view of the cached frame."""
        t, rest = self._single(key)
        with self._lock:
            if t is not None:
                return np.array(self._frame(t)[rest])
            self.flush()
            return self.stored[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        t, rest = self._single(key)
        with self._lock:
            if t is None:
                self.flush()
                self.stored[key] = value
                return
            self._frame(t)[rest] = value
            self._changed.add(t)
            if not self.under_way():
                self.flush()

    def flush(self) -> None:
        """Write the changed frames, which then survive a crash of this process; an fsync follows in the background.

        Raises
        ------
        OSError
            If a frame cannot be written; it stays in memory, and the next call tries again.
        """
        with self._lock:
            for t in sorted(self._changed):
                _, frame = self._frames[t]
                self.stored[t : t + 1] = frame
                self._changed.discard(t)
                self._frames[t] = self._version(t), frame
                fsync_soon(self.file(t))

    def keep(self, t: int) -> None:
        """Ensure that a frame has a file even without labels, to tell it from a frame whose file is lost."""
        with self._lock:
            if not self.file(t).exists():
                self._frame(t)
                self._changed.add(t)
                self.flush()

    # One frame --------------------------------------------------------------------------------------------------------

    def _single(self, key: Any) -> tuple[int | None, Any]:
        """Return the single frame that an index selects, and the index into (1, Y, X); else None and the rest."""
        first, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(first, slice):
            frames = range(*first.indices(len(self)))
            return (frames[0], (slice(None), *rest)) if len(frames) == 1 else (None, rest)
        if isinstance(first, int | np.integer) and -len(self) <= first < len(self):
            return int(first) % len(self), (0, *rest)
        return None, rest

    def _frame(self, t: int) -> npt.NDArray[np.uint8]:
        """Return a frame (1, Y, X) from memory, reading it first if it is not cached or the file has changed."""
        known = self._frames.get(t)
        if known is None or (t not in self._changed and known[0] != self._version(t)):
            version = self._version(t)  # before reading, so that a write in between leads to another read
            known = self._frames[t] = version, np.array(self.stored[t : t + 1], np.uint8)
        self._frames.move_to_end(t)
        for other in list(self._frames)[:-KEPT]:
            if other not in self._changed:
                del self._frames[other]
        return known[1]

    def _version(self, t: int) -> Any:
        """Return a version of a frame's file, which differs if another window or program has written it."""
        try:
            found = self.file(t).stat()
        except FileNotFoundError:  # the frame has no labels
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def file(self, t: int) -> Path:
        """Return the path of a frame's file, which may be missing for a frame without labels."""
        return self._folder / self.stored.metadata.encode_chunk_key((t, 0, 0))


def cached(stored: Any) -> Any:
    """Return a `FrameCache` of labels (T, Y, X) stored with one chunk per frame; other labels unchanged."""
    whole = tuple(stored.chunks) == (1, *stored.shape[1:]) and not getattr(stored, "shards", None)
    return FrameCache(stored) if whole else stored
