"""Watching of sources that are still being written, with each new frame as soon as it is complete."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.movie.axes import check_dtype
from napari_menndl.movie.formats import TIFF, suffixes
from napari_menndl.movie.live_source import GrowingFolder, GrowingTiff, GrowingZarr, LiveSource
from napari_menndl.movie.live_stack import SUFFIXES, GrowingStack
from napari_menndl.movie.metadata import Metadata
from napari_menndl.movie.movie import Movie, lazy_frames
from napari_menndl.movie.ome_zarr import is_zarr

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

#: Time for which a frame may stay half-written before it is left out [s].
PATIENCE = 10.0
#: Latest frames kept in memory, for immediate display.
KEPT = 8


@dataclass(frozen=True, eq=False)
class FollowedFrame:
    """A new, complete frame.

    Attributes
    ----------
    number : int
        Number of the frame in its source, from 0.
    frame : (Y, X) real
        Grey values as recorded.
    appeared : float [s since the epoch]
        When it was written, or first seen if the file system's clock is implausible.
    name : str
        Name of its file, or its position in a file.
    pixel_size : (y, x) float [nm] or None
    """

    number: int
    frame: NDArray[Any]
    appeared: float
    name: str
    pixel_size: tuple[float, float] | None = None


@dataclass(frozen=True)
class Notice:
    """A message about the source for the user.

    Attributes
    ----------
    text : str
        One or two sentences.
    restarted : bool
        Whether frames are counted from 0 again from here on, because the source is another movie now.
    number : int or None
        Number of the frame that is left out.
    """

    text: str
    restarted: bool = False
    number: int | None = None


def open_growing(path: Path, patience: float) -> LiveSource:
    """Open an existing path as a live source that waits for a file no longer than `patience` [s].

    Raises
    ------
    InputError
        If it is of a kind that cannot be followed.
    """
    if path.is_dir():
        return GrowingZarr(path) if is_zarr(path) or path.suffix == ".zarr" else GrowingFolder(path, patience)
    if path.suffix.lower() in TIFF.suffixes:
        return GrowingTiff(path)
    if path.suffix.lower() in SUFFIXES:
        return GrowingStack(path, patience)
    raise InputError(
        f"a folder of images ({' '.join(suffixes(files=True))}), a TIFF, MRC or HDF5 file or a zarr array that grows",
        str(path),
        "Follow the folder that the microscope writes single frames into.",
    )


class MovieWatcher:
    """Watches a growing source of frames: a folder of images, a TIFF, MRC or HDF5 file, a zarr array.

    One thread may poll while others read.

    Parameters
    ----------
    path : path
        It need not exist yet, but its folder must.
    existing : bool
        Whether frames that exist already count as new.
    first : int, optional
        The first frame that counts as new, instead.
    patience : float [s]
        Time for which a frame may stay half-written before it is left out.

    Raises
    ------
    InputError
        If it is of a kind that cannot be followed, or if not even its folder is there.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        existing: bool = False,
        first: int | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.path = Path(path).expanduser().absolute()
        self._patience = patience
        self._source: LiveSource | None = open_growing(self.path, patience) if self.path.exists() else None
        self._existing = existing or self._source is None
        if self._source is None and not self.path.parent.is_dir():
            raise InputError(f"a folder {self.path.parent}", "none", "Check the spelling and the disk.")
        self._next = first
        self._noted = 0
        self._like: tuple[tuple[int, ...], np.dtype[Any]] | None = None
        self._gone = False
        self._half: tuple[int, float] | None = None
        self._polled = time.time()
        self._recent: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        """Number of frames so far, including those that existed already."""
        return self._next or 0

    @property
    def available(self) -> int:
        """Number of complete frames in the source when it was last looked at."""
        return self._source.count if self._source else 0

    @property
    def pixel_size(self) -> tuple[float, float] | None:
        """(y, x) [nm]; None if unknown, and before the first frame."""
        return self._source.pixel_size if self._source else None

    @property
    def frame_time(self) -> float | None:
        """Time from frame to frame [s]; None if unknown, and before the first frame."""
        return self._source.frame_time if self._source else None

    def begin(self) -> None:
        """Look at the source for the first time: frames that are there by now exist already. Otherwise `poll` does it.

        Raises
        ------
        InputError
            If the source is there and cannot be followed.
        """
        if self._source is not None:
            with suppress(OSError), self._lock:
                self._source.refresh()
                if self._next is None:
                    self._next = 0 if self._existing else self._source.count

    def poll(self) -> Iterator[FollowedFrame | Notice]:
        """Check the disk once, and yield what is new since the last call, in order."""
        now = time.time()
        try:
            with self._lock:
                if self._source is None:
                    self.path.stat()
                    self._source = open_growing(self.path, self._patience)
                anew = self._source.refresh()
        except OSError as problem:
            if not self._gone:
                self._gone = True
                missing = isinstance(problem, FileNotFoundError)
                what = f"{self.path} is not there" if missing else f"{self.path} cannot be read ({problem})"
                yield Notice(f"{what}. Waiting for it.")
            return
        if self._gone:
            self._gone = False
            yield Notice(f"{self.path.name} is there.")
        if anew:
            self._begin_anew()
            yield Notice(anew, restarted=True)
        notes = self._source.notes[self._noted :]
        self._noted += len(notes)
        yield from map(Notice, notes)
        if self._next is None:
            self._next = 0 if self._existing else self._source.count
        yield from self._arrivals(self._source, now)
        self._polled = now

    def _arrivals(self, source: LiveSource, now: float) -> Iterator[FollowedFrame | Notice]:
        while (t := len(self)) < source.count:
            try:
                with self._lock:
                    frame = source.read(t)
                    written, pixel_size = source.written(t), source.pixel_size
                problem = self._unfit(frame)
            except InputError as error:
                problem = f"cannot be read: {error}"
            except Exception as error:  # file libraries raise many types of error for half-written frames
                if self._waits_for(t):
                    return
                problem = f"cannot be read ({error})"
            self._next = t + 1
            self._half = None
            if problem:
                yield Notice(f"{source.name(t)} is left out: it {problem}", number=t)
                continue
            self._keep(t, frame)
            yield FollowedFrame(t, frame, min(max(written, self._polled), now), source.name(t), pixel_size)

    def _waits_for(self, t: int) -> bool:
        if self._half is None or self._half[0] != t:
            self._half = (t, time.monotonic())
        return time.monotonic() - self._half[1] < self._patience

    def _unfit(self, frame: NDArray[Any]) -> str | None:
        if frame.ndim != 2:
            return f"has the shape {frame.shape}"
        try:
            check_dtype(frame.dtype, "the frame")
        except InputError as error:
            return f"holds {error.found}"
        like = self._like = self._like or (frame.shape, frame.dtype)
        if (frame.shape, frame.dtype) == like:
            return None
        return f"is {_size(frame.shape)} px, {frame.dtype}, unlike the others, {_size(like[0])} px, {like[1]}"

    def _begin_anew(self) -> None:
        with self._lock:
            self._next, self._like, self._half = 0, None, None
            self._recent.clear()

    def _keep(self, t: int, frame: NDArray[Any]) -> None:
        with self._lock:
            self._recent[t] = frame
            while len(self._recent) > KEPT:
                self._recent.popitem(last=False)

    def read(self, t: int) -> NDArray[Any]:
        """Read a frame that arrived or existed before; zeros if it no longer exists.

        Parameters
        ----------
        t : int

        Returns
        -------
        (Y, X) real
        """
        with self._lock:
            if t in self._recent:
                return self._recent[t]
            shape, dtype = self._like or ((0, 0), np.dtype(np.uint8))
            try:
                frame = self._source.read(t) if self._source else None
            except Exception:  # deleted, moved or overwritten; a viewer may still request it
                frame = None
            return np.zeros(shape, dtype) if frame is None or frame.shape != shape else frame.astype(dtype, copy=False)

    def movie(self) -> Movie:
        """Return a lazy movie of all frames so far.

        Raises
        ------
        InputError
            Before the first frame.
        """
        if self._like is None:
            raise InputError("a frame", f"none yet in {self.path}", "Wait for the first one.")
        (height, width), dtype = self._like
        frames = lazy_frames(self.read, (len(self), height, width), dtype)
        metadata = self._source.metadata if self._source else Metadata()
        return Movie(frames, self.pixel_size, self.frame_time, self.path.stem, str(self.path), metadata=metadata)


def follow(
    path: str | os.PathLike[str],
    *,
    existing: bool = False,
    interval: float = 0.1,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[FollowedFrame | Notice]:
    """Yield each new frame of a source that is being written, in order, until `stop` returns True.

    Parameters
    ----------
    path : path
        A folder of single images (see `napari_menndl.movie.formats`), a TIFF, MRC or HDF5 file, or a zarr array.
    existing : bool
        Whether frames that exist already come first.
    interval : float [s]
        Time between two checks of the disk.
    stop : callable
        Called after every check.

    Yields
    ------
    FollowedFrame or Notice
        Frames are yielded when complete; a notice if the source is gone, replaced, or shorter than it was.

    Raises
    ------
    InputError
        If it is of a kind that cannot be followed, or if not even its folder is there.
    """
    yield from watch(MovieWatcher(path, existing=existing), interval=interval, stop=stop)


def watch(
    follower: MovieWatcher, *, interval: float = 0.1, stop: Callable[[], bool] = lambda: False
) -> Iterator[FollowedFrame | Notice]:
    """Poll a watcher repeatedly; see `follow`."""
    while not stop():
        for news in follower.poll():
            yield news
            if stop():
                return
        time.sleep(interval)


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
