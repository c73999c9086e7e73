"""Normalisation of a frame's grey values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np
from scipy import fft

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Normalisation = Literal["global", "flattened", "local"]
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)
#: Largest absolute normalised value: a hot pixel must not dominate a network's first layer.
LIMIT = 30.0
#: Smallest local standard deviation, relative to the frame's median one.
FLOOR = 0.1


def normalise(frame: ArrayLike, kind: Normalisation | str, radius: float) -> NDArray[np.float32]:
    """Normalise a frame's grey values to zero centre and unit spread.

    The statistics are those of the whole frame: normalise before cutting tiles.

    Parameters
    ----------
    frame : (Y, X) real numbers
    kind : str
        ``"global"``: minus the median, over 1.4826 times the median absolute deviation (which for normally distributed
        values is the standard deviation; Rousseeuw & Croux 1993, doi:10.1080/01621459.1993.10476408);
        over the standard deviation where more than half of the pixels are equal.
        ``"flattened"``: minus the background, a Gaussian mean, then as ``"global"``.
        ``"local"``: minus the local mean, over the local standard deviation, both Gaussian-weighted.
    radius : float [px]
        Standard deviation of the Gaussian; not used by ``"global"``.

    Returns
    -------
    (Y, X) float32
        Clipped to ± `LIMIT`.

    Raises
    ------
    InputError
        If the frame is constant, has a NaN or infinite pixel, or is not (Y, X); if the kind is unknown or the radius
        not positive.
    """
    if kind not in NORMALISATIONS:
        raise InputError(f"a normalisation among {', '.join(NORMALISATIONS)}", repr(kind), "Choose one of them.")
    values = np.asarray(frame)
    if values.ndim != 2 or not values.size:
        raise InputError("one frame, (Y, X)", f"an array of shape {values.shape}", "Normalise frame by frame.")
    if not np.isfinite(values).all():
        raise InputError("finite grey values", "NaN or infinite pixels", "Leave this frame out, or mend these pixels.")
    values = values.astype(np.float64)
    if kind == "global":
        unit = _robust(values)
    else:
        if not (math.isfinite(radius) and radius > 0):
            raise InputError("a positive radius in px", repr(radius), "Give for example radius=20.")
        sigma = min(float(radius), float(max(values.shape)))  # at the frame's width it is practically the frame's mean
        values = _without_outliers(values)
        flat = np.subtract(values, _blurred(values, sigma), out=values)
        unit = _robust(flat) if kind == "flattened" else _local(flat, sigma)
    return cast("NDArray[np.float32]", np.clip(unit, -LIMIT, LIMIT, out=unit).astype(np.float32))


def _blurred(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Compute `scipy.ndimage.gaussian_filter` in a time that does not grow with `sigma`.

    The frame is mirrored at its borders and the Gaussian truncated at four standard deviations. Mirroring is the
    symmetry of the discrete cosine transform, in which the kernel, being symmetric, is a factor (Martucci 1994,
    10.1109/78.295213).
    """
    coefficients = fft.dctn(values)
    offsets = np.arange(1, int(4.0 * sigma + 0.5) + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    for axis, length in enumerate(values.shape):
        angles = np.pi / length * np.arange(length)
        factor = (1 + 2 * weights @ np.cos(np.outer(offsets, angles))) / (1 + 2 * weights.sum())
        coefficients *= factor[:, None] if axis == 0 else factor
    return np.asarray(fft.idctn(coefficients, overwrite_x=True))


def _without_outliers(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale values to about 0 to 1 and clip hot and dead pixels, which would distort the background around them."""
    values = values / _largest(values)  # keeps sums and squares of huge values finite
    low, high = np.percentile(values, (0.05, 99.95))
    if high == low:
        low, high = values.min(), values.max()
    span = high - low
    if span == 0:
        raise _constant()
    values -= low
    values /= span
    return np.clip(values, -1, 2, out=values)


def _robust(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract the median and divide by 1.4826 MAD (or the standard deviation if that is 0)."""
    centred = values / _largest(values)
    centred -= np.median(centred)
    spread = 1.4826 * float(np.median(np.abs(centred)))
    if spread == 0:
        spread = float(centred.std())
    if spread == 0:
        raise _constant()
    centred /= spread
    return centred


def _largest(values: NDArray[np.float64]) -> float:
    """Return the largest absolute value, 1 if all are 0."""
    return max(float(values.max()), -float(values.min())) or 1.0


def _constant() -> InputError:
    return InputError(
        "a frame with differences in grey value", "a constant frame", "Leave it out: there is nothing to see in it."
    )


def _local(flat: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    spread = _blurred(flat**2, sigma)
    np.sqrt(np.maximum(spread, 0, out=spread), out=spread)
    floor = FLOOR * (float(np.median(spread)) or float(flat.std()))
    return np.divide(flat, np.maximum(spread, floor, out=spread), out=spread)
