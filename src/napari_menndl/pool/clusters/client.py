"""A Dask client as the pool wants it: quiet, with our configuration, and only of workers with our versions."""

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

#: How long a scheduler that is starting is waited for [s].
CONNECT = 8.0
CONFIG: dict[str, Any] = {
    # A slot gets its next job when it is free, and no pile that would have to move when its worker dies.
    "distributed.scheduler.worker-saturation": 1.0,
    # Every loss of a worker is told to us at once: we count, and know whom not to blame.
    "distributed.scheduler.allowed-failures": 0,
    # One that is stopped or hangs is given up after this.
    "distributed.scheduler.worker-ttl": "120 s",
    "distributed.worker.profile.enabled": False,
    "distributed.admin.large-graph-warning-threshold": "1 GiB",
}
#: Between two looks at who is new [s].
_LOOK = 2.0
_log = logging.getLogger(__name__)
_LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application", "asyncio")


@contextlib.contextmanager
def configured() -> Iterator[None]:
    """Set Dask up as the pool wants it, and keep it from the terminal: what dies is counted and told by the pool."""
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
    """Yield a client of a cluster, or of the scheduler at an address.

    Raises
    ------
    OSError
        Nobody answers within `CONNECT`.
    """
    client = Client(cluster, asynchronous=True, set_as_default=False, timeout=CONNECT, **options)
    try:
        # Its own limit does not cover a port that takes the connection and then is silent.
        await asyncio.wait_for(client, CONNECT + 1)
        yield client
    finally:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(client._close(fast=True), 2.0)


async def check_versions(client: Client, where: str, workers: list[str] | None = None) -> None:
    """Refuse workers that have other versions than we: those named, by default all.

    Raises
    ------
    InputError
        With the versions and what to do.
    TimeoutError
        They do not answer within `CONNECT`.
    """
    ours = versions()
    remedy = "Install the same versions there as here, and start its workers from that environment."
    try:
        theirs = await asyncio.wait_for(client.run(versions, workers=workers), CONNECT)
    except TimeoutError:
        raise
    except Exception as error:
        # Most often ModuleNotFoundError: no napari-menndl over there.
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
    """Look at workers that come later, too: one that has other versions than we is told of and sent away."""
    watching = asyncio.create_task(_watch(client, where))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(client: Client, where: str) -> None:
    scheduler: Any = client.scheduler
    known: set[str] = set()
    while True:
        with contextlib.suppress(OSError):  # its end is noticed by whoever uses the client
            present = set(await scheduler.ncores())
            for worker in present - known:
                try:
                    await check_versions(client, where, [worker])
                except InputError as error:
                    _log.warning("%s", error)
                    await client.retire_workers([worker])
            known = present
        await asyncio.sleep(_LOOK)
