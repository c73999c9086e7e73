"""Labels from clicked points, each drawn as a disc: the quickest way to annotate."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_menndl.annotation.classes import DefectClass, as_classes, as_pixel_size, rename_classes
from napari_menndl.annotation.clicks.discs import SAME_DEFECT, count_defects, draw_discs
from napari_menndl.annotation.clicks.header import names_places
from napari_menndl.annotation.clicks.meaning import interpret
from napari_menndl.annotation.clicks.rois import READERS
from napari_menndl.annotation.clicks.text import doubt, read_cells
from napari_menndl.annotation.clicks.units import check_unit, fits_in, to_pixels
from napari_menndl.errors import InputError, as_number

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Suffixes of the files that `read_points` reads.
FILES = (".csv", ".tsv", ".txt", ".xls", *READERS)


class PointLabels(NamedTuple):
    """Labels made from points.

    Attributes
    ----------
    labels : (T, Y, X) uint8
    classes : tuple of DefectClass
    done : set of int
        The annotated frames.
    understood : str
        One-line summary of how the points were interpreted.
    """

    labels: npt.NDArray[np.uint8]
    classes: tuple[DefectClass, ...]
    done: set[int]
    understood: str


def read_points(source: str | PathLike[str] | pd.DataFrame | npt.ArrayLike) -> pd.DataFrame:
    """Read clicked points as a table.

    A `PointsWarning` reports whatever is left out or guessed.

    Parameters
    ----------
    source : path, DataFrame or (n, 2) array
        A CSV file (commas, semicolons, tabs or spaces; decimal points or commas) or table with columns y, x and,
        optionally, class and frame (from 0), in many spellings; or ImageJ's results with X, Y and, for stacks, Slice or
        Frame (from 1), and Counter or Group for classes; or napari's points, whose last two axes are y and x, or its
        shapes; or the tables of TrackMate, QuPath, trackpy and Cell Counter. ImageJ's ROIs (.roi, .zip), XML of Cell
        Counter and TrackMate, QuPath's GeoJSON, a workbook (.xlsx). Or an array of (y, x) [px].

    Returns
    -------
    DataFrame
        Columns y, x : float; class : str and frame : int from 0 if the source has them. ``attrs["unit"]`` is the
        unit of y and x in the source, or None.

    Raises
    ------
    InputError
        No such file, no such columns, a coordinate that is no number, columns whose meaning is ambiguous.
    """
    if isinstance(source, pd.DataFrame):
        return interpret(source, "the table")
    if isinstance(source, str | PathLike):
        path = Path(source)
        if (reader := READERS.get(path.suffix.lower())) is not None:
            return interpret(reader(path), str(path))
        return interpret(read_cells(path, names_places), str(path))
    points = np.asarray(source, dtype=object if np.asarray(source).dtype.kind not in "biuf" else np.float64)
    if points.size == 0:
        points = np.zeros((0, 2))
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError("points of (n, 2), (y, x)", f"an array of shape {points.shape}", "Give one row per point.")
    return interpret(pd.DataFrame(points, columns=["y", "x"]), "the points")


def points_to_labels(
    source: str | PathLike[str] | pd.DataFrame | npt.ArrayLike,
    shape: tuple[int, ...],
    radius: float,
    classes: Sequence[DefectClass | str] | Mapping[str | int, str] | None = None,
    frame: int = 0,
    pixel_size: tuple[float, float] | None = None,
    unit: str | None = None,
) -> PointLabels:
    """Return labels from points; arguments and errors as in `Annotation.from_points`."""
    name = str(source) if isinstance(source, str | PathLike) else "the points"
    table = read_points(source)
    if "frame" not in table:
        table = table.assign(frame=int(frame))
    if len(shape) not in (2, 3):
        raise InputError("a shape (T, Y, X) or (Y, X)", f"{tuple(shape)}", "Give that of the movie.")
    height, width = (int(n) for n in shape[-2:])
    if not 0 < as_number(radius) < max(height, width):
        raise InputError("a radius in pixels, positive and below the frame's size", f"{radius}", "Correct the radius.")
    length = int(shape[0]) if len(shape) == 3 else max([int(frame), *table["frame"]]) + 1
    frames = table["frame"].to_numpy(int)
    size = as_pixel_size(pixel_size)
    unit_said = unit or table.attrs["unit"]
    centres, converted = to_pixels(table[["y", "x"]].to_numpy(float), table.attrs["unit"], unit, size, name)
    # Some programs count from the corner of the first pixel, some from its centre: coordinates of both are accepted.
    outside = (centres < -1).any(axis=1) | (centres > (height, width)).any(axis=1)
    if outside.any():
        y, x = centres[outside][0]
        fitting = None if unit_said else fits_in(centres, (height, width), size)
        raise InputError(
            f"points (y, x) within {height} x {width} px",
            f"{outside.sum()} outside, the first at y = {y:g}, x = {x:g}",
            f'They fit the frame in {fitting}: say unit="{fitting}" (--unit {fitting}), if they are.'
            if fitting
            else "Give pixels, or say the unit (nm) and the pixel size, and mind that y is the row.",
        )
    if unit_said is None:
        check_unit(centres, (height, width), size, name)
    done = {int(t) for t in frames} or {int(frame)}
    if min(done) < 0 or max(done) >= length:
        raise InputError(f"points in frames 0 to {length - 1}", f"frames {sorted(done)}", "Count frames from 0.")
    centres = np.clip(centres, 0, (height - 1, width - 1))
    found = list(dict.fromkeys(table.get("class", ()))) or ["defect"]
    if isinstance(classes, Mapping):
        renamed = rename_classes(found, classes, name)
        classes = list(renamed.values())
        if "class" in table:
            table = table.assign(**{"class": table["class"].map(renamed)})
    named = as_classes(classes or found)
    values = _class_values(table, named)
    labels = np.zeros((length, height, width), np.uint8)
    for t in done:
        here = frames == t
        labels[t] = draw_discs(centres[here], values[here], (height, width), float(radius))
        if (defects := count_defects(labels[t])) < here.sum():
            doubt(
                f"{here.sum()} points on frame {t} of {name} became {defects} defect{'s' * (defects != 1)}: points of "
                f"one class nearer than {SAME_DEFECT:g} px are one, and of points in one place the last counts."
                + ("" if unit_said else " If they are not in px, say the unit.")
            )
    return PointLabels(labels, named, done, _understood(values, named, done, converted, table.attrs["columns"]))


def _understood(
    values: npt.NDArray[np.uint8], classes: Sequence[DefectClass], done: set[int], converted: str, columns: str
) -> str:
    """Return a summary such as "24 points on frame 0, 2 classes (vacancy 20, hole 4), in px"."""
    frames = sorted(done)
    if len(frames) > 5:
        where = f"{len(frames)} frames from {frames[0]} to {frames[-1]}"
    else:
        where = f"frame{'s' * (len(frames) > 1)} {', '.join(map(str, frames))}"
    counts = ", ".join(f"{c.name} {(values == i).sum()}" for i, c in enumerate(classes, start=1))
    words = [
        f"{len(values)} point{'s' * (len(values) != 1)} on {where}",
        f"{len(classes)} class{'es' * (len(classes) != 1)} ({counts})",
        converted,
    ]
    return "; ".join([", ".join(words), columns] if columns else [", ".join(words)])


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
            f"classes among {', '.join(values)}",
            ", ".join(unknown),
            "Name this class too, or by its number: 1=vacancy.",
        )
    return np.array([values[name] for name in table["class"]], np.uint8)
