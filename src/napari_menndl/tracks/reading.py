"""Tables of defects as input: ours from files, those of other programs, and what they say of their movie."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_menndl.annotation.clicks.header import names_places
from napari_menndl.annotation.clicks.text import read_cells
from napari_menndl.annotation.clicks.units import check_unit, to_pixels
from napari_menndl.annotation.points import FILES, read_points
from napari_menndl.errors import InputError
from napari_menndl.tables import PARQUET, parquet_is_installed

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from numpy.typing import NDArray

#: Columns without which a table says nothing of defects through time.
NEEDED = ("frame", "y", "x")
#: Columns of words; all others of ours are numbers.
_WORDS = ("class", "outcome", "event", "movie")
#: Largest relative difference between a pixel size given and the one in a table's columns.
_SAME = 0.01
#: Class of the defects in a table that names none.
NO_CLASS = "defect"


def read_defects(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a table of defects: CSV or Parquet, as `predict` writes it, or another program's table of points.

    Returns
    -------
    DataFrame
        With the columns of the file; of another program's table y and x, and class and frame if it has them.
        ``attrs["unit"]`` is the unit of y and x of such a table, None if it does not say.

    Raises
    ------
    InputError
        A file that is missing, damaged or of another kind.
    """
    place = Path(path).expanduser()
    if not place.is_file():
        raise InputError("a table of defects (.csv or .parquet)", f"no file at {place}", "Check the path.")
    if place.suffix.lower() in PARQUET:
        return _read_parquet(place)
    if place.suffix.lower() not in FILES:
        raise InputError(
            "a table of defects (.csv or .parquet), or a stored prediction (.zarr)", str(place), "Give one of these."
        )
    if place.suffix.lower() in (".csv", ".tsv", ".txt"):
        cells = read_cells(place, names_places)
        if set(NEEDED) <= set(cells.columns):
            return _as_ours(cells)
    return read_points(place)


def _read_parquet(place: Path) -> pd.DataFrame:
    if not parquet_is_installed():
        raise InputError(
            "the package pyarrow, to read Parquet", f"it missing, for {place}", "Install napari-menndl[tables]."
        )
    try:
        return pd.read_parquet(io.BytesIO(place.read_bytes()), engine="pyarrow")
    except Exception as error:  # pyarrow raises many types of error for a damaged file
        raise InputError("a readable Parquet file", f"{place}: {error}", "Take a fresh copy, or the CSV.") from error


def _as_ours(cells: pd.DataFrame) -> pd.DataFrame:
    """Convert the text of our own columns to numbers; an empty cell is NaN."""
    table = pd.DataFrame(index=cells.index)
    commas = cells.attrs.get("separator") != ","
    for name in cells.columns:
        text = cells[name].astype(str).str.strip()
        if name in _WORDS:
            table[name] = text.astype(object)
            continue
        plain = text.str.replace(",", ".", regex=False) if commas else text
        numbers = pd.to_numeric(plain.replace("", "nan"), errors="coerce").astype(float)
        bad = numbers.isna() & ~plain.str.lower().isin(["", "nan", "na", "none"])
        if bad.all() or not (bad.any() and name in NEEDED):
            table[name] = text.astype(object) if bad.any() else numbers
            continue
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"numbers in column {name}", f"{text.iloc[row]!r} in row {row}", "Correct or remove that row.")
    return table


def one_movie(table: pd.DataFrame, movie: str | None) -> pd.DataFrame:
    """Return the defects of one movie of a table that may hold several.

    Raises
    ------
    InputError
        If there are several and none is chosen, or no such one.
    """
    if "movie" not in table:
        if movie is not None:
            raise InputError("a table with a column movie", "one without", "Leave the movie out.")
        return table
    names = list(dict.fromkeys(map(str, table["movie"])))
    if movie is None and len(names) > 1:
        raise InputError(
            "the defects of one movie", f"those of {', '.join(names)}", "Choose one: --movie NAME, movie=… in Python."
        )
    if movie is not None and movie not in names:
        raise InputError(f"one of the movies {', '.join(names)}", repr(movie), "Correct the name.")
    return table if movie is None else table[table["movie"].astype(str) == movie].drop(columns="movie")


