"""How fast a search is going just now, and how long it will still take."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from napari_menndl.search.goals import parse_budget

if TYPE_CHECKING:
    from napari_menndl.search.status import Status


class _Reading(NamedTuple):
    elapsed: float
    networks: int
    births: int
    flops: float
    busy: float
    slot_seconds: float


class Rate(NamedTuple):
    """How fast a search is going.

    Attributes
    ----------
    networks_per_hour, births_per_second : float
    slots_busy : float
        Share of slot time spent on evaluations, 0 to 1.
    flops_per_second : float [FLOP/s]
        Training arithmetic that is sustained.
    """

    networks_per_hour: float = 0.0
    births_per_second: float = 0.0
    slots_busy: float = 0.0
    flops_per_second: float = 0.0


class Rates:
    """Rates over the latest stretch of a search, from the sums at each telemetry.

    Parameters
    ----------
    window : float [s]
        How much of the search's time is looked back on; more where evaluations are rarer.
    """

    def __init__(self, window: float = 120.0) -> None:
        self._window = window
        self._readings: deque[_Reading] = deque([_Reading(0.0, 0, 0, 0.0, 0.0, 0.0)])

    def take(self, status: Status) -> None:
        """Note the sums as they are after a telemetry fact."""
        now = _Reading(
            status.elapsed,
            status.networks,
            status.births,
            status.train_flops,
            status.busy_seconds,
            status.slot_seconds,
        )
        self._readings.append(now)
        # An evaluation counts when it ends: a stretch in which few end would swing from nothing to too much.
        while (
            len(self._readings) > 2
            and now.elapsed - self._readings[1].elapsed >= self._window
            and now.networks - self._readings[1].networks >= 20
        ):
            self._readings.popleft()

    def now(self) -> Rate:
        """Return the rates between the first and the last reading that count."""
        first, last = self._readings[0], self._readings[-1]
        seconds, slots = last.elapsed - first.elapsed, last.slot_seconds - first.slot_seconds
        if seconds <= 0:
            return Rate()
        return Rate(
            3600 * (last.networks - first.networks) / seconds,
            (last.births - first.births) / seconds,
            min(1.0, (last.busy - first.busy) / slots) if slots > 0 else 0.0,
            (last.flops - first.flops) / seconds,
        )


def seconds_left(budget: str, elapsed: float, births: int, rate: Rate) -> float | None:
    """Estimate when a budget will be used up, by its time or its number of networks [s].

    None where that cannot be told: a fitness or a plateau comes when it comes.
    """
    goal = parse_budget(budget)
    left = goal.seconds - elapsed
    if rate.births_per_second > 0:
        left = min(left, goal.births_left(births) / rate.births_per_second)
    return max(0.0, left) if math.isfinite(left) else None
