"""`Movie`: lazy frames of a STEM time series, with calibration and metadata; `Step`: what prepares one."""

from __future__ import annotations

import os
import uuid
import warnings
from abc import ABC, abstractmethod
from bisect import bisect_right
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from napari_menndl.errors import InputError, frame_number
from napari_menndl.html import html_beside, html_picture, html_table
from napari_menndl.layer_data import movie_layer
from napari_menndl.movie.absent import absent_frame, fill_gaps, percent
from napari_menndl.movie.calibration import GIVE_PIXEL_SIZE, CalibrationWarning
from napari_menndl.movie.metadata import UNKNOWN, Metadata, amount, common
from napari_menndl.views import view

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import dask.array as da
    from numpy.typing import DTypeLike, NDArray

    Points = NDArray[np.float64]


#: Smallest standard deviation of a frame in float32 rounding steps: fewer would add to its noise.
_STEPS = 64.0


#: Largest share of a frame's pixels without a value.
_MOST_GAPS = 0.5


def lazy_frames(read: Callable[[int], NDArray[Any]], shape: tuple[int, int, int], dtype: DTypeLike) -> da.Array:
    """Return a dask array of frames that are read on access, one chunk each.

    Parameters
    ----------
    read : callable
        ``read(t)`` returns frame `t`, (Y, X); can be pickled.
    shape : (T, Y, X)
    dtype : dtype of the frames

    Returns
    -------
    (T, Y, X) dask array
    """
    import dask.array as da  # not at the top: trainer processes open no movie and start faster without it

    count, height, width = shape
    # Built from block numbers alone: the cost of reading a frame then does not grow with their count.
    return da.map_blocks(
        partial(_read_block, read, dtype),
        chunks=((1,) * count, (height,), (width,)),
        dtype=dtype,
        meta=np.empty((0, 0, 0), dtype),
        # A unique name: otherwise Dask would hash the arguments, possibly a whole array in memory.
        name=f"frames-{uuid.uuid4().hex}",
    )


def _read_block(read: Callable[[int], NDArray[Any]], dtype: DTypeLike, block_id: tuple[int, ...]) -> NDArray[Any]:
    return np.asarray(read(block_id[0]), dtype)[None]


def one_frame(frames: da.Array, t: int) -> NDArray[Any]:
    """Read one frame of an array (T, Y, X) with one chunk per frame.

    Indexing takes 1 ms, and makes a name each time that Dask keeps, up to a hundred thousand: over a day of live frames
    that is tens of megabytes. So the chunk is asked for by its own name.
    """
    from dask.local import get_sync

    chunk = (frames.name, t, 0, 0)
    # Synchronously: an open Dask client must not be sent the file.
    return np.asarray(get_sync(frames.dask.cull({chunk}), chunk))[0]


class OneAfterAnother:
    """Reads single frames of concatenated movies.

    Parameters
    ----------
    parts : sequence of (T, Y, X) dask arrays
    """

    def __init__(self, parts: Sequence[da.Array]) -> None:
        self.parts = tuple(parts)
        self.ends = list(accumulate(len(part) for part in parts))

    def __call__(self, t: int) -> NDArray[Any]:
        number = bisect_right(self.ends, t)
        part = self.parts[number]
        return one_frame(part, t - self.ends[number] + len(part))


