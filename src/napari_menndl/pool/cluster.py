"""A connection to a Dask cluster: one of our own on this machine, or one that somebody has started."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import dask
from distributed import Client, LocalCluster
from distributed.core import Status

from napari_menndl.errors import InputError
from napari_menndl.pool.worker import versions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

#: How long a scheduler that is starting is waited for; how long one has to say that it is there [s].
CONNECT = 8.0
LISTEN = 2.0
_REMEDY = 'Start one (dask scheduler --host 127.0.0.1), correct the address, or use pool "local".'
_CONFIG: dict[str, Any] = {
    # A slot gets its next job when it is free, and no pile that would have to move when its worker dies.
    "distributed.scheduler.worker-saturation": 1.0,
    # Every loss of a worker is told to us at once: we count, and know whom not to blame.
    "distributed.scheduler.allowed-failures": 0,
    # One that is stopped or hangs is given up after this.
    "distributed.scheduler.worker-ttl": "120 s",
    "distributed.worker.profile.enabled": False,
    "distributed.admin.large-graph-warning-threshold": "1 GiB",
}
_LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application", "asyncio")


def check_address(address: str) -> str:
    """Return the address of a scheduler on this machine, or refuse it.

    Raises
    ------
    InputError
        It is not of the form ``tcp://host:port``, or leads beyond loopback, where plain TCP would let
        anybody on the network run code here.
    """
    remedy = "Give the address that `dask scheduler --host 127.0.0.1` prints, such as tcp://127.0.0.1:8786."
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None or parts.scheme != "tcp":
        raise InputError("a scheduler's address tcp://host:port", repr(address), remedy)
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise InputError(
            "a scheduler on this machine (127.0.0.1)",
            f"{address}, to which plain TCP would carry code and data unprotected",
            "Forward its port through SSH (ssh -L 8786:127.0.0.1:8786 host) and give tcp://127.0.0.1:8786.",
        )
    return address


def check_listening(address: str) -> None:
    """Refuse an address of the right form at which nothing takes connections now.

    Raises
    ------
    InputError
        After `LISTEN` at the latest.
    """
    parts = urlsplit(address)
    try:
        socket.create_connection((str(parts.hostname), parts.port or 0), LISTEN).close()
    except OSError as error:
        raise InputError(f"a Dask scheduler at {address}", f"nothing that listens there ({error})", _REMEDY) from error


@contextlib.asynccontextmanager
async def connect(address: str | None, slots: int, local_directory: str | None) -> AsyncIterator[Client]:
    """Yield a client of the scheduler at `address`, or of a cluster of our own where that is None.

    Our own has one worker process with `slots` threads, listens on 127.0.0.1 alone, and dies with this process.

    Raises
    ------
    InputError
        Nobody answers at `address`, or not with our versions.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_quiet())
        stack.enter_context(dask.config.set(_CONFIG))
        if address is None:
            cluster = await stack.enter_async_context(_local_cluster(slots, local_directory))
            client = await Client(cluster, asynchronous=True, set_as_default=False, direct_to_workers=True)
            stack.push_async_callback(_close_client, client)
        else:
            try:
                client = Client(address, asynchronous=True, set_as_default=False, timeout=CONNECT)
                stack.push_async_callback(_close_client, client)
                # Its own limit does not cover a port that takes the connection and then is silent.
                await asyncio.wait_for(client, CONNECT + 1)
                await _check_versions(client, address)
            except OSError as error:
                found = f"none that answers ({str(error) or 'silence'})"
                raise InputError(f"a Dask scheduler at {address}", found, _REMEDY) from error
        yield client


@contextlib.asynccontextmanager
async def _local_cluster(slots: int, local_directory: str | None) -> AsyncIterator[LocalCluster]:
    starting = LocalCluster(
        n_workers=1,
        threads_per_worker=slots,
        processes=True,
        host="127.0.0.1",
        # Left out, both would serve pages on every interface.
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
        memory_limit=0,
        local_directory=local_directory,
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
            # One that does not listen, such as a stopped one, is not asked twice.
            process = nanny.process and nanny.process.process
            if process is not None and process.is_alive():
                with contextlib.suppress(Exception):
                    process.kill()
                    await process.join(1.0)


def has_lost_its_worker(client: Client) -> bool:
    """Whether our own cluster has no worker process just now: its nanny does not restart one that died at its start."""
    nannies = getattr(client.cluster, "workers", {}).values()
    processes = [nanny.process for nanny in nannies]
    return client.cluster is not None and all(
        process is None or process.status in {Status.stopped, Status.failed} for process in processes
    )


async def _close_client(client: Client) -> None:
    with contextlib.suppress(Exception):
        await asyncio.wait_for(client._close(fast=True), 2.0)


async def _check_versions(client: Client, address: str) -> None:
    ours = versions()
    remedy = "Install the same versions there as here, and start its workers from that environment."
    try:
        theirs = await asyncio.wait_for(client.run(versions), CONNECT)
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
                ", ".join(f"{name} {found.get(name)}" for name in wrong) + f" on {worker} of {address}",
                remedy,
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from the terminal: what dies is expected here, counted and told by the pool."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
