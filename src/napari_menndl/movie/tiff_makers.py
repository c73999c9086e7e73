"""Private TIFF tags of microscope software with pixel size and acquisition metadata, and OME-XML."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.etree import ElementTree

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_menndl.movie.metadata import Facts

#: Height and width of a pixel and their units, (y, x) each.
PixelSides: TypeAlias = "tuple[tuple[object, object], tuple[str, str]]"

_MAKE, _RESOLUTION_X, _RESOLUTION_Y, _RESOLUTION_UNIT = 271, 282, 283, 296
#: Units of length by the value of TIFF's ResolutionUnit.
RESOLUTION_UNITS = {2: "inch", 3: "cm"}


@dataclass(frozen=True)
class Maker:
    """Private tags of one manufacturer's software.

    Attributes
    ----------
    name : str
    sides : callable
        ``sides(about, width)`` returns height and width of a pixel, None if not in the tags; `width` [px] of the image.
    facts : callable
        ``facts(about)`` returns the acquisition metadata.
    """

    name: str
    sides: Callable[[dict[str, Any], int], PixelSides | None]
    facts: Callable[[dict[str, Any]], Facts]


def private_tags(tiff: Any, tags: dict[int, Any]) -> tuple[Maker, dict[str, Any]] | None:
    """Return the manufacturer of an open tifffile file and the contents of its tags; None for other software."""
    for maker, read in (
        (FEI, lambda: tiff.fei_metadata),
        (ZEISS, lambda: tiff.sem_metadata),
        (TVIPS, lambda: tiff.tvips_metadata),
        (OLYMPUS, lambda: tiff.sis_metadata),
        (JEOL, lambda: _jeol(tags)),
    ):
        try:
            about = read()
        except Exception:  # unreadable tags do not make the frames unreadable
            continue
        if about:
            return maker, dict(about)
    return None


def _section(about: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the first of several sections that exists."""
    return next((about[name] for name in names if isinstance(about.get(name), dict)), {})


def _fei_sides(about: dict[str, Any], width: int) -> PixelSides | None:
    for name in ("Scan", "EScan", "IScan"):
        scan = _section(about, name)
        if scan.get("PixelWidth") and scan.get("PixelHeight"):
            return (scan["PixelHeight"], scan["PixelWidth"]), ("m", "m")
    image = _section(about, "Image")
    for name in ("EBeam", "IBeam", "IRBeam"):
        beam = _section(about, name)
        if beam.get("HFW") and beam.get("VFW") and image.get("ResolutionX") and image.get("ResolutionY"):
            height, across = beam["VFW"] / image["ResolutionY"], beam["HFW"] / image["ResolutionX"]
            return (height, across), ("m", "m")
    return None


def _fei_facts(about: dict[str, Any]) -> Facts:
    beam, scan = _section(about, "EBeam", "Beam", "IBeam"), _section(about, "Scan", "EScan", "IScan")
    system, user = _section(about, "System"), _section(about, "User")
    detector = _section(about, str(_section(about, "Detectors").get("Name", "")))
    return {
        "detector": _section(about, "Detectors").get("Name") or detector.get("Signal"),
        "beam_energy": (beam.get("HV") or _section(about, "Beam").get("HV"), "V"),
        "dwell_time": (scan.get("Dwelltime") or scan.get("Dwell"), "s"),
        "beam_current": (beam.get("BeamCurrent"), "A"),
        "instrument": system.get("SystemType") or system.get("Type"),
        "acquired": _joined(user.get("Date"), user.get("Time")),
    }


def _zeiss_sides(about: dict[str, Any], width: int) -> PixelSides | None:
    for name in ("ap_image_pixel_size", "ap_pixel_size"):
        if name in about:
            value, unit = _zeiss(about, name)
            return (value, value), (unit, unit)
    unnamed = about.get("", ())
    # The fourth of the numbers without a name is the pixel size [m] of an image 1024 px wide.
    if len(unnamed) > 3 and isinstance(unnamed[3], int | float) and unnamed[3]:
        side = unnamed[3] * 1024 / width
        return (side, side), ("m", "m")
    return None