class Step(ABC):
    """Preparation step: a frozen dataclass that can be stored as JSON.

    Attributes
    ----------
    kind : str
        Name in files.
    label : str
        Display name, of a word or two.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def label(self) -> str: ...

    def settled(
        self,
        movie: Movie,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Step:
        """Return the step with everything that must first be measured on the movie."""
        return self

    def anew(self) -> Step:
        """Return the step for another movie, without what was measured on this one."""
        return self

    @abstractmethod
    def apply(self, movie: Movie) -> Movie:
        """Return the movie after this step, which must be settled."""

    def carried(self, plane: NDArray[Any], t: int) -> NDArray[Any] | None:
        """Transform an image drawn on frame `t` before the step, (Y, X), to its place after it; None if undefined."""
        return None

    def frames_before(self, t: int) -> range:
        """Return the frames before the step that frame `t` after it is made of."""
        return range(t, t + 1)

    def frame_after(self, t: int) -> int:
        """Return the frame after the step that frame `t` before it becomes part of; past the last one if left out."""
        return t

    def points_before(self, points: Points, frame: int) -> Points:
        """Transform points (n, 2) (y, x) [px] after the step to a frame before it."""
        return points

    def rest(self, frames: Sequence[int]) -> Points:
        """Return the drift (y, x) [px] that the step leaves uncorrected in the average of some frames."""
        return np.zeros(2)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"step": self.kind, **asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True, eq=False)
class Movie:
    """A STEM time series.

    Attributes
    ----------
    frames : (T, Y, X) dask array, real numbers or bool
        One chunk per frame, read on access.
    pixel_size : (y, x) float [nm] or None
        None where unknown.
    frame_time : float [s] or None
        Time from the start of one frame to the start of the next; None where unknown.
    name : str
        Display name.
    source : str
        The file, folder or pattern it was opened from; ``"memory"`` or ``"simulation"`` if there is none.
    files : frozenset of Path
        All files it is read from, for formats in which files name one another; may be empty.
    absent : mapping of int to str
        Missing frames, and why. `frame` raises for them; in `frames` they have the file's fill value if the format has
        one, and cannot be read otherwise.
    metadata : Metadata
        Acquisition metadata from the file: detector, beam energy, dwell time and more.
    steps : tuple of Step
        Preparation steps applied to the recorded frames, in order; see `prepared`.
    origin : Movie or None
        The recorded movie, if this one was prepared; `raw` is the same, or this movie.
    stamp : (int, int) or None
        Modification time [ns] and size [bytes] of the file, if it was opened from a single one (`stamp_of`).
    """

    frames: da.Array
    pixel_size: tuple[float, float] | None = None
    frame_time: float | None = None
    name: str = "movie"
    source: str = "memory"
    files: frozenset[Path] = frozenset()
    absent: Mapping[int, str] = field(default_factory=dict)
    metadata: Metadata = UNKNOWN
    steps: tuple[Step, ...] = ()
    origin: Movie | None = field(default=None, repr=False)
    stamp: tuple[int, int] | None = field(default=None, repr=False)

    @property
    def raw(self) -> Movie:
        """The recorded movie, before any of `steps`."""
        return self.origin or self

    def prepared(
        self,
        steps: Sequence[Step],
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Movie:
        """Prepare the movie for a search: correct its drift, average, bin or crop its frames.

        Nothing is stored: each frame is read and processed on access. The steps are recorded in `steps`, and a search
        stores them so that prediction can repeat them. Only drift that is not measured yet is measured here, which
        reads every frame once.

        Parameters
        ----------
        steps : sequence of Step
            `Drift`, `Average`, `Bin`, `Crop`, applied in this order.
        progress : callable, optional
            Called with the number of frames measured and the total.
        cancel : callable, optional
            Called before each frame that is measured; if it returns True, an InputError ends the measurement.

        Returns
        -------
        Movie
            Its `raw` is the recorded movie.

        Raises
        ------
        InputError
            If a step is not possible with these frames.
        """
        movie = self
        if not all(isinstance(step, Step) for step in steps):
            raise InputError("steps such as [Drift(), Average(4)]", repr(steps), "Import them from napari_menndl.")
        for step in steps:
            settled = step.settled(movie, progress, cancel)
            after = settled.apply(movie)
            movie = replace(after, steps=(*movie.steps, settled), origin=self.raw)
        done = ", ".join(step.label for step in movie.steps)
        return replace(movie, name=f"{self.raw.name} ({done})") if done else movie

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, Y, X)."""
        count, height, width = self.frames.shape
        return int(count), int(height), int(width)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def line(self) -> str:
        """Summary in one line: ``"HAADF, 200 kV, 2 µs per pixel, 0.0106 nm/px"``."""
        size = "uncalibrated: sizes in px" if self.pixel_size is None else side_of_pixel(self.pixel_size, "/px")
        return ", ".join(filter(None, [self.metadata.line, size]))

    @property
    def lines(self) -> list[str]:
        """All known properties, a line each."""
        known = [f"Frames: {' × '.join(map(str, self.shape))} (T × Y × X), {self.frames.dtype}"]
        size = "unknown" if self.pixel_size is None else side_of_pixel(self.pixel_size)
        known.append(f"Pixel size: {size}")
        if self.frame_time is not None:
            known.append(f"Frame time: {amount(self.frame_time, 's')}")
        return known + self.metadata.lines

    def view(self) -> Any:
        """Open napari with the movie and return the viewer; see `views.view`."""
        return view([movie_layer(self)])

    def _repr_html_(self) -> str:
        """Return the first readable frame and all known properties, for a notebook."""
        facts = html_table((line.split(": ", 1) for line in self.lines), caption=self.name)
        readable = next((t for t in range(len(self)) if t not in self.absent), None)
        return facts if readable is None else html_beside(html_picture(self.frame(readable)), facts)

    @cached_property
    def offset(self) -> int | float:
        """Offset that `frame` subtracts before it converts to float32: the mean of the first readable frame.

        It is 0 unless float32 would lose grey values, as with integers of 32 bits or more, or float64, on a large
        offset.
        """
        dtype = self.frames.dtype
        if dtype.itemsize < (8 if dtype.kind == "f" else 4):
            return 0
        for t in (t for t in range(len(self)) if t not in self.absent):
            try:
                raw = one_frame(self.frames, t)
            except Exception:  # the error is raised when this frame is read
                continue
            if not np.isfinite(raw).all():
                continue
            if not _loses(raw):
                return 0
            return float(raw.mean()) if dtype.kind == "f" else int(raw.flat[0])
        return 0

    def recorded(self, t: int) -> NDArray[Any]:
        """Read one frame in the movie's own dtype.

        Parameters
        ----------
        t : int
            From 0; negative numbers count from the end.

        Returns
        -------
        (Y, X) array

        Raises
        ------
        InputError
            If there is no such frame, if it cannot be read, or if its size has changed.

        Warns
        -----
        UserWarning
            Once, if the file has changed since it was opened.
        """
        count = len(self)
        t = frame_number(t, count, "Choose one of the movie's frames.", of=f" of {self.name!r}", from_end=True)
        if t in self.absent:
            raise absent_frame(t, self.source, self.absent[t])
        try:
            frame = one_frame(self.frames, t)
        except InputError:
            raise
        except Exception as error:  # file libraries raise many types of error for damaged or deleted files
            raise InputError(
                f"frame {t} of {self.source} to be readable",
                f"{type(error).__name__}: {error}",
                "Copy the file anew from where it was recorded, or check that it is still there.",
            ) from error
        if frame.shape != self.shape[1:]:
            raise InputError(
                f"frame {t} of {self.source} as large as when it was opened, {' × '.join(map(str, self.shape[1:]))} px",
                f"{' × '.join(map(str, frame.shape))} px: the file was changed since",
                "Open it anew.",
            )
        self._warn_if_changed()
        return frame

    def _warn_if_changed(self) -> None:
        if self.stamp is None or self._warned:
            return
        try:
            changed = stamp_of(self.source) != self.stamp
        except OSError:  # reading from it raises an error
            return
        if changed:
            self._warned.append(True)
            warnings.warn(
                f"{self.source} was changed since it was opened: its frames may be others now. Open it anew.",
                stacklevel=4,
            )

    @cached_property
    def _warned(self) -> list[bool]:
        """Not empty once the warning that the file has changed was given."""
        return []

    def frame(self, t: int, gaps: bool = False) -> NDArray[np.float32]:
        """Read one frame, less `offset`, which is the same for all frames.

        Parameters
        ----------
        t : int
            From 0; negative numbers count from the end.
        gaps : bool
            Keep pixels without a value (masked, NaN or infinite) as NaN; otherwise they are filled with the nearest
            value (`fill_gaps`).

        Returns
        -------
        (Y, X) float32

        Raises
        ------
        InputError
            If there is no such frame, if it cannot be read, if more than half of its pixels have no value, if a value
            exceeds the range of float32, or if its grey values differ by less than float32 can resolve.
        """
        raw = _less(self.recorded(t), self.offset)
        t = int(t) % len(self)
        with np.errstate(over="ignore"):  # overflow becomes infinite, and is reported below
            frame = raw.astype(np.float32)
        missing = ~np.isfinite(raw) if raw.dtype.kind == "f" else np.broadcast_to(np.False_, raw.shape)
        if missing.mean() > _MOST_GAPS:
            raise InputError(
                f"finite numbers in frame {t} of {self.name!r}",
                f"{percent(missing.mean())} of its pixels are masked, NaN or infinite",
                "Leave this frame out.",
            )
        if missing.any():
            frame[missing] = np.nan
        if raw.dtype.kind == "f" and np.isinf(frame).any():
            raise InputError(
                f"numbers that float32 can hold in frame {t} of {self.name!r}",
                f"{percent(float(np.mean(np.isinf(frame))))} of its pixels are larger",
                "Divide the frames by a number before opening the movie.",
            )
        if _loses(raw[~missing] if missing.any() else raw):
            raise InputError(
                f"grey values in frame {t} of {self.name!r} that float32 can tell apart",
                f"a spread of {np.nanstd(raw):g} on a mean of {np.nanmean(raw):g}, more precision than float32 has",
                "Subtract the offset of every frame before opening the movie.",
            )
        return frame if gaps else fill_gaps(frame)


