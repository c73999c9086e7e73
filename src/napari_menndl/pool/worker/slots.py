"""Slots of a pool on one worker."""

from __future__ import annotations

import platform
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask.system import CPU_COUNT

from napari_menndl.pool.process.hardware import memory_per_slot, visible_gpus
from napari_menndl.pool.process.slot import Slot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_menndl.pool.worker.staging import StagedInput

#: Time without a job after which a trainer exits, as its pool may have been killed [s].
_IDLE = 30.0


@dataclass(frozen=True)
class SlotSettings:
    """Settings of a pool's slots on every machine.

    Attributes
    ----------
    pool : str
        Unique id of the pool: pools on the same cluster share no trainers.
    entry : str
        ``"module:function"``.
    timeout : float or None
        Time limit of each job [s].
    threads : int or None
        Threads per trainer; None: the machine's cores divided among the worker's slots.
    networks_per_gpu : int
        Number of slots that share a GPU; 0 runs trainers on CPUs only.
    memory : int or None
        Memory limit of each trainer [byte]; None: the machine's, less a margin, divided among the worker's slots.
    env : tuple of (str, str)
        Environment variables of the trainers, added to those of the worker.
    staged : StagedInput or None
        Shared input, of which every job needs a copy on its machine.
    versions : tuple of (str, str)
        Versions installed for the pool; a worker with other versions runs nothing.
    """

    pool: str
    entry: str
    timeout: float | None = None
    threads: int | None = None
    networks_per_gpu: int = 1
    memory: int | None = None
    env: tuple[tuple[str, str], ...] = ()
    staged: StagedInput | None = None
    versions: tuple[tuple[str, str], ...] = ()


class WorkerSlots:
    """Slots of one pool on this worker, created when needed and reused, the most recently used first."""

    def __init__(self, settings: SlotSettings, threads: int, address: str) -> None:
        self._settings = settings
        self._address = address.rpartition("://")[2]
        self._threads = settings.threads or max(1, CPU_COUNT // threads)
        self._memory = settings.memory or memory_per_slot(threads)
        self.gpus = visible_gpus()
        self._all: list[Slot] = []
        self._idle: list[Slot] = []
        self._closed = False
        self._lock = threading.Lock()

    @contextmanager
    def slot(self) -> Iterator[Slot]:
        with self._lock:
            slot = self._idle.pop() if self._idle else self._new()
        try:
            yield slot
        finally:
            with self._lock:
                self._idle.append(slot)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            slots = list(self._all)
        for slot in slots:
            slot.close()

    def _new(self) -> Slot:
        number = len(self._all)
        env = dict(self._settings.env)
        if self.gpus and self._settings.networks_per_gpu == 0:
            env["CUDA_VISIBLE_DEVICES"] = ""
        elif self.gpus:
            env["CUDA_VISIBLE_DEVICES"] = self.gpus[number % len(self.gpus)]
        name = f"{platform.node()}/{self._address}/{number}"
        slot = Slot(self._settings.entry, threads=self._threads, memory=self._memory, env=env, name=name, idle=_IDLE)
        if self._closed:
            slot.close()
        self._all.append(slot)
        return slot
