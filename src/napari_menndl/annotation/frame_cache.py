"""The frame that is worked on, in memory: a brush changes it many times, and the disk gets it when the stroke ends."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.annotation.background_sync import fsync_soon

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

#: How many frames are kept in memory.
KEPT = 4


class FrameCache:
    """Labels on disk, read and written like a numpy array, the last few frames through memory.

    What is set is on disk when that returns, unless a stroke is under way: then when `flush` returns. Everybody who
    reads sees what is painted at once. Only what touches a single frame goes through memory; the rest goes to the disk.

    Parameters
    ----------
    stored : zarr.Array
        (T, Y, X) uint8 in a folder of this machine, one chunk per frame.

    Attributes
    ----------
    stored : zarr.Array
    under_way : callable
        Whether a stroke is being painted, whose end somebody will tell by `flush`.
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
        self._lock = RLock()  # counts and reviews read in threads of their own

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self[:], dtype)

    def __getitem__(self, key: Any) -> Any:
        """A copy, never the frame in memory itself."""
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
        """Write what has changed; it is on disk for whoever outlives this process, and soon for power cuts, too.

        Raises
        ------
        OSError
            It cannot be written; it stays in memory, and the next call tries again.
        """
        with self._lock:
            for t in sorted(self._changed):
                _, frame = self._frames[t]
                self.stored[t : t + 1] = frame
                self._changed.discard(t)
                self._frames[t] = self._version(t), frame
                fsync_soon(self.file(t))

    def keep(self, t: int) -> None:
        """Have a file for a frame on which nothing may be marked: one that is looked at is no frame that is lost."""
        with self._lock:
            if not self.file(t).exists():
                self._frame(t)
                self._changed.add(t)
                self.flush()

    # One frame --------------------------------------------------------------------------------------------------------

    def _single(self, key: Any) -> tuple[int | None, Any]:
        """The one frame that an index is about, and what of it (1, Y, X) or (Y, X); None where there is not one."""
        first, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(first, slice):
            frames = range(*first.indices(len(self)))
            return (frames[0], (slice(None), *rest)) if len(frames) == 1 else (None, rest)
        if isinstance(first, int | np.integer) and -len(self) <= first < len(self):
            return int(first) % len(self), (0, *rest)
        return None, rest

    def _frame(self, t: int) -> npt.NDArray[np.uint8]:
        """(1, Y, X), in memory."""
        known = self._frames.get(t)
        if known is None or (t not in self._changed and known[0] != self._version(t)):
            version = self._version(t)  # before it is read: what is written in between is then read again
            known = self._frames[t] = version, np.array(self.stored[t : t + 1], np.uint8)
        self._frames.move_to_end(t)
        for other in list(self._frames)[:-KEPT]:
            if other not in self._changed:
                del self._frames[other]
        return known[1]

    def _version(self, t: int) -> Any:
        """What differs when somebody else wrote the frame: another window, another program."""
        try:
            found = self.file(t).stat()
        except FileNotFoundError:  # nothing is marked on it
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def file(self, t: int) -> Path:
        """Where a frame lies; there may be none where nothing is marked."""
        return self._folder / self.stored.metadata.encode_chunk_key((t, 0, 0))


def cached(stored: Any) -> Any:
    """Labels through memory where they lie as we store them; others (T, Y, X) as they are."""
    whole = tuple(stored.chunks) == (1, *stored.shape[1:]) and not getattr(stored, "shards", None)
    return FrameCache(stored) if whole else stored
