"""Rows of a table of defects: the same columns for a prediction and for its review."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from napari_menndl.metrics.components import Components

#: Columns of every table of defects: frame, and time since the first one [s]; number of the defect in its frame; class;
#: centre [px] and [nm]; area [px] and [nm²]; means over its pixels of the probability and of the agreement of an
#: ensemble's members; kind of the lattice site under the centre (`annotation.lattice.lattice_sites`). What is not
#: known is NaN: values in nm without a pixel size, the time without a frame time, the site without a lattice.
DEFECT_COLUMNS = (
    *("frame", "time_s", "defect", "class"),
    *("y", "x", "y_nm", "x_nm", "area_px", "area_nm2"),
    *("confidence", "agreement", "site"),
)
_WHOLE = ("frame", "defect", "area_px")


def defect_rows(
    frame: int,
    name: str,
    components: Components,
    numbers: NDArray[np.integer],
    probability: NDArray[np.floating] | None,
    pixel_size: tuple[float, float] | None,
    chosen: NDArray[np.integer] | None = None,
    frame_time: float | None = None,
    agreement: NDArray[np.floating] | None = None,
) -> pd.DataFrame:
    """Return the rows of defects of one class in one frame.

    Parameters
    ----------
    frame : int
    name : str
        Name of the class.
    components : Components
    numbers : (k,) int
        Numbers of the defects in their frame.
    probability : (Y, X) float, optional
        Without it the confidence is NaN.
    pixel_size : (y, x) float [nm], optional
    chosen : (k,) int, optional
        Indices of the components to list; by default all.
    frame_time : float [s], optional
    agreement : (Y, X) float, optional
        Of the members of an ensemble, see `Ensemble.agreement`.

    Returns
    -------
    DataFrame
        With `DEFECT_COLUMNS`; the site is NaN, see `annotation.lattice.with_sites`.
    """
    index = np.arange(len(components)) if chosen is None else chosen
    scale = np.array(pixel_size if pixel_size else (np.nan, np.nan))
    centres, areas = components.centres[index], components.areas[index]
    # Of the pixels of defects alone, a few per cent of all: a large frame has millions.
    inside = np.flatnonzero(components.labels)
    whose = components.labels.ravel()[inside] - 1
    means = [
        np.full(len(index), np.nan)
        if image is None
        else (np.bincount(whose, image.ravel()[inside], len(components)) / components.areas)[index]
        for image in (probability, agreement)
    ]
    columns = (
        np.full(len(index), frame),
        np.full(len(index), frame * frame_time if frame_time else np.nan),
        np.asarray(numbers, np.int64),
        np.full(len(index), name, object),
        *centres.T,
        *(centres * scale).T,
        areas,
        areas * scale.prod(),
        *means,
        np.full(len(index), np.nan),
    )
    return pd.DataFrame(dict(zip(DEFECT_COLUMNS, columns, strict=True)))


def no_defects() -> pd.DataFrame:
    """Return an empty table of defects with typed columns."""
    kinds = {name: "int64" if name in _WHOLE else "str" if name == "class" else "float64" for name in DEFECT_COLUMNS}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def joined(tables: Iterable[pd.DataFrame], empty: Callable[[], pd.DataFrame] = no_defects) -> pd.DataFrame:
    """Return tables one below the other, numbered from 0; if none has a row, what `empty` returns."""
    full = [table for table in tables if len(table)]
    return pd.concat(full, ignore_index=True) if full else empty()
