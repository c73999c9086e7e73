"""How a pool has spent its time: slots busy, free and waited for, and the bytes moved."""

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
    """What a pool has to tell; sums run from when it was opened.

    Attributes
    ----------
    workers, slots, gpus : int
        That are there now; of GPUs, those of machines that have answered a job.
    busy_seconds, available_seconds : float
        Slot-seconds that went into jobs, and slot-seconds there were [s].
    waited_seconds : float
        Slot-seconds in which a job was there for a slot and did not run yet: dispatch, start of trainers, staging [s].
    staged_bytes : int
        Sent to machines that had no copy of what is carried [byte].
    staged_seconds : float
        Spent on that [s].
    sent_bytes, received_bytes : int
        Jobs sent, a second time included, and answers received [byte].
    quarantined : tuple of str
        Workers that are given no jobs any more.
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
    """Adds up slot-seconds; its memory is that of the tasks in flight, however long it runs. Thread-safe.

    Parameters
    ----------
    slots : int
        How many there are at first.
    clock : callable
        [s]

    Notes
    -----
    A task in flight counts as running since it was sent, and of more tasks than slots the oldest do; as soon as it has
    ended, its own account of when it ran replaces that.
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
        """Say how many slots there are, and for how many of them a job is there, from now on."""
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
