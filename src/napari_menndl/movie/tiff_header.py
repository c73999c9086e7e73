"""TIFF headers: descriptions by ImageJ, OME and HyperSpy, private tags of microscopes, plain tags."""

from __future__ import annotations

import json
import math
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from napari_menndl.errors import InputError
from napari_menndl.movie.calibration import (
    CalibrationWarning,
    has_unit,
    read_frame_time,
    read_pixel_size,
    seconds_in,
    unknown_on_error,
)
from napari_menndl.movie.metadata import RECORDING, Metadata, read_metadata, written_metadata
from napari_menndl.movie.tiff_makers import RESOLUTION_UNITS, Maker, length_of, ome_description, ome_facts, private_tags

if TYPE_CHECKING:
    from pathlib import Path

    import tifffile

_NODATA = 42113


@dataclass(frozen=True)
class Header:
    """Tags of the first page, and the metadata that programs store in them.

    Attributes
    ----------
    tags : dict of code to value
    imagej : dict
        Empty if ImageJ did not write the file.
    ome : str or None
        XML.
    private : tuple of Maker and dict, or None
        Manufacturer of the microscope, and the contents of its private tags.
    width : int [px]
    """

    tags: dict[int, Any] = field(default_factory=dict)
    imagej: dict[str, Any] = field(default_factory=dict)
    ome: str | None = None
    private: tuple[Maker, dict[str, Any]] | None = None
    width: int = 1

    @property
    def fill(self) -> float | None:
        """Value that marks pixels without a measurement (GDAL's tag), or None."""
        try:
            return float(self.tags[_NODATA])
        except (KeyError, ValueError, TypeError):
            return None

    def absent_files(self, folder: Path) -> list[str]:
        """Return the names of the files of an OME set that are missing."""
        names = dict.fromkeys(re.findall(r'\bFileName="([^"]+)"', self.ome or ""))
        return [name for name in names if not (folder / name).is_file()]

    def check_files(self, source: str) -> None:
        """Check that all files of an OME set lie in the folder of this one, or below it.

        Raises
        ------
        InputError
            If a file name leads out of the folder: an untrusted file must not open other files.
        """
        for name in self._files_named():
            # Checked on every system, since Windows also separates folders with backslashes.
            first, *others = name.replace("\\", "/").split("/")
            if ".." in (first, *others) or not first or re.fullmatch("[A-Za-z]:.*", first):
                raise InputError(
                    f"an OME-TIFF file whose parts lie in its own folder, {source}",
                    f"one that names {name!r}",
                    "Copy the parts beside it and have it name them so, or save the frames as one file.",
                )

    def _files_named(self) -> list[str]:
        """Return the other files of the set that OME-XML names, which would be opened with this one."""
        try:
            root = ElementTree.fromstring(self.ome or "<none/>")
        except ElementTree.ParseError:
            return []
        own, named = root.get("UUID"), []
        for element in root.iter():
            kind = element.tag.rpartition("}")[2]
            if kind == "UUID" and element.text != own:
                named.append(element.get("FileName", "part"))
            elif kind == "BinaryOnly":
                named.append(element.get("MetadataFile", "part"))
        return named

    @property
    def main_file(self) -> str | None:
        """File with the description of the whole set, if this one only refers to it; otherwise None."""
        found = re.search(r'<(?:\w+:)?BinaryOnly\b[^>]*\bMetadataFile="([^"]+)"', self.ome or "")
        return found.group(1) if found else None


def header_of(tiff: tifffile.TiffFile) -> Header:
    """Read the header of an open file, without damaged parts."""
    tags = {}
    for tag in tiff.pages.first.tags:
        try:
            tags[tag.code] = tag.value
        except Exception:  # an unreadable tag does not make the frames unreadable
            continue
    try:
        imagej = dict(tiff.imagej_metadata or {})
    except Exception:  # nor does unreadable ImageJ metadata
        imagej = {}
    page = tiff.pages.first
    private = private_tags(tiff, tags)
    return Header(tags, imagej, page.description if page.is_ome else None, private, max(page.imagewidth, 1))


