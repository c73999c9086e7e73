"""What workers that others have started are taught: to end what they run when told to go, and not to get stuck."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any

from distributed import NannyPlugin, WorkerPlugin
from distributed.core import Status

if TYPE_CHECKING:
    from distributed import Client

#: Batch systems kill 30 s after they have asked (SLURM's KillWait, Kubernetes' grace period) [s].
GRACE = 15.0
#: For results to be fetched; a scheduler that says nothing for so long is gone, too [s].
_FETCH, _ANSWER = 0.5, 3.0


class Drain(NannyPlugin):
    """On SIGTERM the nanny first has its worker given no more jobs, and waits for those it has."""

    name = "napari-menndl-drain"

    async def teardown(self, nanny: Any) -> None:
        # A plugin is torn down, too, where another of its name takes its place.
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
    """What a worker that somebody else has started does otherwise than it would."""

    name = "napari-menndl-manners"

    def setup(self, worker: Any) -> None:
        if worker.nanny:
            # It is the nanny's to act on; a batch system sends it to every process.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for sampling in ("profile", "profile-cycle"):
            # sys._current_frames can block a process for ever on Python 3.11 (python/cpython#106883).
            if callback := worker.periodic_callbacks.pop(sampling, None):
                callback.stop()


async def install_plugins(client: Client) -> None:
    """Have the workers of a cluster, and those still to come, end well, and not sample what they do meanwhile."""
    with contextlib.suppress(Exception):
        await client.register_plugin(WorkerPlugins())
        await client.register_plugin(Drain())
