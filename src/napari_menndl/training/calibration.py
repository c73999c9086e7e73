"""Calibration of logits from separately trained networks to one scale, so that they can share thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Logits are clipped to ± this; beyond it probabilities hardly differ in float32.
LARGEST = 16.0
#: Bounds of the scale, so that an uninformative network is not amplified without limit.
_SCALE = (0.05, 50.0)
_BINS = 2048
_ITERATIONS, _PRECISION, _LARGEST_CAUTION, _CLOSE = 200, 1e-12, 1e4, 1e-9


def fit_scale(logits: NDArray[np.floating], positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit scale and shift so that the sigmoid of one class's logits is the fraction of its pixels.

    Platt 1999, "Probabilistic outputs for support vector machines", with his softened targets, which keep the fit
    finite if a threshold separates the two groups without error. Logits are binned first, so that the cost does not
    grow with the frame.

    Parameters
    ----------
    logits : (n,) float
    positive : (n,) bool
        Whether a pixel is of the class.

    Returns
    -------
    scale, shift : float
        1 and 0 if there are no pixels of the class, or no others.
    """
    counts = [int(np.count_nonzero(~positive)), int(np.count_nonzero(positive))]
    if not all(counts):
        return 1.0, 0.0
    values = np.clip(logits, -LARGEST, LARGEST)
    low, width = float(values.min()), (float(values.max() - values.min()) + 1e-9) / _BINS
    bins = np.minimum(((values - low) / width).astype(np.intp), _BINS - 1)
    shares = [np.bincount(bins[side], minlength=_BINS) / len(values) for side in (~positive, positive)]
    z = low + width * (np.arange(_BINS) + 0.5)
    # Of all pixels in a bin, and their targets.
    weight = shares[0] + shares[1]
    target = shares[0] / (counts[0] + 2) + shares[1] * (counts[1] + 1) / (counts[1] + 2)

    centre = float(weight @ z)
    z -= centre

    def loss(scale: float, shift: float) -> float:
        u = scale * z + shift
        return float(weight @ np.logaddexp(0, u) - target @ u)

    # The loss is convex, and its curvature at most that of probabilities of one half. A step with as much curvature
    # leads down; Newton's method adds as little of it as does. The scale keeps within its bounds.
    most = 0.25 * float(weight @ z**2), 0.25
    scale, shift, caution = 1.0, 0.0, 1e-3
    value = loss(scale, shift)
    for _ in range(_ITERATIONS):
        p = expit(scale * z + shift)
        slope, curvature = weight * p - target, weight * p * (1 - p)
        down = -float(slope @ z), -float(slope.sum())
        ss, bb = float(curvature @ z**2) + caution * most[0] + 1e-12, float(curvature.sum()) + caution * most[1]
        sb = float(curvature @ z)
        step, room = _solve(ss, sb, bb, *down), 0.0
        if step[0]:
            room = ((_SCALE[1] if step[0] > 0 else _SCALE[0]) - scale) / step[0]
        if room < _CLOSE:
            # The scale is at its bound, and would cross it.
            step, room = (0.0, down[1] / bb), 1.0
        length = min(1.0, room)
        candidate = scale + length * step[0], shift + length * step[1]
        better = loss(*candidate)
        if better > value:
            caution *= 10
            if caution > _LARGEST_CAUTION:
                break
            continue
        gained, value, (scale, shift) = value - better, better, candidate
        if gained < _PRECISION and length == 1:
            break
        caution /= 10
    return scale, shift - scale * centre


def _solve(a: float, b: float, d: float, x: float, y: float) -> tuple[float, float]:
    """Solve [[a, b], [b, d]] @ (s, t) = (x, y)."""
    determinant = a * d - b * b
    return (d * x - b * y) / determinant, (a * y - b * x) / determinant
