"""Sources that grow while a microscope writes them: a folder of images, a TIFF file, a zarr array, MRC and HDF5.

Known to be complete is a file of a folder when it can be opened and has stopped changing; a page of a TIFF file when
all its bytes are in the file; a frame of a zarr array, or of HDF5 in SWMR mode, when all its chunks are there; a frame
of an MRC file when all its bytes are there, whatever the number in the header.
"""

from __future__ import annotations

import os
import struct
import time
import warnings
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import tifffile
import zarr

from napari_menndl.errors import InputError
from napari_menndl.movie.formats import suffixes
from napari_menndl.movie.metadata import Metadata
from napari_menndl.movie.movie import one_frame
from napari_menndl.movie.ome_zarr import array_of, multiscales, read_zarr
from napari_menndl.movie.reading import natural_order, open_movie
from napari_menndl.movie.sidecar import with_sidecar
from napari_menndl.movie.tiff import complaints
from napari_menndl.movie.tiff_header import header_of, metadata_of, scale_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_menndl.movie.movie import Movie

#: Time after which a file that keeps changing is read anyway [s], such as a live image that is overwritten repeatedly.
RESTLESS = 1.0
#: Known files of a folder looked at each time for whether they were written again: the latest, and as many in turn.
_LOOKED_AT = 100


class LiveSource(Protocol):
    """A growing source of frames.

    Attributes
    ----------
    count : int
        Number of complete frames, from the first on.
    pixel_size : (y, x) float [nm] or None
        Of the frame that was read last.
    frame_time : float [s] or None
    metadata : Metadata
    notes : sequence of str
        Messages about the source so far, for the user.
    """

    pixel_size: tuple[float, float] | None
    frame_time: float | None
    metadata: Metadata
    notes: Sequence[str]

    @property
    def count(self) -> int: ...

    def refresh(self) -> str | None:
        """Check the disk; raise OSError if the source is gone, return a message if frames are counted from 0 again."""

    def read(self, t: int) -> NDArray[Any]:
        """Return a frame (Y, X); InputError if it will never be readable, any other error if it is not complete yet."""

    def written(self, t: int) -> float:
        """Return the modification time of the frame's file [s since the epoch]."""

    def name(self, t: int) -> str:
        """Return a display name of the frame."""


class _Calibrated:
    """Base class of growing sources: path, and calibration once a frame is there."""

    notes: Sequence[str] = ()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._calibrate()

    def _calibrate(
        self,
        pixel_size: tuple[float, float] | None = None,
        frame_time: float | None = None,
        metadata: Metadata | None = None,
    ) -> None:
        self.pixel_size, self.frame_time, self.metadata = pixel_size, frame_time, metadata or Metadata()

    def _calibrate_like(self, movie: Movie) -> None:
        self._calibrate(movie.pixel_size, movie.frame_time, movie.metadata)


