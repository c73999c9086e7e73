"""Job queue of a Dask pool: every job that enters leaves exactly once, with an outcome."""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import Failure
from napari_menndl.pool.protocol import Outcome

if TYPE_CHECKING:
    import asyncio

_log = logging.getLogger(__name__)

#: Largest total duration [s] and number of jobs sent as one task, since each task costs the scheduler 1 ms.
_BATCH_SECONDS = 0.25
_BATCH_JOBS = 32
#: Time from the end of a job to the arrival of the next in its slot, and duration of jobs for which this is negligible
#: [s].
_ROUND_TRIP, _LONG = 0.02, 5.0


@dataclass
class Job:
    """A job in flight.

    Attributes
    ----------
    key, payload, attachment
        As submitted.
    attempts : int
        Number of workers lost while they ran this job alone.
    alone : bool
        Whether it must be sent without other jobs.
    first : (str, Failure) or None
        The worker on which it failed first, and how; another worker then tries it.
    task : asyncio.Task or None
        Task that follows it through the cluster.
    """

    key: str
    payload: dict[str, Any]
    attachment: bytes
    attempts: int = 0
    alone: bool = False
    first: tuple[str, Failure] | None = None
    task: asyncio.Task[None] | None = None


class JobQueue:
    """Jobs in flight, those waiting to be sent, and outcomes not yet fetched. Thread-safe.

    Parameters
    ----------
    attempts : int
        Number of workers a job may lose before it fails as ``"worker_lost"``.
    """

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._outcomes: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._seconds: float | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Number of jobs in flight."""
        return len(self._jobs)

    @property
    def waiting(self) -> int:
        """Number of jobs that have not been sent."""
        return len(self._waiting)

    @property
    def batch(self) -> int:
        """Number of jobs sent as one task."""
        if self._seconds is None:
            return 1
        return max(1, min(_BATCH_JOBS, int(_BATCH_SECONDS / max(self._seconds, 1e-6))))

    def window(self, slots: int) -> int:
        """Return how many jobs keep this many slots busy: a batch each, plus a few in transit if jobs are short."""
        if not slots or self._seconds is None or self._seconds > _LONG:
            return slots
        return slots * self.batch + math.ceil(slots * min(1.0, _ROUND_TRIP / max(self._seconds, 1e-6)))

    def add(self, job: Job) -> None:
        """Add a job; ValueError if its key is in flight."""
        with self._lock:
            if job.key in self._jobs:
                raise ValueError(f"{job.key!r} is in flight already")
            self._jobs[job.key] = job
            self._waiting.append(job)

    def next_batch(self) -> list[Job]:
        """Remove and return waiting jobs to be sent together; empty if none waits."""
        jobs: list[Job] = []
        while self._waiting and len(jobs) < self.batch:
            job = self._waiting.popleft()
            if self._jobs.get(job.key) is not job:
                continue
            if job.alone and jobs:
                self._waiting.appendleft(job)
                break
            jobs.append(job)
            if job.alone:
                break
        return jobs

    def deliver(self, outcome: Outcome, job: Job) -> None:
        """Replace a job by its outcome, unless it has left or its key belongs to another job."""
        with self._lock:
            # A job that was sent again or cancelled may still return a late result, which is dropped.
            if self._jobs.get(outcome.key) is not job:
                return
            # In this order, so that when no job is in flight all outcomes are in the queue.
            self._outcomes.put(outcome)
            del self._jobs[outcome.key]
        if outcome.slot:
            seconds = max(0.0, outcome.finished - outcome.started)
            self._seconds = seconds if self._seconds is None else 0.9 * self._seconds + 0.1 * seconds

    def fail(self, jobs: list[Job], failure: Failure) -> None:
        now = time.time()
        for job in jobs:
            self.deliver(Outcome(job.key, None, b"", failure, "", now, now), job)

    def fail_all(self, failure: Failure) -> None:
        self.fail(list(self._jobs.values()), failure)

    def requeue(self, jobs: list[Job], why: str, *, count: bool) -> bool:
        """Queue jobs again; return whether any of them was still in flight.

        If `count` is true, each is sent alone from now on, and a job that has lost too many workers while alone fails.
        """
        jobs = [job for job in jobs if self._jobs.get(job.key) is job]
        for job in jobs:
            job.attempts += count and len(jobs) == 1
            job.alone = job.alone or count
            if job.attempts >= self._attempts:
                message = f"{job.attempts} workers were lost with this job; last: {why}"
                self.fail([job], Failure("worker_lost", message))
            else:
                _log.info("Sending %s again: %s", job.key, why)
                self._waiting.append(job)
        return bool(jobs)

    def requeue_all(self) -> None:
        """Queue all jobs again, because no results will arrive for those that were sent."""
        with self._lock:
            self._waiting = deque(self._jobs.values())

    def cancel(self, key: str) -> asyncio.Task[None] | None:
        """Fail a job as cancelled; return its task, or None if it has none or shares it with other jobs."""
        job = self._jobs.get(key)
        if job is None:
            return None
        self.fail([job], Failure("cancelled", "The job was cancelled."))
        shared = any(other.task is job.task for other in self._jobs.values())
        return None if shared else job.task

    def fetch(self, timeout: float | None) -> list[Outcome]:
        """Return outcomes; wait for the first while jobs are in flight, for at most `timeout` [s] or until `wake`."""
        outcomes: list[Outcome] = []
        with contextlib.suppress(queue.Empty):
            while True:
                nothing_to_wait_for = outcomes or not self._jobs or timeout == 0
                outcome = self._outcomes.get_nowait() if nothing_to_wait_for else self._outcomes.get(timeout=timeout)
                if outcome is not None:
                    outcomes.append(outcome)
                elif not outcomes:
                    break
        return outcomes

    def wake(self) -> None:
        """Make a waiting `fetch` return."""
        self._outcomes.put(None)
