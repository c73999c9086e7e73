"""Trying a pool before a search is given to it: who is there, with which versions, and how fast they answer."""

from __future__ import annotations

import asyncio
import os
import platform
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.pool.cluster import check_address, check_listening, connect
from napari_menndl.pool.gpus import visible_gpus
from napari_menndl.pool.worker import versions

if TYPE_CHECKING:
    from distributed import Client

#: A scheduler whose workers have not answered by then is not fit for work [s].
PATIENCE = 25.0


@dataclass(frozen=True)
class Connection:
    """What a pool answered.

    Attributes
    ----------
    workers, slots, gpus : int
        Dask workers; networks that can be trained at a time, as far as is known without GPUs there; GPUs here.
    seconds : float [s]
        From asking a worker to its answer.
    here, there : dict of str to str
        Versions of python, napari-menndl, distributed, dask and torch.
    where : str
    """

    workers: int
    slots: int
    seconds: float
    where: str
    gpus: int = 0
    here: dict[str, str] = field(default_factory=dict)
    there: dict[str, str] = field(default_factory=dict)

    @property
    def matches(self) -> bool:
        """Whether the same versions are installed there and here."""
        return self.here == self.there


def check_this_computer(spec: str = "local") -> Connection:
    """Say what this machine has to offer; nothing is started."""
    here, gpus = versions(), len(visible_gpus())
    slots = 1 if spec == "serial" else gpus or os.cpu_count() or 1
    return Connection(1, slots, 0.0, platform.node() or "this computer", gpus, here, here)


def check_scheduler(address: str) -> Connection:
    """Ask a scheduler for its workers; blocks for `PATIENCE` at most.

    Raises
    ------
    InputError
        If the address is refused, nobody answers, there is no worker, or versions differ.
    """
    check_address(address)
    check_listening(address)
    answers: queue.SimpleQueue[Connection | Exception] = queue.SimpleQueue()

    async def ask() -> None:
        try:
            async with connect(address, 1, None) as client:
                answers.put(await _ask(client, address))
        except Exception as error:
            answers.put(error)

    # A thread of its own: what a client leaves behind when its scheduler is silent must not hold up the answer.
    threading.Thread(target=lambda: asyncio.run(ask()), name="check", daemon=True).start()
    try:
        answer = answers.get(timeout=PATIENCE)
    except queue.Empty:
        answer = InputError(
            f"a scheduler at {address} whose workers answer within {PATIENCE:.0f} s",
            "silence",
            "See whether its machines are overloaded or hang, and restart them.",
        )
    if isinstance(answer, Exception):
        raise answer
    return answer


async def _ask(client: Client, address: str) -> Connection:
    scheduler: Any = client.scheduler
    threads = await scheduler.ncores()  # what the client itself remembers is shortened and may be old
    if not threads:
        raise InputError(
            f"workers at {address}", "a scheduler without any", f"Start some: dask worker {address} --nthreads 1."
        )
    started = time.perf_counter()
    answers = await client.run(versions)
    seconds = time.perf_counter() - started
    slots = sum(threads.values())
    return Connection(len(threads), slots, seconds, address, 0, versions(), next(iter(answers.values())))
