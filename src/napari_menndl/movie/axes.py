"""Which axes and values a movie may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike

_LONG = {"C": "channels", "S": "colour", "T": "time", "Z": "depth", "Y": "height", "X": "width"}


def frame_axes(shape: Sequence[int], axes: str, source: str) -> tuple[int, int, int]:
    """The (T, Y, X) of an array whose axes are named, axes of length 1 left out.

    Parameters
    ----------
    shape : sequence of int
    axes : str
        A letter per axis: T, Z, C, Y, X, S (colour samples); any other letter is an axis of unknown meaning.
    source : str
        Named in the error.

    Raises
    ------
    InputError
        If it is empty, if it has colour or channels, or if more than one axis is left beside Y and X.
    """
    found = f"{source} of shape {tuple(shape)}, axes {axes}"
    if len(shape) < 2 or "Y" not in axes or "X" not in axes:
        raise InputError(
            "frames with a height and a width: (T, Y, X), or (Y, X) for a single one",
            found,
            "Open the image itself, not a spectrum or a line of it.",
        )
    sizes = dict(zip(axes, shape, strict=True)) if len(set(axes)) == len(axes) else {}
    rest = [(axis, int(n)) for axis, n in zip(axes, shape, strict=True) if axis not in "YX" and n != 1]
    colour = [_LONG[axis] for axis, _ in rest if axis in "CS"]
    if colour:
        raise InputError(
            "one grey value per pixel",
            f"{found}: {' and '.join(colour)}",
            "Open one channel of it as an array; if these are frames, open the whole as an array: open_movie(array).",
        )
    if len(rest) > 1 or not sizes:
        names = " and ".join(f"{_LONG.get(axis, 'axis ' + axis)} ({n})" for axis, n in rest)
        raise InputError("frames of (T, Y, X)", f"{found}: {names}", "Choose one index of all but one of these axes.")
    if 0 in shape:
        raise InputError("frames with pixels", f"{found}, which is empty", "Open a movie of at least one frame.")
    return (rest[0][1] if rest else 1), int(sizes["Y"]), int(sizes["X"])


def guess_axes(shape: Sequence[int]) -> str:
    """Letters for the axes of an array without names: a last axis of 3 or 4 behind two longer ones is colour."""
    n = len(shape)
    if n >= 3 and shape[-1] in (3, 4) and min(shape[-3:-1]) > 4:
        return "UVWRQ"[: n - 3] + "YXS"
    return ("UVWRQPONM"[: max(n - 3, 0)] + "TYX")[-n:] if n <= 12 else ""


def check_dtype(dtype: DTypeLike, source: str) -> None:
    """Refuse what is not a real number per pixel: complex numbers, text, records and Python objects."""
    kind = np.dtype(dtype)
    if kind.kind not in "buif":
        what = {"c": "complex numbers", "O": "Python objects", "V": "records"}.get(kind.kind, str(kind))
        raise InputError(
            "real numbers or bool per pixel",
            f"{what} ({kind}) in {source}",
            "Open the modulus or another real image of it." if kind.kind == "c" else "Save the frames as numbers.",
        )