def _zeiss_facts(about: dict[str, Any]) -> Facts:
    magnification, unit = _zeiss(about, "ap_mag")
    return {
        "detector": _zeiss_text(about, "dp_detector_channel") or _zeiss_text(about, "dp_detector_type"),
        "beam_energy": _zeiss(about, "ap_actualkv" if "ap_actualkv" in about else "ap_manualkv"),
        "dwell_time": _zeiss(about, "dp_dwell_time"),
        "beam_current": _zeiss(about, "ap_iprobe"),
        "magnification": (magnification, "kx" if unit.replace(" ", "").lower() == "kx" else "×"),
        "instrument": _zeiss_text(about, "dp_sem") or _zeiss_text(about, "sv_serial_number"),
        "acquired": _joined(_zeiss_text(about, "ap_date"), _zeiss_text(about, "ap_time")),
    }


def _zeiss_text(about: dict[str, Any], name: str) -> str:
    """Return a text entry; empty if missing."""
    return str(about[name][1]) if len(about.get(name, ())) > 1 else ""


def _zeiss(about: dict[str, Any], name: str) -> tuple[Any, str]:
    """Return number and unit of an entry, a tuple of its title, value and optional unit."""
    _, value, unit = (*about.get(name, ()), None, None, None)[:3]
    number = re.fullmatch(r"\s*([-+.\deE]+)\s+(\S.*?)\s*", value) if isinstance(value, str) else None
    return (number[1], number[2]) if number else (value, str(unit or ""))


#: Value of ``TemMode`` in TVIPS files that stands for diffraction.
_TVIPS_DIFFRACTION = 3


def _tvips_sides(about: dict[str, Any], width: int) -> PixelSides | None:
    if not about.get("PixelSizeX") or not about.get("PixelSizeY"):
        return None
    unit = "1/nm" if about.get("TemMode") == _TVIPS_DIFFRACTION else "nm"
    return (about["PixelSizeY"], about["PixelSizeX"]), (unit, unit)


def _tvips_facts(about: dict[str, Any]) -> Facts:
    diffraction = about.get("TemMode") == _TVIPS_DIFFRACTION
    return {
        "detector": about.get("CameraType"),
        "beam_energy": (about.get("TemHighTension"), "V"),
        "exposure_time": (about.get("ExposureTime"), "ms"),
        "magnification": (None if diffraction else about.get("TemMagnification"), "×"),
        "instrument": about.get("TemType"),
        "acquired": _tvips_date(int(about.get("Date") or 0), int(about.get("Time") or 0)),
    }


def _tvips_date(date: int, seconds: int) -> str:
    """Format TVIPS' date (year, month and day packed as 16 + 8 + 8 bits) and time (seconds since midnight)."""
    year, month, day = date >> 16, date >> 8 & 255, date & 255
    if not (1980 <= year <= 2200 and 1 <= month <= 12 and 1 <= day <= 31):
        return ""
    clock = f" {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}" if 0 < seconds < 86400 else ""
    return f"{year}-{month:02}-{day:02}{clock}"


def _olympus_sides(about: dict[str, Any], width: int) -> PixelSides | None:
    if not about.get("pixelsizex") or not about.get("pixelsizey"):
        return None
    return (about["pixelsizey"], about["pixelsizex"]), ("m", "m")


def _olympus_facts(about: dict[str, Any]) -> Facts:
    return {
        "detector": about.get("cameraname"),
        "magnification": (about.get("magnification"), "×"),
        "acquired": str(about.get("datetime") or ""),
    }


def _jeol(tags: dict[int, Any]) -> dict[str, Any] | None:
    """Return JEOL SightX' XML report from the image description, with the resolution on the camera."""
    if not str(tags.get(_MAKE, "")).startswith("JEOL"):
        return None
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", str(tags.get(270, "")))
    report = ElementTree.fromstring(text.strip())
    about: dict[str, Any] = {"/".join(names): text for names, text in _leaves(report, ())}
    about["unit"] = RESOLUTION_UNITS.get(int(tags.get(_RESOLUTION_UNIT, 1)), "")
    about["on camera"] = length_of(tags.get(_RESOLUTION_Y)), length_of(tags.get(_RESOLUTION_X))
    return about