def stamp_of(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Return modification time [ns] and size [bytes] of a file, to detect changes."""
    about = os.stat(path)
    return about.st_mtime_ns, about.st_size


def side_of_pixel(pixel_size: tuple[float, float], per: str = "") -> str:
    """Format a pixel size: ``"0.0106 nm"``, with `per` after the unit; both sides if they differ."""
    y, x = (f"{side:.3g}" for side in pixel_size)
    return f"{y} nm{per}" if y == x else f"{y} × {x} nm{per} (y × x)"


def _less(raw: NDArray[Any], offset: int | float) -> NDArray[Any]:
    """Return the frame minus an offset, in its own precision."""
    if not offset:
        return raw
    if raw.dtype.kind == "f":
        return raw - offset
    # Modulo 2**64 the difference of two integers is exact, signed or not.
    return (raw.astype(np.uint64) - np.uint64(offset % 2**64)).view(np.int64)


def _loses(raw: NDArray[Any]) -> bool:
    """Whether float32 would round the values of a frame to a few grey values."""
    if raw.dtype.itemsize < (8 if raw.dtype.kind == "f" else 4) or raw.dtype.kind == "b":
        return False
    with np.errstate(all="ignore"):
        largest = max(abs(float(raw.max())), abs(float(raw.min())))
        first = raw.flat[0]  # subtracted because even float64 would lose the spread of the largest integers
        spread = float(_less(raw, float(first) if raw.dtype.kind == "f" else int(first)).std(dtype=np.float64))
        if raw.dtype.kind != "f" and largest <= 2**24:  # float32 holds every integer up to 2**24
            return False
        return 0 < spread < _STEPS * float(np.spacing(np.float32(largest)))


def one_after_another(movies: Sequence[Movie], name: str, source: str) -> Movie:
    """Concatenate movies with frames of one size; the pixel size is unknown, with a warning, if theirs differ."""
    first = movies[0]
    pixel_size = first.pixel_size
    sizes = [movie.pixel_size for movie in movies]
    if pixel_size and not all(size and np.allclose(size, pixel_size, rtol=1e-3) for size in sizes):
        pixel_size = None
        warnings.warn(
            f"The pixel size is not the same in all parts of {source}: it counts as unknown. {GIVE_PIXEL_SIZE}",
            CalibrationWarning,
            stacklevel=4,
        )
    frames = first.frames
    if len(movies) > 1:  # Dask's concatenate would make reading a frame slower with every part
        parts = OneAfterAnother([movie.frames for movie in movies])
        frames = lazy_frames(parts, (parts.ends[-1], *first.shape[1:]), first.frames.dtype)
    files = frozenset().union(*(movie.files for movie in movies))
    absent: dict[int, str] = {}
    before = 0
    for movie in movies:
        absent |= {before + t: why for t, why in movie.absent.items()}
        before += len(movie)
    metadata = common(movie.metadata for movie in movies)
    return Movie(frames, pixel_size, first.frame_time, name, source, files, absent, metadata)
