"""From counts at many thresholds to one number and one threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import expit, logit

from napari_menndl.metrics.scores import LEAST_PRECISION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_menndl.metrics.scores import Counts

#: Evenly spaced on the logit scale, because trained networks put most pixels close to 0 or 1.
PROBABILITY_THRESHOLDS: tuple[float, ...] = tuple(float(p) for p in expit(np.linspace(-4.5, 4.5, 13)))
#: Over how far F1 is smoothed [logit]: so much, but no more than this share of the range of the thresholds.
_SMOOTHING, _SHARE_OF_RANGE = 1.0, 1 / 12
#: What a threshold gives up in F1 for lying away from the one that the probabilities themselves speak for: this times
#: its squared distance [logit], divided by the number of defects; beyond `_FARTHEST` it gives up no more. Chosen on
#: simulated frames, where half and twice as much do nearly as well (`benchmarks/thresholds.py`).
DOUBT = 0.2
_FARTHEST = 3.0
#: Logits beyond are as good as this one; a float32 probability next to 1 would have an infinite one.
_LARGEST_LOGIT = 16.0
#: Pixels to let through, as multiples of the pixels that truly are defects.
_SHARES = np.geomspace(0.03, 6.0, 14)
#: Values that are sorted to find out about where the highest begin.
_SAMPLE = 2048


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
    # np.quantile's method "nearest". All of these lie among the highest few, and a sample tells about where they begin.
    place = np.rint((len(pooled) - 1) * (1.0 - np.clip(_SHARES * positive, 0.0, 1.0))).astype(np.intp) - len(pooled)
    sample = np.sort(pooled[:: max(1, len(pooled) // _SAMPLE) | 1])
    begin = sample[int(max(0.0, 1.0 + 1.5 * place.min() / len(pooled)) * (len(sample) - 1))]
    highest = pooled[pooled > begin]
    if len(highest) < -place.min() and begin > low:
        highest = pooled[pooled > low]
    # What is not among them is the lowest value, which lets every pixel through.
    quantiles = np.sort(highest)[place[-place <= len(highest)]]
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


def believed_threshold(values: Iterable[NDArray[np.floating]], levels: NDArray[np.float64]) -> float:
    """Where calibrated probabilities are best read off, as far as they themselves know.

    Half the highest F1 that they expect of their pixels (Lipton, Elkan & Naryanaswamy 2014,
    10.1007/978-3-662-44851-9_15): close to 0.5 for a network that is sure, lower for one that is not. No label is
    asked, so that it is as steady for a class of two defects as for one of many.

    Parameters
    ----------
    values : iterable of (n,) float
        The probabilities at the pixels that count, frame by frame.
    levels : (k,) float64
        Ascending thresholds at which the expectation is looked at.

    Returns
    -------
    float
    """
    number, positive, total = np.zeros(len(levels)), np.zeros(len(levels)), 0.0
    for p in values:
        total += float(p.sum(dtype=np.float64))
        above = p[p >= levels[0]]
        highest = np.searchsorted(levels, above, side="right") - 1
        number += np.bincount(highest, minlength=len(levels))
        positive += np.bincount(highest, weights=above, minlength=len(levels))
    return highest_expected(number, positive, total) / 2


def highest_expected(number: NDArray[np.floating], positive: NDArray[np.floating], total: float) -> float:
    """Highest F1 that calibrated probabilities expect of their pixels.

    Parameters
    ----------
    number, positive : (k,) float
        Pixels, and the sum of their probabilities, between each threshold and the next.
    total : float
        The sum of all probabilities.
    """
    number, positive = (np.cumsum(at[::-1])[::-1] for at in (number, positive))
    return float(np.max(2 * positive / (number + total)))


def steady_threshold(
    levels: NDArray[np.float64], counts: Sequence[Counts], believed: float, doubt: float = DOUBT
) -> int:
    """Which threshold of a calibrated probability is likely to serve on frames that nobody has labelled.

    F1 as it was counted jumps with every single defect. It is therefore averaged over neighbouring thresholds, which
    also keeps away from cliffs, and then has to outweigh what the probabilities say without any counting. Few defects
    hardly do, many do.

    Parameters
    ----------
    levels : (k,) float64
        Ascending, between 0 and 1; at least one.
    counts : sequence of k Counts
    believed : float
        See `believed_threshold`.
    doubt : float
        See `DOUBT`; with 0 only the counts speak.

    Returns
    -------
    int
        Index into `levels`.
    """
    *place, centre = np.clip(logit([*levels, believed]), -_LARGEST_LOGIT, _LARGEST_LOGIT)
    width = min(_SMOOTHING, float(place[-1] - place[0]) * _SHARE_OF_RANGE)
    f1 = np.array([c.f1 for c in counts])
    if width > 0:
        even = np.arange(place[0], place[-1] + 4 * width, width / 4)
        # Above the highest threshold nothing is found.
        curve = gaussian_filter1d(np.interp(even, place, f1, right=0.0), 4.0, mode="nearest")
        f1 = np.interp(place, even, curve)
    defects = max(counts[0].tp + counts[0].fn, 1)
    away = np.minimum(np.abs(np.array(place) - centre), _FARTHEST)
    return int(np.argmax(f1 - doubt * away**2 / defects))
