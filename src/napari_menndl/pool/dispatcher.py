"""Rolling dispatch: jobs go to a Dask cluster as it takes them, and every one is seen to its end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
from typing import TYPE_CHECKING

from distributed import Client, KilledWorker

from napari_menndl.errors import Failure
from napari_menndl.pool.messages import outcome_from_message, pack, unpack
from napari_menndl.pool.worker import SlotSettings, run_jobs

if TYPE_CHECKING:
    from napari_menndl.pool.ledger import Job, Ledger


class Dispatcher:
    """Sends what waits in a ledger through one client after another; everything happens on the clients' event loop.

    Parameters
    ----------
    ledger : Ledger
    settings : SlotSettings
        Of the slots on every machine.
    """

    def __init__(self, ledger: Ledger, settings: SlotSettings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._numbers = itertools.count()
        self._client: Client | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def use(self, client: Client | None) -> None:
        """Send through this client from now on; None: through none."""
        self._client = client

    def send(self) -> None:
        """Send whatever waits, where there is a client."""
        client = self._client
        while client is not None and self._ledger.waiting:
            jobs = self._ledger.next_batch()
            if jobs:
                task = asyncio.get_running_loop().create_task(self._follow(client, jobs))
                for job in jobs:
                    job.task = task
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def cancel(self, key: str) -> None:
        """Fail a job, and stop the trainer that works at it."""
        task = self._ledger.cancel(key)
        if task is not None:
            # Releasing the task makes its worker stop the trainer.
            task.cancel()

    async def stop(self) -> None:
        """Follow no job any further."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, client: Client, jobs: list[Job]) -> None:
        """Send jobs as one task and see them to their end."""
        try:
            packed = pack([({"key": job.key, "payload": job.payload}, job.attachment) for job in jobs])
        except (TypeError, ValueError) as error:
            self._ledger.fail(jobs, Failure("error", f"The job cannot be sent: {error}"))
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
                self._ledger.fail(jobs, Failure("error", f"{type(error).__name__}: {error}"))
            else:
                self._again(jobs, str(error), count=False)
        else:
            unheard = {job.key: job for job in jobs}
            for outcome in outcomes:
                job = unheard.get(outcome.key)
                stopped = outcome.failure is not None and outcome.failure.kind == "cancelled"
                if job is not None and not stopped:
                    del unheard[outcome.key]
                    self._ledger.deliver(outcome, job)
            # A worker on its way out stops its trainers and answers without them.
            self._again(list(unheard.values()), "the worker was closing", count=True)
        finally:
            if future is not None:
                future.release()

    def _again(self, jobs: list[Job], why: str, *, count: bool) -> None:
        if self._ledger.again(jobs, why, count=count):
            asyncio.get_running_loop().call_later(0.05, self.send)
