"""Telemetry of a pool: slot time and bytes transferred."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_menndl.pool.protocol import Outcome


@dataclass(frozen=True)
class PoolTelemetry:
    """Counters of a pool, since it was opened.

    Attributes
    ----------
    workers, slots, gpus : int
        Present numbers; GPUs are those of machines that have answered a job.
    busy_seconds, available_seconds : float
        Slot-seconds spent on jobs, and slot-seconds available [s].
    waited_seconds : float
        Slot-seconds in which a job was available for a slot but not running: dispatch, start of trainers, staging [s].
    staged_bytes : int
        Bytes of the shared input sent to machines without a copy [byte].
    staged_seconds : float
        Time spent on staging [s].
    sent_bytes, received_bytes : int
        Bytes of jobs sent, including repeats, and of answers received [byte].
    quarantined : tuple of str
        Workers that get no more jobs.
    """

    workers: int
    slots: int
    gpus: int = 0
    busy_seconds: float = 0.0
    available_seconds: float = 0.0
    waited_seconds: float = 0.0
    staged_bytes: int = 0
    staged_seconds: float = 0.0
    sent_bytes: int = 0
    received_bytes: int = 0
    quarantined: tuple[str, ...] = ()


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

    def see(self, slots: int, wanted: int) -> None:
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
