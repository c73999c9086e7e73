"""JEOL's text file beside an image: pixel size and acquisition metadata for images without their own."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.movie.calibration import GIVE_PIXEL_SIZE, CalibrationWarning, read_pixel_size, unknown_on_error
from napari_menndl.movie.metadata import UNKNOWN, Metadata, read_metadata

if TYPE_CHECKING:
    from pathlib import Path

_SUFFIXES = (".txt", ".TXT", ".Txt")
#: Bytes read of the text file.
_LONGEST = 1 << 20
#: A length in such a file: "500nm", "0.1 µm".
_LENGTH = re.compile(r"\s*([\d.,eE+-]+)\s*([^\d\s]+)\s*")
#: Relative difference up to which pixel sizes agree: the scale bar drawn into an image has a whole number of pixels.
_AGREE = 0.03


def entries_beside(path: Path) -> tuple[str, dict[str, str]]:
    """Return name and entries of the JEOL text with the same stem as an image; empty if there is none.

    Entry names lack their leading ``$``, of which programs write one or two: ``CM_MAG``, ``SM_MICRON_BAR``.
    """
    for beside in (path.with_suffix(suffix) for suffix in _SUFFIXES):
        try:
            if not beside.is_file():
                continue
            with beside.open("rb") as file:
                content = file.read(_LONGEST)
        except OSError as error:
            warnings.warn(
                f"{beside.name}, beside {path.name}, cannot be read: {error}", CalibrationWarning, stacklevel=3
            )
            continue
        if b"$CM_" in content.replace(b"\0", b""):
            lines = (re.match(r"\s*\$+(\w+)[ \t]*(.*)", line) for line in _decoded(content).splitlines())
            return beside.name, {line[1].upper(): line[2].strip() for line in lines if line}
    return "", {}


def _decoded(content: bytes) -> str:
    for encoding in ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def with_sidecar(
    path: Path, width: int, pixel_size: tuple[float, float] | None, metadata: Metadata
) -> tuple[tuple[float, float] | None, Metadata]:
    """Complete an image's pixel size and metadata with those of the text file beside it.

    Parameters
    ----------
    path : Path
        Path of the image.
    width : int [px]
        Width of the image; the text gives the width of the image it describes.
    pixel_size : (y, x) float [nm] or None
    metadata : Metadata

    Warns
    -----
    CalibrationWarning
        If the two disagree, in which case the image file takes precedence, or if the text is implausible.
    """
    name, about = entries_beside(path)
    if not about:
        return pixel_size, metadata
    beside, _ = unknown_on_error(lambda: (_pixel_size(about, width, name), None), name)
    if pixel_size and beside and not np.allclose(pixel_size, beside, rtol=_AGREE):
        warnings.warn(
            f"The pixel size in {path.name} ({pixel_size[1]:.4g} nm) is not that in {name} ({beside[1]:.4g} nm): "
            f"that in {path.name} counts. Give another with pixel_size=… (--pixel-size)",
            CalibrationWarning,
            stacklevel=4,
        )
    facts = {
        "detector": about.get("FE_DETECTOR_NAME") or about.get("CM_SIGNAL"),
        "beam_energy": (about.get("CM_ACCEL_VOLT"), "kV"),
        "magnification": (about.get("CM_MAG"), "×"),
        "instrument": about.get("CM_INSTRUMENT"),
        "acquired": f"{about.get('CM_DATE', '')} {about.get('CM_TIME', '')}",
    }
    known = read_metadata(facts, name)
    both = Metadata(**{**known.to_json(), **metadata.to_json()}) if metadata != UNKNOWN else known
    return pixel_size or beside, both


def _pixel_size(about: dict[str, str], width: int, source: str) -> tuple[float, float] | None:
    """Return the pixel size (y, x) [nm] in the text; None, with a warning, if it is of another image."""
    values: tuple[object, object]
    if about.get("CM_SIGNAL", "").upper().startswith("DIFF"):
        return None  # a diffraction pattern has no pixel size in nm
    if "CM_PIXEL_SIZE" in about:
        lengths = _LENGTH.findall(about["CM_PIXEL_SIZE"])[:2]  # x, and y where they differ
        (y, y_unit), (x, x_unit) = lengths[-1], lengths[0]
        values, units = (y, x), (y_unit, x_unit)
    elif "EM_PIXELSPERMETER_X" in about:
        per_metre = about.get("EM_PIXELSPERMETER_Y", ""), about["EM_PIXELSPERMETER_X"]
        y, x = (1 / float(value) for value in per_metre)
        values, units = (y, x), ("m", "m")
    elif "SM_MICRON_BAR" in about:
        (marker, unit), bar = _LENGTH.findall(about.get("SM_MICRON_MARKER", ""))[0], float(about["SM_MICRON_BAR"])
        values, units = (float(marker) / bar, float(marker) / bar), (unit, unit)
    else:
        return None
    sizes = (about.get(key) for key in ("CM_FULL_SIZE", "CM_FRAME_SIZE", "CM_IMAGE_SIZE", "CM_IMAGE_RES"))
    described = next((int(size[1]) for text in sizes if text and (size := re.match(r"(\d+)\D", text))), width)
    if described != width:
        warnings.warn(
            f"The pixel size in {source} is that of an image {described} px wide, and this one has {width} px: it "
            f"counts as unknown. {GIVE_PIXEL_SIZE}",
            CalibrationWarning,
            stacklevel=5,
        )
        return None
    return read_pixel_size(values, units, source)
