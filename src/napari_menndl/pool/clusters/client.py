"""Dask client of a pool: configuration, log levels, and version checks of workers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import dask
from distributed import Client

from napari_menndl.errors import InputError
from napari_menndl.pool.worker.tasks import versions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

#: Time to wait for a starting scheduler [s].
CONNECT = 8.0
CONFIG: dict[str, Any] = {
    # A slot gets its next job when it is free; queued jobs would have to move if their worker died.
    "distributed.scheduler.worker-saturation": 1.0,
    # Each loss of a worker is reported at once: the pool itself counts them and decides whether a job is at fault.
    "distributed.scheduler.allowed-failures": 0,
    # A worker that is stopped or hangs is dropped after this time.
    "distributed.scheduler.worker-ttl": "120 s",
    "distributed.worker.profile.enabled": False,
    "distributed.admin.large-graph-warning-threshold": "1 GiB",
}
#: Interval of the checks for new workers [s].
_LOOK = 2.0
_log = logging.getLogger(__name__)
_LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application", "asyncio")


@contextlib.contextmanager
def configured() -> Iterator[None]:
    """Configure Dask for the pool, and silence its logs: the pool itself counts and reports losses."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with dask.config.set(CONFIG):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.asynccontextmanager
async def client_of(cluster: Any, **options: Any) -> AsyncIterator[Client]:
    """Connect a client to a cluster, or to the scheduler at an address.

    Raises
    ------
    OSError
        If nothing answers within `CONNECT`.
    """
    client = Client(cluster, asynchronous=True, set_as_default=False, timeout=CONNECT, **options)
    try:
        # Dask's own timeout does not cover a port that accepts the connection and never answers.
        await asyncio.wait_for(client, CONNECT + 1)
        yield client
    finally:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(client._close(fast=True), 2.0)


async def check_versions(client: Client, where: str, workers: list[str] | None = None) -> None:
    """Refuse workers whose versions differ from ours: the given ones, by default all.

    Raises
    ------
    InputError
        If versions differ.
    TimeoutError
        If they do not answer within `CONNECT`.
    """
    ours = versions()
    remedy = "Install the same versions there as here, and start its workers from that environment."
    try:
        theirs = await asyncio.wait_for(client.run(versions, workers=workers), CONNECT)
    except TimeoutError:
        raise
    except Exception as error:
        # Most often ModuleNotFoundError: napari-menndl is not installed there.
        raise InputError("workers with napari-menndl installed", f"{type(error).__name__}: {error}", remedy) from error
    for worker, found in theirs.items():
        wrong = [name for name in ours if found.get(name) != ours[name]]
        if wrong:
            raise InputError(
                "workers with " + ", ".join(f"{name} {ours[name]}" for name in wrong),
                ", ".join(f"{name} {found.get(name)}" for name in wrong) + f" on {worker} of {where}",
                remedy,
            )


@contextlib.asynccontextmanager
async def guarded(client: Client, where: str) -> AsyncIterator[None]:
    """Check workers that join later, too; those with other versions are logged and retired."""
    watching = asyncio.create_task(_watch(client, where))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(client: Client, where: str) -> None:
    scheduler: Any = client.scheduler
    known: set[str] = set()
    while True:
        with contextlib.suppress(OSError):  # users of the client handle its end
            present = set(await scheduler.ncores())
            for worker in present - known:
                try:
                    await check_versions(client, where, [worker])
                except InputError as error:
                    _log.warning("%s", error)
                    await client.retire_workers([worker])
            known = present
        await asyncio.sleep(_LOOK)
