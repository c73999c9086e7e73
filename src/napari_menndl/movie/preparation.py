"""Preparation of a movie before the search: drift correction, averaging, binning and cropping, as recorded steps."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.movie.absent import spans, type_with_nan
from napari_menndl.movie.drift import measure_drift
from napari_menndl.movie.movie import Movie, Step, lazy_frames
from napari_menndl.movie.neighbours import overlap
from napari_menndl.serialization import check_types, from_mapping
from napari_menndl.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Points = NDArray[np.float64]

_LARGEST = 1e6  # [px]
#: Description of a movie without preparation steps.
AS_RECORDED = "the movie as it was recorded"


@dataclass(frozen=True)
class Drift(Step):
    """Shift every frame by whole pixels to align it with the first; uncovered pixels are gaps (NaN).

    Shifts are whole pixels, since interpolation would blur the noise and correlate it between pixels.

    Attributes
    ----------
    shifts : tuple of T (y, x) float [px]
        Shift of each frame; measured (`drift.measure_drift`) if left out.
    """

    kind = "drift"
    shifts: tuple[tuple[float, float], ...] = setting(
        (), "Shifts", "px", "Measured when left out.", min=-_LARGEST, max=_LARGEST
    )

    def __post_init__(self) -> None:
        check_types(self)
        if any(len(shift) != 2 for shift in self.shifts):
            raise InputError("shifts (y, x) of every frame", "others", "Leave them out to have them measured.")

    def __str__(self) -> str:
        if not self.shifts:
            return "drift corrected"
        y, x = np.abs(self.shifts).max(axis=0)
        return f"drift corrected (by up to {y:.1f} px along y, {x:.1f} px along x)"

    @property
    def label(self) -> str:
        return "drift"

    @property
    def moves(self) -> NDArray[np.int64]:
        """(T, 2) shifts of the frames in whole pixels."""
        return np.rint(np.reshape(self.shifts, (-1, 2))).astype(np.int64)

    def settled(
        self,
        movie: Movie,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Drift:
        if self.shifts:
            return self
        found = np.round(measure_drift(movie, progress, cancel), 3)
        return Drift(tuple((float(y), float(x)) for y, x in found))

    def anew(self) -> Drift:
        return Drift()

    def apply(self, movie: Movie) -> Movie:
        if len(self.shifts) != len(movie):
            raise InputError(
                f"the shift of each of the {len(movie)} frames of {movie.name!r}",
                f"those of {len(self.shifts)}",
                "Leave the shifts out to have them measured.",
            )
        far = np.flatnonzero((1 - np.abs(self.moves) / movie.shape[1:]).clip(0).prod(axis=1) < 0.5)
        if len(far):
            warnings.warn(
                f"Frame{'s' if len(far) > 1 else ''} {spans(far.tolist())} of {movie.name!r} drifted out of the first "
                "frame's place by more than half: nothing is predicted in them.",
                stacklevel=3,
            )
        dtype = type_with_nan(movie.frames.dtype)
        return replace(movie, frames=lazy_frames(partial(_moved, movie, self, dtype), movie.shape, dtype))

    def carried(self, plane: NDArray[Any], t: int) -> NDArray[Any]:
        result = np.full(plane.shape, np.nan if plane.dtype.kind == "f" else 0, plane.dtype)
        to, of = overlap((int(self.moves[t][0]), int(self.moves[t][1])), plane.shape)
        result[to] = plane[of]
        return result

    def points_before(self, points: Points, frame: int) -> Points:
        return points - self.moves[frame]

    def rest(self, frames: Sequence[int]) -> Points:
        chosen = list(frames)
        rest: Points = (np.array(self.shifts)[chosen] - self.moves[chosen]).mean(axis=0)
        return rest


def _moved(movie: Movie, drift: Drift, dtype: np.dtype[Any], t: int) -> NDArray[Any]:
    return drift.carried(movie.recorded(t).astype(dtype), t)


@dataclass(frozen=True)
class Average(Step):
    """Average groups of consecutive frames; pixels without a value are ignored.

    Attributes
    ----------
    frames : int
        Frames in a group. An incomplete group at the end is left out, with a warning.
    """

    kind = "average"
    frames: int = setting(2, "Average", "frames", "Consecutive frames that become one.", min=2, max=10_000)

    def __post_init__(self) -> None:
        check_types(self)

    def __str__(self) -> str:
        return f"averages of {self.frames} frames"

    @property
    def label(self) -> str:
        return f"average {self.frames}"

    def apply(self, movie: Movie) -> Movie:
        count, left = divmod(len(movie), self.frames)
        if not count:
            raise InputError(
                f"at least {self.frames} frames to average", f"{len(movie)} in {movie.name!r}", "Average fewer."
            )
        if left:
            warnings.warn(
                f"The last {left} of {len(movie)} frames of {movie.name!r} make no average of {self.frames}: "
                "they are left out.",
                stacklevel=3,
            )
        groups = [self.frames_before(t) for t in range(count)]
        part = {t: [k for k in group if k in movie.absent] for t, group in enumerate(groups)}
        if fewer := [t for t, gone in part.items() if 0 < len(gone) < self.frames]:
            warnings.warn(
                f"Some of the frames that frames {spans(fewer)} are averages of are missing: they average the others.",
                stacklevel=3,
            )
        dtype = type_with_nan(movie.frames.dtype)
        return replace(
            movie,
            frames=lazy_frames(partial(_mean, movie, self, dtype), (count, *movie.shape[1:]), dtype),
            frame_time=movie.frame_time and movie.frame_time * self.frames,
            absent={t: movie.absent[gone[0]] for t, gone in part.items() if len(gone) == self.frames},
        )

    def carried(self, plane: NDArray[Any], t: int) -> NDArray[Any]:
        return plane

    def frames_before(self, t: int) -> range:
        return range(t * self.frames, (t + 1) * self.frames)

    def frame_after(self, t: int) -> int:
        return t // self.frames


def _mean(movie: Movie, average: Average, dtype: np.dtype[Any], t: int) -> NDArray[Any]:
    total = np.zeros(movie.shape[1:], np.float64)
    count = np.zeros(movie.shape[1:], np.int64)
    for k in average.frames_before(t):
        if k not in movie.absent:
            frame = movie.recorded(k)
            valid = np.isfinite(frame)
            np.add(total, frame, out=total, where=valid)
            count += valid
    with np.errstate(invalid="ignore"):
        return (total / count).astype(dtype)


@dataclass(frozen=True)
class Bin(Step):
    """Average squares of pixels; a square that contains a pixel without a value has no value.

    Attributes
    ----------
    pixels : int
        Side of a square. Incomplete rows and columns at the end are left out.
    """

    kind = "bin"
    pixels: int = setting(2, "Bin", "px", "Side of the square that becomes one pixel.", min=2, max=64)

    def __post_init__(self) -> None:
        check_types(self)

    def __str__(self) -> str:
        return f"binned {self.pixels} × {self.pixels}"

    @property
    def label(self) -> str:
        return f"bin {self.pixels}"

    def apply(self, movie: Movie) -> Movie:
        n = self.pixels
        count, height, width = movie.shape
        if min(height, width) < n:
            raise InputError(f"frames of at least {n} px", f"{height} × {width} px", "Bin fewer pixels.")
        dtype = type_with_nan(movie.frames.dtype)
        size = movie.pixel_size
        return replace(
            movie,
            frames=lazy_frames(partial(_binned, movie, n, dtype), (count, height // n, width // n), dtype),
            pixel_size=None if size is None else (size[0] * n, size[1] * n),
        )

    def points_before(self, points: Points, frame: int) -> Points:
        return points * self.pixels + (self.pixels - 1) / 2


def _binned(movie: Movie, n: int, dtype: np.dtype[Any], t: int) -> NDArray[Any]:
    frame = movie.recorded(t)
    height, width = frame.shape[0] // n, frame.shape[1] // n
    squares = frame[: height * n, : width * n].reshape(height, n, width, n)
    mean: NDArray[Any] = squares.mean(axis=(1, 3), dtype=np.float64).astype(dtype)
    return mean


@dataclass(frozen=True)
class Crop(Step):
    """Cut a rectangle out of every frame.

    Attributes
    ----------
    top, left, height, width : int [px]
    common : bool
        Crop to the area that every frame shows after drift correction, ignoring the rectangle.
    """

    kind = "crop"
    top: int = setting(0, "Top", "px", min=0, max=_LARGEST)
    left: int = setting(0, "Left", "px", min=0, max=_LARGEST)
    height: int = setting(0, "Height", "px", min=0, max=_LARGEST)
    width: int = setting(0, "Width", "px", min=0, max=_LARGEST)
    common: bool = False

    def __post_init__(self) -> None:
        check_types(self)

    def __str__(self) -> str:
        if self.common and not self.height:
            return "cut to the common area"
        what = "the common area, " if self.common else ""
        return f"cut to {what}{self.height} × {self.width} px from (y {self.top}, x {self.left})"

    @property
    def label(self) -> str:
        return "common area" if self.common else f"crop {self.top},{self.left},{self.height},{self.width}"

    def settled(
        self,
        movie: Movie,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Crop:
        if not self.common or self.height:
            return self
        moved = [step for step in movie.steps if not isinstance(step, Average)]
        if not moved or not isinstance(moved[-1], Drift):
            raise InputError(
                "a drift correction before the cut to the common area",
                describe(movie.steps) or "none",
                "Correct the drift first, or give the rectangle.",
            )
        moves = moved[-1].moves
        top, left = np.maximum(moves.max(axis=0), 0)
        bottom, right = np.array(movie.shape[1:]) + np.minimum(moves.min(axis=0), 0)
        if bottom <= top or right <= left:
            raise InputError(
                "an area that all frames show", f"none: {moved[-1]}", "Leave the cut out, or search on part of them."
            )
        return Crop(int(top), int(left), int(bottom - top), int(right - left), common=True)

    def anew(self) -> Crop:
        return Crop(common=True) if self.common else self

    def apply(self, movie: Movie) -> Movie:
        _, height, width = movie.shape
        bottom, right = self.top + self.height, self.left + self.width
        if not (self.height and self.width and bottom <= height and right <= width):
            raise InputError(
                f"a rectangle within the {height} × {width} px of {movie.name!r}",
                f"{self.height} × {self.width} px from (y {self.top}, x {self.left})",
                "Give top, left, height and width in pixels.",
            )
        return replace(movie, frames=movie.frames[:, self.top : bottom, self.left : right])

    def carried(self, plane: NDArray[Any], t: int) -> NDArray[Any]:
        return plane[self.top : self.top + self.height, self.left : self.left + self.width]

    def points_before(self, points: Points, frame: int) -> Points:
        return points + np.array([self.top, self.left])


KINDS: dict[str, type[Step]] = {one.kind: one for one in (Drift, Average, Bin, Crop)}


def steps_from_json(data: Any, frames: int | None = None) -> tuple[Step, ...]:
    """Read steps from the data of `Step.to_json`; none if `data` is None.

    Parameters
    ----------
    data : list of dict, or None
    frames : int, optional
        Number of frames before the first step, to check settled steps against.

    Raises
    ------
    InputError
        If a step is unknown, incomplete, or of another number of frames.
    """
    steps = []
    for one in [] if data is None else data if isinstance(data, list) else [data]:
        kind = one.get("step") if isinstance(one, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            raise InputError(f"steps among {', '.join(KINDS)}", repr(one)[:200], "Update napari-menndl.")
        step = from_mapping(KINDS[kind], {name: value for name, value in one.items() if name != "step"})
        if frames is not None and isinstance(step, Drift) and len(step.shifts) != frames:
            raise InputError(f"the shifts of {frames} frames", f"{len(step.shifts)}", "Take a fresh copy of the file.")
        if frames is not None and isinstance(step, Average):
            frames //= step.frames
        steps.append(step)
    return tuple(steps)


def describe(steps: Sequence[Step]) -> str:
    """Describe the steps in one line; empty if there are none."""
    return ", ".join(map(str, steps))


def anew(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the steps for another movie."""
    return tuple(step.anew() for step in steps)