def _leaves(element: ElementTree.Element, names: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    if not len(element):
        return [(names, (element.text or "").strip())]
    return [leaf for child in element for leaf in _leaves(child, (*names, child.tag))]


def _jeol_sides(about: dict[str, Any], width: int) -> PixelSides | None:
    mode = about.get("Eos/EosMode"), about.get("ImageFormingSystem/ModeString")
    if mode != ("eosTEM", "MAG"):  # the meaning of the resolution is unknown for scanned images
        return (math.nan, math.nan), ("", "")
    magnification = about.get("ImageFormingSystem/SelectorValue", "")
    units = about["unit"], about["unit"]
    y, x = about["on camera"]
    try:
        return (y / float(magnification), x / float(magnification)), units
    except (ValueError, ZeroDivisionError):
        return (f"{y:g} / {magnification}", f"{x:g} / {magnification}"), units


def _jeol_facts(about: dict[str, Any]) -> Facts:
    magnified = about.get("ImageFormingSystem/ModeString") != "DIFF"
    selected = about.get("ImageFormingSystem/SelectorValue")
    return {
        "beam_energy": (about.get("ElectronGun/AccelerationVoltage"), "V"),
        "magnification": (selected if magnified else None, "×"),
        "camera_length": (None if magnified else selected, about.get("ImageFormingSystem/SelectorUnitString")),
        "instrument": about.get("Instruments"),
    }


FEI = Maker("FEI/Thermo", _fei_sides, _fei_facts)
ZEISS = Maker("Zeiss", _zeiss_sides, _zeiss_facts)
TVIPS = Maker("TVIPS", _tvips_sides, _tvips_facts)
OLYMPUS = Maker("Olympus SIS", _olympus_sides, _olympus_facts)
JEOL = Maker("JEOL", _jeol_sides, _jeol_facts)


def length_of(resolution: tuple[int, int] | None) -> float:
    """Return the length per pixel of a TIFF resolution (a fraction of pixels per length); NaN if missing."""
    if not resolution or not resolution[0]:
        return math.nan
    return resolution[1] / resolution[0]


def ome_description(xml: str, image: int) -> str:
    """Return the description of an image in OME-XML; empty if missing."""
    images = [element for element in ElementTree.fromstring(xml) if _name(element) == "Image"]
    texts = [part.text for one in images[image : image + 1] for part in one if _name(part) == "Description"]
    return next((text for text in texts if text), "")


def ome_facts(xml: str, image: int) -> Facts:
    """Return the acquisition metadata of an image in OME-XML."""
    root = ElementTree.fromstring(xml)
    # References have the same ID as the element they refer to.
    named = (element for element in root.iter() if not _name(element).endswith(("Settings", "Ref")))
    by_id = {element.get("ID"): element for element in named if element.get("ID")}
    images = [element for element in root if _name(element) == "Image"]
    if not images:
        return {}
    about = images[image if image < len(images) else 0]
    parts = {_name(element): element for element in reversed(list(about.iter()))}  # keeps the first of each name

    def known(reference: str) -> dict[str, str]:
        element = parts.get(reference)
        found = None if element is None else by_id.get(element.get("ID"))
        return {} if found is None else dict(found.attrib)

    instrument = None if "InstrumentRef" not in parts else by_id.get(parts["InstrumentRef"].get("ID"))
    microscope = next((one.attrib for one in instrument or () if _name(one) == "Microscope"), {})
    detector, plane = known("DetectorSettings"), {} if "Plane" not in parts else parts["Plane"].attrib
    date = parts.get("AcquisitionDate")
    return {
        "detector": _joined(detector.get("Manufacturer"), detector.get("Model")),
        "exposure_time": (plane.get("ExposureTime"), plane.get("ExposureTimeUnit", "s")),
        "magnification": (known("ObjectiveSettings").get("NominalMagnification"), "×"),
        "instrument": _joined(microscope.get("Manufacturer"), microscope.get("Model")),
        "acquired": None if date is None else date.text,
    }


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _joined(*parts: object) -> str:
    return " ".join(str(part) for part in parts if part)
