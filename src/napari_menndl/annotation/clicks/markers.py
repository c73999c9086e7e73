"""Reading XML files of ImageJ's plugins: markers of Cell Counter, spots of TrackMate."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.parsers import expat

import pandas as pd

from napari_menndl.annotation.clicks.text import doubt
from napari_menndl.annotation.clicks.units import is_unit
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def read_markers(path: Path) -> pd.DataFrame:
    """Read markers of Cell Counter, or spots of TrackMate.

    Returns
    -------
    DataFrame
        For Cell Counter X, Y : float [px]; Slice (from 1) and Type of each marker. For TrackMate x, y : float; frame
        (from 0), and z if it is not constant.

    Raises
    ------
    InputError
        Another XML file, or a damaged one; one with a document type, whose entities could expand without limit.
    """
    try:
        root = _parsed(path.read_bytes())
        if root.tag not in _ROOTS:
            raise ValueError(f"<{root.tag}>")
        return _ROOTS[root.tag](root, path)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, ElementTree.ParseError, expat.ExpatError) as error:
        raise InputError(
            "markers of ImageJ's Cell Counter or spots of TrackMate as XML",
            f"{path}: {error}",
            "Save them again, or save a CSV table.",
        ) from error


def _parsed(data: bytes) -> ElementTree.Element:
    # Detected by the parser, not in the bytes, which may have any encoding.
    first = expat.ParserCreate()
    first.StartDoctypeDeclHandler = _refuse
    first.Parse(data, True)
    return ElementTree.fromstring(data)


def _refuse(*_: object) -> None:
    raise ValueError("a document type")


def _cell_counter(root: ElementTree.Element, path: Path) -> pd.DataFrame:
    rows = [
        (*(float(marker.findtext(f"Marker{axis}") or "nan") for axis in "XYZ"), _kind(kind))
        for kind in root.iter("Marker_Type")
        for marker in kind.iter("Marker")
    ]
    table = pd.DataFrame(rows, columns=["X", "Y", "Slice", "Type"])
    if table["Slice"].isna().all():
        del table["Slice"]
    table.attrs["unit"] = "px"
    return table


def _kind(element: ElementTree.Element) -> str:
    name, number = element.findtext("Name"), element.findtext("Type") or ""
    return (name or f"Type {number}").strip()


def _trackmate(root: ElementTree.Element, path: Path) -> pd.DataFrame:
    model = root.find("Model")
    found = [] if model is None else [(spots, spot) for spots in model.iter("SpotsInFrame") for spot in spots]
    if model is None or not found:
        raise ValueError("a TrackMate file without spots")
    shown = [(spots, spot) for spots, spot in found if spot.get("VISIBILITY", "1") not in ("0", "0.0")]
    if hidden := len(found) - len(shown):
        doubt(f"{hidden} of {len(found)} spots of {path} are left out: TrackMate's filters hide them.")
    rows = [
        (*(float(spot.get(f"POSITION_{axis}", "nan")) for axis in "XYZ"), spot.get("FRAME", spots.get("frame", "0")))
        for spots, spot in shown
    ]
    table = pd.DataFrame(rows, columns=["x", "y", "z", "frame"])
    if table["z"].nunique() < 2:
        del table["z"]
    image = root.find("Settings/ImageData")
    sizes = [0.0 if image is None else float(image.get(f"pixel{side}", 0)) for side in ("width", "height")]
    unit = model.get("spatialunits", "")
    if min(sizes) > 0:  # pixel size of the image in TrackMate's unit, whatever its name
        table[["x", "y"]] /= sizes
        unit = "px"
    elif not is_unit(unit):
        raise InputError(
            "the unit of TrackMate's spots, pixel or micron", f"{unit or 'none'!r} in {path}", "Save a CSV table."
        )
    table.attrs["unit"] = unit
    return table


_ROOTS = {"CellCounter_Marker_File": _cell_counter, "TrackMate": _trackmate}
