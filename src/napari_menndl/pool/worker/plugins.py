"""Plugins for externally started workers: graceful shutdown, and protection from known hangs."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any

from distributed import NannyPlugin, WorkerPlugin
from distributed.core import Status

if TYPE_CHECKING:
    from distributed import Client

#: Time for jobs to end after SIGTERM; batch systems kill after 30 s (SLURM's KillWait, Kubernetes' grace period) [s].
GRACE = 15.0
#: Time for results to be fetched, and time after which a silent scheduler counts as lost [s].
_FETCH, _ANSWER = 0.5, 3.0


class Drain(NannyPlugin):
    """On SIGTERM, makes the nanny stop its worker from getting jobs, and wait for those it has."""

    name = "napari-menndl-drain"

    async def teardown(self, nanny: Any) -> None:
        # teardown is also called when a plugin of the same name replaces this one.
        if nanny.status != Status.closing or nanny.process is None or nanny.worker_address is None:
            return
        worker, scheduler = nanny.worker_address, nanny.scheduler
        with contextlib.suppress(Exception):
            async with asyncio.timeout(GRACE):
                retired = scheduler.retire_workers(workers=[worker], close_workers=False, remove=False)
                await asyncio.wait_for(retired, _ANSWER)
                while (await scheduler.processing(workers=[worker])).get(worker):
                    await asyncio.sleep(0.1)
                await asyncio.sleep(_FETCH)


class WorkerPlugins(WorkerPlugin):
    """Adapts the signal handling and profiling of externally started workers."""

    name = "napari-menndl-plugins"

    def setup(self, worker: Any) -> None:
        if worker.nanny:
            # The nanny handles it; a batch system sends it to every process.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for sampling in ("profile", "profile-cycle"):
            # sys._current_frames can block a process forever on Python 3.11 (python/cpython#106883).
            if callback := worker.periodic_callbacks.pop(sampling, None):
                callback.stop()


async def install_plugins(client: Client) -> None:
    """Install the plugins on all workers of a cluster, including those that join later."""
    with contextlib.suppress(Exception):
        await client.register_plugin(WorkerPlugins())
        await client.register_plugin(Drain())
