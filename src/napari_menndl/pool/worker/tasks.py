"""Tasks on a Dask worker: jobs run in the pool's slots on it, one slot per worker thread."""

from __future__ import annotations

import asyncio
import platform
import shutil
import sys
import threading
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import get_worker
from distributed.core import Status

from napari_menndl.pool.process.messages import Message, outcome_to_message, pack, unpack
from napari_menndl.pool.worker.node_cache import NodeCache, NotStagedError
from napari_menndl.pool.worker.slots import SlotSettings, WorkerSlots
from napari_menndl.pool.worker.staging import StagedInput, write_piece

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_menndl.pool.protocol import Outcome

#: Time limit of each job in a batch; one that takes longer is sent again alone [s].
TOGETHER = 5.0
#: Number of crashes in a task after which the other jobs are returned, as the machine may be faulty.
CRASHES = 2
#: Packages whose versions must be the same everywhere.
PACKAGES = ("napari-menndl", "distributed", "dask", "torch")


_GOING = frozenset({Status.closing, Status.closed, Status.failed})
_machines: dict[str, WorkerSlots] = {}
_machines_lock = threading.Lock()


def run_jobs(settings: SlotSettings, jobs: bytes) -> bytes:
    """Run packed jobs (`key`, `payload`; attachment) in order in one slot; return their packed outcomes.

    The first message is a report: ``"worker"``, ``"host"``, ``"gpus"``; ``"cache"`` (folder for the copy of the shared
    input) with ``"trouble"`` (why the copy failed, or "") if it is not staged here; ``"unfit"`` if this worker has
    other versions than the pool, in which case nothing was run.

    Stops early, killing the trainer, if the task is released: because it is cancelled, or its client or this worker is
    closing.
    """
    worker = get_worker()
    task = worker.get_current_task()

    def wanted() -> bool:
        state = worker.state.tasks.get(task)
        return worker.status not in _GOING and state is not None and state.state in {"executing", "long-running"}

    with _machines_lock:
        if settings.pool not in _machines:
            _machines[settings.pool] = WorkerSlots(settings, worker.state.nthreads, worker.address)
        machine = _machines[settings.pool]
    report = {"worker": worker.address, "host": platform.node(), "gpus": len(machine.gpus)}
    node_cache = _cache_beside(worker.local_directory)
    if wrong := version_mismatch(settings.versions):
        return pack([(report | {"unfit": wrong}, b"")])
    messages = unpack(jobs)
    limit = settings.timeout
    if len(messages) > 1:
        limit = TOGETHER if limit is None else min(limit, TOGETHER)
    outcomes: list[Message] = []
    crashes = 0
    with machine.slot() as slot:
        for header, attachment in messages:

            def run(path: str, header: Any = header, attachment: bytes = attachment) -> Outcome:
                payload = header["payload"] | ({settings.staged.name: path} if settings.staged else {})
                return slot.run(header["key"], payload, attachment, limit, wanted)

            try:
                outcome = _with_staged(run, settings.staged, node_cache)
            except NotStagedError:
                report |= {"cache": str(node_cache.folder), "trouble": ""}
                break
            except OSError as error:
                report |= {"cache": str(node_cache.folder), "trouble": str(error)}
                break
            kind = "" if outcome.failure is None else outcome.failure.kind
            slow = len(messages) > 1 and kind == "timeout"
            if not slow:
                outcomes.append(outcome_to_message(outcome))
            crashes += kind == "crashed"
            if slow or crashes == CRASHES or not wanted():
                break
    return pack([(report, b""), *outcomes])


def _with_staged(run: Callable[[str], Outcome], staged: StagedInput | None, node_cache: NodeCache) -> Outcome:
    """Run a job with the path of the shared input's copy; repeat it with a new copy if a damaged one made it fail."""
    if staged is None:
        return run("")
    outcome = run(str(node_cache.find(staged)))
    suspicious = outcome.failure is not None and outcome.failure.kind in {"error", "crashed"}
    return run(str(node_cache.find(staged))) if suspicious and not node_cache.intact(staged) else outcome


@cache
def _cache_beside(local_directory: str) -> NodeCache:
    """Return the cache next to the worker's temporary folder; workers on one disk share it."""
    return NodeCache(Path(local_directory).parent / "napari-menndl")


async def receive_pieces(staged: StagedInput, part: str, pieces: bytes, dask_worker: Any) -> tuple[str, str]:
    """Write chunks to a part folder, created if `part` is ""; return the folder and an error message."""
    node_cache = _cache_beside(dask_worker.local_directory)

    def write() -> str:
        folder = Path(part) if part else node_cache.part(staged)
        for piece in unpack(pieces):
            write_piece(folder, piece)
        return str(folder)

    try:
        return await asyncio.to_thread(write), ""
    except OSError as error:
        if part:
            await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)
        return part, str(error)


async def take_pieces(staged: StagedInput, part: str, dask_worker: Any) -> str:
    """Verify the uploaded copy and make it available; return an error message."""
    try:
        await asyncio.to_thread(_cache_beside(dask_worker.local_directory).put, staged, Path(part))
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def forget_pool(pool: str) -> None:
    """Kill the trainers of a pool that is closing."""
    with _machines_lock:
        machine = _machines.pop(pool, None)
    if machine is not None:
        machine.close()


@cache
def version_mismatch(theirs: tuple[tuple[str, str], ...]) -> str:
    """Describe which versions differ from the given ones; "" if none do."""
    ours = versions()
    wrong = [(name, there) for name, there in theirs if ours.get(name) != there]
    return ", ".join(f"{name} {ours.get(name)} instead of {there}" for name, there in wrong)


def versions() -> dict[str, str]:
    """Return the versions that must be equal here and on every worker; "absent" for packages not installed."""
    found: dict[str, Any] = {"python": ".".join(map(str, sys.version_info[:2]))}
    for package in PACKAGES:
        try:
            # Without "+cu128" and the like, since builds of one version are compatible.
            found[package] = (
                metadata.version(package).partition("+")[0] if package == "torch" else metadata.version(package)
            )
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found
