"""Label images and defect tables from the probabilities of a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.annotation.lattice import with_sites
from napari_menndl.metrics.components import label_components
from napari_menndl.metrics.defect_table import defect_rows, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray


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
    levels = np.maximum(np.asarray(thresholds, np.float32), np.finfo(np.float32).tiny)
    labels, largest = (np.zeros(probabilities.shape[1:], dtype) for dtype in (np.uint8, np.float32))
    for c, (own, level) in enumerate(zip(probabilities, levels, strict=True)):
        # Defects cover few pixels: only those are compared.
        reached = np.nonzero(own >= level)
        factors = own[reached] / level
        above = factors > largest[reached]
        places = tuple(axis[above] for axis in reached)
        labels[places], largest[places] = c + 1, factors[above]
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
    frame_time: float | None = None,
    agreement: NDArray[np.float32] | None = None,
    image: NDArray[np.float32] | None = None,
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
    frame_time : float [s], optional
    agreement : (C, Y, X) float32, optional
        Of the members of an ensemble, see `Ensemble.agreement`.
    image : (Y, X) float32, optional
        The frame, raw, by which the defects' lattice sites are told.

    Returns
    -------
    DataFrame
        With `defect_table.DEFECT_COLUMNS`; one row per connected defect of one class.
    """
    tables, first = [], 0
    for c, name in enumerate(class_names):
        found = label_components(labels == c + 1, min_area=1)
        numbers = np.arange(first, first + len(found))
        agreed = None if agreement is None else agreement[c]
        about = frame, name, found, numbers, probabilities[c], pixel_size
        tables.append(defect_rows(*about, frame_time=frame_time, agreement=agreed))
        first += len(found)
    return with_sites(joined(tables), image)
