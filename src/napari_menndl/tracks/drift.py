"""The sample's drift, from the defects alone: most of them stay where they are in the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import KDTree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Points = NDArray[np.float64]

#: Fewest defects that must agree on a shift, their smallest share, and how many times those of the next best shift.
_LEAST, _SHARE, _CLEAR = 3, 0.3, 1.5
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
    around = np.asarray(KDTree(votes).query_ball_point(votes, radius, return_length=True), np.int64)
    best = votes[np.argmax(around)]
    for _ in range(3):
        near = np.hypot(*(votes - best).T) <= radius
        if not near.any():
            return None
        best = np.median(votes[near], axis=0)
    near = np.hypot(*(votes - best).T) <= radius
    support = len(np.unique(i[near]))
    others = np.hypot(*(votes - best).T) > 2 * radius
    rival = int(around[others].max()) if others.any() else 0
    clear = support >= _LEAST and support >= _SHARE * min(len(source), len(after)) and support >= _CLEAR * rival
    return best if clear else None
