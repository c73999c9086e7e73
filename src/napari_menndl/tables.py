"""Tables as files: CSV, or Parquet where pyarrow is installed."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError
from napari_menndl.files import atomic_write

if TYPE_CHECKING:
    import os

    import pandas as pd

#: Suffixes of Parquet files.
PARQUET = (".parquet", ".pq")


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
