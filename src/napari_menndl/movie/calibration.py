"""What a file says of its pixel size and frame time, and whether to believe it."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Pixel sizes a STEM can have [nm]; what lies outside is a mistake of the file, not a calibration.
PLAUSIBLE_PIXEL = (1e-4, 1e3)
#: Pixels further from square than this are taken for a mistake.
PLAUSIBLE_ANISOTROPY = 1.25

_NANOMETRES = {
    1e-3: ("pm", "picometer", "picometre"),
    0.1: ("å", "ångström", "angstrom", "angstroms", "ångstrom", "a"),
    1.0: ("nm", "nanometer", "nanometre", "nanometers"),
    1e3: ("µm", "um", "micron", "microns", "micrometer", "micrometre", "micrometers"),
    1e6: ("mm", "millimeter", "millimetre"),
    1e7: ("cm", "centimeter", "centimetre"),
    1e9: ("m", "meter", "metre"),
    2.54e7: ("inch", "in", "inches", '"'),
}
_SECONDS = {
    1e-9: ("ns", "nanosecond"),
    1e-6: ("µs", "us", "usec", "microsecond"),
    1e-3: ("ms", "msec", "millisecond"),
    1.0: ("s", "sec", "second", "seconds"),
    60.0: ("min", "minute", "minutes"),
    3600.0: ("h", "hour", "hours"),
}
_NO_UNIT = ("", "pixel", "pixels", "px", "none", "null", "<undefined>")


class CalibrationWarning(UserWarning):
    """A file's pixel size or frame time is not to be believed and counts as unknown."""


def _plain(unit: str | None) -> str:
    # ImageJ escapes the micro sign; Unicode has two of them, and two Å.
    text = (unit or "").strip().lower().replace("\\u00b5", "µ").replace("\\u00c5", "å")
    return text.replace("\u03bc", "µ").replace("a\u030a", "å")


def _factor(unit: str | None, table: dict[float, tuple[str, ...]]) -> float | None:
    plain = _plain(unit)
    return next((factor for factor, names in table.items() if plain in names), None)


def has_unit(unit: str | None) -> bool:
    """Whether a file's unit says anything at all: "pixel" and the empty string do not."""
    return _plain(unit) not in _NO_UNIT


def unit_in_nm(unit: str | None) -> float | None:
    """One of this unit of length in nanometres; None for what is no unit of length."""
    return _factor(unit, _NANOMETRES)


def seconds_in(unit: str | None) -> float | None:
    """One of this unit of time in seconds; None for what is no unit of time."""
    return _factor(unit, _SECONDS)


def believed(
    read: Callable[[], tuple[tuple[float, float] | None, float | None]], source: str
) -> tuple[tuple[float, float] | None, float | None]:
    """Pixel size and frame time from `read`; unknown, with a `CalibrationWarning`, where it fails."""
    try:
        return read()
    except Exception as error:  # programs write what no schema foresees, and the frames are there all the same
        why = f"cannot be read, {type(error).__name__}"
        _doubt("pixel size", str(error), why, source)
        _doubt("frame time", str(error), why, source)
        return None, None


def _number(value: object) -> float:
    """A number that a file gives as such or as text; NaN where it is none."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def _said(value: object) -> str:
    number = _number(value)
    return repr(value) if math.isnan(number) and isinstance(value, str) else f"{number:g}"


def read_pixel_size(values: Sequence[object], units: Sequence[str | None], source: str) -> tuple[float, float] | None:
    """A file's pixel size in nanometres, where it can be believed.

    Parameters
    ----------
    values : (y, x) numbers, or text of a number [`units`]
    units : (y, x) str
        pm, Å, nm, µm, mm, cm, m, inch, abbreviated or in full.
    source : str
        Named in the warning.

    Returns
    -------
    (y, x) float [nm] or None
        None, with a `CalibrationWarning`, for unknown units, for what is not a number, finite, positive and within
        `PLAUSIBLE_PIXEL`, and for pixels further from square than `PLAUSIBLE_ANISOTROPY`; without a warning where
        the file gives a length of 1 without a unit, or counts in pixels.
    """
    numbers = [_number(value) for value in values]
    text = " × ".join(f"{_said(value)} {unit or ''}".strip() for value, unit in zip(values, units, strict=True))
    if not any(has_unit(unit) for unit in units):
        if not any(_plain(unit) for unit in units) and any(math.isfinite(n) and n != 1 for n in numbers):
            _doubt("pixel size", text, "has no unit", source)
        return None
    if any(math.isnan(n) and not isinstance(v, float) for n, v in zip(numbers, values, strict=True)):
        _doubt("pixel size", text, "is not a number", source)
        return None
    factors = [_factor(unit, _NANOMETRES) for unit in units]
    if any(factor is None for factor in factors):
        _doubt("pixel size", text, "is not in a unit of length", source)
        return None
    size = [number * factor for number, factor in zip(numbers, factors, strict=True) if factor is not None]
    if not all(math.isfinite(s) and PLAUSIBLE_PIXEL[0] <= s <= PLAUSIBLE_PIXEL[1] for s in size):
        _doubt("pixel size", text, "is not one an electron microscope can have", source)
        return None
    if max(size) / min(size) > PLAUSIBLE_ANISOTROPY:
        _doubt("pixel size", text, "is too far from square", source)
        return None
    return float(size[0]), float(size[1])


def read_frame_time(value: object, unit: str | None, source: str) -> float | None:
    """A file's frame time in seconds; None, with a `CalibrationWarning`, where it cannot be believed."""
    number, factor = _number(value), _factor(unit, _SECONDS)
    text = f"{_said(value)} {unit or ''}".strip()
    if factor is None:
        _doubt("frame time", text, "is not in a unit of time", source)
        return None
    if not (math.isfinite(number) and number > 0):
        _doubt("frame time", text, "is not positive and finite", source)
        return None
    return float(number * factor)


def _doubt(what: str, text: str, why: str, source: str) -> None:
    argument = what.replace(" ", "_")
    warnings.warn(
        f"The {what} in {source} ({text}) {why}: it counts as unknown. Give it with {argument}=…",
        CalibrationWarning,
        stacklevel=4,
    )


def given_pixel_size(value: float | Sequence[float]) -> tuple[float, float]:
    """A pixel size that a person gives: one number or (y, x) [nm].

    Raises
    ------
    InputError
        If it is not one or two positive numbers within `PLAUSIBLE_PIXEL`.
    """
    low, high = PLAUSIBLE_PIXEL
    try:
        size = [float(value)] * 2 if isinstance(value, int | float | str) else [float(v) for v in value]
        good = len(size) == 2 and all(low <= s <= high for s in size)
    except (TypeError, ValueError):
        good = False
    if not good:
        raise InputError(
            f"a pixel size of one number or (y, x) between {low:g} and {high:g} nm",
            repr(value),
            "Give the length of a pixel's side in nanometres, for example pixel_size=0.025.",
        )
    return size[0], size[1]


def given_frame_time(value: float) -> float:
    """A frame time that a person gives [s]; InputError unless positive and finite."""
    if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
        raise InputError("a positive frame time in seconds", repr(value), "Give for example frame_time=0.5.")
    return float(value)
