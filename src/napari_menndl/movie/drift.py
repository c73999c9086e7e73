"""Measurement of the sample drift in a movie, frame by frame."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.movie.absent import fill_gaps, spans
from napari_menndl.movie.neighbours import measure_shift, moved_onto

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_menndl.movie.movie import Movie

#: Frames averaged in the reference; more would keep defects that have vanished.
_MEMORY = 8
#: Smallest share of frames whose shift must be measurable.
_LEAST_MEASURED = 0.5


def measure_drift(
    movie: Movie,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> NDArray[np.float64]:
    """Measure the shift that aligns each frame with the first one.

    Each frame is registered (`neighbours.measure_shift`) to a running average of the frames before it, which moves
    along with the sample: it has less noise than a single frame, and always overlaps the next frame almost entirely. A
    frame that cannot be read or registered gets a shift interpolated between those of its neighbours.

    Parameters
    ----------
    movie : Movie
    progress : callable, optional
        Called with the number of frames measured and the total.
    cancel : callable, optional
        Called before each frame; if it returns True, an InputError ends the measurement.

    Returns
    -------
    (T, 2) float64
        (y, x) [px].

    Raises
    ------
    InputError
        If the drift cannot be measured for half of the frames, or if the measurement is cancelled.

    Warns
    -----
    UserWarning
        If the shift of some frames could not be measured.
    """
    count = len(movie)
    shifts = np.full((count, 2), np.nan)
    reference: NDArray[np.float32] | None = None
    here, off, seen = np.zeros(2), np.zeros(2), 0
    for t in range(count):
        if cancel and cancel():
            raise InputError("the drift of every frame", f"only those before frame {t}: it was stopped", "Begin again.")
        frame = _readable(movie, t)
        if frame is not None and reference is None:
            shifts[t], reference, seen = here, frame, 1
        elif frame is not None and reference is not None:
            found = measure_shift(reference, frame, sure=True)
            if found is not None:
                # The average is off the last frame by the remainder of rounding to whole pixels.
                shifts[t] = here = here + found - off
                whole = np.rint(found).astype(int)
                seen = min(seen + 1, _MEMORY)
                carried = moved_onto(reference, (-int(whole[0]), -int(whole[1])), frame)
                reference = carried + (frame - carried) / np.float32(seen)
                off = (found - whole) * (1 - 1 / seen)
        if progress:
            progress(t + 1, count)
    return _completed(shifts, movie)


def _readable(movie: Movie, t: int) -> NDArray[np.float32] | None:
    """Read a frame with its gaps filled; None if it cannot be read or has no contrast."""
    try:
        frame = fill_gaps(movie.frame(t, gaps=True))
    except InputError:
        return None
    return frame if frame.min() < frame.max() else None


def _completed(shifts: NDArray[np.float64], movie: Movie) -> NDArray[np.float64]:
    """Interpolate missing shifts (NaN) between their neighbours."""
    numbers = np.arange(len(shifts))
    measured = np.isfinite(shifts[:, 0])
    if measured.mean() < _LEAST_MEASURED:
        raise InputError(
            f"frames of {movie.name!r} that show the same defects in several places",
            f"{measured.sum()} of {len(shifts)}: where only one thing moves, or a lattice alone is seen, its drift "
            "cannot be told",
            "Leave the drift correction out, or average frames before it.",
        )
    if not measured.all():
        few = spans(numbers[~measured].tolist())
        warnings.warn(
            f"The drift of frame{'s' if (~measured).sum() > 1 else ''} {few} of {movie.name!r} could not be measured: "
            "it is taken from the frames beside.",
            stacklevel=4,
        )
    return np.stack([np.interp(numbers, numbers[measured], axis[measured]) for axis in shifts.T], axis=1)