class OneRecording(_Calibrated):
    """A source in one file or array, of which another recording may take the place."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.count = 0
        self._identity: tuple[Any, ...] | None = None

    def _restart(self, identity: tuple[Any, ...], *, shorter: bool, kind: str) -> str | None:
        """Forget frames and calibration if another recording took the place; return a message, None if none did."""
        before, self._identity = self._identity, identity
        if before is None or (identity == before and not shorter):
            return None
        self.count = 0
        self._calibrate()
        what = f"was replaced by another {kind}" if identity != before else "became shorter"
        return f"{self.path.name} {what}: frame numbering restarts."


class GrowingFolder(_Calibrated):
    """A folder that images are written to; in natural order, later ones wait for earlier ones."""

    def __init__(self, path: Path, patience: float) -> None:
        super().__init__(path)
        self._patience = patience
        self._frames: list[tuple[str, tuple[int, int], int]] = []
        self._taken: dict[str, tuple[int, int]] = {}
        self._before: dict[str, tuple[int, int]] | None = None
        self._waiting: dict[str, float] = {}
        self._turn = 0

    @property
    def count(self) -> int:
        return len(self._frames)

    def refresh(self) -> str | None:
        now = self._changed()
        before = now if self._before is None else self._before
        for name, stamp in now.items():
            waited = time.monotonic() - self._waiting.setdefault(name, time.monotonic())
            if before.get(name) != stamp and waited < min(RESTLESS, self._patience):
                break
            frames = self._open(self.path / name)
            if frames is None:
                if waited < self._patience:
                    break
                frames = 1  # reading it will raise the error
            self._frames += [(name, stamp, t) for t in range(frames)]
            self._taken.pop(name, None)  # the latest comes last
            self._taken[name] = stamp
            del self._waiting[name]
        self._before = now
        return None

    def _changed(self) -> dict[str, tuple[int, int]]:
        """Return the files that are new or were written again, in natural order.

        Of many known files the latest are looked at each time, the others in turn: a day has a hundred thousand.
        """
        known = suffixes(files=True)
        with os.scandir(self.path) as entries:
            names = [one.name for one in entries if one.name not in self._taken and not one.name.startswith(".")]
        new = [name for name in names if os.path.splitext(name)[1].lower() in known]
        taken = list(self._taken)
        again = {*taken[-_LOOKED_AT:], *taken[self._turn : self._turn + _LOOKED_AT]}
        self._turn = self._turn + _LOOKED_AT if self._turn + _LOOKED_AT < len(taken) else 0
        changed = {}
        for name in sorted((*new, *again), key=lambda name: natural_order(self.path / name)):
            with suppress(FileNotFoundError):  # deleted in the meantime
                stamp = _stamp(self.path / name)
                if self._taken.get(name) != stamp:
                    changed[name] = stamp
        return changed

    def _open(self, path: Path) -> int | None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                movie = open_movie(path)
        except (InputError, OSError):
            return None
        self._calibrate_like(movie)
        return len(movie)

    def read(self, t: int) -> NDArray[Any]:
        name, stamp, index = self._frames[t]
        path = self.path / name
        if _stamp(path) != stamp:
            raise InputError(f"frame {t} in {path.name}", "another one, written later", "Follow the folder anew.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            movie = open_movie(path)
            self.pixel_size = movie.pixel_size  # the magnification may change within a folder
            return one_frame(movie.frames, index)

    def written(self, t: int) -> float:
        return self._frames[t][1][0] / 1e9

    def name(self, t: int) -> str:
        return self._frames[t][0]


class GrowingTiff(OneRecording):
    """A TIFF file that pages are appended to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._size = 0
        self._calibrated = False
        self._written: list[float] = []
        # Where the complete pages begin: whoever followed the chain from the first one would take longer every time.
        self._offsets: list[int] = []
        self._tiff: Any = None

    def refresh(self) -> str | None:
        about = self.path.stat()
        before, self._size = self._size, about.st_size
        anew = self._restart((about.st_ino,), shorter=about.st_size < before, kind="file")
        if anew:
            self._written, self._offsets, self._calibrated = [], [], False
        elif about.st_size == before and self._tiff is not None:
            return None
        self._count(about)
        self._written += [about.st_mtime] * (self.count - len(self._written))
        return anew

    def _count(self, about: os.stat_result) -> None:
        with ExitStack() as opened:
            try:
                with complaints():
                    tiff = tifffile.TiffFile(self.path)
                    opened.callback(tiff.close)
                    for page in self._new_pages(tiff):
                        whole = zip(page.dataoffsets, page.databytecounts, strict=True)
                        if not page.dataoffsets or any(n == 0 or o + n > about.st_size for o, n in whole):
                            break
                        self._offsets.append(page.offset)
                        self.count += 1
                    if self.count and not self._calibrated:
                        with warnings.catch_warnings():
                            warnings.simplefilter("ignore")
                            header = header_of(tiff)
                            size, frame_time = scale_of(header, self.path.name)
                            said = metadata_of(header, self.path.name)
                            size, said = with_sidecar(self.path, header.width, size, said)
                        self._calibrate(size, frame_time, said)
                        self._calibrated = True
            except OSError:
                raise
            except Exception:  # incomplete pages cause many types of error, such as struct.error
                self._size = 0  # check again even if the size stays the same
                return
            opened.pop_all()
        old, self._tiff = self._tiff, tiff
        if old is not None:
            old.close()

    def _new_pages(self, tiff: tifffile.TiffFile) -> Iterator[tifffile.TiffPage]:
        """Yield the pages that follow the last complete one, each once."""
        offset = _next_page(tiff, self._offsets[-1]) if self._offsets else tiff.pages.first.offset
        passed = set()
        while offset and offset not in passed:
            passed.add(offset)
            yield _page(tiff, offset)
            offset = _next_page(tiff, offset)

    def read(self, t: int) -> NDArray[Any]:
        return np.asarray(_page(self._tiff, self._offsets[t]).asarray())

    def written(self, t: int) -> float:
        return self._written[t]

    def name(self, t: int) -> str:
        return f"page {t} of {self.path.name}"


