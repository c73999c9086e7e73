"""Rates of events per area, time and dose, with their statistical intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import chi2

from napari_menndl.tracks.events import EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_menndl.tracks.events import Rules
    from napari_menndl.tracks.observed import Observed

#: Probability that an interval holds the true rate.
LEVEL = 0.95
#: Value for "all together" in the columns class and interval.
TOTAL = "all"
#: Columns of a table of rates: event; class; interval of time (`TOTAL` or a number from 0), its first and last frame,
#: the time and the dose at its middle; number of events; mean area looked at, and for how long; rate per area and time
#: with the borders of its interval, and its unit; the same per area and dose, and per defect and time.
RATE_COLUMNS = (
    "event",
    "class",
    "interval",
    "first_frame",
    "last_frame",
    "time_s",
    "dose",
    "count",
    "area",
    "duration",
    "rate",
    "rate_low",
    "rate_high",
    "unit",
    "per_dose",
    "per_dose_low",
    "per_dose_high",
    "per_dose_unit",
    "per_defect",
    "per_defect_low",
    "per_defect_high",
    "per_defect_unit",
)


def poisson_interval(count: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact interval of the mean of a Poisson distribution from which a count was drawn.

    From quantiles of the chi-squared distribution: F. Garwood, Biometrika 28, 437 (1936),
    doi:10.1093/biomet/28.3-4.437.

    Parameters
    ----------
    count : int
    level : float
        Least probability that the interval holds the mean.
    """
    outside = (1 - level) / 2
    low = float(chi2.ppf(outside, 2 * count)) / 2 if count else 0.0
    return low, float(chi2.isf(outside, 2 * count + 2)) / 2


def event_rates(
    events: pd.DataFrame,
    present: NDArray[np.int64],
    class_names: Sequence[str],
    observed: Observed,
    rules: Rules,
    bins: int,
) -> pd.DataFrame:
    """Return the rate of each event, of each class and of all, in intervals of time and in the whole movie.

    Only events that `Rules.counted` allows, in frames and places in which they would have been noticed. A change
    counts for the class that it leads to.

    Parameters
    ----------
    events : DataFrame
        With `events.EVENT_COLUMNS`.
    present : (C, K) int
        Defects of each class that were there in each frame.
    class_names : C str
    observed : Observed
    rules : Rules
    bins : int
        Intervals of time.

    Returns
    -------
    DataFrame
        With `RATE_COLUMNS`.
    """
    length, time = observed.units
    areas, steps, doses = observed.areas(rules.reach), observed.steps, observed.doses
    elapsed = np.cumsum(doses)
    position = {int(t): k for k, t in enumerate(observed.frames)}
    counted = events[events["counted"]]
    at = counted["frame"].map(position).to_numpy(np.int64)
    kind, named = counted["event"].to_numpy(object), counted["class"].to_numpy(object)
    # What is there when a step begins can move, change or vanish in it.
    begun = np.hstack([np.zeros((len(present), 1)), present[:, :-1]])
    units = (
        f"1/({length}² {time})",
        f"1/({length}² e⁻/nm²)" if length == "px" else "1/e⁻",
        f"1/{time}",
    )
    rows = []
    for event in EVENTS:
        noticed = np.array(rules.counted(event, len(observed)), np.int64)
        noticed = noticed[(noticed > 0) & (noticed < len(observed))]
        parts = [(str(b), part) for b, part in enumerate(np.array_split(noticed, min(bins, max(len(noticed), 1))))]
        for interval, part in [(TOTAL, noticed), *parts]:
            if not len(part):
                continue
            for name in (TOTAL, *class_names):
                among = (kind == event) & (at >= part[0]) & (at <= part[-1])
                mine = list(range(len(class_names))) if name == TOTAL else [class_names.index(name)]
                count = int((among & ((named == name) | (name == TOTAL))).sum())
                there = begun[mine][:, part].sum(axis=0)
                middle = part[len(part) // 2]
                rows.append(
                    (
                        event,
                        name,
                        interval,
                        int(observed.frames[part[0]]),
                        int(observed.frames[part[-1]]),
                        (observed.times[part[0]] + observed.times[part[-1]]) / 2,
                        elapsed[middle],
                        count,
                        float(areas[part].mean()),
                        float(steps[part].sum()),
                        *_rate(count, float((areas * steps)[part].sum())),
                        units[0],
                        *_rate(count, float((areas * doses)[part].sum())),
                        units[1],
                        *(_rate(count, float((there * steps[part]).sum())) if event != "born" else [np.nan] * 3),
                        units[2],
                    )
                )
    return pd.DataFrame(rows, columns=list(RATE_COLUMNS))


def _rate(count: int, exposure: float) -> tuple[float, float, float]:
    """Return a rate and the borders of its interval; NaN if nothing was looked at."""
    if not exposure > 0:
        return np.nan, np.nan, np.nan
    low, high = poisson_interval(count)
    return count / exposure, low / exposure, high / exposure
