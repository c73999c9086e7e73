"""Events of trajectories: defects that are born, move, grow, change their class, vanish."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_menndl.tracks.observed import Observed

#: Events that rates are given of, and those at the frame's border, which say nothing of the sample.
EVENTS = ("born", "moved", "grown", "shrunk", "changed", "vanished")
AT_BORDER = ("entered", "left")
#: Columns of a table of events: what happened, to which trajectory, in which frame; class (after a change) and the one
#: before it; centre [px] and [nm], of a vanished defect where it would be now; length of a step; gain of area; the
#: trajectory that took a vanished defect's place, as a growing hole does; whether it counts in the rates.
EVENT_COLUMNS = (
    "event",
    "track",
    "frame",
    "time_s",
    "class",
    "class_before",
    "y",
    "x",
    "y_nm",
    "x_nm",
    "distance_px",
    "distance_nm",
    "growth_px",
    "growth_nm2",
    "into",
    "counted",
)
#: A place is in an extended defect if it lies within this many radii of its centre; holes are not round.
_ROUND = 1.25


@dataclass(frozen=True)
class Rules:
    """Criteria of events; lengths and areas in pixels.

    Attributes
    ----------
    reach, move : float [px]
    growth : float [px²]
    gap, confirm : int
        As in `TrackSettings`.
    """

    reach: float
    move: float
    growth: float
    gap: int
    confirm: int

    def counted(self, event: str, frames: int) -> range:
        """Return the positions of frames in which an event would have been noticed, if it had happened.

        A birth needs `gap` + 1 frames without the defect before it, and `confirm` frames with it; a death the
        reverse.
        """
        if event == "born":
            return range(self.gap + 1, frames - self.confirm + 1)
        if event == "vanished":
            return range(self.confirm, frames - self.gap)
        return range(self.confirm, frames - self.confirm + 1)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Trajectory of one defect through the movie.

    Attributes
    ----------
    number : int
    order : (n,) int
        Positions of its frames among those looked at.
    places : (n, 2) float [px]
        (y, x), drift removed.
    areas : (n,) float [px²]
        NaN if unknown.
    classes : (n,) str
        As found.
    """

    number: int
    order: NDArray[np.int64]
    places: NDArray[np.float64]
    areas: NDArray[np.float64]
    classes: NDArray[Any]

    def settled_classes(self, least: int) -> NDArray[Any]:
        """Return the classes (n,), where one that lasts for fewer than `least` frames counts as the one before it."""
        starts = [0, *(np.flatnonzero(self.classes[1:] != self.classes[:-1]) + 1), len(self.classes)]
        runs = [(self.classes[i], j - i) for i, j in pairwise(starts)]
        lasting = [name for name, length in runs if length >= least]
        now = lasting[0] if lasting else max(set(self.classes), key=list(self.classes).count)
        settled = []
        for name, length in runs:
            now = name if length >= least else now
            settled += [now] * length
        return np.array(settled, object)


def find_events(trajectories: list[Trajectory], observed: Observed, rules: Rules) -> pd.DataFrame:
    """Return the events of trajectories.

    A trajectory of fewer than `confirm` frames has none, and what lasts for fewer is none. Those in the first frame
    were not born in it, those in the last did not vanish; defects that come or go by the frame's border, within
    reach of it, ``"entered"`` or ``"left"``.

    Parameters
    ----------
    trajectories : list of Trajectory
    observed : Observed
    rules : Rules

    Returns
    -------
    DataFrame
        With `EVENT_COLUMNS`, in order of frames.
    """
    rows = []
    for one in trajectories:
        if len(one.order) >= rules.confirm:
            rows += [*_begin_and_end(one, observed, rules), *_on_the_way(one, observed, rules)]
    table = pd.DataFrame(rows, columns=["event", "track", "k", "class", "class_before", "y", "x", "step", "gain"])
    table = table.sort_values(["k", "track"], kind="stable", ignore_index=True)
    return _completed(table, _swallowed_by(table, trajectories), observed, rules)


def _begin_and_end(one: Trajectory, observed: Observed, rules: Rules) -> Iterator[tuple[Any, ...]]:
    """Yield how a trajectory begins and ends, unless with the movie."""
    names = one.settled_classes(rules.confirm)
    first, last = int(one.order[0]), int(one.order[-1])
    if first > 0:
        seen = observed.shows([first - 1, first], one.places[0], rules.reach).all()
        yield ("born" if seen else "entered", one.number, first, names[0], "", *one.places[0], np.nan, np.nan)
    if last < len(observed) - 1:
        seen = observed.shows([last, last + 1], one.places[-1], rules.reach).all()
        yield ("vanished" if seen else "left", one.number, last + 1, names[-1], "", *one.places[-1], np.nan, np.nan)


