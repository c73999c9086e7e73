"""Label images and defect tables from the probabilities of a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import ndimage

from napari_menndl.metrics.components import label_components

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Columns of a table of defects: frame and number of the defect in it; class; centre [px] and [nm]; area [px] and
#: [nm²]; mean probability over its pixels. Values in nm are NaN if the pixel size is unknown.
DEFECT_COLUMNS = ("frame", "defect", "class", "y", "x", "y_nm", "x_nm", "area_px", "area_nm2", "confidence")


def label_pixels(
    probabilities: NDArray[np.float32], thresholds: Sequence[float], min_areas: Sequence[int] | None = None
) -> NDArray[np.uint8]:
    """Assign to each pixel the class that exceeds its threshold by the largest factor.

    Parameters
    ----------
    probabilities : (C, Y, X) float32
    thresholds : (C,) float
        A class is considered where its probability reaches its threshold; never if that is infinite.
    min_areas : (C,) int [px], optional
        Smallest area of a connected defect; smaller ones are dropped.

    Returns
    -------
    (Y, X) uint8
        0 = no defect, c + 1 = class c.
    """
    level = np.maximum(np.asarray(thresholds, np.float32), np.finfo(np.float32).tiny)[:, None, None]
    excess = np.where(probabilities >= level, probabilities / level, 0.0)
    labels = np.where(excess.max(0) > 0, excess.argmax(0) + 1, 0).astype(np.uint8)
    for c, min_area in enumerate(min_areas or ()):
        mask = labels == c + 1
        labels[mask & (label_components(mask, min_area).labels == 0)] = 0
    return labels


def find_defects(
    labels: NDArray[np.uint8],
    probabilities: NDArray[np.float32],
    class_names: Sequence[str],
    pixel_size: tuple[float, float] | None = None,
    frame: int = 0,
) -> pd.DataFrame:
    """List the defects of a frame.

    Parameters
    ----------
    labels : (Y, X) uint8
    probabilities : (C, Y, X) float32
    class_names : C str
    pixel_size : (y, x) float [nm], optional
    frame : int
        Number to enter in the table.

    Returns
    -------
    DataFrame
        With `DEFECT_COLUMNS`; one row per connected defect of one class.
    """
    scale = np.array(pixel_size if pixel_size else (np.nan, np.nan))
    tables, first = [], 0
    for c, name in enumerate(class_names):
        found = label_components(labels == c + 1, min_area=1)
        if not len(found):
            continue
        number = np.arange(1, len(found) + 1)
        columns = (
            np.full(len(found), frame),
            first + number - 1,
            np.full(len(found), name, object),
            *found.centres.T,
            *(found.centres * scale).T,
            found.areas,
            found.areas * scale.prod(),
            np.asarray(ndimage.mean(probabilities[c], found.labels, number), np.float64),
        )
        tables.append(pd.DataFrame(dict(zip(DEFECT_COLUMNS, columns, strict=True))))
        first += len(found)
    if not tables:
        return no_defects()
    return pd.concat(tables, ignore_index=True)


def no_defects() -> pd.DataFrame:
    """Return an empty table of defects with typed columns."""
    whole = ("frame", "defect", "area_px")
    kinds = {name: "int64" if name in whole else "str" if name == "class" else "float64" for name in DEFECT_COLUMNS}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
