"""Reading points and outlines of other programs: ImageJ's ROIs, QuPath's objects; and the readers by suffix."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_menndl.annotation.clicks.markers import read_markers
from napari_menndl.annotation.clicks.shapes import centre_of, warn_of_centres
from napari_menndl.annotation.clicks.text import doubt
from napari_menndl.annotation.clicks.workbook import read_workbook
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Larger ROIs in a .zip are refused; without an embedded image a ROI has a few hundred bytes, and eight for a point
#: [bytes].
LARGEST_ROI = 1 << 24


def read_imagej_rois(path: Path) -> pd.DataFrame:
    """Read ImageJ's .roi, or a .zip of the ROI Manager: points unchanged, areas as their centres.

    Returns
    -------
    DataFrame
        X, Y : float [px]; Slice and Frame (from 1), Counter and Group if any ROI has them.

    Raises
    ------
    InputError
        An unreadable file, lines or text among the ROIs, ROIs partly with and partly without a position in the stack;
        or if the package roifile is not installed.
    """
    try:
        from roifile import ImagejRoi
    except ImportError:
        raise InputError(
            f"the package roifile, which reads {path.name}",
            "no such package",
            "Install napari-menndl[annotations], or save ImageJ's results as CSV: Analyze > Measure.",
        ) from None
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as file:
                rois = [(part.filename, ImagejRoi.frombytes(file.read(part))) for part in _members(file, path)]
        else:
            rois = [(path.name, ImagejRoi.frombytes(path.read_bytes()))]
    except InputError:
        raise
    except Exception as error:  # roifile raises errors of many kinds for damaged files
        raise InputError("ImageJ's ROIs as .roi or .zip", f"{path}: {error}", "Save them again.") from error
    if not rois:
        raise InputError("ImageJ's ROIs in a .zip", f"{path} without any", "Save it from the ROI Manager.")
    table = pd.concat([_of_roi(roi, name, path) for name, roi in rois], ignore_index=True)
    if areas := sum(roi.roitype.name != "POINT" for _, roi in rois):
        warn_of_centres(areas, str(path))
    for column in ("Slice", "Frame", "Counter", "Group"):
        if not table[column].any():
            del table[column]
    for column in {"Slice", "Frame"} & set(table):
        if not table[column].all():
            raise InputError(
                f"ROIs of which each has its {column.lower()} in the stack",
                f"{(table[column] == 0).sum()} of {len(table)} points of {path} without one",
                "Set their position in the ROI Manager (Properties).",
            )
    table.attrs["unit"] = "px"
    return table


def _members(file: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    """Return the ROIs in a .zip, without what macOS adds to it; say which other files it has.

    Raises
    ------
    InputError
        For a ROI that is too large to be one.
    """
    parts = [part for part in file.infolist() if not part.is_dir() and not part.filename.startswith("__MACOSX/")]
    rois = [part for part in parts if part.filename.lower().endswith(".roi")]
    if large := [part for part in rois if part.file_size > LARGEST_ROI]:
        raise InputError(
            f"ROIs of up to {LARGEST_ROI >> 20} MB in {path}",
            f"{large[0].filename} of {large[0].file_size / (1 << 20):.0f} MB",
            "Remove it in the ROI Manager, or save it without an image in it.",
        )
    if others := [part.filename for part in parts if part not in rois]:
        some = ", ".join(others[:3]) + (" …" if len(others) > 3 else "")
        doubt(f"{len(others)} of {len(parts)} files in {path} are no ROIs (.roi), and left out: {some}.")
    return rois


def _of_roi(roi: Any, name: str, path: Path) -> pd.DataFrame:
    kind = roi.roitype.name
    if kind == "POINT":
        places = np.asarray(roi.coordinates(), float)
    elif kind in ("OVAL", "RECT", "POLYGON", "FREEHAND", "TRACED") and roi.subtype.name in (
        *("UNDEFINED", "ELLIPSE", "ROTATED_RECT", "ROTATED_TEXT"),
    ):
        # ImageJ measures outlines from the edge of the first pixel, half a pixel before its centre.
        places = (_centre(roi) - 0.5)[None]
    else:
        raise InputError(
            f"points, or shapes with an inside, in {path}",
            f"{name}, {kind.lower()} ({roi.subtype.name.lower()})",
            "Remove it in the ROI Manager.",
        )
    positions = roi.counter_positions if roi.counter_positions is not None and roi.counter_positions.any() else None
    table = pd.DataFrame(places, columns=["X", "Y"])
    table["Slice"] = (roi.position or roi.z_position) if positions is None else positions.astype(int)
    table["Frame"] = int(roi.t_position)
    table["Counter"] = 0 if roi.counters is None else roi.counters.astype(int)
    table["Group"] = int(roi.group)
    return table


def _centre(roi: Any) -> npt.NDArray[np.float64]:
    if roi.integer_coordinates is not None:
        return centre_of(np.asarray(roi.coordinates(), float))
    if roi.subpixelrect and roi.roitype.name in ("OVAL", "RECT"):
        return np.array([roi.xd + roi.widthd / 2, roi.yd + roi.heightd / 2])
    return np.array([roi.left + roi.right, roi.top + roi.bottom]) / 2


def read_geojson(path: Path) -> pd.DataFrame:
    """Read annotations and detections of QuPath as GeoJSON: points unchanged, areas as their centres.

    Returns
    -------
    DataFrame
        x, y : float [px]; t, z (from 0), class and name if any object has them.

    Raises
    ------
    InputError
        Another JSON file, lines among the objects.
    """
    rows: list[dict[str, Any]] = []
    areas = parts = 0
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        features = content["features"] if isinstance(content, dict) and "features" in content else content
        for feature in features if isinstance(features, list) else [features]:
            kind, places = _places(feature["geometry"])
            areas += kind.endswith("Polygon")
            parts += len(feature["geometry"]["coordinates"]) - 1 if kind == "MultiPolygon" else 0
            rows += [{"x": x, "y": y, **_about(feature)} for x, y in places]
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError, AttributeError) as error:
        raise InputError(
            "objects of QuPath as GeoJSON",
            f"{path}: {type(error).__name__}: {error}",
            "Export them again (File > Export objects as GeoJSON).",
        ) from error
    if areas:
        warn_of_centres(areas, str(path))
    if parts:
        doubt(f"Of areas of several parts in {path} only the largest counts; {parts} others are left out.")
    table = pd.DataFrame(rows, columns=["x", "y", "t", "z", "class", "name"])
    table = table.drop(columns=[c for c in ("t", "z", "class", "name") if table[c].isna().all()])
    table.attrs["unit"] = "px"
    return table


def _places(geometry: dict[str, Any]) -> tuple[str, npt.NDArray[np.float64]]:
    """Return the type of a geometry, and its points (n, 2) as (x, y); for areas the centre of the largest part."""
    kind, coordinates = str(geometry["type"]), geometry["coordinates"]
    if kind in ("Point", "MultiPoint"):
        points = coordinates if kind == "MultiPoint" else [coordinates]
        return kind, np.array([point[:2] for point in points], float).reshape(-1, 2)
    if kind in ("Polygon", "MultiPolygon"):
        outlines = [np.array(part[0], float)[:, :2] for part in (coordinates if kind[0] == "M" else [coordinates])]
        return kind, centre_of(max(outlines, key=lambda outline: float(np.prod(np.ptp(outline, axis=0)))))[None]
    raise InputError("points, or shapes with an inside, in GeoJSON", f"a {kind}", "Leave this object out.")


def _about(feature: dict[str, Any]) -> dict[str, Any]:
    properties, plane = feature.get("properties") or {}, feature["geometry"].get("plane") or {}
    kind = properties.get("classification")
    if isinstance(kind, dict):
        kind = kind.get("name") or ": ".join(kind.get("names") or [])
    return {"t": plane.get("t"), "z": plane.get("z"), "class": kind, "name": properties.get("name")}


#: Readers of files that are no text tables, by suffix.
READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".roi": read_imagej_rois,
    ".zip": read_imagej_rois,
    ".xml": read_markers,
    ".geojson": read_geojson,
    ".json": read_geojson,
    ".xlsx": read_workbook,
    ".xlsm": read_workbook,
}