def _on_the_way(one: Trajectory, observed: Observed, rules: Rules) -> Iterator[tuple[Any, ...]]:
    """Yield what happens to a trajectory between its first and its last frame.

    Each is a step of the median of `confirm` frames that the frame itself makes as well.
    """
    n, count = rules.confirm, len(one.order)
    names = one.settled_classes(n)
    radii = np.sqrt(np.nan_to_num(one.areas) / np.pi)
    # Of a defect that the frame's border cuts, neither centre nor area is known.
    whole = observed.shows(one.order, one.places, np.maximum(rules.reach, _ROUND * radii))
    ahead = np.convolve(whole, np.ones(n, int))[n - 1 :] == n  # all of the next n are whole
    place, area, radius = (_medians(values, n) for values in (one.places, one.areas, radii))
    stay, size = 0, area[0]
    for i in range(1, count):
        here, where = one.places[i], (one.number, int(one.order[i]), names[i])
        if not whole[i] or not whole[i - 1]:
            stay, size = i, area[i]
            continue
        gain = area[i] - size
        if names[i] != names[i - 1]:
            yield ("changed", *where, names[i - 1], *here, np.nan, gain)
            stay, size = i, area[i]
            continue
        if i + n > count or not ahead[i]:
            continue
        if abs(gain) >= rules.growth and np.sign(one.areas[i] - size) == np.sign(gain):
            yield ("grown" if gain > 0 else "shrunk", *where, "", *here, np.nan, gain)
            stay, size = i, area[i]
            continue
        before = place[i - n] if i - n >= stay else np.median(one.places[stay:i], axis=0)
        step = math.dist(place[i], before)
        # A large defect whose outline changes has another centre, but has not moved as long as that is inside it.
        least = max(rules.move, radius[i])
        if step >= least and math.dist(here, before) >= least:
            yield ("moved", *where, "", *here, step, np.nan)
            stay = i


def _medians(values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return for each row the median of it and the n - 1 rows that follow, as far as there are any."""
    whole = max(len(values) - n + 1, 0)
    windows = (
        np.lib.stride_tricks.sliding_window_view(values, n, axis=0) if whole else np.empty((0, *values.shape[1:], n))
    )
    rest = [np.median(values[i:], axis=0) for i in range(whole, len(values))]
    return np.concatenate([np.median(windows, axis=-1), *(one[None] for one in rest)])


def _swallowed_by(table: pd.DataFrame, trajectories: list[Trajectory]) -> list[int | None]:
    """Return for each event of a vanished defect the trajectory of a larger one that covers its place, else None."""
    there: dict[int, list[tuple[int, NDArray[np.float64], float]]] = {}
    for one in trajectories:
        for k, place, area in zip(one.order, one.places, one.areas, strict=True):
            there.setdefault(int(k), []).append((one.number, place, np.sqrt(area / np.pi) * _ROUND))
    found: list[int | None] = []
    for event, track, k, y, x in table[["event", "track", "k", "y", "x"]].itertuples(index=False):
        others = there.get(k, []) if event == "vanished" else []
        inside = [(r, other) for other, at, r in others if other != track and np.hypot(y - at[0], x - at[1]) <= r]
        found.append(max(inside)[1] if inside else None)
    return found


def _completed(table: pd.DataFrame, into: list[int | None], observed: Observed, rules: Rules) -> pd.DataFrame:
    """Return the events with `EVENT_COLUMNS`, in coordinates of their frames."""
    k = table["k"].to_numpy(np.int64)
    places = table[["y", "x"]].to_numpy(np.float64) + observed.shifts[k]
    scale = np.array(observed.pixel_size or (np.nan, np.nan))
    side = observed.side if observed.pixel_size else np.nan
    noticed = {event: set(rules.counted(event, len(observed))) for event in EVENTS}
    counted = [event in noticed and at in noticed[event] for event, at in zip(table["event"], k, strict=True)]
    columns = (
        table["event"].to_numpy(object),
        table["track"].to_numpy(np.int64),
        observed.frames[k],
        observed.times[k],
        table["class"].to_numpy(object),
        table["class_before"].to_numpy(object),
        *places.T,
        *(places * scale).T,
        table["step"].to_numpy(np.float64),
        table["step"].to_numpy(np.float64) * side,
        table["gain"].to_numpy(np.float64),
        table["gain"].to_numpy(np.float64) * side**2,
        pd.array(into, dtype="Int64"),
        np.array(counted, bool),
    )
    return pd.DataFrame(dict(zip(EVENT_COLUMNS, columns, strict=True)))
