"""Absent frames and masked pixels, which must not count as measured intensity."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import DTypeLike, NDArray


class AbsentWarning(UserWarning):
    """Frames, parts of frames or pixels have no measured value in the source."""


def warn_of_absent(frames: Collection[int], count: int, source: str, why: str) -> None:
    """Warn on opening which of `count` frames a file lacks; reading one raises `absent_frame`."""
    if frames:
        numbers = spans(frames)
        warnings.warn(
            f"{source} lacks {len(frames)} of its {count} frames ({numbers}): {why}. They are missing, not black.",
            AbsentWarning,
            stacklevel=3,
        )


def absent_frame(t: int, source: str, why: str) -> InputError:
    """Return the error for reading an absent frame."""
    return InputError(
        f"frame {t} in {source}", f"it missing: {why}", "Copy the whole recording, or choose another frame."
    )


def spans(numbers: Collection[int], most: int = 6) -> str:
    """Format numbers as ranges: ``"3 to 5, 9"``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    said = [" to ".join(map(str, run)) for run in runs]
    return ", ".join(said[:most]) + (" …" if len(said) > most else "")


def type_with_nan(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the dtype that holds the values of `dtype` and NaN."""
    return np.result_type(dtype, np.float32)


def without_fill(frame: NDArray[Any], fill: float) -> NDArray[Any]:
    """Replace pixels of the value `fill` by NaN."""
    return np.where(frame == fill, np.nan, frame).astype(type_with_nan(frame.dtype))


def warn_of_fill(fill: float, source: str) -> None:
    """Warn on opening that pixels of a fill value are absent."""
    warnings.warn(
        f"Pixels of the value {fill:g} in {source} are missing, as the file says: NaN.", AbsentWarning, stacklevel=3
    )


def unmasked(array: Any) -> Any:
    """Replace masked pixels of a numpy or dask array by NaN, with a warning; return other arrays unchanged."""
    import dask.array as da  # not at the top: trainer processes open no movie and start faster without it

    if isinstance(array, da.Array):
        if not isinstance(array._meta, np.ma.MaskedArray):
            return array
        dtype = type_with_nan(array.dtype)
        warnings.warn("Masked pixels of the array are missing: NaN.", AbsentWarning, stacklevel=3)
        fill: Any = _filled
        return array.map_blocks(fill, dtype, dtype=dtype, meta=np.empty((0,) * array.ndim, dtype))
    if isinstance(array, np.ma.MaskedArray) and array.dtype.kind in "buif":
        masked = np.ma.getmaskarray(array)
        if masked.any():
            share = f"{100 * masked.mean():.3g} %"
            text = f"{share} of the array's pixels are masked: they are missing, NaN."
            warnings.warn(text, AbsentWarning, stacklevel=3)
            return _filled(array, type_with_nan(array.dtype))
    return array


def _filled(array: Any, dtype: DTypeLike) -> NDArray[Any]:
    return np.ma.filled(np.ma.asarray(array).astype(dtype), np.nan)


def fill_gaps(frame: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill pixels without a value (NaN) with the nearest value, so that no artificial edges appear.

    Parameters
    ----------
    frame : (Y, X) float32

    Returns
    -------
    (Y, X) float32
    """
    missing = np.isnan(frame)
    if not missing.any():
        return frame
    y, x = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
    filled: NDArray[np.float32] = frame[y, x]
    return filled


def describe_gaps(missing: NDArray[np.bool_]) -> str:
    """Return ``"4.7 % of its pixels have no value: they count as unknown"``."""
    return f"{percent(missing.mean())} of its pixels have no value: they count as unknown"


def percent(share: float) -> str:
    """Return ``"4.7 %"`` for a share of 0.047."""
    return f"{100 * share:.3g} %"
