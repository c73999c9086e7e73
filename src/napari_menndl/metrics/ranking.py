"""Choice of thresholds, average precision from counts at many of them, and probabilities as one byte each."""

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
#: Standard deviation of the smoothing of F1 [logit], and its limit as a fraction of the range of the thresholds.
_SMOOTHING, _SHARE_OF_RANGE = 1.0, 1 / 12
#: Penalty in F1 for the distance of a threshold from a probability of one half: this times the squared distance [logit]
#: up to `_FARTHEST`, divided by the number of defects. Both were chosen on simulated frames
#: (`benchmarks/thresholds.py`), where half and twice this value perform nearly as well.
DOUBT = 0.4
_FARTHEST = 3.0
#: Logits are clipped to this; a float32 probability that rounds to 1 has an infinite logit.
_LARGEST_LOGIT = 16.0
#: Byte 0 is a logit of -8, 255 of 8: steps of 1/16, smaller than differences of thresholds that matter.
_LARGEST_CODE = 8.0
_PROBABILITIES = expit(np.linspace(-_LARGEST_CODE, _LARGEST_CODE, 256)).astype(np.float32)
#: Numbers of found pixels to try, as multiples of the number of defect pixels.
_SHARES = np.geomspace(0.03, 6.0, 14)
#: Number of values in the sample that gives an estimate of the highest quantiles.
_SAMPLE = 2048


def choose_thresholds(values: Iterable[NDArray[np.floating]], positive: float) -> NDArray[np.float64]:
    """Return thresholds at which a response has from almost no found pixels to far too many, whatever its range.

    Parameters
    ----------
    values : iterable of (n,) float
        The response in the scored area, frame by frame.
    positive : float
        Fraction of those pixels that belong to a defect.

    Returns
    -------
    (k,) float64
        Ascending, distinct, k <= 27: quantiles around the true fraction of pixels, and those `PROBABILITY_THRESHOLDS`
        that are within the range of the values. All are above the lowest value. One half is always among them if the
        values differ and lie between 0 and 1.
    """
    pooled = np.concatenate([np.asarray(v, dtype=np.float32).ravel() for v in values])
    if not len(pooled):
        return np.empty(0)
    low, high = float(pooled.min()), float(pooled.max())
    # As np.quantile's method "nearest". All of these are among the highest values, whose start a sample estimates.
    place = np.rint((len(pooled) - 1) * (1.0 - np.clip(_SHARES * positive, 0.0, 1.0))).astype(np.intp) - len(pooled)
    sample = np.sort(pooled[:: max(1, len(pooled) // _SAMPLE) | 1])
    begin = sample[int(max(0.0, 1.0 + 1.5 * place.min() / len(pooled)) * (len(sample) - 1))]
    highest = pooled[pooled > begin]
    if len(highest) < -place.min() and begin > low:
        highest = pooled[pooled > low]
    # Quantiles that are not among them equal the lowest value, which would select all pixels.
    quantiles = np.sort(highest)[place[-place <= len(highest)]]
    levels = np.unique(np.concatenate([quantiles.astype(np.float64), PROBABILITY_THRESHOLDS]))
    highest_level = max(high, 0.5) if 0 <= low < min(high, 0.5) and high <= 1 else high
    return levels[(levels > low) & (levels <= highest_level)]


def average_precision(counts: Sequence[Counts]) -> float:
    """Return the area under precision over recall, with all-points interpolation.

    Precision at a recall is the best precision at that or any higher recall (Everingham et al. 2010,
    10.1007/s11263-009-0275-4, with all points instead of eleven).

    Parameters
    ----------
    counts : sequence of Counts
        One per threshold, in any order.

    Returns
    -------
    float
        0 to 1; 0 without counts.
    """
    if not counts:
        return 0.0
    recall = np.array([c.recall for c in counts])
    precision = np.array([c.precision for c in counts])
    order = np.argsort(recall, kind="stable")
    best = np.maximum.accumulate(precision[order][::-1])[::-1]
    return float(np.sum(np.diff(recall[order], prepend=0.0) * best))


def best_threshold(counts: Sequence[Counts]) -> int:
    """Return the index of the threshold with the best F1: the middle of the longest run of best values.

    Thresholds with a precision below `LEAST_PRECISION` are only considered if there are no others.

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


def steady_threshold(levels: NDArray[np.float64], counts: Sequence[Counts], doubt: float = DOUBT) -> int:
    """Return the index of the threshold of a calibrated probability that is best for unlabelled frames.

    The counted F1 changes abruptly with single defects. It is therefore smoothed over neighbouring thresholds, which
    also avoids thresholds next to a steep decrease, and reduced by a penalty for the distance from one half, at which
    a calibrated probability would be read off without any counts; the penalty is large for few defects and small for
    many. A single defect decides nothing: the network that it was judged by has been trained without an example.

    Parameters
    ----------
    levels : (k,) float64
        Ascending, between 0 and 1; at least one.
    counts : sequence of k Counts
    doubt : float
        See `DOUBT`; with 0 only the counts matter.

    Returns
    -------
    int
        Index into `levels`.
    """
    place = np.clip(logit(levels), -_LARGEST_LOGIT, _LARGEST_LOGIT)
    width = min(_SMOOTHING, float(place[-1] - place[0]) * _SHARE_OF_RANGE)
    f1 = np.array([c.f1 for c in counts])
    if width > 0:
        even = np.arange(place[0], place[-1] + 4 * width, width / 4)
        # Above the highest threshold F1 is taken as 0, as if nothing were found.
        curve = gaussian_filter1d(np.interp(even, place, f1, right=0.0), 4.0, mode="nearest")
        f1 = np.interp(place, even, curve)
    defects = max(counts[0].tp + counts[0].fn, 1)
    away = np.minimum(np.abs(place), _FARTHEST)
    if defects == 1:
        return int(np.argmin(away))
    return int(np.argmax(f1 - doubt * away**2 / defects))


def encode_probabilities(probabilities: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Round probabilities to 256 values, evenly spaced in the logit.

    Parameters
    ----------
    probabilities : (...) float

    Returns
    -------
    (...) uint8
    """
    lowest, highest = _PROBABILITIES[0], _PROBABILITIES[-1]
    logits = logit(np.clip(probabilities, lowest, highest))
    return np.rint((logits + _LARGEST_CODE) * (255 / (2 * _LARGEST_CODE))).astype(np.uint8)


def decode_probabilities(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Invert `encode_probabilities`, except for the rounding: (...) uint8 to (...) float32."""
    return _PROBABILITIES[codes]
