"""Reading tables of points from workbooks of spreadsheet programs."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import pandas as pd

from napari_menndl.annotation.clicks.header import names_places
from napari_menndl.annotation.clicks.text import HEADER_WITHIN, doubt
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

#: Limit of a workbook's unpacked size [bytes].
LARGEST = 1 << 28


def read_workbook(path: Path) -> pd.DataFrame:
    """Read the table of points in a workbook (.xlsx), with the stored results of formulas.

    Returns
    -------
    DataFrame of str
        "" for an empty cell.

    Raises
    ------
    InputError
        An unreadable file, no sheet with points or several; or if the package openpyxl is not installed.
    """
    try:
        import openpyxl
    except ImportError:
        raise InputError(
            f"the package openpyxl, which reads {path.name}",
            "no such package",
            "Install napari-menndl[annotations], or save the sheet as CSV.",
        ) from None
    try:
        with zipfile.ZipFile(path) as parts:
            if sum(part.file_size for part in parts.infolist()) > LARGEST:
                raise ValueError(f"more than {LARGEST >> 20} MB in it")
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            sheets = {sheet.title: _rows(sheet) for sheet in book.worksheets}
        finally:
            book.close()
    except Exception as error:  # openpyxl raises errors of many kinds for damaged files
        raise InputError("a workbook with a table of points", f"{path}: {error}", "Save the sheet as CSV.") from error
    tables = {title: table for title, rows in sheets.items() if (table := _table(rows, path)) is not None}
    if len(tables) != 1:
        raise InputError(
            "one sheet with columns y, x",
            f"{', '.join(tables) if tables else 'none among ' + ', '.join(sheets)} in {path}",
            "Save the right sheet as CSV." if tables else "Name the columns y, x[, class, frame].",
        )
    title, table = tables.popitem()
    if others := [name for name, rows in sheets.items() if rows and name != title]:
        doubt(f"Sheet {title} of {path} is read; {', '.join(others)} is left out.")
    return table


def _rows(sheet: Any) -> list[list[str]]:
    """Return the rows that are not empty, without the empty cells at their ends."""
    rows = []
    for cells in sheet.iter_rows(values_only=True):
        row = ["" if cell is None else str(cell).strip() for cell in cells]
        while row and not row[-1]:
            row.pop()
        if row:
            rows.append(row)
    return rows


def _table(rows: list[list[str]], path: Path) -> pd.DataFrame | None:
    for start, header in enumerate(rows[:HEADER_WITHIN]):
        if not names_places(header):
            continue
        body = rows[start + 1 :]
        if wide := [row for row in body if len(row) > len(header)]:
            raise InputError(
                f"{len(header)} cells in each row, as in the header of {path}",
                f"{len(wide[0])}: {', '.join(wide[0])[:60]!r}",
                "Name every column.",
            )
        return pd.DataFrame([row + [""] * (len(header) - len(row)) for row in body], columns=header, dtype=object)
    return None
