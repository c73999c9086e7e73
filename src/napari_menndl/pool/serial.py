"""Reference pool: one job at a time, in order of submission."""

from __future__ import annotations

import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from napari_menndl.errors import Failure
from napari_menndl.pool.process.entry import call_entry
from napari_menndl.pool.process.messages import LIMIT
from napari_menndl.pool.process.slot import Slot
from napari_menndl.pool.protocol import Entry, Outcome, PoolTelemetry
from napari_menndl.pool.telemetry import SlotClock


class SerialPool:
    """Runs the oldest job when `finished` is called; a `Pool` with a fixed order.

    Parameters
    ----------
    function : callable or Slot
        A callable runs in this process and cannot be stopped; a slot runs jobs in its trainer.
    timeout : float, optional
        Time limit of each job in a slot [s].
    gpus : int
        Number of GPUs of the slot.
    """

    slots = 1

    def __init__(self, function: Entry | Slot, timeout: float | None = None, gpus: int = 0) -> None:
        self._function = function
        self._timeout = timeout
        self._gpus = gpus
        self._waiting: OrderedDict[str, tuple[dict[str, Any], bytes]] = OrderedDict()
        self._cancelled: list[Outcome] = []
        self._closed = False
        self._clock = SlotClock(1)
        self._thread = ThreadPoolExecutor(1, "serial") if isinstance(function, Slot) else None
        self._running: tuple[str, Future[Outcome]] | None = None
        self._unwanted: set[str] = set()

    @property
    def free(self) -> int:
        return 0 if self._waiting or self._closed else 1

    def submit(self, key: str, payload: dict[str, Any], attachment: bytes = b"") -> None:
        if self._closed:
            raise RuntimeError("the pool is closed")
        if key in self._waiting:
            raise ValueError(f"{key!r} is in flight already")
        if len(attachment) > LIMIT:
            raise ValueError(f"an attachment of {len(attachment)} bytes is over the limit of {LIMIT}")
        self._waiting[key] = (payload, attachment)
        self._clock.set_slots(1, len(self._waiting))

    def finished(self, timeout: float | None = None) -> list[Outcome]:
        """Wait for the oldest job; one that runs in this process is not limited by `timeout`."""
        if self._cancelled:
            cancelled, self._cancelled = self._cancelled, []
            return cancelled
        if not self._waiting or self._closed:
            return []
        key, (payload, attachment) = next(iter(self._waiting.items()))
        if self._thread is None:
            started = time.time()
            result = call_entry(self._function, payload, attachment)  # type: ignore[arg-type]
            outcome = Outcome(key, *result, "here", started, time.time())
        elif (answer := self._in_slot(key, payload, attachment, timeout)) is None:
            return []
        else:
            outcome = answer
        self._waiting.pop(key, None)
        self._clock.ended(0, [outcome])
        self._clock.set_slots(1, len(self._waiting))
        return [] if self._closed else [outcome]

    def _in_slot(self, key: str, payload: dict[str, Any], attachment: bytes, timeout: float | None) -> Outcome | None:
        """Start a job in the slot unless one is running; return its outcome, or None if it takes longer."""
        assert self._thread is not None
        if self._running is None:
            run: Any = self._function.run  # type: ignore[union-attr]

            def wanted() -> bool:
                return key not in self._unwanted

            self._running = key, self._thread.submit(run, key, payload, attachment, self._timeout, wanted)
        running, future = self._running
        with suppress(TimeoutError):
            outcome = future.result(timeout)
            self._running = None
            self._unwanted.discard(running)
            return outcome
        return None

    def cancel(self, key: str) -> None:
        if self._running is not None and self._running[0] == key:
            self._unwanted.add(key)  # returned by `finished` once its trainer has been killed
        elif self._waiting.pop(key, None) is not None:
            now = time.time()
            failure = Failure("cancelled", "The job was cancelled.")
            self._cancelled.append(Outcome(key, None, b"", failure, "", now, now))
            self._clock.set_slots(1, len(self._waiting))

    def telemetry(self) -> PoolTelemetry:
        busy, available, waited = self._clock.read()
        return PoolTelemetry(1, 1, self._gpus, busy, available, waited)

    def close(self) -> None:
        self._closed = True
        self._waiting.clear()
        if isinstance(self._function, Slot):
            self._function.close()
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
