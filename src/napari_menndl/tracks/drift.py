"""The sample's drift, from the defects alone: most of them stay where they are in the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.movie.absent import spans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    Points = NDArray[np.float64]

#: Fewest defects that must agree on a shift, their smallest share, and how many times those of the next best shift.
_LEAST, _SHARE, _CLEAR = 3, 0.3, 1.5
#: Steps of the grid of shifts within which votes are for the same one.
_RIVAL = 4
#: Earlier frames that a frame is compared with until one shows its shift.
_BACK = 3
#: Radius of a vote, in shares of the reach, and largest drift between frames, in shares of a frame.
_VOTE, _FARTHEST = 0.25, 0.25
#: Most defects of a frame that are compared, which bounds time and memory.
_MOST = 400


def shifts_of_frames(
    places: NDArray[np.float64],
    kinds: NDArray[np.intp],
    order: NDArray[np.int64],
    frames: NDArray[np.int64],
    shape: tuple[int, int],
    reach: float,
    remove: bool,
    given: ArrayLike | None,
    note: Callable[[str], None],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the shift of the sample in each frame looked at (K, 2) [px], and whether it was seen."""
    none, unseen = np.zeros((len(frames), 2)), np.zeros(len(frames), bool)
    if given is not None:
        shifts = np.asarray(given, np.float64)
        if shifts.ndim != 2 or shifts.shape[1] != 2 or len(shifts) <= frames.max(initial=0):
            raise InputError(
                f"a shift (y, x) for each frame up to {frames.max(initial=0)}", f"shape {shifts.shape}", "Correct it."
            )
        return shifts[frames], ~unseen
    if not remove or len(frames) < 2:
        return none, unseen
    parts = [np.flatnonzero(order == k) for k in range(len(frames))]
    radius = max(_VOTE * reach, 1.0)
    found = estimate_drift(
        [places[i] for i in parts], [kinds[i] for i in parts], frames, radius, _FARTHEST * min(shape)
    )
    seen = np.isfinite(found[:, 0])
    if seen.sum() < max(2, len(frames) / 2):
        note(
            f"The drift cannot be told from so few defects ({seen.sum()} of {len(frames)} frames): none is removed. "
            "Correct it in the movie before, or give it (drift=)."
        )
        return none, unseen
    if unseen_frames := frames[~seen].tolist():
        note(
            f"The drift in frame{'s' * (len(unseen_frames) > 1)} {spans(unseen_frames)} cannot be told from the "
            "defects: it is taken from the frames beside."
        )
    return np.stack([np.interp(frames, frames[seen], axis[seen]) for axis in found.T], axis=1), seen


def estimate_drift(
    places: Sequence[Points],
    classes: Sequence[NDArray[np.intp]],
    frames: NDArray[np.int64],
    radius: float,
    limit: float,
) -> Points:
    """Estimate where the sample lies in each frame, relative to the first.

    The shift between two frames is the one at which most defects of the one lie on defects of the same class of the
    other: a vote of all pairs, so that no defect has to be followed before.

    Parameters
    ----------
    places : K arrays of (n, 2) float [px]
        Defects of each frame.
    classes : K arrays of (n,) int
    frames : (K,) int
        Numbers of the frames, ascending.
    radius : float [px]
        Distance within which votes are for the same shift.
    limit : float [px]
        Largest drift from one frame to the next, along each axis.

    Returns
    -------
    (K, 2) float64 [px]
        Shift (y, x) of each frame; NaN where too few defects agree. The first frame that has defects is at 0.
    """
    shifts = np.full((len(places), 2), np.nan)
    filled = [k for k, here in enumerate(places) if len(here)]
    for position, k in enumerate(filled):
        if position == 0:
            shifts[k] = 0
        for before in reversed(filled[max(0, position - _BACK) : position]):
            if np.isnan(shifts[before, 0]):
                continue
            most = limit * float(frames[k] - frames[before])
            step = _step(places[before], classes[before], places[k], classes[k], radius, most)
            if step is not None:
                shifts[k] = shifts[before] + step
                break
    return shifts


def _step(
    before: Points, kinds: NDArray[np.intp], after: Points, kinds_after: NDArray[np.intp], radius: float, limit: float
) -> Points | None:
    """Return the shift (2,) between two frames; None if it cannot be told."""
    every = max(1, -(-len(before) // _MOST))  # a stride, so that defects of all places and classes are compared
    source, kinds = before[::every], kinds[::every]
    apart = after[None] - source[:, None]
    i, j = np.nonzero((kinds[:, None] == kinds_after[None]) & (np.abs(apart) <= limit).all(axis=2))
    if len(i) < _LEAST:
        return None
    votes = apart[i, j]
    counts, first = _counted(votes, radius)
    peak = np.unravel_index(int(counts.argmax()), counts.shape)
    best = first + (np.array(peak) + 0.5) * radius / 2
    for _ in range(3):
        near = np.hypot(*(votes - best).T) <= radius
        if not near.any():
            return None
        best = np.median(votes[near], axis=0)
    support = len(np.unique(i[np.hypot(*(votes - best).T) <= radius]))
    around = tuple(slice(max(0, int(at) - _RIVAL), int(at) + _RIVAL + 1) for at in peak)
    counts[around] = 0
    clear = support >= _LEAST and support >= _SHARE * min(len(source), len(after))
    return best if clear and support >= _CLEAR * counts.max() else None


def _counted(votes: Points, radius: float) -> tuple[NDArray[np.int64], Points]:
    """Return the votes for shifts on a grid of half the radius, each counted with its neighbours, and its corner."""
    first = votes.min(axis=0)
    at = ((votes - first) / (radius / 2)).astype(np.int64)
    counts = np.zeros(at.max(axis=0) + 1, np.int64)
    np.add.at(counts, (at[:, 0], at[:, 1]), 1)
    padded = np.pad(counts, 1)
    height, width = counts.shape
    summed = np.zeros_like(counts)
    for y in range(3):
        for x in range(3):
            summed += padded[y : y + height, x : x + width]
    return summed, first
