"""Encoding of probabilities as one byte each, to store those of many networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Byte 0 is a logit of -LARGEST, 255 of LARGEST: steps of 1/16, smaller than differences of thresholds that matter.
LARGEST = 8.0
_PROBABILITIES = expit(np.linspace(-LARGEST, LARGEST, 256)).astype(np.float32)


def encode(probabilities: NDArray[np.floating]) -> NDArray[np.uint8]:
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
    return np.rint((logits + LARGEST) * (255 / (2 * LARGEST))).astype(np.uint8)


def decode(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Invert `encode`, except for the rounding: (...) uint8 to (...) float32."""
    return _PROBABILITIES[codes]