def looks(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the steps that change how a frame looks, not only its position or size."""
    return tuple(step for step in steps if isinstance(step, Average | Bin))


def leave_borders(steps: Sequence[Step]) -> bool:
    """Whether drift correction leaves borders without a value, because no crop to the common area follows."""
    drift = [isinstance(step, Drift) for step in steps]
    return any(drift) and not any(isinstance(step, Crop) and step.common for step in steps[drift.index(True) :])


def same_frames(one: Sequence[Step], other: Sequence[Step]) -> bool:
    """Whether two preparations yield the same frames: the same drift in whole pixels, all else equal."""
    return len(one) == len(other) and all(
        np.array_equal(a.moves, b.moves) if isinstance(a, Drift) and isinstance(b, Drift) else a == b
        for a, b in zip(one, other, strict=True)
    )


def prepared_alike(
    movie: Movie,
    steps: Sequence[Step],
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Movie:
    """Apply the preparation of another movie to a movie, measuring its own drift.

    A movie that is already prepared is returned unchanged.

    Parameters
    ----------
    movie : Movie
    steps : sequence of Step
    progress, cancel : callable, optional
        As for `Movie.prepared`.

    Warns
    -----
    UserWarning
        Names the steps that are applied.
    """
    if movie.steps or not steps:
        return movie
    prepared = movie.prepared(steps, progress, cancel)
    warnings.warn(f"{movie.name} is prepared as in the search: {describe(prepared.steps)}.", stacklevel=3)
    return prepared