def _page(tiff: tifffile.TiffFile, offset: int) -> tifffile.TiffPage:
    tiff.filehandle.seek(offset)
    return tifffile.TiffPage(tiff, index=0)


def _next_page(tiff: tifffile.TiffFile, offset: int) -> int:
    """Return where the page after the one at an offset begins; 0 if there is none (yet)."""
    file, form = tiff.filehandle, tiff.tiff
    file.seek(offset)
    (tags,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
    file.seek(offset + form.tagnosize + tags * form.tagsize)
    return int(struct.unpack(form.offsetformat, file.read(form.offsetsize))[0])


class GrowingZarr(OneRecording):
    """A zarr array (T, Y, X) that is extended, or filled from the first frame on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._array: Any = None
        self._folder = path

    def refresh(self) -> str | None:
        os.stat(self.path)
        try:
            array, folder = self._open()
            marks = [mark for mark in ("zarr.json", ".zarray") if (folder / mark).exists()]
            identity = (folder.stat().st_ino, array.shape[1:], array.dtype, *marks)
            shorter = array.shape[0] < self.count
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                movie = read_zarr(self.path) if shorter or identity != self._identity else None
        except InputError:
            raise
        except Exception:  # its metadata may be half-written
            return None
        anew = self._restart(identity, shorter=shorter, kind="array")
        if movie is not None:
            self._calibrate_like(movie)
        self._array, self._folder = array, folder
        there = [t for t in range(self.count, array.shape[0]) if self._complete(t)]
        # zarr writes no chunk for a frame of zeros: such a frame counts as complete once a later one is.
        self.count = max((t + 1 for t in there), default=self.count)
        return anew

    def _open(self) -> tuple[Any, Path]:
        node, folder = zarr.open(str(self.path), mode="r"), self.path
        if isinstance(node, zarr.Group):
            images = multiscales(node)
            node, image = images[0] if images else (node, {})
            name = str(image["datasets"][0]["path"]) if image else next(iter(sorted(node.array_keys())))
            node = array_of(node, name, self.path)
            folder = self.path / node.path
        chunks = node.shards or node.chunks
        if node.ndim != 3 or chunks[0] != 1:
            raise InputError(
                "a zarr array (T, Y, X) with chunks of one frame, to tell which frames are complete",
                f"shape {node.shape} in chunks of {chunks} in {self.path}",
                "Have it written with chunks (1, Y, X).",
            )
        return node, folder

    def _chunks(self, t: int) -> list[Path]:
        array = self._array
        edges = array.shards or array.chunks
        counts = [-(-n // edge) for n, edge in zip(array.shape[1:], edges[1:], strict=True)]
        return [self._folder / array.metadata.encode_chunk_key((t, *i)) for i in np.ndindex(*counts)]

    def _complete(self, t: int) -> bool:
        return all(chunk.is_file() for chunk in self._chunks(t))

    def read(self, t: int) -> NDArray[Any]:
        return np.asarray(self._array[t])

    def written(self, t: int) -> float:
        there = [chunk.stat().st_mtime for chunk in self._chunks(t) if chunk.is_file()]
        return max(there, default=0.0)

    def name(self, t: int) -> str:
        return f"frame {t} of {self.path.name}"


def _stamp(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_mtime_ns, about.st_size
