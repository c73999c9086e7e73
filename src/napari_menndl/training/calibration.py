"""Calibration of logits from separately trained networks to one scale, so that they can share thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Logits are clipped to ± this; beyond it probabilities hardly differ in float32.
LARGEST = 16.0
#: Bounds of the logarithm of the scale, so that an uninformative network is not amplified without limit.
_LOG_SCALE = (-3.0, 4.0)
_BINS = 2048


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
    edges = np.linspace(values.min(), values.max() + 1e-9, _BINS + 1)
    z = (edges[1:] + edges[:-1]) / 2
    weights = [np.histogram(values[side], edges)[0] / len(values) for side in (~positive, positive)]
    targets = [1 / (counts[0] + 2), (counts[1] + 1) / (counts[1] + 2)]

    def loss(variables: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scale = np.exp(variables[0])
        u = scale * z + variables[1]
        value, slope = 0.0, np.zeros_like(z)
        for weight, target in zip(weights, targets, strict=True):
            value += float(np.sum(weight * (np.logaddexp(0, u) - target * u)))
            slope += weight * (expit(u) - target)
        return value, np.array([scale * np.sum(slope * z), np.sum(slope)])

    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[_LOG_SCALE, (None, None)])
    return float(np.exp(found.x[0])), float(found.x[1])
