"""Centres of outlines drawn around defects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_menndl.annotation.clicks.text import as_numbers, doubt
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl.annotation.clicks.header import Column


def centre_of(outline: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the centroid of an outline (n, 2), by the shoelace formula; the mean of its corners if its area is 0."""
    first = outline[0]
    a = outline - first  # small numbers, which avoids rounding errors
    b = np.roll(a, -1, axis=0)
    cross = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    area = cross.sum() / 2
    if abs(area) < 1e-9:
        return np.asarray(outline.mean(axis=0))
    return np.asarray(first + ((a + b) * cross[:, None]).sum(axis=0) / (6 * area))


def warn_of_centres(number: int, source: str) -> None:
    """Warn that outlines are used as points at their centres."""
    doubt(
        f"{number} outlines of {source} count as points at their centres; their sizes are not used. "
        "For their sizes, save them as labels."
    )


def centres_of_shapes(columns: Sequence[Column], source: str) -> pd.DataFrame:
    """Return the centres of napari's shapes, from a table with a row per corner.

    Parameters
    ----------
    columns : sequence of Column
        index, shape-type, vertex-index, axis-0, axis-1 …
    source : str
        Named in errors and warnings.

    Returns
    -------
    DataFrame
        One row per shape, with its axes and its other columns.

    Raises
    ------
    InputError
        For lines and paths, which have no inside.
    """
    table = pd.DataFrame({c.name: c.cells for c in columns})
    at = {c.word: c.name for c in columns}
    kinds = table[at["shapetype"]].astype(str).str.strip().str.casefold()
    if lines := sorted(set(kinds) & {"line", "path"}):
        raise InputError(
            f"points, or shapes with an inside, in {source}",
            f"column {at['shapetype']} with {', '.join(lines)}",
            "Save a points layer, or leave these shapes out.",
        )
    axes = [c.name for c in columns if c.word.startswith("axis")]
    for axis in axes:
        table[axis] = as_numbers(table[axis], axis, source)
    # A shape starts at its first corner; by napari's index, shapes from concatenated files would be merged.
    shape = (as_numbers(table[at["vertexindex"]], at["vertexindex"], source) == 0).cumsum()
    drop = [at["shapetype"], at["vertexindex"]]
    centres = table.groupby(shape).first().drop(columns=drop)
    for number, corners in table.groupby(shape):
        middle = corners[axes[:-2]].mean().to_numpy(float)
        centres.loc[number, axes] = [*middle, *centre_of(corners[axes[-2:]].to_numpy(float))]
    warn_of_centres(len(centres), source)
    return centres.reset_index(drop=True)
