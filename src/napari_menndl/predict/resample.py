"""Resampling of frames to the pixel size a network was trained at, and of probabilities back."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from skimage.transform import resize

from napari_menndl.annotation.classes import as_pixel_size
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Largest relative difference of pixel sizes that count as equal.
SAME = 0.02
#: Ratios of pixel sizes beyond which a network may fail (a warning), and beyond which one of them must be wrong (an
#: error).
RANGE, ABSURD = 2.0, 16.0

#: Largest frame at the network's pixel size: 1 GiB of float32 per channel [px].
LARGEST = 2**28

PixelSize = tuple[float, float]


class PixelSizeError(InputError):
    """Only one of movie and network has a pixel size; the user can decide whether they fit.

    Attributes
    ----------
    trained : (y, x) float [nm] or None
        Pixel size of the training frames, if it is the network that has one.
    """

    trained: PixelSize | None = None


def scale_between(found: PixelSize | None, trained: PixelSize | None) -> tuple[float, float] | None:
    """Return the factors (y, x) by which the number of pixels must change; None if no resampling is needed.

    Parameters
    ----------
    found, trained : (y, x) float [nm] or None
        Pixel size of the frame, and of the training frames.

    Raises
    ------
    InputError
        If only one of them is known, if they differ by more than a factor of `ABSURD`, or are not positive.

    Warns
    -----
    UserWarning
        If they differ by more than a factor of `RANGE`.
    """
    if found is None and trained is None:
        return None
    found = as_pixel_size(found)
    if found is None:
        error = PixelSizeError(
            f"the frame's pixel size, since the network knows its own, {_nm(trained)}",
            "none",
            "Give pixel_size=(y, x) in nm, to this call or when opening the movie.",
        )
        error.trained = trained
        raise error
    if trained is None:
        raise PixelSizeError(
            "a frame of unknown pixel size, as those the network was trained on",
            f"one of {_nm(found)}",
            "If they look alike, pixel for pixel, take the pixel size as unknown: --pixel-size none, or "
            "dataclasses.replace(movie, pixel_size=None). Or train anew with pixel_size= given for the movie.",
        )
    factors = (found[0] / trained[0], found[1] / trained[1])
    ratio = max(*factors, *(1 / f for f in factors))
    if not ratio <= ABSURD:
        raise InputError(
            f"a pixel size not far from that of the frames trained on, {_nm(trained)}",
            f"{_nm(found)}, {ratio:.3g} times as large or as small",
            "One of them is no real calibration: give the movie's pixel_size=(y, x) in nm.",
        )
    if ratio > RANGE:
        warnings.warn(
            f"A pixel of this movie is {factors[0]:.2g} × {factors[1]:.2g} times one of the frames trained on: "
            "the network is outside its range.",
            stacklevel=3,
        )
    return factors if max(abs(f - 1) for f in factors) > SAME else None


def resampled_shape(shape: tuple[int, int], factors: tuple[float, float]) -> tuple[int, int]:
    """Return the shape (Y, X) of a frame at the network's pixel size.

    Raises
    ------
    InputError
        If it has more than `LARGEST` pixels.
    """
    height, width = (max(1, round(size * factor)) for size, factor in zip(shape, factors, strict=True))
    if height * width > LARGEST:
        raise InputError(
            f"a frame of at most {LARGEST:,} px at the pixel size of the frames trained on",
            f"{shape[0]:,} × {shape[1]:,} px that become {height:,} × {width:,}",
            "Check the pixel size, or predict a part of the frame.",
        )
    return height, width


def resample(image: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resample the last two axes to another shape, with smoothing before downsampling.

    Parameters
    ----------
    image : (..., Y, X) float32
    shape : (int, int)

    Returns
    -------
    (..., *shape) float32
    """
    planes = image.reshape(-1, *image.shape[-2:])
    options = {"order": 1, "mode": "edge", "anti_aliasing": True, "preserve_range": True}
    scaled = np.stack([resize(plane, shape, **options) for plane in planes])
    return scaled.reshape(*image.shape[:-2], *shape).astype(np.float32)


def _nm(size: PixelSize | None) -> str:
    return " × ".join(f"{side:.4g}" for side in size or ()) + " nm"
