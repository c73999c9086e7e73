"""Clicked points -> discs: the quickest way to annotate."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial import cKDTree

from napari_menndl.annotation.classes import DefectClass, as_classes
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Clicks of one class nearer than this are one defect [px]: a gap between them would leave too little of two.
SAME_DEFECT = 4.0


def read_points(source: str | PathLike[str] | pd.DataFrame | npt.ArrayLike) -> pd.DataFrame:
    """Clicked points as a table.

    Parameters
    ----------
    source : path, DataFrame or (n, 2) array
        A CSV file or table with columns y, x and, where wanted, class and frame (from 0); or ImageJ's results with
        X, Y and, for stacks, Slice or Frame (from 1); or napari's points with axis-0, axis-1 (, axis-2); or bare
        (y, x) [px].

    Returns
    -------
    DataFrame
        Columns y, x : float [px]; class : str and frame : int where the source has them.

    Raises
    ------
    InputError
        No such file, no such columns, a coordinate that is no number.
    """
    if isinstance(source, pd.DataFrame):
        table, name = source, "the table"
    elif isinstance(source, str | PathLike):
        table, name = _read_csv(Path(source)), str(source)
    else:
        points = np.asarray(source, dtype=object if np.asarray(source).dtype.kind not in "biuf" else np.float64)
        if points.size == 0:
            points = np.zeros((0, 2))
        if points.ndim != 2 or points.shape[1] != 2:
            raise InputError("points of (n, 2), (y, x)", f"an array of shape {points.shape}", "Give one row per point.")
        table, name = pd.DataFrame(points, columns=["y", "x"]), "the points"
    return _columns(table.rename(columns=lambda c: str(c).strip()), name)


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        separator = next((s for s in "\t;" if s in header), ",")
        return pd.read_csv(path, sep=separator, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(
            "a CSV file of points", f"{path}: {error}", "Give the path of a CSV file with columns y, x."
        ) from None


def _columns(table: pd.DataFrame, name: str) -> pd.DataFrame:
    has = set(table.columns)
    first_frame = 0
    if {"y", "x"} <= has:
        names = {"y": "y", "x": "x", "class": "class", "frame": "frame"}
    elif {"Y", "X"} <= has:
        names = {"Y": "y", "X": "x", "class": "class", "Frame" if "Frame" in has else "Slice": "frame"}
        first_frame = 1
    elif {"axis-0", "axis-1", "axis-2"} <= has:
        names = {"axis-0": "frame", "axis-1": "y", "axis-2": "x"}
    elif {"axis-0", "axis-1"} <= has:
        names = {"axis-0": "y", "axis-1": "x"}
    else:
        raise InputError(
            "columns y and x (or ImageJ's X and Y)",
            f"{sorted(has)} in {name}",
            "Name the columns y, x[, class, frame].",
        )
    points = table[[c for c in names if c in has]].rename(columns=names)
    for column in ("y", "x", "frame"):
        if column not in points:
            continue
        numbers = pd.to_numeric(points[column], errors="coerce").astype(float)
        if not np.isfinite(numbers).all():
            row = int(np.flatnonzero(~np.isfinite(numbers))[0])
            raise InputError(
                f"numbers in column {column} of {name}",
                f"{str(points[column].iloc[row])!r} in row {row}",
                "Correct or remove that row.",
            )
        points[column] = numbers if column != "frame" else np.rint(numbers).astype(int) - first_frame
    if "class" in points:
        points["class"] = points["class"].astype(str).str.strip()
    return points


def draw_discs(
    centres: npt.NDArray[np.float64], values: npt.NDArray[np.uint8], shape: tuple[int, int], radius: float
) -> npt.NDArray[np.uint8]:
    """Discs around points, one defect each.

    Where discs meet, a pixel belongs to the nearest point, and between discs of one class a line of zeros is left so
    that they stay two components: as wide as blocking an 8-connected path at its angle takes. Clicks nearer than
    `SAME_DEFECT` are one defect.

    Parameters
    ----------
    centres : (n, 2) float64
        (y, x) [px].
    values : (n,) uint8
        Label of each disc.
    shape : (Y, X)
    radius : float [px]

    Returns
    -------
    (Y, X) uint8
    """
    labels = np.zeros(shape, np.uint8)
    if not len(centres):
        return labels
    reach = int(np.ceil(radius)) + 1
    steps = np.indices((2 * reach + 1, 2 * reach + 1)).reshape(2, -1).T - reach
    pixels = np.unique((np.rint(centres).astype(int)[:, None] + steps).reshape(-1, 2), axis=0)
    pixels = pixels[((pixels >= 0) & (pixels < shape)).all(axis=1)]
    neighbours = min(len(centres), 6)
    distance, index = map(np.asarray, cKDTree(centres).query(pixels, k=np.arange(1, neighbours + 1)))
    near = index[:, 0]
    keep = distance[:, 0] <= radius
    # A click between four pixels, or with a radius below half a pixel's diagonal, still marks the pixel it hit.
    keep |= (np.rint(centres[near]).astype(int) == pixels).all(axis=1)
    for k in range(1, neighbours):
        apart = centres[index[:, k]] - centres[near]
        separation = np.hypot(*apart.T)
        with np.errstate(divide="ignore", invalid="ignore"):
            to_border = (distance[:, k] ** 2 - distance[:, 0] ** 2) / (2 * separation)
            half_width = np.abs(apart).sum(axis=1) / (2 * separation)
            gap = (to_border <= half_width + 1e-9) & (separation >= SAME_DEFECT) & (distance[:, k] <= radius + 2)
        keep &= ~(gap & (values[index[:, k]] == values[near]))
    pixels, near = pixels[keep], near[keep]
    labels[pixels[:, 0], pixels[:, 1]] = values[near]
    return labels


def points_to_labels(
    source: str | PathLike[str] | pd.DataFrame | npt.ArrayLike,
    shape: tuple[int, ...],
    radius: float,
    classes: Sequence[DefectClass | str] | None = None,
    frame: int = 0,
) -> tuple[npt.NDArray[np.uint8], tuple[DefectClass, ...], set[int]]:
    """Labels, classes and the frames that were annotated; arguments and errors as of `Annotation.from_points`."""
    table = read_points(source)
    if "frame" not in table:
        table = table.assign(frame=int(frame))
    height, width = (int(n) for n in shape[-2:])
    if not 0 < radius < max(height, width):
        raise InputError("a radius in pixels, positive and below the frame's size", f"{radius}", "Correct the radius.")
    length = int(shape[0]) if len(shape) == 3 else max([int(frame), *table["frame"]]) + 1
    centres = table[["y", "x"]].to_numpy(float)
    frames = table["frame"].to_numpy(int)
    # Some programs count from the corner of the first pixel, some from its centre: both are inside.
    outside = (centres < -1).any(axis=1) | (centres > (height, width)).any(axis=1)
    if outside.any():
        y, x = centres[outside][0]
        raise InputError(
            f"points (y, x) within {height} x {width} px",
            f"{outside.sum()} outside, the first at y = {y:g}, x = {x:g}",
            "Give pixels, not nanometres, and mind that y is the row.",
        )
    done = {int(t) for t in frames} or {int(frame)}
    if min(done) < 0 or max(done) >= length:
        raise InputError(f"points in frames 0 to {length - 1}", f"frames {sorted(done)}", "Count frames from 0.")
    centres = np.clip(centres, 0, (height - 1, width - 1))
    named = as_classes(classes or list(dict.fromkeys(table.get("class", ()))) or ["defect"])
    values = _class_values(table, named)
    labels = np.zeros((length, height, width), np.uint8)
    for t in done:
        labels[t] = draw_discs(centres[frames == t], values[frames == t], (height, width), float(radius))
    return labels, named, done


def _class_values(table: pd.DataFrame, classes: tuple[DefectClass, ...]) -> npt.NDArray[np.uint8]:
    if "class" not in table:
        if len(classes) > 1:
            raise InputError(
                "a column class, since there are several classes",
                f"columns {list(table.columns)}",
                "Name the class of each point.",
            )
        return np.ones(len(table), np.uint8)
    values = {c.name: i for i, c in enumerate(classes, start=1)}
    if unknown := sorted(set(table["class"]) - set(values)):
        raise InputError(
            f"classes among {', '.join(values)}", ", ".join(unknown), "Name this class too, or correct it."
        )
    return np.array([values[name] for name in table["class"]], np.uint8)
