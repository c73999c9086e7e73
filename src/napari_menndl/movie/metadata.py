"""Acquisition metadata from files: instrument, detector, beam, times."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, get_type_hints

from napari_menndl.errors import InputError
from napari_menndl.movie.calibration import CalibrationWarning, seconds_in
from napari_menndl.serialization import check_types, decode, encode
from napari_menndl.settings import documented, setting, unit_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Metadata of a file by field of `Metadata`: a text, or a number and its unit.
Facts: TypeAlias = "Mapping[str, Any]"

#: Factors from units in files, in lower case without blanks, to the units of the fields.
_FACTORS: dict[str, dict[str, float]] = {
    "kV": {"kv": 1, "v": 1e-3, "kev": 1, "ev": 1e-3, "mv": 1e3},
    "pA": {"pa": 1, "na": 1e3, "µa": 1e6, "ua": 1e6, "a": 1e12},
    "e⁻/nm²": {"e/nm2": 1, "e/å2": 1e2, "e/a2": 1e2, "e/µm2": 1e-6, "e/um2": 1e-6, "e/m2": 1e-18},
    "mm": {"mm": 1, "cm": 10, "m": 1e3, "µm": 1e-3, "um": 1e-3},
    "mrad": {"mrad": 1, "rad": 1e3, "deg": 1e3 * math.pi / 180, "°": 1e3 * math.pi / 180},
    "×": {"": 1, "x": 1, "×": 1, "kx": 1e3},
}
_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
#: Key of the metadata in files from `write_movie`.
RECORDING = "recording"
#: Longest text kept.
_LONGEST = 200


@documented
@dataclass(frozen=True)
class Metadata:
    """How a movie was recorded, as far as its file says; None where it does not."""

    detector: str | None = setting(None, "Detector", note="Or the camera.")
    beam_energy: float | None = setting(None, "Beam energy", "kV", "Acceleration voltage.", min=0.01, max=5e3)
    dwell_time: float | None = setting(None, "Dwell time", "s", "Of the beam on a pixel.", min=1e-9, max=100)
    exposure_time: float | None = setting(None, "Exposure time", "s", "Of a frame of a camera.", min=1e-7, max=1e5)
    dose: float | None = setting(None, "Dose", "e⁻/nm²", "Electrons on an area in one frame.", min=1e-6, max=1e12)
    beam_current: float | None = setting(None, "Beam current", "pA", min=1e-4, max=1e9)
    convergence_angle: float | None = setting(None, "Convergence angle", "mrad", min=1e-4, max=1e3)
    camera_length: float | None = setting(None, "Camera length", "mm", min=1e-2, max=1e6)
    magnification: float | None = setting(None, "Magnification", "×", min=1e-2, max=1e10)
    instrument: str | None = setting(None, "Instrument", note="The microscope, as its program names it.")
    acquired: str | None = setting(None, "Acquired", note="Date and time in the words of the file.")

    def __post_init__(self) -> None:
        check_types(self)

    @property
    def lines(self) -> list[str]:
        """All known values, a line each: ``"Beam energy: 200 kV"``."""
        known = ((one, getattr(self, one.name)) for one in fields(self))
        return [
            f"{one.metadata['title']}: {value if isinstance(value, str) else amount(value, unit_of(one.metadata))}"
            for one, value in known
            if value is not None
        ]

    @property
    def line(self) -> str:
        """Summary in one line: ``"HAADF, 200 kV, 2 µs per pixel"``; empty if nothing is known."""
        said = [self.detector] if self.detector else []
        if self.beam_energy is not None:
            said.append(amount(self.beam_energy, "kV"))
        if self.dwell_time is not None:
            said.append(f"{amount(self.dwell_time, 's')} per pixel")
        if self.dose is not None:
            said.append(amount(self.dose, "e⁻/nm²"))
        return ", ".join(said)

    def to_json(self) -> dict[str, Any]:
        """Return the known values by name."""
        return {name: value for name, value in encode(self).items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Metadata:
        """Read what `to_json` returned; names added by newer versions are ignored.

        Raises
        ------
        InputError
            If a value has a wrong type or is outside its range.
        """
        metadata: Metadata = decode(cls, data, "recording metadata", lenient=True)
        return metadata


#: Metadata of a file without any.
UNKNOWN = Metadata()


def read_metadata(facts: Facts, source: str) -> Metadata:
    """Convert a file's metadata to the fields' units, without implausible values.

    Parameters
    ----------
    facts : mapping of str to str or (number or text of one, unit)
        None, an empty text and the number 0 count as unknown.
    source : str
        Named in the warning.

    Warns
    -----
    CalibrationWarning
        For numbers in an unknown unit or outside the plausible range, which are left out.
    """
    known: dict[str, Any] = {}
    doubts = []
    for name, fact in facts.items():
        title, unit, low, high = _fields()[name]
        if isinstance(fact, tuple):
            number, said = fact
            value = _number(number)
            if value is None or value == 0:
                continue
            factor = _factor(str(said or ""), unit)
            converted = math.nan if factor is None else value * factor
            if low <= converted <= high:
                known[name] = converted
            else:
                doubts.append(f"{title} ({value:g} {said})".replace(" )", ")"))
        elif text := _text(fact):
            known[name] = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    if doubts:
        cannot = "it is left out" if len(doubts) == 1 else "they are left out"
        warnings.warn(
            f"{source} gives a {' and a '.join(doubts)} that no microscope has: {cannot}.",
            CalibrationWarning,
            stacklevel=3,
        )
    return Metadata(**known)


def written_metadata(data: Any, source: str) -> Metadata:
    """Read the metadata that `write_movie` stored; empty, with a warning, if they are damaged."""
    try:
        return Metadata.from_json(data)
    except (InputError, AttributeError) as error:
        warnings.warn(
            f"How {source} was recorded cannot be read ({error}): it is left out.", CalibrationWarning, stacklevel=3
        )
        return UNKNOWN


def common(several: Iterable[Metadata]) -> Metadata:
    """Return the metadata that all parts of a movie share, and the first date."""
    first, *others = several
    same = {
        name: value
        for name, value in first.to_json().items()
        if name == "acquired" or all(getattr(one, name) == value for one in others)
    }
    return Metadata(**same)


def amount(value: float, unit: str) -> str:
    """Format a number with its unit, seconds with a prefix: ``"2 µs"``."""
    if unit == "s" and 0 < value < 1:
        factor, prefix = next((one for one in _PREFIXES if value >= one[0] * 0.9995), _PREFIXES[-1])
        return f"{value / factor:.4g} {prefix}s"
    number = f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
    return f"{number} {unit}".strip()


@cache
def _fields() -> dict[str, tuple[str, str, float, float]]:
    """Return title in lower case, unit and range of each field."""
    hints = get_type_hints(Metadata)
    return {
        one.name: (
            one.metadata["title"].lower(),
            "" if hints[one.name] == (str | None) else one.metadata["unit"],
            one.metadata.get("min", -math.inf),
            one.metadata.get("max", math.inf),
        )
        for one in fields(Metadata)
    }


def _text(value: Any) -> str:
    """Convert a text from a file, possibly bytes, to a single line; empty for None."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return "" if value is None else " ".join(str(value).replace("\0", " ").split())


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


def _factor(said: str, unit: str) -> float | None:
    if unit == "s":
        return seconds_in(said)
    plain = said.lower().replace(" ", "").replace("\u03bc", "µ").replace("²", "2").replace("^", "").replace("⁻", "")
    return _FACTORS[unit].get(plain.replace("e-/", "e/"))
