"""From counts at many thresholds to one number and one threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from napari_menndl.metrics.scores import LEAST_PRECISION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_menndl.metrics.scores import Counts

#: Evenly spaced on the logit scale, because trained networks put most pixels close to 0 or 1.
PROBABILITY_THRESHOLDS: tuple[float, ...] = tuple(float(p) for p in expit(np.linspace(-4.5, 4.5, 13)))
#: Pixels to let through, as multiples of the pixels that truly are defects.
_SHARES = np.geomspace(0.03, 6.0, 14)


def choose_thresholds(values: Iterable[NDArray[np.floating]], positive: float) -> NDArray[np.float64]:
    """Thresholds that sweep a response from almost nothing to far too much, wherever its values lie.

    Parameters
    ----------
    values : iterable of (n,) float
        The response at the pixels that count, frame by frame.
    positive : float
        Share of those pixels that truly belong to a defect.

    Returns
    -------
    (k,) float64
        Ascending, distinct, k <= 27: quantiles around the true share of pixels, and `PROBABILITY_THRESHOLDS` as far as
        they lie within the range of the values. None lets every pixel through.
    """
    pooled = np.concatenate([np.asarray(v, dtype=np.float32).ravel() for v in values])
    if not len(pooled):
        return np.empty(0)
    low, high = float(pooled.min()), float(pooled.max())
    quantiles = np.quantile(pooled, 1.0 - np.clip(_SHARES * positive, 0.0, 1.0), method="nearest")
    levels = np.unique(np.concatenate([quantiles.astype(np.float64), PROBABILITY_THRESHOLDS]))
    return levels[(levels > low) & (levels <= high)]


def average_precision(counts: Sequence[Counts]) -> float:
    """Area under precision over recall, all-points interpolation.

    Precision at a recall is the best precision at that or any higher recall (Everingham et al. 2010,
    10.1007/s11263-009-0275-4, with every point in place of eleven).

    Parameters
    ----------
    counts : sequence of Counts
        One per threshold, in any order.

    Returns
    -------
    float
        0 to 1; 0 for no counts.
    """
    if not counts:
        return 0.0
    recall = np.array([c.recall for c in counts])
    precision = np.array([c.precision for c in counts])
    order = np.argsort(recall, kind="stable")
    best = np.maximum.accumulate(precision[order][::-1])[::-1]
    return float(np.sum(np.diff(recall[order], prepend=0.0) * best))


def best_threshold(counts: Sequence[Counts]) -> int:
    """Which threshold maximises F1: the middle of the longest run of the best value, away from either cliff.

    Only thresholds of at least `LEAST_PRECISION` stand for election, unless there is none.

    Parameters
    ----------
    counts : sequence of Counts
        One per threshold, by ascending threshold; at least one.

    Returns
    -------
    int
        Index into `counts`.
    """
    f1 = np.array([c.f1 for c in counts])
    useful = np.array([c.precision >= LEAST_PRECISION for c in counts])
    if useful.any():
        f1[~useful] = -1.0
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    longest = max(runs, key=len)
    return int(longest[(len(longest) - 1) // 2])
