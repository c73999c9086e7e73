"""Pool on Dask, with continuous dispatch; each job is returned exactly once, whatever fails."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import Failure
from napari_menndl.pool.clusters.local import has_lost_its_worker
from napari_menndl.pool.dask.dispatcher import Dispatcher
from napari_menndl.pool.dask.job_queue import Job, JobQueue
from napari_menndl.pool.process.messages import LIMIT
from napari_menndl.pool.worker.plugins import install_plugins
from napari_menndl.pool.worker.slots import SlotSettings
from napari_menndl.pool.worker.staging import SharedInput, StagedInput
from napari_menndl.pool.worker.tasks import forget_pool, versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Client

    from napari_menndl.pool.cluster import Cluster
    from napari_menndl.pool.protocol import Outcome, PoolTelemetry

_log = logging.getLogger(__name__)

#: Interval at which workers are counted, and that while there are fewer than before [s].
_WATCH, _WATCH_CLOSELY = 1.0, 0.2
#: Time to wait for a stopped or overloaded scheduler; broken connections are noticed sooner, by TCP [s].
_ANSWER = 120.0
#: Time without a worker process, and with an unresponsive one, after which the pool's own cluster is restarted [s].
_NO_WORKER = 2.5
_DEAF_WORKER = 60.0


class DaskPool:
    """Runs jobs on the slots of a Dask cluster: each thread of a worker controls one trainer.

    The cluster is handled on an event loop in the pool's own thread. When the scheduler is lost, the pool reconnects
    (or restarts its local cluster) and sends the jobs in flight again.

    Parameters
    ----------
    entry : str
        ``"module:function"`` with the signature of `napari_menndl.pool.protocol.Entry`, importable on the workers.
    cluster : Cluster
        Source of workers; reconnected when it is lost.
    slots : int, optional
        Largest number of slots used; by default all.
    timeout : float, optional
        Time limit of each job [s].
    shared_input : SharedInput, optional
        Input shared by all jobs; copied once to each remote machine.
    threads : int, optional
        Threads per trainer; by default each machine's cores divided among its slots.
    networks_per_gpu : int
        Number of slots that share a GPU; 0 runs trainers on CPUs only.
    memory : int, optional
        Memory limit of a trainer; by default each machine's memory, less a margin, divided among its slots [byte].
    env : mapping of str to str, optional
        Environment variables of the trainers, added to those of the worker.
    attempts : int
        Number of workers a job may lose before it fails as ``"worker_lost"``.
    patience : float
        Time to wait for a lost scheduler before jobs fail as ``"scheduler_lost"`` [s].

    Raises
    ------
    InputError
        If the cluster cannot be used.
    """

    def __init__(
        self,
        entry: str,
        cluster: Cluster,
        slots: int | None = None,
        timeout: float | None = 3600.0,
        *,
        shared_input: SharedInput | None = None,
        threads: int | None = None,
        networks_per_gpu: int = 1,
        memory: int | None = None,
        env: Mapping[str, str] | None = None,
        attempts: int = 5,
        patience: float = 600.0,
    ) -> None:
        self._cluster = cluster
        self._most = slots
        self._patience = patience
        environment = tuple(sorted((env or {}).items()))
        staged = StagedInput.of(shared_input) if shared_input is not None and cluster.far else None
        self._settings = SlotSettings(
            uuid.uuid4().hex,
            entry,
            timeout,
            threads,
            networks_per_gpu,
            memory,
            environment,
            staged,
            tuple(versions().items()),
        )

        self._queue = JobQueue(attempts)
        self._dispatcher = Dispatcher(self._queue, self._settings)
        self._slots = 0
        self._closed = False

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

    # Called by the owner.

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def free(self) -> int:
        return 0 if self._closed else max(0, self._queue.window(self._slots) - len(self._queue))

    def submit(self, key: str, payload: dict[str, Any], attachment: bytes = b"") -> None:
        if self._closed:
            raise RuntimeError("the pool is closed")
        if len(attachment) > LIMIT:
            raise ValueError(f"an attachment of {len(attachment)} bytes is over the limit of {LIMIT}")
        self._queue.add(Job(key, payload, bytes(attachment)))
        self._dispatcher.count(self._slots)
        if self._queue.waiting >= self._queue.batch:
            self._call(self._dispatcher.send)

    def finished(self, timeout: float | None = None) -> list[Outcome]:
        if self._queue.waiting:
            self._call(self._dispatcher.send)
        outcomes = self._queue.fetch(0 if self._closed else timeout)
        self._dispatcher.count(self._slots)
        return outcomes

    def telemetry(self) -> PoolTelemetry:
        return self._dispatcher.telemetry(self._slots)

    def cancel(self, key: str) -> None:
        self._call(self._dispatcher.cancel, key)

    def close(self) -> None:
        self._closed = True
        self._call(self._closing.set)
        self._queue.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(10)

    # Runs on the event loop.

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
                self._queue.fail_all(failure)

    async def _supervise(self, ready: concurrent.futures.Future[None]) -> None:
        """Keep a connection to the cluster, reconnecting when it is lost."""
        pause, lost = _WATCH_CLOSELY, 0.0
        while not self._closing.is_set():
            try:
                async with self._cluster.connect() as client:
                    pause, lost = _WATCH_CLOSELY, 0.0
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
                self._queue.fail_all(Failure("scheduler_lost", message))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause)
            pause = min(2 * pause, 15.0)

    async def _serve(self, client: Client, ready: concurrent.futures.Future[None]) -> None:
        """Dispatch through a client until it is lost or the pool closes."""
        seen, most = time.monotonic(), 1
        # As a separate task: a stopped worker must not delay the others.
        plugins = None if self._cluster.ours else asyncio.create_task(install_plugins(client))
        try:
            with contextlib.suppress(OSError):
                self._dispatcher.use(client)
                while client.status == "running" and not self._closing.is_set():
                    assert client.scheduler is not None
                    threads = await asyncio.wait_for(client.scheduler.ncores(), _ANSWER)
                    self._dispatcher.update_workers(threads)
                    before, slots = self._slots, self._dispatcher.registry.slots
                    most = max(most, slots)
                    self._slots = slots if self._most is None else min(slots, self._most)
                    if self._slots > before and ready.done():
                        # The thread that waits for outcomes can now submit more jobs.
                        self._queue.wake()
                    self._dispatcher.count(self._slots)
                    if not ready.done():
                        ready.set_result(None)
                    if threads or not self._cluster.ours:
                        seen = time.monotonic()
                    elif time.monotonic() - seen > (_NO_WORKER if has_lost_its_worker(client) else _DEAF_WORKER):
                        return
                    self._dispatcher.send()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._closing.wait(), _WATCH if slots == most else _WATCH_CLOSELY)
        finally:
            if plugins is not None:
                plugins.cancel()
            self._dispatcher.use(None)
            self._slots = 0
            self._dispatcher.count(0)
            if self._closing.is_set() and client.status == "running":
                # Before the workers close: without trainers they close at once.
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(client.run(forget_pool, self._settings.pool), 2.0)
            await self._dispatcher.stop()
            if not self._closing.is_set():
                self._queue.requeue_all()