def understood(
    table: pd.DataFrame,
    pixel_size: tuple[float, float] | None,
    unit: str | None,
    shape: tuple[int, int] | None,
    note: Callable[[str], None],
) -> pd.DataFrame:
    """Return the defects that were found, with frames from 0 and typed columns; what is left out is said.

    Parameters
    ----------
    table : DataFrame
        With y, x [px], frame and, optionally, the other columns of `defect_table.DEFECT_COLUMNS`.
    pixel_size : (y, x) float [nm], optional
        Needed where y and x are in nm.
    unit : str, optional
        Of y and x, where the table does not say it: ``"px"`` or ``"nm"``.
    shape : (Y, X) int [px], optional
        Of the frames; of another program's table without a unit it shows whether y and x can be in pixels.
    note : callable
        Called with each thing to say.

    Raises
    ------
    InputError
        If a column is missing or has values that it cannot have.
    """
    if missing := [name for name in NEEDED if name not in table]:
        found = ", ".join(map(str, table.columns))
        raise InputError(
            f"columns {', '.join(NEEDED)}[, class] in the table of defects",
            f"{found or 'none'}; no {', '.join(missing)}",
            "Take the table that predict writes, or name the columns so.",
        )
    if "outcome" in table:
        missed = table["outcome"].astype(str) == "false negative"
        if missed.any():
            note(f"{missed.sum()} defects that the network missed are left out: only what was found is followed.")
        table = table[~missed]
    if "event" in table:  # the event table of a simulated movie
        table = table[table["event"].astype(str) != "vanished"]
    places = _numbers(table, "y", "x")
    frames = _numbers(table, "frame")[:, 0]
    bad = ~np.isfinite(places).all(axis=1) | ~np.isfinite(frames)
    if bad.any():
        note(f"{bad.sum()} rows without a frame or a place are left out.")
        table, places, frames = table[~bad], places[~bad], frames[~bad]
    if (wrong := (frames < 0) | (frames != np.rint(frames))).any():
        raise InputError("frames as whole numbers from 0", f"frame {frames[wrong][0]:g}", "Count frames from 0.")
    if "unit" in table.attrs and table.attrs["unit"] is None and unit is None and shape is not None:
        check_unit(places, shape, pixel_size, "the table")
    places, _ = to_pixels(places, table.attrs.get("unit"), unit, pixel_size, "the table")
    known = table.assign(frame=frames.astype(np.int64), y=places[:, 0], x=places[:, 1])
    known["class"] = table["class"].astype(str).to_numpy(object) if "class" in table else NO_CLASS
    twice = known.duplicated(["frame", "class", "y", "x"])
    if twice.any():
        note(f"{twice.sum()} rows that repeat another are left out.")
    return known[~twice].sort_values("frame", kind="stable", ignore_index=True)


def _numbers(table: pd.DataFrame, *names: str) -> NDArray[np.float64]:
    try:
        return table[list(names)].to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"numbers in columns {', '.join(names)}", str(error), "Correct the table.") from None


def pixel_size_in(table: pd.DataFrame) -> tuple[float, float] | None:
    """Return the pixel size (y, x) [nm] that a table's columns in px and in nm imply, or None."""
    sizes = [_ratio(table, f"{axis}_nm", axis) for axis in "yx"]
    return None if None in sizes else (float(sizes[0] or 0), float(sizes[1] or 0))


def frame_time_in(table: pd.DataFrame) -> float | None:
    """Return the frame time [s] that a table's columns time_s and frame imply, or None."""
    return _ratio(table, "time_s", "frame")


def _ratio(table: pd.DataFrame, one: str, other: str) -> float | None:
    """Return the ratio of two columns, where it is the same in all rows."""
    if one not in table or other not in table:
        return None
    above = pd.to_numeric(table[one], errors="coerce").to_numpy(float)
    below = pd.to_numeric(table[other], errors="coerce").to_numpy(float)
    known = np.isfinite(above) & (below > 0) & (above > 0)
    if not known.any():
        return None
    ratios = above[known] / below[known]
    middle = float(np.median(ratios))
    # Coordinates near 0 have few digits after rounding in a file.
    if np.median(np.abs(ratios - middle)) > _SAME * middle:
        warnings.warn(f"Columns {one} and {other} do not agree on a scale: {one} is left out.", stacklevel=4)
        return None
    return middle


def agreed(what: str, given: Any, found: Any, unit: str) -> Any:
    """Return the value that was given, or else that of the table.

    Raises
    ------
    InputError
        If both are known and differ.
    """
    if given is None or found is None:
        return found if given is None else given
    if not np.allclose(given, found, rtol=_SAME):
        raise InputError(
            f"{what} {_plain(found)} {unit}, as in the table's columns", f"{_plain(given)} {unit}", "Leave it out."
        )
    return given


def _plain(value: Any) -> str:
    return " × ".join(f"{one:.4g}" for one in np.atleast_1d(value))
