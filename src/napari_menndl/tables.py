"""The one set of columns of tables of defects, and tables as files: CSV, or Parquet where pyarrow is installed."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_menndl.errors import InputError
from napari_menndl.files import atomic_write

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

#: Columns of every table of defects: frame, and time since the first one [s]; number of the defect in its frame; class;
#: centre [px] and [nm]; area [px] and [nm²]; mean probability over its pixels; mean agreement of an ensemble's members
#: over them. What is not known is NaN: values in nm without a pixel size, the time without a frame time.
DEFECT_COLUMNS = (
    "frame",
    "time_s",
    "defect",
    "class",
    "y",
    "x",
    "y_nm",
    "x_nm",
    "area_px",
    "area_nm2",
    "confidence",
    "agreement",
)
_WHOLE = ("frame", "defect", "area_px")
PARQUET = (".parquet", ".pq")


def defect_rows(
    frame: int,
    name: str,
    numbers: ArrayLike,
    centres: ArrayLike,
    areas: ArrayLike,
    confidence: ArrayLike,
    pixel_size: Sequence[float] | None = None,
    frame_time: float | None = None,
    agreement: ArrayLike = np.nan,
) -> pd.DataFrame:
    """Return the rows of one class in one frame, with `DEFECT_COLUMNS`.

    Parameters
    ----------
    frame : int
    name : str
        Of the class.
    numbers : (n,) int
    centres : (n, 2) float
        (y, x) [px].
    areas : (n,) int [px]
    confidence, agreement : (n,) float, or one for all
    pixel_size : (y, x) float [nm], optional
    frame_time : float [s], optional
    """
    scale = np.array(pixel_size if pixel_size else (np.nan, np.nan))
    places, area = np.asarray(centres, np.float64).reshape(-1, 2), np.asarray(areas)
    columns = (
        np.full(len(places), frame),
        np.full(len(places), frame * frame_time if frame_time else np.nan),
        np.asarray(numbers),
        np.full(len(places), name, object),
        *places.T,
        *(places * scale).T,
        area,
        area * scale.prod(),
        np.broadcast_to(np.asarray(confidence, np.float64), len(places)),
        np.broadcast_to(np.asarray(agreement, np.float64), len(places)),
    )
    return pd.DataFrame(dict(zip(DEFECT_COLUMNS, columns, strict=True)))


def no_defects() -> pd.DataFrame:
    """Return an empty table of defects with typed columns."""
    kinds = {name: "int64" if name in _WHOLE else "str" if name == "class" else "float64" for name in DEFECT_COLUMNS}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def parquet_is_installed() -> bool:
    """Whether tables can be written as Parquet."""
    return find_spec("pyarrow") is not None


def table_bytes(table: pd.DataFrame, path: str | os.PathLike[str]) -> bytes:
    """Return a table as the content of a file: Parquet for `PARQUET` suffixes, else CSV.

    Raises
    ------
    InputError
        For Parquet without pyarrow.
    """
    if Path(path).suffix.lower() not in PARQUET:
        return table.to_csv(index=False).encode()
    if not parquet_is_installed():
        raise InputError(
            "the package pyarrow, to write Parquet",
            f"it missing, for {path}",
            "Install napari-menndl[tables], or choose a name that ends in .csv.",
        )
    buffer = io.BytesIO()
    table.to_parquet(buffer, engine="pyarrow", index=False)
    return buffer.getvalue()


def write_table(table: pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """Write a table atomically, as Parquet if the name ends in ``.parquet``, else as CSV.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    place = Path(path)
    data = table_bytes(table, place)
    try:
        atomic_write(place, data)
    except OSError as error:
        raise InputError("a folder that can be written", str(error), "Choose another place.") from error
    return place
