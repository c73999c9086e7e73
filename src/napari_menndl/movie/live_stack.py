"""Growing files of microscopes that hold one stack of images: MRC, and HDF5 (as .emd) written in SWMR mode."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.movie.formats import HDF5, MRC
from napari_menndl.movie.hdf5 import hdf5_arrays
from napari_menndl.movie.live_source import OneRecording
from napari_menndl.movie.microscope import MicroscopeFrames, calibration_of, choose_array
from napari_menndl.movie.stored import mrc_arrays

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_menndl.movie.stored import StoredArray

#: Version of the HDF5 superblock that says whether the file is open for writing, and the bits that say so: open for
#: writing, and that in SWMR mode (HDF5 File Format Specification, II.A).
_SAYS_SO, _WRITING, _SWMR = 3, 1, 4
#: Frames beyond the last written one among which an MRC file is searched for a later one; dark frames may lie between.
_AHEAD = 64

SUFFIXES = (*MRC.suffixes, *HDF5.suffixes)


class NotYetError(Exception):
    """A file that cannot be read at present; the text is for the user, or empty if there is nothing to tell."""


class GrowingStack(OneRecording):
    """An MRC or HDF5 file with one growing stack of images.

    Parameters
    ----------
    path : Path
    patience : float [s]
        Time without a change after which a frame that may be half-written counts as complete.
    """

    def __init__(self, path: Path, patience: float) -> None:
        super().__init__(path)
        self.notes: Sequence[str] = []
        self._patience = patience
        self._mrc = path.suffix.lower() in MRC.suffixes
        self._frames: MicroscopeFrames | None = None
        self._seen: tuple[int, int, int] | None = None
        self._changed, self._settled = time.monotonic(), False
        self._written: list[float] = []
        self._lacking: set[int] = set()

    def refresh(self) -> str | None:
        about = self.path.stat()
        seen, self._seen = self._seen, (about.st_ino, about.st_size, about.st_mtime_ns)
        if seen != self._seen:
            self._changed, self._settled = time.monotonic(), False
        elif self._settled or time.monotonic() - self._changed < self._patience:
            return None
        else:
            self._settled = True
        try:
            anew = self._read_header(about.st_ino)
        except (InputError, FileNotFoundError):
            raise
        except NotYetError as why:
            self._note(str(why))
            return None
        except Exception:  # what is half-written causes many types of error
            self._seen = None  # look again, even if nothing changes
            return None
        self._written += [about.st_mtime] * (self.count - len(self._written))
        return anew

    def _read_header(self, inode: int) -> str | None:
        """Read the file's header, and count the complete frames; return a message if it is another file now."""
        listed = list(self._mrc_arrays() if self._mrc else self._hdf5_arrays())
        # While there is one frame only, its axis must not be taken for one that does not count.
        long = [replace(one, axes=tuple(replace(a, size=max(a.size, 2)) for a in one.axes)) for one in listed]
        if not any(len(one.axes) > 2 for one in long):
            raise NotYetError
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            chosen, layout = choose_array(self.path, long)
            calibration = calibration_of(chosen, layout, self.path.name)
        stack = next(one for one, same in zip(listed, long, strict=True) if same is chosen)
        if layout.t is None or (self._mrc and layout.t != 0):
            raise InputError("a stack of images", f"an array of shape {stack.shape} in {self.path}", "Follow another.")
        held = stack.axes[layout.t].size
        identity = inode, stack.axes[layout.y].size, stack.axes[layout.x].size, stack.dtype
        first = self._identity is None or identity != self._identity or held < self.count
        known = 0 if first else self.count
        read: Any = stack.read
        there = range(known, self._written_mrc(stack, known, held)) if self._mrc else read.written_from(layout.t, known)
        count = max((t + 1 for t in there), default=known)
        # From here on nothing can fail.
        anew = self._restart(identity, shorter=held < self.count, kind="file")
        if first:
            self._written, self._lacking = [], set()
            self._calibrate(*calibration)
            for one in said:
                if issubclass(one.category, UserWarning):
                    self._note(str(one.message))
        self._frames = MicroscopeFrames(stack, layout)
        self._lacking |= set(range(known, count)) - set(there)
        self.count = count
        return anew

    def _mrc_arrays(self) -> Iterator[StoredArray]:
        if self.path.stat().st_size < 1024:
            raise NotYetError
        return mrc_arrays(self.path, grows=True)

    def _written_mrc(self, stack: StoredArray, count: int, held: int) -> int:
        """Count the frames that are written, at least `count`, of the `held` ones whose bytes are in the file.

        A file may have been given its full size at the start: what is not written yet reads as 0 there. A frame is
        written from its first row on, so it is complete when its last row is not 0, or when a later frame has begun.
        """
        whole = slice(None)

        def ends(t: int) -> bool:
            return bool(stack.read((t, -1, whole)).any())

        if held > count and ends(held - 1):
            return held
        while True:
            ahead = range(min(count + _AHEAD, held) - 1, count - 1, -1)
            last = next(filter(ends, ahead), None)
            if last is None:
                begun = next((t for t in ahead if stack.read((t, whole, whole)).any()), None)
                return count if begun is None else begun + self._settled
            count = last + 1

    def _hdf5_arrays(self) -> Iterator[StoredArray]:
        """List the arrays of a file in SWMR mode (single writer, multiple readers), or of one that is closed.

        In SWMR mode a reader sees whole chunks only and keeps no lock. Otherwise the file is inconsistent on the disk
        while it is open for writing.
        """
        with self.path.open("rb") as file:
            beginning = file.read(12)
        if len(beginning) < 12:
            raise NotYetError
        if beginning.startswith(HDF5.beginnings) and beginning[8] < _SAYS_SO:
            raise InputError(
                "an HDF5 file written in SWMR mode, which says which frames are complete",
                f"{self.path}, in an older version of HDF5's format, which does not say whether it is being written",
                "Have it written in SWMR mode (h5py: libver='latest', then swmr_mode = True), follow a folder of "
                "single images instead, or predict the movie when it is complete.",
            )
        if beginning[11] & (_WRITING | _SWMR) == _WRITING:
            raise NotYetError(
                f"{self.path.name} is open for writing, and not in SWMR mode: it is read when its writer has closed it."
            )
        return hdf5_arrays(self.path, grows=True)

    def _note(self, text: str) -> None:
        if text and text not in self.notes:
            self.notes = [*self.notes, text]

    def read(self, t: int) -> NDArray[Any]:
        if self._frames is None:
            raise NotYetError
        if t in self._lacking:
            raise InputError("a frame that was written", "one of which chunks are missing", "Have it written anew.")
        return np.asarray(self._frames(t))

    def written(self, t: int) -> float:
        return self._written[t]

    def name(self, t: int) -> str:
        return f"frame {t} of {self.path.name}"
