"""Pool check before a search: machines, versions, latency and transfer rate."""

from __future__ import annotations

import asyncio
import os
import platform
import queue
import tempfile
import threading
import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.pool.process.hardware import machine_memory, visible_gpus
from napari_menndl.pool.report import Machine, PoolReport
from napari_menndl.pool.settings import LocalSettings, PoolSettings, SerialSettings, SlurmSettings, SshSettings
from napari_menndl.pool.spec import read_pool
from napari_menndl.pool.worker.tasks import versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client

#: Time within which a pool's workers must answer; longer for a SLURM job, which may wait in the queue [s].
PATIENCE = 25.0
QUEUE = 600.0
#: Time to wait for further machines after the first [s].
_OTHERS = 10.0
#: Size of the data sent to measure the transfer rate [byte].
_PROBE = 4 * 2**20
_ROUNDS = 5


def probe_pool(spec: str, patience: float | None = None) -> PoolReport:
    """Check a pool by asking its workers; for SSH and SLURM (one job), workers are started and stopped again.

    Parameters
    ----------
    spec : str
        As accepted by `open_pool`.
    patience : float, optional
        Time to wait for the first worker [s].

    Raises
    ------
    InputError
        If the settings are invalid, nothing answers in time, there is no worker, or versions differ.
    """
    settings = read_pool(spec)
    if isinstance(settings, SerialSettings | LocalSettings):
        return check_this_computer(settings)
    if isinstance(settings, SlurmSettings):
        settings = replace(settings, nodes=1)
    limit = patience or (QUEUE if isinstance(settings, SlurmSettings) else PATIENCE)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        found = _in_a_thread(settings, spec, limit)
    notes = tuple(dict.fromkeys(str(one.message) for one in caught if one.category is UserWarning))
    return replace(found, notes=(*notes, *found.notes))


def check_this_computer(settings: PoolSettings | None = None) -> PoolReport:
    """Report the resources of this machine, without starting anything."""
    settings = settings or LocalSettings()
    here, gpus = versions(), len(visible_gpus())
    fitting = settings.slots or gpus * settings.sharing or os.cpu_count() or 1
    slots = 1 if isinstance(settings, SerialSettings) else fitting
    machine = Machine(platform.node() or "this computer", slots, gpus, machine_memory())
    return PoolReport(0.0, "this computer", (machine,), here, here)


def _in_a_thread(settings: PoolSettings, spec: str, patience: float) -> PoolReport:
    """Check in a separate thread, so that a client whose scheduler hangs cannot block the caller."""
    cluster = settings.cluster()
    cluster.check()
    answers: queue.SimpleQueue[PoolReport | Exception] = queue.SimpleQueue()

    async def ask() -> None:
        try:
            async with cluster.connect() as client:
                found = await _ask(client, cluster, settings, spec, patience)
                notes = tuple(f"{name}: {words}" for name, words in cluster.troubles.items())
            answers.put(replace(found, notes=notes))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=lambda: asyncio.run(ask()), name="check", daemon=True).start()
    try:
        answer = answers.get(timeout=patience + 2 * _OTHERS)
    except queue.Empty:
        answer = InputError(
            f"a pool {spec} whose workers answer within {patience:.0f} s",
            "no answer",
            "See whether its machines are overloaded or hang, and restart them.",
        )
    if isinstance(answer, Exception):
        raise answer
    return answer


async def _ask(client: Client, cluster: Any, settings: PoolSettings, spec: str, patience: float) -> PoolReport:
    started = isinstance(settings, SshSettings | SlurmSettings)
    if not await _workers(client, patience if started else 0):
        if started:
            remedy = "Wait until the queue is shorter, or ask for less: walltime, nodes, gpus."
            raise InputError(f"a worker of {spec} within {patience:.0f} s", "none yet", remedy)
        remedy = "Start some: dask worker ADDRESS --nthreads 1, on each machine."
        raise InputError(f"workers at {spec}", "a scheduler without any", remedy.replace("ADDRESS", _address(client)))
    if isinstance(settings, SshSettings):
        await _workers(client, _OTHERS, lambda: cluster.reachable)
    answers = await client.run(describe)
    worker = next(iter(answers))
    took = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        await client.run(echo, workers=[worker])
        took.append(time.perf_counter() - began)
    began = time.perf_counter()
    sent = await client.run(store_probe, bytes(_PROBE), workers=[worker])
    speed = sent[worker] / (time.perf_counter() - began)
    machines = tuple(
        Machine(one["host"], one["slots"], one["gpus"], one["memory"])
        for one in sorted(answers.values(), key=lambda one: str(one["host"]))
    )
    there = answers[worker]["versions"]
    return PoolReport(sorted(took)[_ROUNDS // 2], spec, machines, versions(), there, speed)


async def _workers(client: Client, patience: float, expected: Callable[[], int] = lambda: 1) -> int:
    """Wait for the expected number of workers; return the present number."""
    scheduler: Any = client.scheduler
    deadline = time.monotonic() + patience
    # The client's own list is truncated and may be outdated.
    while (present := len(await scheduler.ncores())) < expected() and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    return present


def _address(client: Client) -> str:
    scheduler: Any = client.scheduler
    return str(scheduler.address)


# Functions that run on a worker.


def describe(dask_worker: Any) -> dict[str, Any]:
    """Return the worker's resources."""
    return {
        "host": platform.node(),
        "slots": dask_worker.state.nthreads,
        "gpus": len(visible_gpus()),
        "memory": machine_memory(),
        "versions": versions(),
    }


def echo() -> None:
    """Do nothing, to measure the latency."""


def store_probe(probe: bytes, dask_worker: Any) -> int:
    """Write bytes to the disk that holds the training task, delete them, and return their number."""
    with tempfile.TemporaryFile(dir=dask_worker.local_directory) as file:
        file.write(probe)
        file.flush()
        os.fsync(file.fileno())
    return len(probe)
