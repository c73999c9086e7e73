"""The sample's drift, from the defects alone: most of them stay where they are in the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Points = NDArray[np.float64]

#: Fewest defects that must agree on a shift, their smallest share, and how many times those of the next best shift.
_LEAST, _SHARE, _CLEAR = 3, 0.3, 1.5
#: Steps of the grid of shifts within which votes are for the same one.
_RIVAL = 4
#: Earlier frames that a frame is compared with until one shows its shift.
_BACK = 3
#: Most defects of a frame that are compared, which bounds time and memory.
_MOST = 400


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
