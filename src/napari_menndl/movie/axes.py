"""Axes and dtypes of arrays, checked for use as a movie."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray

_LONG = {"C": "channels", "S": "colour", "T": "time", "Z": "depth", "Y": "height", "X": "width"}
#: Names of axes in files, by the letters used here; tifffile's I is a sequence of pages, its E the wavelength.
_NAMES = {
    "T": "t time times frame frames i image images sequence page pages",
    "Y": "y height row rows line lines",
    "X": "x width column columns col cols",
    "Z": "z depth slice slices plane planes",
    "C": "c ch channel channels e energy wavelength lambda band bands detector",
    "S": "s sample samples rgb rgba color colour",
}
_LETTERS = {name: letter for letter, names in _NAMES.items() for name in names.split()}


class ManyAxesError(InputError):
    """An array has more axes than time, height and width; the user can choose one of them as time."""


@dataclass(frozen=True)
class FrameAxes:
    """Axes of time, height and width in an array.

    Attributes
    ----------
    shape : (T, Y, X)
    ndim : int
        Number of axes; all but these three have length 1.
    time : int or None
    height, width : int
        Indices of the axes.
    """

    shape: tuple[int, int, int]
    ndim: int
    time: int | None
    height: int
    width: int

    @property
    def last(self) -> bool:
        """Whether the array ends in Y, X, so that each frame is contiguous."""
        return (self.height, self.width) == (self.ndim - 2, self.ndim - 1)

    def cut(self, array: Any, t: int) -> NDArray[Any]:
        """Return frame `t` (Y, X) of the array, transposed if its axes are in another order."""
        index: list[int | slice] = [0] * self.ndim
        index[self.height] = index[self.width] = slice(None)
        if self.time is not None:
            index[self.time] = t
        frame = np.asarray(array[tuple(index)])
        return frame if self.height < self.width else frame.T


def axis_letters(names: Sequence[str | None], shape: Sequence[int]) -> str:
    """Return a letter per axis, however a file names them: T, Z, C, S (colour), Y, X, or another for any other axis.

    Parameters
    ----------
    names : sequence of str or None
        Letters of TIFF and OME, or words ("time", "row", "Y [nm]"); None, "" and xarray's "dim_0" count as no name.
    shape : sequence of int
        Used to guess axes without a name, see `guess_axes`.
    """
    guessed = guess_axes(shape)
    if len(names) != len(shape) or len(guessed) != len(shape):
        return ""
    return "".join(letter_of(name) or guess for name, guess in zip(names, guessed, strict=True))


def letter_of(name: str | None) -> str:
    """Return the letter of an axis by its name, Q for an unknown name; empty without a name."""
    words = re.findall(r"[^\W\d_]+", (name or "").casefold())
    if not words or words[0] in ("dim", "axis", "phony"):
        return ""
    return _LETTERS.get(words[0], words[0].upper() if len(words[0]) == 1 else "Q")


def frame_axes(shape: Sequence[int], axes: Sequence[str | None] | None, source: str, stacks: str = "T") -> FrameAxes:
    """Find the axes of time, height and width in an array, ignoring axes of length 1.

    Parameters
    ----------
    shape : sequence of int
    axes : str, or sequence of str or None; None
        A letter or a name per axis, see `axis_letters`; None if the file names none.
    source : str
        Named in the error.
    stacks : str
        Letters of axes that count as time without a warning.

    Raises
    ------
    InputError
        If the array is empty, has colour or channels, or has more than one axis besides Y and X.

    Warns
    -----
    UserWarning
        If the other axis is not named as time, or if the shape looks like (Y, X, T).
    """
    named = axes if axes is not None else [None] * len(shape)
    letters = axis_letters(named, shape)
    names = [name or letter for name, letter in zip(named, letters, strict=False)]
    said = "".join(names) if all(len(name) == 1 for name in names) else ", ".join(names)
    found = f"{source} of shape {tuple(shape)}, axes {said or ', '.join(map(str, named))}"
    if len(shape) < 2 or letters.count("Y") != 1 or letters.count("X") != 1:
        raise InputError(
            "frames with a height and a width: (T, Y, X), or (Y, X) for a single one",
            found,
            "Open the image itself, not a spectrum or a line of it; or open it as an array whose last axes are Y, X.",
        )
    rest = [(axis, letter) for axis, letter in enumerate(letters) if letter not in "YX" and shape[axis] != 1]
    colour = [_LONG[letter] for _, letter in rest if letter in "CS"]
    kind = ManyAxesError if len(rest) > 1 and letters.endswith("YX") else InputError
    if colour:
        raise kind(
            "one grey value per pixel",
            f"{found}: {' and '.join(colour)}",
            "Open one channel of it as an array; if these are frames, open the whole as an array: open_movie(array).",
        )
    said = " and ".join(f"{_LONG.get(letter, f'axis {names[axis]}')} ({shape[axis]})" for axis, letter in rest)
    if len(rest) > 1:
        raise kind("frames of (T, Y, X)", f"{found}: {said}", "Choose one index of all but one of these axes.")
    if 0 in shape:
        raise InputError("frames with pixels", f"{found}, which is empty", "Open a movie of at least one frame.")
    if axes is not None and rest and rest[0][1] not in stacks:
        warnings.warn(f"In {source}, {said} is taken for time.", stacklevel=3)
    long = [n for n in shape if n != 1]
    square = len(long) == 3 and long[0] == long[1] > long[2] and long[0] >= 16
    narrow = len(long) == 3 and long[2] * 4 <= min(long[:2]) and long[1] >= 16
    if axes is None and (square or narrow):
        warnings.warn(
            f"{source} of shape {tuple(shape)} is taken for (T, Y, X), {long[0]} frames. "
            "If time is its last axis, save it with time first: in Python np.moveaxis(array, -1, 0).",
            stacklevel=3,
        )
    time, height, width = rest[0][0] if rest else None, letters.index("Y"), letters.index("X")
    count = 1 if time is None else int(shape[time])
    return FrameAxes((count, int(shape[height]), int(shape[width])), len(shape), time, height, width)


def guess_axes(shape: Sequence[int]) -> str:
    """Guess letters for unnamed axes; a last axis of 3 or 4 after two longer ones is colour."""
    n = len(shape)
    if n >= 3 and shape[-1] in (3, 4) and min(shape[-3:-1]) > 4:
        return "UVWRQ"[: n - 3] + "YXS"
    return ("UVWRQPONM"[: max(n - 3, 0)] + "TYX")[-n:] if n <= 12 else ""


def check_dtype(dtype: DTypeLike, source: str) -> None:
    """Refuse any dtype but real numbers and bool: complex numbers, text, records and Python objects."""
    kind = np.dtype(dtype)
    if kind.kind not in "buif":
        what = {"c": "complex numbers", "O": "Python objects", "V": "records"}.get(kind.kind, str(kind))
        raise InputError(
            "real numbers or bool per pixel",
            f"{what} ({kind}) in {source}",
            "Open the modulus or another real image of it." if kind.kind == "c" else "Save the frames as numbers.",
        )
