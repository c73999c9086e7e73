"""The pool on Dask: rolling dispatch, and every job back once whatever dies in between."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import logging
import queue
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dask.system import CPU_COUNT
from distributed import Client, KilledWorker

from napari_menndl.errors import Failure
from napari_menndl.pool.cluster import check_address, connect, has_lost_its_worker
from napari_menndl.pool.messages import LIMIT, outcome_from_message, pack, unpack
from napari_menndl.pool.protocol import Outcome
from napari_menndl.pool.worker import SlotSettings, forget_pool, run_jobs

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = logging.getLogger(__name__)

#: Jobs that take less than this together travel as one task, and so many at most: a task costs the scheduler 1 ms.
_BATCH_SECONDS = 0.1
_BATCH_JOBS = 32
_WATCH = 1.0
_ANSWER = 30.0
#: Our own cluster is made anew when it has been without a worker process, or with one that is deaf, for so long [s].
_NO_WORKER = 2.5
_DEAF_WORKER = 60.0


@dataclass
class _Job:
    key: str
    payload: dict[str, Any]
    attachment: bytes
    attempts: int = 0
    task: asyncio.Task[None] | None = None


class DaskPool:
    """Jobs on the slots of a Dask cluster: each of a worker's threads drives one trainer child.

    Everything about the cluster happens on an event loop in a thread of the pool's own; when the scheduler is lost,
    the connection (or the machine-local cluster) is made anew and what was in flight is sent again.

    Parameters
    ----------
    entry : str
        ``"module:function"`` with the signature of `napari_menndl.pool.protocol.Entry`, importable on the workers.
    address : str, optional
        ``"tcp://127.0.0.1:port"`` of a running scheduler; None: a cluster of our own on this machine.
    slots : int, optional
        Of our own cluster (by default one per core); for a running scheduler, the most that are used.
    timeout : float, optional
        Of each job [s].
    threads : int, optional
        Per trainer; by default each machine's cores shared among its slots.
    networks_per_gpu : int
        How many slots share a GPU, where there are any; 0 keeps trainers off the GPUs.
    env : mapping of str to str, optional
        Environment of the trainers besides their worker's.
    local_directory : str, optional
        Where our own cluster's worker keeps its files.
    attempts : int
        How many workers a job may lose before it fails as ``"worker_lost"``.
    patience : float
        How long a lost scheduler is waited for before jobs fail as ``"scheduler_lost"`` [s].

    Raises
    ------
    InputError
        The address is refused, nobody answers there within about 10 s, or versions differ.
    """

    def __init__(
        self,
        entry: str,
        address: str | None = None,
        slots: int | None = None,
        timeout: float | None = 3600.0,
        *,
        threads: int | None = None,
        networks_per_gpu: int = 1,
        env: Mapping[str, str] | None = None,
        local_directory: str | None = None,
        attempts: int = 5,
        patience: float = 600.0,
    ) -> None:
        self._address = None if address is None else check_address(address)
        self._most = slots
        self._local_directory = local_directory
        self._attempts = attempts
        self._patience = patience
        environment = tuple(sorted((env or {}).items()))
        self._settings = SlotSettings(uuid.uuid4().hex, entry, timeout, threads, networks_per_gpu, environment)

        self._jobs: dict[str, _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._outcomes: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._slots = 0
        self._seconds: float | None = None
        self._closed = False
        self._lock = threading.Lock()

        self._client: Client | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="pool", daemon=True)
        self._thread.start()
        try:
            ready.result()
        except BaseException:
            self.close()
            raise

    # What the owner calls.

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def free(self) -> int:
        return 0 if self._closed else max(0, self._slots * self._batch - len(self._jobs))

    def submit(self, key: str, payload: dict[str, Any], attachment: bytes = b"") -> None:
        if self._closed:
            raise RuntimeError("the pool is closed")
        if len(attachment) > LIMIT:
            raise ValueError(f"an attachment of {len(attachment)} bytes is over the limit of {LIMIT}")
        job = _Job(key, payload, bytes(attachment))
        with self._lock:
            if key in self._jobs:
                raise ValueError(f"{key!r} is in flight already")
            self._jobs[key] = job
            self._waiting.append(job)
        if len(self._waiting) >= self._batch:
            self._call(self._send)

    def finished(self, timeout: float | None = None) -> list[Outcome]:
        if self._waiting:
            self._call(self._send)
        outcomes: list[Outcome] = []
        with contextlib.suppress(queue.Empty):
            while True:
                nothing_to_wait_for = outcomes or not self._jobs or self._closed
                outcome = self._outcomes.get_nowait() if nothing_to_wait_for else self._outcomes.get(timeout=timeout)
                if outcome is not None:
                    outcomes.append(outcome)
                elif not outcomes:
                    break
        return outcomes

    def cancel(self, key: str) -> None:
        self._call(self._cancel, key)

    def close(self) -> None:
        self._closed = True
        self._call(self._closing.set)
        self._outcomes.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(10)

    # What happens on the loop.

    def _call(self, function: Any, *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(function, *arguments)

    def _run(self, ready: concurrent.futures.Future[None]) -> None:
        failure = Failure("scheduler_lost", "The pool was closed.")
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._supervise(ready))
        except Exception as error:
            if not ready.done():
                ready.set_exception(error)
            else:
                _log.exception("The pool has ended")
                failure = Failure("scheduler_lost", f"The pool has ended: {error!r}")
        finally:
            self._slots, broken = 0, not self._closed
            self._closed = True
            if broken:
                self._fail(list(self._jobs.values()), failure)

    async def _supervise(self, ready: concurrent.futures.Future[None]) -> None:
        """Be connected; when that ends, be connected again."""
        pause, lost = 0.5, 0.0
        while not self._closing.is_set():
            try:
                async with connect(self._address, self._most or CPU_COUNT, self._local_directory) as client:
                    pause, lost = 0.5, 0.0
                    await self._serve(client, ready)
                    if self._closing.is_set():
                        return
                    lost = time.monotonic()
                    _log.warning("The Dask cluster is lost; connecting again")
            except Exception as error:
                if not ready.done():
                    raise
                lost = lost or time.monotonic()
                _log.warning("No scheduler yet: %s", error)
            if time.monotonic() - lost > self._patience:
                message = f"No scheduler has answered for {self._patience:g} s."
                self._fail(list(self._jobs.values()), Failure("scheduler_lost", message))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause)
            pause = min(2 * pause, 15.0)

    async def _serve(self, client: Client, ready: concurrent.futures.Future[None]) -> None:
        """Dispatch through this client for as long as it lives."""
        seen = time.monotonic()
        self._client = client
        try:
            with contextlib.suppress(OSError):
                while client.status == "running" and not self._closing.is_set():
                    assert client.scheduler is not None
                    threads = await asyncio.wait_for(client.scheduler.ncores(), _ANSWER)
                    present = sum(threads.values())
                    self._slots = present if self._most is None else min(present, self._most)
                    if not ready.done():
                        ready.set_result(None)
                    if present or self._address is not None:
                        seen = time.monotonic()
                    elif time.monotonic() - seen > (_NO_WORKER if has_lost_its_worker(client) else _DEAF_WORKER):
                        return
                    self._send()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._closing.wait(), _WATCH)
        finally:
            self._client, self._slots = None, 0
            if self._closing.is_set() and client.status == "running":
                # First: a worker whose trainers are gone closes at once.
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(client.run(forget_pool, self._settings.pool), 2.0)
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if not self._closing.is_set():
                with self._lock:
                    self._waiting = deque(self._jobs.values())

    @property
    def _batch(self) -> int:
        """How many jobs travel together."""
        if self._seconds is None:
            return 1
        return max(1, min(_BATCH_JOBS, int(_BATCH_SECONDS / max(self._seconds, 1e-6))))

    def _send(self) -> None:
        client = self._client
        while client is not None and self._waiting:
            jobs: list[_Job] = []
            while self._waiting and len(jobs) < self._batch:
                job = self._waiting.popleft()
                if self._jobs.get(job.key) is not job:
                    continue
                if job.attempts and jobs:
                    # Whatever has lost a worker before goes alone.
                    self._waiting.appendleft(job)
                    break
                jobs.append(job)
                if job.attempts:
                    break
            if jobs:
                task = self._loop.create_task(self._follow(client, jobs))
                for job in jobs:
                    job.task = task
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _follow(self, client: Client, jobs: list[_Job]) -> None:
        """Send jobs as one task and see them to their end."""
        try:
            packed = pack([({"key": job.key, "payload": job.payload}, job.attachment) for job in jobs])
        except (TypeError, ValueError) as error:
            self._fail(jobs, Failure("error", f"The job cannot be sent: {error}"))
            return
        key = f"evaluate-{self._settings.pool}-{next(self._numbers)}"
        future = None
        try:
            future = client.submit(run_jobs, self._settings, packed, key=key, pure=False)
            outcomes = [outcome_from_message(message) for message in unpack(await future)]
        except KilledWorker as error:
            self._again(jobs, str(error), count=True)
        except (concurrent.futures.CancelledError, OSError) as error:
            # The scheduler is gone, or has forgotten the task: no job's doing.
            self._again(jobs, str(error), count=False)
        except Exception as error:
            if client.status == "running":
                self._fail(jobs, Failure("error", f"{type(error).__name__}: {error}"))
            else:
                self._again(jobs, str(error), count=False)
        else:
            unheard = {job.key: job for job in jobs}
            for outcome in outcomes:
                job = unheard.get(outcome.key)
                stopped = outcome.failure is not None and outcome.failure.kind == "cancelled"
                if job is not None and not stopped:
                    del unheard[outcome.key]
                    self._deliver(outcome, job)
            # A worker on its way out stops its trainers and answers without them.
            self._again(list(unheard.values()), "the worker was closing", count=True)
        finally:
            if future is not None:
                future.release()

    def _deliver(self, outcome: Outcome, job: _Job) -> None:
        with self._lock:
            # A late result of a job that was sent again, or cancelled, finds another or none in its place.
            if self._jobs.get(outcome.key) is not job:
                return
            # In this order: whoever sees nothing in flight finds everything in the queue.
            self._outcomes.put(outcome)
            del self._jobs[outcome.key]
        if outcome.slot:
            seconds = max(0.0, outcome.finished - outcome.started)
            self._seconds = seconds if self._seconds is None else 0.9 * self._seconds + 0.1 * seconds

    def _again(self, jobs: list[_Job], why: str, *, count: bool) -> None:
        jobs = [job for job in jobs if self._jobs.get(job.key) is job]
        for job in jobs:
            job.attempts += count
            if job.attempts >= self._attempts:
                message = f"{job.attempts} workers were lost with this job; last: {why}"
                self._fail([job], Failure("worker_lost", message))
            else:
                _log.info("Sending %s again: %s", job.key, why)
                self._waiting.append(job)
        if jobs:
            self._loop.call_later(0.05, self._send)

    def _fail(self, jobs: list[_Job], failure: Failure) -> None:
        now = time.time()
        for job in jobs:
            self._deliver(Outcome(job.key, None, b"", failure, "", now, now), job)

    def _cancel(self, key: str) -> None:
        job = self._jobs.get(key)
        if job is None:
            return
        self._fail([job], Failure("cancelled", "The job was cancelled."))
        task = job.task
        if task is not None and not any(other.task is task for other in self._jobs.values()):
            # Releasing the task makes its worker stop the trainer.
            task.cancel()
