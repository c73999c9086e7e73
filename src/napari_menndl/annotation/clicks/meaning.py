"""Interpretation of a table of points: coordinates and, if the table has them, class and frame."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from napari_menndl.annotation.clicks.frames import find_frames
from napari_menndl.annotation.clicks.header import Column, find_places, read_columns, same_axis
from napari_menndl.annotation.clicks.kinds import find_classes
from napari_menndl.annotation.clicks.shapes import centres_of_shapes
from napari_menndl.annotation.clicks.text import as_numbers, doubt
from napari_menndl.annotation.clicks.units import is_pixels, is_unit, shared_unit
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Names of the summary rows that ImageJ and spreadsheets add below a table.
SUMMARIES = frozenset({"mean", "sd", "std", "stddev", "min", "max", "sum", "total", "average", "median"})


def interpret(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return the points in a table.

    Parameters
    ----------
    table : DataFrame
        As read, with any columns, cells as text or numbers.
    source : str
        Named in errors and warnings.

    Returns
    -------
    DataFrame
        y, x : float; class : str and frame : int from 0 if the table has them. ``attrs["unit"]``: unit of y and x,
        None if the table has none; ``attrs["columns"]``: the columns that frame and class are from, in words.

    Raises
    ------
    InputError
        No such columns, a coordinate that is no number, columns whose meaning is ambiguous.
    """
    attrs = dict(table.attrs)
    if new := [n for n in table.index.names if n is not None and n not in table.columns]:
        table = table.reset_index(level=new)
    columns = read_columns(table)
    if {"shapetype", "vertexindex"} <= {c.word for c in columns}:
        columns = read_columns(centres_of_shapes(columns, source))
    words = find_places([c.word for c in columns])
    if not words:
        raise InputError(
            "columns y and x (or ImageJ's X and Y)",
            f"{[c.name for c in columns]} in {source}",
            "Name the columns y, x[, class, frame].",
        )
    columns = _without_summary(columns, source)
    y, x = _places(columns, words[-2:], source)
    columns, y, x, unit = _without_header_rows(columns, y, x)
    axes = [next(c for c in columns if c.word == word) for word in words[-3::-1]]
    separator = attrs.get("separator")
    points = pd.DataFrame({a: as_numbers(c.cells, c.name, source, separator) for a, c in (("y", y), ("x", x))})
    others = [c for c in columns if c is not y and c is not x]
    if y.name != "Y" and {"width", "height"} <= {c.word for c in others}:
        doubt(
            f"Columns {x.name}, {y.name} of {source} are taken for centres, though width and height stand beside them."
        )
    frames = find_frames([c for c in others if c not in axes], axes, y.name == "Y" and x.name == "X", source)
    classes, class_from = find_classes([c for c in others if c.name not in frames.used], source)
    if classes is not None:
        points["class"] = classes.to_numpy(object)
    if frames.numbers is not None:
        points["frame"] = frames.numbers
    points.attrs["unit"] = attrs.get("unit") or unit or shared_unit(y, x, source)
    points.attrs["columns"] = attrs.get("columns") or "; ".join(t for t in (frames.told, class_from) if t)
    return points


def _places(columns: Sequence[Column], words: Sequence[str], source: str) -> tuple[Column, Column]:
    """Return the columns of y and x; if there are several in different units, those in px."""
    found = [[c for c in columns if c.word == word] for word in words]
    both = {c.unit for c in found[0]} & {c.unit for c in found[1]}
    if not both:  # shared_unit reports the error
        return found[0][0], found[1][0]
    unit = min(both, key=lambda u: (not is_pixels(u), u is not None, u))
    places = []
    for alike in ([c for c in same if c.unit == unit] for same in found):
        if any(not c.words.equals(alike[0].words) for c in alike):
            raise InputError(
                f"one column for each of y and x in {source}",
                ", ".join(c.name for c in alike),
                "Rename those that are not to be used.",
            )
        places.append(alike[0])
    return places[0], places[1]


def _without_summary(columns: list[Column], source: str) -> list[Column]:
    """Remove the rows Mean, SD, Min, Max below ImageJ's results, with a warning."""
    marks = [c.words.str.casefold() for c in columns if c.word in ("", "unnamed0", "index", "label")]
    end = len(columns[0].cells)
    while end and any(mark.iloc[end - 1] in SUMMARIES for mark in marks):
        end -= 1
    if end < len(columns[0].cells):
        names = [c.words.iloc[end:] for c in columns if c.words.str.casefold().iloc[end:].isin(SUMMARIES).all()]
        doubt(f"Rows below the points of {source} are left out: {', '.join(names[0]) if names else 'a summary'}.")
    return _rows(columns, 0, end)


def _without_header_rows(
    columns: list[Column], y: Column, x: Column
) -> tuple[list[Column], Column, Column, str | None]:
    """Remove rows below the header with names and units, as in TrackMate's tables, and return that unit."""
    start, unit = 0, None
    for pair in zip(y.cells.iloc[:4], x.cells.iloc[:4], strict=True):
        cells = [str(cell).strip() for cell in pair]
        if is_unit(cells[0]) and cells[0] == cells[1]:
            unit = cells[0].strip("()[] ")
        elif not (same_axis(cells[0], y.word) and same_axis(cells[1], x.word)):
            break
        start += 1
    if not start:
        return columns, y, x, None
    at = columns.index(y), columns.index(x)
    columns = _rows(columns, start, None)
    return columns, columns[at[0]], columns[at[1]], unit


def _rows(columns: list[Column], start: int, end: int | None) -> list[Column]:
    return [replace(c, cells=c.cells.iloc[start:end].reset_index(drop=True)) for c in columns]
