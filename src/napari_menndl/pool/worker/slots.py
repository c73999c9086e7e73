"""The slots of one machine, as a pool wants them."""

from __future__ import annotations

import platform
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask.system import CPU_COUNT

from napari_menndl.pool.process.gpus import visible_gpus
from napari_menndl.pool.process.memory import memory_per_slot
from napari_menndl.pool.process.slot import Slot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_menndl.pool.worker.staging import StagedInput

#: A trainer that nobody has needed for so long ends: its pool may have been killed [s].
_IDLE = 30.0


@dataclass(frozen=True)
class SlotSettings:
    """How a pool wants its slots on every machine.

    Attributes
    ----------
    pool : str
        The pool's own id: two pools on one cluster share no trainer.
    entry : str
        ``"module:function"``.
    timeout : float or None
        Of each job [s].
    threads : int or None
        For each trainer; None: the machine's cores shared among the worker's slots.
    networks_per_gpu : int
        How many slots share a GPU; 0 keeps trainers off the GPUs.
    memory : int or None
        What each trainer may hold [byte]; None: the machine's, less a margin, shared among the worker's slots.
    env : tuple of (str, str)
        Environment of the trainers besides the worker's.
    cargo : StagedInput or None
        What every job needs a copy of on its machine.
    versions : tuple of (str, str)
        What the pool has installed; a worker that has other versions runs nothing.
    """

    pool: str
    entry: str
    timeout: float | None = None
    threads: int | None = None
    networks_per_gpu: int = 1
    memory: int | None = None
    env: tuple[tuple[str, str], ...] = ()
    cargo: StagedInput | None = None
    versions: tuple[tuple[str, str], ...] = ()


class WorkerSlots:
    """The slots of one pool on this worker, made when first needed and then reused, the warmest first."""

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
