"""Sources that grow while a microscope writes them: a folder of images, a multi-page TIFF file, a zarr array."""

from __future__ import annotations

import os
import time
import warnings
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import tifffile
import zarr

from napari_menndl.errors import InputError
from napari_menndl.movie.formats import TIFF, suffixes
from napari_menndl.movie.metadata import Metadata
from napari_menndl.movie.ome_zarr import array_of, is_zarr, multiscales, read_zarr
from napari_menndl.movie.reading import natural_order, open_movie
from napari_menndl.movie.sidecar import with_sidecar
from napari_menndl.movie.tiff import complaints
from napari_menndl.movie.tiff_header import header_of, metadata_of, scale_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_menndl.movie.movie import Movie

#: Time after which a file that keeps changing is read anyway [s], such as a live image that is overwritten repeatedly.
RESTLESS = 1.0


class LiveSource(Protocol):
    """A growing source of frames.

    Attributes
    ----------
    count : int
        Number of complete frames, from the first on.
    pixel_size : (y, x) float [nm] or None
    frame_time : float [s] or None
    metadata : Metadata
    """

    pixel_size: tuple[float, float] | None
    frame_time: float | None
    metadata: Metadata

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
    raise InputError(
        f"a folder of images ({' '.join(suffixes(files=True))}), a TIFF file or a zarr array that grows",
        str(path),
        "Follow the folder that the microscope writes single frames into.",
    )


class _Calibrated:
    """What is common to all sources: their path, and their calibration once a frame is there."""

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


class _OneRecording(_Calibrated):
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
        self._frames: list[tuple[Path, tuple[int, int], int]] = []
        self._taken: dict[Path, tuple[int, int]] = {}
        self._before: dict[Path, tuple[int, int]] | None = None
        self._waiting: dict[Path, float] = {}

    @property
    def count(self) -> int:
        return len(self._frames)

    def refresh(self) -> str | None:
        now = {entry: _stamp(entry) for entry in self._files()}
        before = now if self._before is None else self._before
        for path, stamp in now.items():
            if self._taken.get(path) == stamp:
                continue
            waited = time.monotonic() - self._waiting.setdefault(path, time.monotonic())
            if before.get(path) != stamp and waited < min(RESTLESS, self._patience):
                break
            frames = self._open(path)
            if frames is None:
                if waited < self._patience:
                    break
                frames = 1  # reading it will raise the error
            self._frames += [(path, stamp, t) for t in range(frames)]
            self._taken[path] = stamp
            del self._waiting[path]
        self._before = now
        return None

    def _files(self) -> list[Path]:
        known = suffixes(files=True)
        files = [p for p in self.path.iterdir() if not p.name.startswith(".") and p.suffix.lower() in known]
        return sorted(files, key=natural_order)

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
        path, stamp, index = self._frames[t]
        if _stamp(path) != stamp:
            raise InputError(f"frame {t} in {path.name}", "another one, written later", "Follow the folder anew.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(open_movie(path).frames[index].compute(scheduler="synchronous"))

    def written(self, t: int) -> float:
        return self._frames[t][1][0] / 1e9

    def name(self, t: int) -> str:
        return self._frames[t][0].name


class GrowingTiff(_OneRecording):
    """A TIFF file that pages are appended to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._size = 0
        self._calibrated = False
        self._written: list[float] = []
        self._tiff: Any = None

    def refresh(self) -> str | None:
        about = self.path.stat()
        before, self._size = self._size, about.st_size
        anew = self._restart((about.st_ino,), shorter=about.st_size < before, kind="file")
        if anew:
            self._written, self._calibrated = [], False
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
                    pages = tiff.pages
                    for page in map(pages.__getitem__, range(self.count, len(pages))):
                        whole = zip(page.dataoffsets, page.databytecounts, strict=True)
                        if not page.dataoffsets or any(n == 0 or o + n > about.st_size for o, n in whole):
                            break
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

    def read(self, t: int) -> NDArray[Any]:
        return np.asarray(self._tiff.pages[t].asarray())

    def written(self, t: int) -> float:
        return self._written[t]

    def name(self, t: int) -> str:
        return f"page {t} of {self.path.name}"


class GrowingZarr(_OneRecording):
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
