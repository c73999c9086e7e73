"""The pool on Dask: rolling dispatch, and every job back once whatever dies in between."""

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

    from napari_menndl.pool.clusters.cluster import Cluster
    from napari_menndl.pool.protocol import Outcome
    from napari_menndl.pool.telemetry import PoolTelemetry

_log = logging.getLogger(__name__)

#: How often the workers are counted, and how often while there are fewer than there have been [s].
_WATCH, _WATCH_CLOSELY = 1.0, 0.2
#: A scheduler that is stopped or overloaded is waited for; a network that is cut shows sooner, by TCP's own means [s].
_ANSWER = 120.0
#: Our own cluster is made anew when it has been without a worker process, or with one that is deaf, for so long [s].
_NO_WORKER = 2.5
_DEAF_WORKER = 60.0


class DaskPool:
    """Jobs on the slots of a Dask cluster: each of a worker's threads drives one trainer child.

    Everything about the cluster happens on an event loop in a thread of the pool's own; when the scheduler is lost,
    the connection (or the machine-local cluster) is made anew and what was in flight is sent again.

    Parameters
    ----------
    entry : str
        ``"module:function"`` with the signature of `napari_menndl.pool.protocol.Entry`, importable on the workers.
    cluster : Cluster
        Where workers come from; connected to again when it is lost.
    slots : int, optional
        The most that are used; by default all.
    timeout : float, optional
        Of each job [s].
    carried : SharedInput, optional
        What every job needs; where workers may be far, each machine gets a copy, once.
    threads : int, optional
        Per trainer; by default each machine's cores shared among its slots.
    networks_per_gpu : int
        How many slots share a GPU, where there are any; 0 keeps trainers off the GPUs.
    memory : int, optional
        What a trainer may hold; by default each machine's memory, less a margin, shared among its slots [byte].
    env : mapping of str to str, optional
        Environment of the trainers besides their worker's.
    attempts : int
        How many workers a job may lose before it fails as ``"worker_lost"``.
    patience : float
        How long a lost scheduler is waited for before jobs fail as ``"scheduler_lost"`` [s].

    Raises
    ------
    InputError
        The cluster cannot be used.
    """

    def __init__(
        self,
        entry: str,
        cluster: Cluster,
        slots: int | None = None,
        timeout: float | None = 3600.0,
        *,
        carried: SharedInput | None = None,
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
        cargo = StagedInput.of(carried) if carried is not None and cluster.far else None
        self._settings = SlotSettings(
            uuid.uuid4().hex,
            entry,
            timeout,
            threads,
            networks_per_gpu,
            memory,
            environment,
            cargo,
            tuple(versions().items()),
        )

        self._ledger = JobQueue(attempts)
        self._dispatcher = Dispatcher(self._ledger, self._settings)
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

    # What the owner calls.

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def free(self) -> int:
        return 0 if self._closed else max(0, self._ledger.window(self._slots) - len(self._ledger))

    def submit(self, key: str, payload: dict[str, Any], attachment: bytes = b"") -> None:
        if self._closed:
            raise RuntimeError("the pool is closed")
        if len(attachment) > LIMIT:
            raise ValueError(f"an attachment of {len(attachment)} bytes is over the limit of {LIMIT}")
        self._ledger.add(Job(key, payload, bytes(attachment)))
        self._dispatcher.count(self._slots)
        if self._ledger.waiting >= self._ledger.batch:
            self._call(self._dispatcher.send)

    def finished(self, timeout: float | None = None) -> list[Outcome]:
        if self._ledger.waiting:
            self._call(self._dispatcher.send)
        outcomes = self._ledger.fetch(0 if self._closed else timeout)
        self._dispatcher.count(self._slots)
        return outcomes

    def telemetry(self) -> PoolTelemetry:
        return self._dispatcher.telemetry(self._slots)

    def cancel(self, key: str) -> None:
        self._call(self._dispatcher.cancel, key)

    def close(self) -> None:
        self._closed = True
        self._call(self._closing.set)
        self._ledger.wake()
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
                self._ledger.fail_all(failure)

    async def _supervise(self, ready: concurrent.futures.Future[None]) -> None:
        """Be connected; when that ends, be connected again."""
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
                self._ledger.fail_all(Failure("scheduler_lost", message))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause)
            pause = min(2 * pause, 15.0)

    async def _serve(self, client: Client, ready: concurrent.futures.Future[None]) -> None:
        """Dispatch through this client for as long as it lives."""
        seen, most = time.monotonic(), 1
        # Beside: a worker that is stopped must not keep the others from work.
        plugins = None if self._cluster.ours else asyncio.create_task(install_plugins(client))
        try:
            with contextlib.suppress(OSError):
                self._dispatcher.use(client)
                while client.status == "running" and not self._closing.is_set():
                    assert client.scheduler is not None
                    threads = await asyncio.wait_for(client.scheduler.ncores(), _ANSWER)
                    self._dispatcher.see(threads)
                    before, slots = self._slots, self._dispatcher.roster.slots
                    most = max(most, slots)
                    self._slots = slots if self._most is None else min(slots, self._most)
                    if self._slots > before and ready.done():
                        # Whoever waits for outcomes has room for more jobs now.
                        self._ledger.wake()
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
                # First: a worker whose trainers are gone closes at once.
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(client.run(forget_pool, self._settings.pool), 2.0)
            await self._dispatcher.stop()
            if not self._closing.is_set():
                self._ledger.all_again()
