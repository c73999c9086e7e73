"""Disks that fill up, and data that changes on them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from places import HERE, STUCK, Site, at, free_port, small_task, spread, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


class SmallDisk:
    """A file system of 16 MB; ballast takes up what is to be free no more."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(path)], check=True)

    def fill(self) -> None:
        with (self.path / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while ballast.write(bytes(4096)):
                pass

    def make_room(self) -> None:
        (self.path / "ballast").unlink()


def full_journal(number: int, seed: int) -> dict[str, Any]:
    """Fill the disk with the run folder while the search goes on; it waits, says so, and goes on."""
    rng = np.random.default_rng([seed, number])
    lost = stuck = silent = 0
    recovery = []
    with tempfile.TemporaryDirectory() as place:
        disk = SmallDisk(Path(place) / "disk")
        try:
            with at(Site(Path(place), "local", seed=seed, disk=disk.path)) as site:
                for _ in range(number):
                    stuck += not site.wait_for(site.ended() + int(rng.integers(1, 4)), STUCK, tend=False)
                    time.sleep(rng.uniform(0, 0.2))
                    disk.fill()
                    silent += not wait_until(lambda: "disk full" in site.run.status()["note"], 20)
                    before = site.journal()
                    disk.make_room()
                    began = time.monotonic()
                    stuck += not site.wait_for(site.ended() + 1, STUCK, tend=False)
                    recovery.append(time.monotonic() - began)
                    lost += not site.journal().startswith(before)
                orphans = site.end()
                account = site.account()
        finally:
            subprocess.run(["umount", "-l", str(disk.path)], check=False)
    sums = {"times full": number, "lost": lost, "stuck": stuck, "not said": silent, "orphans": orphans}
    return {**sums, **account, "seconds to recover": spread(recovery)}


@contextlib.contextmanager
def workers_with(disk: Path, *, far: bool) -> Iterator[str]:
    """Yield the address of a scheduler whose worker keeps its files on a disk; a far one cannot read ours."""
    address = f"tcp://127.0.0.1:{free_port()}"
    environment = os.environ | {"PYTHONPATH": str(HERE), "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
    options = ["--host", "127.0.0.1"]
    commands = [
        ["dask_scheduler", "--port", address.rpartition(":")[2], "--dashboard-address", "127.0.0.1:0"],
        ["dask_worker", address, "--nthreads", "2", "--no-dashboard", "--local-directory", str(disk)],
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/" if far else None}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{name}", *arguments, *options], env=environment, **quiet
        )
        for name, *arguments in commands
    ]
    try:
        yield address
    finally:
        for process in reversed(processes):
            with contextlib.suppress(psutil.Error):
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
            process.kill()
            process.wait()


def task_pool(address: str, task: str) -> Any:
    from napari_menndl.pool.clusters.external import ExternalScheduler
    from napari_menndl.pool.dask.pool import DaskPool
    from napari_menndl.pool.worker.staging import SharedInput

    return DaskPool(
        "standin:check_task", ExternalScheduler(address), timeout=60, shared_input=SharedInput("task", task)
    )


def all_of(pool: Any, number: int) -> list[Any]:
    for n in range(number):
        pool.submit(str(n), {})
    outcomes: list[Any] = []
    deadline = time.monotonic() + STUCK
    while len(outcomes) < number and time.monotonic() < deadline:
        outcomes += pool.finished(timeout=1.0)
    return outcomes


def full_staging(number: int, seed: int) -> dict[str, Any]:
    """Fill the disk that the task is to be staged on; jobs wait until there is room, and none is blamed."""
    failed = missing = early = 0
    seconds = []
    with tempfile.TemporaryDirectory() as place:
        disk = SmallDisk(Path(place) / "disk")
        os.chdir(place)
        try:
            with workers_with(disk.path, far=True) as address:
                for n in range(number):
                    task = small_task()
                    (Path(place) / str(n)).mkdir()
                    frames = task.frames + np.float32(n)
                    type(task)(frames, task.labels, task.known, task.class_names, task.detectors, guard=4).save(
                        Path(place) / str(n) / "task.zarr"
                    )
                    # Where the worker is, this leads to nothing: the task has to be sent.
                    pool = task_pool(address, f"/proc/self/cwd/{n}/task.zarr")
                    disk.fill()
                    for job in range(4):
                        pool.submit(str(job), {})
                    early += len(pool.finished(timeout=2.0))
                    disk.make_room()
                    began, outcomes = time.monotonic(), []
                    while len(outcomes) < 4 and time.monotonic() - began < STUCK:
                        outcomes += pool.finished(timeout=1.0)
                    seconds.append(time.monotonic() - began)
                    pool.close()
                    failed += sum(one.failure is not None for one in outcomes)
                    missing += 4 - len(outcomes)
        finally:
            os.chdir("/")
            subprocess.run(["umount", "-l", str(disk.path)], check=False)
    sums = {"times full": number, "jobs failed": failed, "jobs not come back": missing, "ended on a full disk": early}
    return {**sums, "seconds to recover": spread(seconds)}


def damage(file: Path, rng: np.random.Generator) -> None:
    """Flip a bit, or cut the end off."""
    data = bytearray(file.read_bytes())
    if rng.random() < 0.5:
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    else:
        del data[rng.integers(len(data)) :]
    file.write_bytes(data)


def damaged_task(number: int, seed: int) -> dict[str, Any]:
    """Damage the staged task while it is in use; the next pool notices and stages it anew."""
    rng = np.random.default_rng([seed, number])
    unnoticed = failed = 0
    with tempfile.TemporaryDirectory() as place:
        small_task().save(Path(place) / "task.zarr")
        digest = small_task().digest
        with workers_with(Path(place) / "disk", far=False) as address:
            pool = task_pool(address, f"{place}/task.zarr")
            (outcome,) = all_of(pool, 1)
            for _ in range(number):
                copy = Path(outcome.payload["place"])
                whole = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
                damage(rng.choice(sorted(file for file in whole if whole[file])), rng)
                # Damage that the job itself would not mind is noticed by the next worker process.
                (next_one,) = all_of(pool, 1)
                failed += next_one.failure is not None
                if next_one.failure is None:
                    unnoticed += next_one.payload["digest"] != digest
                    if any(file.read_bytes() != data for file, data in whole.items()):
                        mended_by_next_worker(address, copy, Path(place) / "task.zarr")
                    unnoticed += any(not file.exists() or file.read_bytes() != data for file, data in whole.items())
            pool.close()
    return {"damaged": number, "not noticed": unnoticed, "jobs failed": failed}


def mended_by_next_worker(address: str, copy: Path, source: Path) -> None:
    from napari_menndl.pool.worker.node_cache import NodeCache
    from napari_menndl.pool.worker.staging import SharedInput, StagedInput

    NodeCache(copy.parent.parent).find(StagedInput.of(SharedInput("task", source)))


def damaged_weights(number: int, seed: int) -> dict[str, Any]:
    """Damage weights; reading them says so."""
    import torch

    from napari_menndl.errors import InputError
    from napari_menndl.network.weights import from_bytes, to_bytes

    rng = np.random.default_rng([seed, number])
    whole = to_bytes({"head.weight": torch.ones(8, 4, 3, 3), "head.bias": torch.zeros(8)}, {"pixel size": "0.01"})
    from_bytes(whole)
    unnoticed = 0
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "weights"
        for _ in range(number):
            file.write_bytes(whole)
            damage(file, rng)
            try:
                from_bytes(file.read_bytes())
                unnoticed += 1
            except InputError:
                pass
    return {"damaged": number, "not noticed": unnoticed}
