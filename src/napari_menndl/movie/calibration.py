"""Pixel size and frame time from files, with checks of their plausibility."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Range of pixel sizes of a STEM [nm]; values outside are errors in the file.
PLAUSIBLE_PIXEL = (1e-4, 1e3)
#: Largest ratio of a pixel's sides; larger ones are errors in the file.
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


#: How to tell the pixel size of a movie whose file does not.
GIVE_PIXEL_SIZE = "Give it with pixel_size=… (--pixel-size)"


class CalibrationWarning(UserWarning):
    """A file's pixel size or frame time is implausible and counts as unknown."""


def _plain(unit: str | None) -> str:
    # ImageJ escapes the micro sign; Unicode has two code points for it, and two for Å.
    text = (unit or "").strip().lower().replace("\\u00b5", "µ").replace("\\u00c5", "å")
    return text.replace("\u03bc", "µ").replace("a\u030a", "å")


def _factor(unit: str | None, table: dict[float, tuple[str, ...]]) -> float | None:
    plain = _plain(unit)
    return next((factor for factor, names in table.items() if plain in names), None)


def has_unit(unit: str | None) -> bool:
    """Whether a file's unit is meaningful: "pixel" and the empty string are not."""
    return _plain(unit) not in _NO_UNIT


def unit_in_nm(unit: str | None) -> float | None:
    """Return a unit of length in nanometres; None if it is not one."""
    return _factor(unit, _NANOMETRES)


def seconds_in(unit: str | None) -> float | None:
    """Return a unit of time in seconds; None if it is not one."""
    return _factor(unit, _SECONDS)


def unknown_on_error(
    read: Callable[[], tuple[tuple[float, float] | None, float | None]], source: str
) -> tuple[tuple[float, float] | None, float | None]:
    """Return pixel size and frame time from `read`; unknown, with a `CalibrationWarning`, if it fails."""
    try:
        return read()
    except Exception as error:  # unexpected metadata must not make the frames unreadable
        why = f"cannot be read, {type(error).__name__}"
        _doubt("pixel size", str(error), why, source)
        _doubt("frame time", str(error), why, source)
        return None, None


def _number(value: object) -> float:
    """Convert a number or the text of one to float; NaN for anything else."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def _as_text(value: object) -> str:
    number = _number(value)
    return repr(value) if math.isnan(number) and isinstance(value, str) else f"{number:g}"


def read_pixel_size(values: Sequence[object], units: Sequence[str | None], source: str) -> tuple[float, float] | None:
    """Convert a file's pixel size to nanometres, if it is plausible.

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
        None, with a `CalibrationWarning`, for unknown units, for anything but a finite, positive number within
        `PLAUSIBLE_PIXEL`, and for pixels less square than `PLAUSIBLE_ANISOTROPY`; without a warning if the file gives a
        length of 1 without a unit, or counts in pixels.
    """
    numbers = [_number(value) for value in values]
    text = " × ".join(f"{_as_text(value)} {unit or ''}".strip() for value, unit in zip(values, units, strict=True))
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
    """Convert a file's frame time to seconds; None, with a `CalibrationWarning`, if it is implausible."""
    number, factor = _number(value), _factor(unit, _SECONDS)
    text = f"{_as_text(value)} {unit or ''}".strip()
    if factor is None:
        _doubt("frame time", text, "is not in a unit of time", source)
        return None
    if not (math.isfinite(number) and number > 0):
        _doubt("frame time", text, "is not positive and finite", source)
        return None
    return float(number * factor)


def _doubt(what: str, text: str, why: str, source: str) -> None:
    give = GIVE_PIXEL_SIZE if what == "pixel size" else f"Give it in Python with {what.replace(' ', '_')}=…"
    warnings.warn(
        f"The {what} in {source} ({text}) {why}: it counts as unknown. {give}",
        CalibrationWarning,
        stacklevel=4,
    )


def given_pixel_size(value: float | Sequence[float]) -> tuple[float, float]:
    """Check a pixel size given by the user: one number or (y, x) [nm].

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
    """Check a frame time given by the user [s]; InputError unless positive and finite."""
    if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
        raise InputError("a positive frame time in seconds", repr(value), "Give for example frame_time=0.5.")
    return float(value)
