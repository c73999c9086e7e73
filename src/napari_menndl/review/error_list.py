"""List of a prediction's errors over all frames, and steps from one error to the next."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_menndl.review.frame import FALSE_NEGATIVE, FALSE_POSITIVE, OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Iterable

ERRORS = (OUTCOMES[FALSE_POSITIVE], OUTCOMES[FALSE_NEGATIVE])

#: Frame and (y, x) [px].
Place = tuple[int, float, float]


def errors_in(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the false and missed defects among tables of defects, in the order in which they are reviewed.

    Parameters
    ----------
    tables : iterable of DataFrame
        Tables with the columns of `tables.defect_table`.

    Returns
    -------
    DataFrame
        Sorted by frame, y, x; numbered from 0.
    """
    chosen = [table[table["outcome"].isin(ERRORS)] for table in tables]
    full = [table for table in chosen if len(table)]
    if not full:
        return pd.DataFrame({"frame": np.zeros(0, int), "y": np.zeros(0), "x": np.zeros(0), "outcome": []})
    return pd.concat(full).sort_values(["frame", "y", "x"], kind="stable", ignore_index=True)


def next_error(errors: pd.DataFrame, place: Place, step: int) -> int | None:
    """Return the index of the error after (step 1) or before (step -1) a place; wraps around at either end.

    Parameters
    ----------
    errors : DataFrame
        See `errors_in`.
    place : (frame, y, x)
        The current place.
    step : 1 or -1

    Returns
    -------
    int or None
        None if there is no error.
    """
    if not len(errors):
        return None
    places = list(zip(errors["frame"], errors["y"], errors["x"], strict=True))
    found = bisect_right(places, place) if step > 0 else bisect_left(places, place) - 1
    return found % len(places)
