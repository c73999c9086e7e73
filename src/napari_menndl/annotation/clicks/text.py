"""Tables of points as text: encodings, separators, lines before the header, decimal commas."""

from __future__ import annotations

import csv
import re
import warnings
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: The header is searched within this number of lines, since titles and comments may precede it.
HEADER_WITHIN = 30
#: First bytes of workbooks: .xlsx, and .xls since 1997. ImageJ's .xls are text.
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")


class PointsWarning(UserWarning):
    """Something about clicked points was guessed or left out."""


def doubt(text: str) -> None:
    """Warn about something that was guessed or left out."""
    warnings.warn(text, PointsWarning, stacklevel=3)


def read_cells(path: Path, is_header: Callable[[list[str]], bool]) -> pd.DataFrame:
    """Read the table in a text file, with its cells as text.

    Parameters
    ----------
    path : Path
        Fields separated by tabs, semicolons, commas or spaces.
    is_header : callable
        Whether a list of fields is the header; lines above the first such line are ignored.

    Returns
    -------
    DataFrame of str
        "" for an empty field; ``attrs["separator"]`` is the separator of the fields.

    Raises
    ------
    InputError
        A file that is missing, empty or a workbook, or rows with more fields than the header.
    """
    try:
        lines = _decoded(path).splitlines(keepends=True)
        separator, header, rows = _fields(lines, is_header)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            "a CSV file of points", f"{path}: {error}", "Give the path of a CSV file with columns y, x."
        ) from None
    for number, row in enumerate(rows):
        if len(row) > len(header):
            raise InputError(
                f"{len(header)} fields in each row, as in the header of {path}",
                f"{len(row)} in row {number}: {separator.join(row)[:60]!r}",
                "Name every column. Decimal commas need another separator than the comma: save with decimal points, or "
                "with semicolons between the columns.",
            )
    table = pd.DataFrame([row + [""] * (len(header) - len(row)) for row in rows], columns=header, dtype=object)
    table.attrs["separator"] = separator
    return table


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith(_WORKBOOKS):
        raise InputError("a table of points as text", f"{path}, a workbook", "Save its sheet as CSV, or as .xlsx.")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # the encoding of µ by spreadsheets and ImageJ on Windows


def _fields(lines: list[str], is_header: Callable[[list[str]], bool]) -> tuple[str, list[str], list[list[str]]]:
    if not (lines := [line for line in lines if line.strip()]):
        raise csv.Error("no text in it")
    told = None
    if named := re.fullmatch(r"\W*sep=(.)\W*", lines[0].strip("\r\n")):  # a spreadsheet's own first line
        told, lines = named[1], lines[1:] or [""]
    for start, line in enumerate(lines[:HEADER_WITHIN]):
        separator = told or next((s for s in "\t;," if s in line), " ")
        header = _row(_split([line.lstrip("#%")], separator)[0])
        if is_header(header):
            return separator, header, _rows(lines[start + 1 :], separator)
    separator = told or next((s for s in "\t;," if s in lines[0]), " ")
    return separator, _row(_split(lines[:1], separator)[0]), _rows(lines[1:], separator)


def _split(lines: list[str], separator: str) -> list[list[str]]:
    if separator == " ":
        return [line.split() for line in lines]
    return list(csv.reader(lines, delimiter=separator, skipinitialspace=separator != "\t")) or [[]]


def _row(fields: list[str]) -> list[str]:
    row = [field.strip() for field in fields]
    while row and not row[-1]:  # a separator at the end of the line
        row.pop()
    return row


def _rows(lines: list[str], separator: str) -> list[list[str]]:
    return [row for fields in _split(lines, separator) if (row := _row(fields))]


def as_numbers(cells: pd.Series, column: str, source: str, separator: str | None = None) -> npt.NDArray[np.float64]:
    """Convert cells with decimal points or commas to numbers.

    Parameters
    ----------
    cells : (n,) Series
    column, source : str
        Named in errors.
    separator : str, optional
        The separator of the file's fields.

    Returns
    -------
    (n,) float64

    Raises
    ------
    InputError
        A cell that is no finite number; commas that may be decimal or thousands separators.
    """
    if cells.dtype.kind in "biuf":
        numbers = cells.to_numpy(np.float64)
    else:
        text = _decimal_points(cells.astype(str).str.replace(r"[\s']", "", regex=True), column, source, separator)
        numbers = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise InputError(
            f"numbers in column {column} of {source}",
            f"{str(cells.iloc[row])!r} in row {row}",
            "Correct or remove that row.",
        )
    return numbers


def _decimal_points(text: pd.Series, column: str, source: str, separator: str | None) -> pd.Series:
    commas = text.str.contains(",", regex=False)
    if not commas.any():
        return text
    points = text.str.contains(".", regex=False)
    thousands = text[commas].map(lambda cell: bool(_THOUSANDS.fullmatch(cell))).all()
    if thousands and points.any():
        return text.str.replace(",", "", regex=False)
    if thousands and separator == "," and not commas.all():
        raise InputError(
            f"numbers with decimal points in column {column} of {source}",
            f"{text[commas].iloc[0]!r}, whose comma may be a decimal comma or stand between thousands",
            "Write decimal points, and nothing between thousands.",
        )
    if (commas & points).any():  # 1.234,5
        text = text.str.replace(".", "", regex=False)
    return text.str.replace(",", ".", regex=False)
