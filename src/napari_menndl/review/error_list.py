"""List of a prediction's errors over all frames, and steps from one error to the next."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from napari_menndl.metrics.defect_table import joined
from napari_menndl.review.outcomes import FALSE, MISSED
from napari_menndl.review.tables import no_judged

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

ERRORS = (FALSE, MISSED)

#: Frame and (y, x) [px].
Place = tuple[int, float, float]


def errors_in(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the false and missed defects among tables of defects, in the order in which they are reviewed.

    Parameters
    ----------
    tables : iterable of DataFrame
        Tables with `tables.JUDGED_COLUMNS`.

    Returns
    -------
    DataFrame
        Sorted by frame, y, x; numbered from 0.
    """
    errors = joined((table[table["outcome"].isin(ERRORS)] for table in tables), no_judged)
    return errors.sort_values(["frame", "y", "x"], kind="stable", ignore_index=True)


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
