"""Continuous dispatch of jobs to a Dask cluster, with each job followed to its end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import time
from typing import TYPE_CHECKING, Any

from distributed import Client, Future, KilledWorker
from distributed.core import Status

from napari_menndl.errors import Failure
from napari_menndl.pool.dask.uploader import Uploader
from napari_menndl.pool.dask.worker_registry import WorkerRegistry
from napari_menndl.pool.process.messages import outcome_from_message, pack, unpack
from napari_menndl.pool.protocol import Outcome, PoolTelemetry
from napari_menndl.pool.telemetry import SlotClock
from napari_menndl.pool.worker.tasks import run_jobs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_menndl.pool.dask.job_queue import Job, JobQueue
    from napari_menndl.pool.worker.slots import SlotSettings

#: Failures that a faulty machine can cause as well: the job is tried on another one.
_DOUBTFUL = frozenset({"crashed", "error", "disk_full"})


class Dispatcher:
    """Sends the jobs of a queue through one client after another; runs entirely on the clients' event loop.

    Parameters
    ----------
    queue : JobQueue
    settings : SlotSettings
        Settings of the slots on every machine.
    """

    def __init__(self, queue: JobQueue, settings: SlotSettings) -> None:
        self.registry = WorkerRegistry()
        self._queue = queue
        self._settings = settings
        self._uploader = None if settings.staged is None else Uploader(settings.staged)
        self._numbers = itertools.count()
        self._client: Client | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._restricted: dict[Future[Any], frozenset[str]] = {}
        self._clock = SlotClock()
        self._sent = self._received = 0

    def use(self, client: Client | None) -> None:
        """Use this client from now on; None: none."""
        self._client = client

    def update_workers(self, threads: Mapping[str, int]) -> None:
        """Update the workers that are present."""
        self.registry.update(threads)
        for future, allowed in list(self._restricted.items()):
            if not allowed & self.registry.present:
                # The task would wait for its workers forever.
                future.release()
                self._restricted.pop(future)

    def send(self) -> None:
        """Send all waiting jobs if there is a client."""
        client = self._client
        while client is not None and self._queue.waiting and self.registry.available:
            jobs = self._queue.next_batch()
            if jobs:
                task = asyncio.get_running_loop().create_task(self._follow(client, jobs))
                for job in jobs:
                    job.task = task
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def cancel(self, key: str) -> None:
        """Fail a job as cancelled, and stop its trainer."""
        task = self._queue.cancel(key)
        if task is not None:
            # Releasing the task makes its worker stop the trainer.
            task.cancel()

    async def stop(self) -> None:
        """Stop following jobs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def count(self, slots: int) -> None:
        """Set the number of slots in use from now on."""
        self._clock.set_slots(slots, len(self._queue))

    def telemetry(self, slots: int) -> PoolTelemetry:
        busy, available, waited = self._clock.read()
        return PoolTelemetry(
            len(self.registry.present),
            slots,
            self.registry.gpus,
            busy,
            available,
            waited,
            self._uploader.sent if self._uploader else 0,
            self._uploader.seconds if self._uploader else 0.0,
            self._sent,
            self._received,
            self.registry.quarantined,
        )

    async def _follow(self, client: Client, jobs: list[Job]) -> None:
        """Send jobs as one task and handle its result."""
        try:
            packed = pack([({"key": job.key, "payload": job.payload}, job.attachment) for job in jobs])
        except (TypeError, ValueError) as error:
            self._queue.fail(jobs, Failure("error", f"The job cannot be sent: {error}"))
            return
        number, asked = next(self._numbers), time.monotonic()
        future: Future[Any] | None = None
        outcomes: list[Outcome] = []
        try:
            future = self._submit(client, packed, number, jobs)
            answer = await future
            self._received += len(answer)
            (report, _), *messages = unpack(answer)
            worker = self.registry.on_report(report)
            outcomes = [outcome_from_message(message) for message in messages]
        except KilledWorker as error:
            going = getattr(error.last_worker, "status", None) in (Status.closing, Status.closing_gracefully)
            self._requeue(jobs, str(error), count=not going)
        except (concurrent.futures.CancelledError, OSError) as error:
            # The scheduler is gone, or has lost the task: not the job's fault. Only an error of the task itself counts
            # as an attempt.
            self._requeue(jobs, str(error), count=future is not None and future.status == "error")
        except Exception as error:
            if client.status != "running":
                self._requeue(jobs, str(error), count=False)
            elif len(jobs) > 1:
                self._requeue(jobs, str(error), count=True)
            else:
                now = time.time()
                failure = Failure("error", f"The worker's answer cannot be used: {type(error).__name__}: {error}")
                outcome = Outcome(jobs[0].key, None, b"", failure, "", now, now)
                self._receive(jobs[0], outcome, await self._holder_of(client, future))
        else:
            unanswered = {job.key: job for job in jobs}
            for outcome in outcomes:
                stopped = outcome.failure is not None and outcome.failure.kind == "cancelled"
                if not stopped and (job := unanswered.pop(outcome.key, None)) is not None:
                    self._receive(job, outcome, worker)
            if "unfit" in report:
                self.registry.quarantine(worker, f"it has {report['unfit']}. Install the same versions there as here")
                self._requeue(list(unanswered.values()), "the worker has other versions", count=False)
            elif "cache" in report:
                await self._stage(client, list(unanswered.values()), worker, report, asked)
            else:
                # A worker that is closing stops its trainers and answers without them; one that is delayed by a job
                # returns the others of its batch.
                self._requeue(list(unanswered.values()), "the worker gave it back", count=True)
        finally:
            self._clock.ended(number, outcomes)
            if future is not None:
                self._restricted.pop(future, None)
                future.release()

    def _submit(self, client: Client, packed: bytes, number: int, jobs: list[Job]) -> Future[Any]:
        first = jobs[0].first
        allowed = (self.registry.peers(first[0]) if first else None) or self.registry.available
        options: dict[str, Any] = {} if allowed == self.registry.present else {"workers": sorted(allowed)}
        key = f"evaluate-{self._settings.pool}-{number}"
        future = client.submit(run_jobs, self._settings, packed, key=key, pure=False, **options)
        if options:
            self._restricted[future] = allowed
        self._clock.sent(number)
        self._sent += len(packed)
        return future

    def _receive(self, job: Job, outcome: Outcome, worker: str) -> None:
        """Deliver an outcome, unless another worker should try the job first."""
        if outcome.failure is None:
            self.registry.succeeded(worker)
            if job.first is not None and job.first[0] != worker:
                self.registry.contradicted(*job.first)
        elif outcome.failure.kind in _DOUBTFUL and job.first is None and self.registry.peers(worker):
            job.first = worker, outcome.failure
            job.alone = True
            self._requeue([job], f"{outcome.failure.kind} on {worker}", count=False)
            return
        self._queue.deliver(outcome, job)

    async def _holder_of(self, client: Client, future: Future[Any] | None) -> str:
        """Return the worker that holds a result, "" if there is none."""
        with contextlib.suppress(Exception):
            holders = (await client.who_has([future]))[future.key] if future is not None else ()
            return next((one for one in holders if one in self.registry.present), "")
        return ""

    async def _stage(self, client: Client, jobs: list[Job], worker: str, report: dict[str, Any], asked: float) -> None:
        """Stage the shared input of these jobs on the worker's machine, and queue the jobs again."""
        assert self._uploader is not None
        trouble = str(report["trouble"])
        try:
            if worker and not trouble:
                place = str(report["host"]), str(report["cache"])
                trouble = await self._uploader.upload(client, worker, place, asked)
        except Exception as error:
            trouble = f"{type(error).__name__}: {error}"
        if worker and trouble:
            self.registry.pause(worker, trouble)
        self._requeue(jobs, trouble or "it is staged now", count=False)

    def _requeue(self, jobs: list[Job], why: str, *, count: bool) -> None:
        if self._queue.requeue(jobs, why, count=count):
            asyncio.get_running_loop().call_later(0.05, self.send)
