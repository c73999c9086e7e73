"""What runs on a Dask worker: jobs go to the machine's slots, of which every worker thread uses one at a time."""

from __future__ import annotations

import platform
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from dask.system import CPU_COUNT
from distributed import get_worker
from distributed.core import Status

from napari_menndl.pool.gpus import visible_gpus
from napari_menndl.pool.messages import Message, outcome_to_message, pack, unpack
from napari_menndl.pool.slot import Slot

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Whose versions must be the same everywhere.
PACKAGES = ("napari-menndl", "distributed", "dask", "torch")


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
    env : tuple of (str, str)
        Environment of the trainers besides the worker's.
    """

    pool: str
    entry: str
    timeout: float | None = None
    threads: int | None = None
    networks_per_gpu: int = 1
    env: tuple[tuple[str, str], ...] = ()


class MachineSlots:
    """The slots of one pool on this worker, made when first needed and then reused, the warmest first."""

    def __init__(self, settings: SlotSettings, threads: int) -> None:
        self._settings = settings
        self._threads = settings.threads or max(1, CPU_COUNT // threads)
        self._gpus = visible_gpus()
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
        if self._gpus and self._settings.networks_per_gpu == 0:
            env["CUDA_VISIBLE_DEVICES"] = ""
        elif self._gpus:
            env["CUDA_VISIBLE_DEVICES"] = self._gpus[number % len(self._gpus)]
        address = get_worker().address.rpartition("://")[2]
        name = f"{platform.node()}/{address}/{number}"
        slot = Slot(self._settings.entry, threads=self._threads, env=env, name=name)
        if self._closed:
            slot.close()
        self._all.append(slot)
        return slot


_GOING = frozenset({Status.closing, Status.closed, Status.failed})
_machines: dict[str, MachineSlots] = {}
_machines_lock = threading.Lock()


def run_jobs(settings: SlotSettings, jobs: bytes) -> bytes:
    """Run packed jobs (`key`, `payload`; attachment) one after another in one slot; return their packed outcomes.

    Stops early, killing the trainer, when the task is released: cancelled, or its client or this worker is going away.
    """
    worker = get_worker()
    task = worker.get_current_task()

    def wanted() -> bool:
        state = worker.state.tasks.get(task)
        return worker.status not in _GOING and state is not None and state.state in {"executing", "long-running"}

    with _machines_lock:
        if settings.pool not in _machines:
            _machines[settings.pool] = MachineSlots(settings, worker.state.nthreads)
        machine = _machines[settings.pool]
    outcomes: list[Message] = []
    with machine.slot() as slot:
        for header, attachment in unpack(jobs):
            outcome = slot.run(header["key"], header["payload"], attachment, settings.timeout, wanted)
            outcomes.append(outcome_to_message(outcome))
            if not wanted():
                break
    return pack(outcomes)


def forget_pool(pool: str) -> None:
    """Kill the trainers of a pool that is closing."""
    with _machines_lock:
        machine = _machines.pop(pool, None)
    if machine is not None:
        machine.close()


def versions() -> dict[str, str]:
    """Return what must be the same here and on every worker; "absent" where a package is not installed."""
    found: dict[str, Any] = {"python": ".".join(map(str, sys.version_info[:2]))}
    for package in PACKAGES:
        try:
            # Without "+cu128" and the like: builds of one version work together.
            found[package] = (
                metadata.version(package).partition("+")[0] if package == "torch" else metadata.version(package)
            )
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found
