"""Telemetry of a pool: slot time and bytes transferred."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_menndl.pool.protocol import Outcome


class SlotClock:
    """Sums slot-seconds, in memory that depends only on the tasks in flight. Thread-safe.

    Parameters
    ----------
    slots : int
        Initial number of slots.
    clock : callable
        Returns the time [s].

    Notes
    -----
    A task in flight counts as running since it was sent; with more tasks than slots, only the oldest do. When a task
    ends, its reported times replace this estimate.
    """

    def __init__(self, slots: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._slots = slots
        self._wanted_slots = 0
        self._at = clock()
        self._available = self._wanted = self._busy = 0.0
        self._running: dict[int, float] = {}
        self._lock = threading.Lock()

    def set_slots(self, slots: int, wanted: int) -> None:
        """Set the number of slots, and the number of slots for which a job is available, from now on."""
        with self._lock:
            self._advance()
            self._slots, self._wanted_slots = slots, min(slots, wanted)

    def sent(self, task: int) -> None:
        with self._lock:
            self._running[task] = self._clock()

    def ended(self, task: int, outcomes: Iterable[Outcome] = ()) -> None:
        with self._lock:
            self._running.pop(task, None)
            self._busy += sum(max(0.0, outcome.finished - outcome.started) for outcome in outcomes)

    def read(self) -> tuple[float, float, float]:
        """Return busy, available and waited slot-seconds."""
        with self._lock:
            self._advance()
            oldest = sorted(self._running.values())[: self._slots]
            busy = min(self._busy + sum(self._at - since for since in oldest), self._available)
            return busy, self._available, max(0.0, self._wanted - busy)

    def _advance(self) -> None:
        now = self._clock()
        self._available += self._slots * (now - self._at)
        self._wanted += self._wanted_slots * (now - self._at)
        self._at = now