def scale_of(header: Header, source: str, image: int = 0) -> tuple[tuple[float, float] | None, float | None]:
    """Return pixel size (y, x) [nm] and frame time [s] of an image, None where unknown.

    Warns
    -----
    CalibrationWarning
        If the file's values are implausible or cannot be read.
    """
    return unknown_on_error(lambda: _scale(header, source, image), source)


def metadata_of(header: Header, source: str, image: int = 0) -> Metadata:
    """Return the acquisition metadata of an image.

    Warns
    -----
    CalibrationWarning
        If the file's values are implausible or cannot be read.
    """
    written = _written(header, image)
    if written is not None:
        return written_metadata(written, source)
    try:
        if header.ome:
            facts = ome_facts(header.ome, image)
        else:
            maker, about = header.private or (None, {})
            facts = {} if maker is None else maker.facts(about)
    except Exception as error:  # unexpected metadata must not make the frames unreadable
        warnings.warn(
            f"What {source} says of its recording cannot be read ({type(error).__name__}): it is left out.",
            CalibrationWarning,
            stacklevel=3,
        )
        return Metadata()
    return read_metadata(facts, source)


def _written(header: Header, image: int) -> Any:
    """Return the metadata that `write_movie` stored; None in files of other programs."""
    try:
        text = header.imagej.get(RECORDING) or (ome_description(header.ome, image) if header.ome else "")
        return json.loads(text)[RECORDING]
    except (ValueError, TypeError, KeyError, ElementTree.ParseError):
        return None


def _scale(header: Header, source: str, image: int) -> tuple[tuple[float, float] | None, float | None]:
    tags, imagej = header.tags, header.imagej
    if header.ome:
        return _ome(header.ome, source, image)
    frame_time = None
    if "finterval" in imagej:
        frame_time = read_frame_time(imagej["finterval"], imagej.get("tunit", "s"), source)
    if 65011 in tags and seconds_in(str(tags.get(65005))) is not None:  # DigitalMicrograph's third axis, often depth
        frame_time = read_frame_time(tags[65011], str(tags[65005]), source)
    if 65009 in tags and has_unit(str(tags.get(65003))):  # DigitalMicrograph's tags: x, then y
        values = tags.get(65010, math.nan), tags[65009]
        return read_pixel_size(values, (str(tags.get(65004)), str(tags[65003])), source), frame_time
    maker, about = header.private or (None, {})
    sides = None if maker is None else maker.sides(about, header.width)
    if sides is not None:
        return read_pixel_size(*sides, source), frame_time
    size = length_of(tags.get(283)), length_of(tags.get(282))
    if imagej:
        unit = str(imagej.get("unit", ""))
        return read_pixel_size(size, (str(imagej.get("yunit", unit)), unit), source), frame_time
    unit = RESOLUTION_UNITS.get(int(tags.get(296, 1)), "")
    with warnings.catch_warnings():
        # Nearly every program writes 72 dots per inch, which is not a calibration and needs no warning.
        warnings.simplefilter("ignore")
        return read_pixel_size(size, (unit, unit), source), frame_time


def _ome(xml: str, source: str, image: int) -> tuple[tuple[float, float] | None, float | None]:
    images = [element for element in ElementTree.fromstring(xml) if element.tag.endswith("Image")]
    about = images[image if image < len(images) else 0]
    pixels = next(element for element in about if element.tag.endswith("Pixels")).attrib
    frame_time = None
    if "TimeIncrement" in pixels:
        frame_time = read_frame_time(pixels["TimeIncrement"], pixels.get("TimeIncrementUnit", "s"), source)
    if "PhysicalSizeX" not in pixels:
        return None, frame_time
    values = pixels.get("PhysicalSizeY", math.nan), pixels["PhysicalSizeX"]
    # The OME schema's default unit is the micrometre.
    units = pixels.get("PhysicalSizeYUnit", "µm"), pixels.get("PhysicalSizeXUnit", "µm")
    return read_pixel_size(values, units, source), frame_time
