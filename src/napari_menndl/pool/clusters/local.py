"""Local Dask cluster, started by the pool on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from dask.system import CPU_COUNT
from distributed import LocalCluster, Nanny
from distributed.core import Status

from napari_menndl.errors import InputError
from napari_menndl.interpreter import safe_to_start_from
from napari_menndl.pool.cluster import Cluster
from napari_menndl.pool.clusters.certificates import RUN, make_certificates
from napari_menndl.pool.clusters.client import client_of, configured
from napari_menndl.pool.process.hardware import visible_gpus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from distributed import Client

    from napari_menndl.pool.settings import LocalSettings


class _SafeNanny(Nanny):
    """Starts and restarts its worker so that nothing is imported from the current folder."""

    async def instantiate(self) -> Status:
        with safe_to_start_from():
            return await super().instantiate()


class Local(Cluster):
    """A worker process with a thread per slot, which listens on 127.0.0.1 only and ends with this process.

    Parameters
    ----------
    settings : LocalSettings
        By default one slot for each network that a GPU trains, without GPUs one per core. With TLS other users of this
        machine are excluded, by certificates that are never stored.
    """

    ours = True
    far = False

    def __init__(self, settings: LocalSettings) -> None:
        self._tls = settings.tls
        self._slots = settings.slots or len(visible_gpus()) * settings.sharing or CPU_COUNT
        self._local_directory = settings.folder or None

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[Client]:
        with configured():
            async with self._running() as cluster, client_of(cluster, direct_to_workers=True) as client:
                yield client

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[LocalCluster]:
        guarded = {"protocol": "tls://", "security": make_certificates(RUN).security} if self._tls else {}
        starting = LocalCluster(
            **guarded,
            n_workers=1,
            threads_per_worker=self._slots,
            worker_class=_SafeNanny,
            host="127.0.0.1",
            # By default both would be served on every interface.
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            memory_limit=0,
            local_directory=self._local_directory,
            silence_logs=logging.CRITICAL,
            asynchronous=True,
        )
        try:
            cluster = await starting
        except (OSError, RuntimeError) as error:
            remedy = 'In a script, open the pool below `if __name__ == "__main__":`; or use pool "serial".'
            raise InputError("a Dask worker to start on this machine", f"{error}: {error.__cause__}", remedy) from error
        try:
            yield cluster
        finally:
            nannies = list(cluster.workers.values())
            with contextlib.suppress(Exception):
                await asyncio.wait_for(cluster._close(), 3.0)
            for nanny in nannies:
                # A worker that does not respond, such as a stopped one, is killed.
                process = nanny.process and nanny.process.process
                if process is not None and process.is_alive():
                    with contextlib.suppress(Exception):
                        process.kill()
                        await process.join(1.0)


def has_lost_its_worker(client: Client) -> bool:
    """Whether the local cluster has no worker process, because its nanny does not restart one that failed at start."""
    nannies = getattr(client.cluster, "workers", {}).values()
    processes = [nanny.process for nanny in nannies]
    return client.cluster is not None and all(
        process is None or process.status in {Status.stopped, Status.failed} for process in processes
    )
