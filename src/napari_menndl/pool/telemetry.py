"""How busy the slots are, weighted by time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_menndl.pool.protocol import Outcome


@dataclass(frozen=True)
class SlotTime:
    """A reading of a `SlotClock`.

    Attributes
    ----------
    at : float
        When it was read [s since 1970].
    busy, available : float
        Slot-seconds spent on jobs, and slot-seconds there were, since the clock was started [s].
    """

    at: float
    busy: float
    available: float


class SlotClock:
    """Adds up slot-seconds; its memory is that of the jobs in flight, however long it runs.

    Parameters
    ----------
    slots : int
        How many there are at first.
    clock : callable
        [s since 1970]

    Notes
    -----
    A job in flight counts as running since it was submitted, which is true of a pool that is given no more than it
    takes; as soon as it has ended, its own account of when it ran replaces that.
    """

    def __init__(self, slots: int, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._slots = slots
        self._changed = clock()
        self._available = 0.0
        self._busy = 0.0
        self._running: dict[str, float] = {}

    def set_slots(self, slots: int) -> None:
        """Say how many slots there are from now on."""
        now = self._clock()
        self._available += self._slots * max(0.0, now - self._changed)
        self._slots, self._changed = slots, now

    def submitted(self, key: str) -> None:
        self._running[key] = self._clock()

    def finished(self, outcome: Outcome) -> None:
        self._running.pop(outcome.key, None)
        self._busy += max(0.0, outcome.finished - outcome.started)

    def read(self) -> SlotTime:
        now = self._clock()
        running = sum(max(0.0, now - since) for since in self._running.values())
        available = self._available + self._slots * max(0.0, now - self._changed)
        return SlotTime(now, self._busy + running, available)

    def slots_busy(self, since: SlotTime | None = None) -> float:
        """Share of the slot-seconds since that reading, or since the start, that went into jobs: 0 to 1."""
        now = self.read()
        available = now.available - (since.available if since else 0.0)
        busy = now.busy - (since.busy if since else 0.0)
        return min(1.0, max(0.0, busy / available)) if available > 0 else 0.0
