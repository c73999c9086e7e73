"""Multiscale filters of a frame, in the frequency domain, where their cost does not grow with the scale.

A frame is extended beyond its borders by mirroring. That is the symmetry of the discrete cosine transform, in which a
Gaussian is a factor of each coefficient; the first derivative along an axis is antisymmetric at the borders, and thus a
factor of each coefficient of a sine transform (Martucci 1994, 10.1109/78.295213). Mixed and second derivatives are
products of such factors.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

from napari_menndl.movie.normalisation import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

#: Scale at which products of gradients are smoothed, relative to that of the gradients.
INTEGRATION = 1.5
#: Size of the sample that a median is taken of; enough for half a percent.
SAMPLE = 65_536


def filter_bank(frame: Plane, sigmas: Sequence[float]) -> NDArray[np.float32]:
    """Compute filters of a frame at several scales, as a description of each pixel's surroundings.

    Parameters
    ----------
    frame : (Y, X) float32
        Normalised.
    sigmas : sequence of float [px]

    Returns
    -------
    (K, Y, X) float32
        The frame; then at each scale the Gaussian mean, the larger and the smaller eigenvalue of the scale-normalised
        Hessian (`hessian_eigenvalues`), and above 1 px the square roots of those of the structure tensor
        (`structure_eigenvalues`). Each is scaled to median 0 and robust spread 1 over the whole frame
        (`robustly_scaled`).
    """
    count = 1 + sum(5 if sigma > 1 else 3 for sigma in sigmas)
    bank = np.empty((count, *frame.shape), np.float32)
    for channel, plane in zip(bank, _planes(frame, sigmas), strict=True):
        channel[:] = robustly_scaled(plane)
    return bank


def _planes(frame: Plane, sigmas: Sequence[float]) -> Iterator[Plane]:
    spectrum = MirroredSpectrum(frame)
    yield frame
    for sigma in sigmas:
        yield spectrum.filtered(sigma)
        yield from hessian_eigenvalues(spectrum, sigma)
        if sigma > 1:
            yield from structure_eigenvalues(spectrum, sigma)


class MirroredSpectrum:
    """Cosine transform of a frame that is extended by mirroring.

    Parameters
    ----------
    frame : (Y, X) float32
    odd : (bool, bool)
        Whether the mirrored values change sign along y, along x.
    """

    def __init__(self, frame: Plane, odd: tuple[bool, bool] = (False, False)) -> None:
        coefficients = np.asarray(frame, np.float32)
        for axis, negative in enumerate(odd):
            coefficients = (fft.dst if negative else fft.dct)(coefficients, axis=axis)
        self._coefficients = coefficients
        self._odd = odd

    def filtered(self, sigma: float, order: tuple[int, int] = (0, 0)) -> Plane:
        """Return a derivative of the frame's Gaussian mean.

        Parameters
        ----------
        sigma : float
            Standard deviation of the Gaussian [px].
        order : (int, int)
            Order of the derivative along y and x: 0, 1 or 2; only 0 along an axis whose values are odd.

        Returns
        -------
        (Y, X) float32
            [1/px] to the power of the order.
        """
        values = self._coefficients
        for axis, (times, odd) in enumerate(zip(order, self._odd, strict=True)):
            factor = _factor(values.shape[axis], float(sigma), times, odd)
            values = np.multiply(values, factor[:, None] if axis == 0 else factor, out=None if axis == 0 else values)
        for axis, (times, odd) in enumerate(zip(order, self._odd, strict=True)):
            if times == 1:
                # The k-th sine has the frequency of cosine k + 1, and the last sine has no counterpart.
                values = np.roll(values, -1, axis=axis)
            values = (fft.idst if odd or times == 1 else fft.idct)(values, axis=axis, overwrite_x=True)
        return np.asarray(values, np.float32)


def hessian_eigenvalues(spectrum: MirroredSpectrum, sigma: float) -> tuple[Plane, Plane]:
    """Return the curvature along its largest direction and across it; (Y, X) float32 each, larger first.

    Eigenvalues of ``sigma**2`` times the matrix of second derivatives (Lindeberg 1998, 10.1023/A:1008045108935): both
    are negative on a bright spot, one of them on a bright line.
    """
    yy, xx, yx = (np.float32(sigma**2) * spectrum.filtered(sigma, order) for order in ((2, 0), (0, 2), (1, 1)))
    return _eigenvalues(yy, xx, yx)


def structure_eigenvalues(spectrum: MirroredSpectrum, sigma: float) -> tuple[Plane, Plane]:
    """Return edge strength across and along the local main direction; (Y, X) float32 each, larger first.

    Square roots of the eigenvalues of the structure tensor (Förstner & Gülch 1987; Bigün & Granlund 1987): gradients at
    `sigma`, times `sigma`, with their products smoothed at `INTEGRATION` times `sigma`.
    """
    gy, gx = (np.float32(sigma) * spectrum.filtered(sigma, order) for order in ((1, 0), (0, 1)))
    smooth = INTEGRATION * sigma
    yy, xx = (MirroredSpectrum(square).filtered(smooth) for square in (gy * gy, gx * gx))
    yx = MirroredSpectrum(gy * gx, odd=(True, True)).filtered(smooth)
    larger, smaller = _eigenvalues(yy, xx, yx)
    return np.sqrt(np.maximum(larger, 0)), np.sqrt(np.maximum(smaller, 0))


def blob_response(spectrum: MirroredSpectrum, sigma: float, sign: str) -> Plane:
    """Return minus the scale-normalised Laplacian of the Gaussian mean, or plus it for dark blobs.

    Lindeberg 1998, 10.1023/A:1008045108935: ``sigma**2`` times the Laplacian. On white noise of spread 1 it has a
    standard deviation of ``1 / (sqrt(2 * pi) * sigma)``; the response is divided by that, so that a network learns
    equally from every scale.

    Returns
    -------
    (Y, X) float32
    """
    curved = spectrum.filtered(sigma, (2, 0)) + spectrum.filtered(sigma, (0, 2))
    return np.float32(sigma**2 * math.sqrt(2 * math.pi) * sigma * (-1 if sign == "bright" else 1)) * curved


def robustly_scaled(values: Plane) -> Plane:
    """Subtract the median, divide by 1.4826 times the median absolute deviation, and clip to ± `normalisation.LIMIT`.

    For a large frame, both are computed from a regular sample.

    Returns
    -------
    (Y, X) float32
        All 0 if more than half of the values are equal.
    """
    # An odd step: an even one could sample only a few columns of a frame whose width is a multiple of it.
    sample = values.ravel()[:: max(1, values.size // SAMPLE) | 1]
    centre = np.median(sample)
    spread = 1.4826 * np.median(np.abs(sample - centre))
    if not spread > 1e-6:
        return np.zeros_like(values)
    scaled = values - centre
    scaled /= np.float32(spread)
    return np.clip(scaled, -LIMIT, LIMIT, out=scaled)


def _eigenvalues(yy: Plane, xx: Plane, yx: Plane) -> tuple[Plane, Plane]:
    """Return the eigenvalues of each pixel's symmetric 2 × 2 matrix, larger first."""
    half = np.float32(0.5)
    mean, apart = half * (yy + xx), half * (yy - xx)
    apart *= apart
    apart += yx * yx
    np.sqrt(apart, out=apart)
    return mean + apart, mean - apart


@lru_cache(maxsize=256)
def _factor(length: int, sigma: float, times: int, odd: bool) -> Plane:
    """Return the factor of each coefficient along an axis, (length,) float32."""
    frequency = np.pi * (np.arange(length) + odd) / length  # [1/px]
    factor = np.exp(-((sigma * frequency) ** 2) / 2)
    # cos' = -w sin, cos'' = -w² cos.
    factor = factor if times == 0 else -factor * frequency**times
    return factor.astype(np.float32)
