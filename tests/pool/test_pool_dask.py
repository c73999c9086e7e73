"""The Dask pool when its processes die, and what it leaves behind: nothing."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from processes import end, free_port, start_scheduler, start_worker
from stand_ins import ENTRY, ENV
from waiting import collect, gone, one, pid_in, wait_until

from napari_menndl.errors import InputError
from napari_menndl.pool.clusters.external import ExternalScheduler
from napari_menndl.pool.clusters.local import Local
from napari_menndl.pool.dask.pool import DaskPool
from napari_menndl.pool.settings import LocalSettings
from napari_menndl.pool.worker import tasks


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    pool = DaskPool(
        ENTRY, Local(LocalSettings(slots=2, folder=str(tmp_path_factory.mktemp("worker")))), timeout=20, env=ENV
    )
    yield pool
    pool.close()


def children():
    return psutil.Process().children(recursive=True)


def sleeper(file, **more):
    return {"do": "report_then_sleep", "file": str(file), **more}


def test_a_job_survives_its_worker(pool, tmp_path):
    pool.submit("job", sleeper(tmp_path / "pid"))
    trainer = pid_in(tmp_path / "pid")
    psutil.Process(trainer).parent().kill()
    assert gone([trainer], 3.0)
    outcome = collect(pool, 1)["job"]
    assert outcome.failure is None
    assert outcome.payload == {"again": True}
    assert wait_until(lambda: pool.slots == 2)


def test_a_job_survives_its_trainer(pool, tmp_path):
    pool.submit("job", sleeper(tmp_path / "pid"))
    os.kill(pid_in(tmp_path / "pid"), signal.SIGKILL)
    assert collect(pool, 1)["job"].payload == {"again": True}


def test_cancelling_a_running_job_stops_its_trainer_and_nothing_else(pool, tmp_path):
    pool.submit("stopped", sleeper(tmp_path / "pid"))
    trainer = pid_in(tmp_path / "pid")
    pool.submit("other", {"do": "sleep", "seconds": 1.0})
    pool.cancel("stopped")
    outcomes = collect(pool, 2)
    assert outcomes["stopped"].failure.kind == "cancelled"
    assert outcomes["other"].failure is None
    assert gone([trainer], 3.0)
    assert one(pool, {"do": "echo"}).failure is None


def test_short_jobs_travel_together(pool):
    for n in range(300):
        pool.submit(str(n), {"do": "echo"})
    collect(pool, 300)
    assert pool.free > pool.slots


def test_nothing_listens_beyond_this_machine(pool):
    one(pool, {"do": "echo"})
    sockets = [found for process in [psutil.Process(), *children()] for found in process.net_connections("inet")]
    listening = {found.laddr.ip for found in sockets if found.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_a_job_that_keeps_losing_its_worker_fails_without_blame_and_closing_leaves_nothing(tmp_path, capfd):
    before = {process.pid for process in children()}
    pool = DaskPool(ENTRY, Local(LocalSettings(slots=2)), env=ENV, attempts=1)
    pool.submit("lost", sleeper(tmp_path / "lost"))
    psutil.Process(pid_in(tmp_path / "lost")).parent().kill()
    failure = collect(pool, 1)["lost"].failure
    assert failure.kind == "worker_lost"
    assert not failure.blames_genome
    pool.submit("running", sleeper(tmp_path / "running"))
    pid_in(tmp_path / "running")
    left = {process.pid for process in children()} - before
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 5
    assert gone(left, 1.0)
    assert capfd.readouterr() == ("", "")


DRIVER = """
import sys
from napari_menndl.pool.open import open_pool
if __name__ == "__main__":
    pool = open_pool({spec!r}, {entry!r}, slots=2, env={env!r})
    pool.submit("a", {{"do": "report_then_sleep", "file": sys.argv[1]}})
    pool.submit("b", {{"do": "spawn_and_hang", "file": sys.argv[2]}})
    while not pool.finished():
        pass
"""


@contextlib.contextmanager
def driver(folder, spec="local"):
    """Yield a process that has two jobs running, and the trainers of these."""
    script = folder / "driver.py"
    script.write_text(DRIVER.format(entry=ENTRY, env=ENV, spec=spec))
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder / "a"), str(folder / "b")], stderr=subprocess.DEVNULL
    )
    try:
        yield process, [pid_in(folder / "a"), psutil.Process(pid_in(folder / "b")).ppid(), pid_in(folder / "b")]
    finally:
        process.kill()
        process.wait()


def test_when_the_owner_is_killed_every_process_goes(tmp_path):
    with driver(tmp_path) as (process, trainers):
        family = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        assert set(trainers) <= set(family)
        assert len(family) >= 4  # the worker, two trainers, what one of these started
        process.kill()
        assert gone(family, 5.0)


# Separate processes, as `dask scheduler` and `dask worker` start them.


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    address = f"tcp://127.0.0.1:{free_port()}"
    scheduler = start_scheduler(address.rpartition(":")[2])
    one_worker = start_worker(address, tmp_path_factory.mktemp("worker"))
    yield address, one_worker
    end(one_worker, scheduler)


def test_slots_follow_the_workers_of_a_running_scheduler(cluster, tmp_path):
    address, _ = cluster
    pool = DaskPool(ENTRY, ExternalScheduler(address), env=ENV)
    assert wait_until(lambda: pool.slots == 2)
    second = start_worker(address, tmp_path)
    assert wait_until(lambda: pool.slots == 4)
    end(second)
    assert wait_until(lambda: pool.slots == 2)
    pool.close()


def test_a_worker_told_to_go_ends_what_it_runs(cluster, tmp_path):
    address, _ = cluster
    pool = DaskPool(ENTRY, ExternalScheduler(address), env=ENV)
    leaving = start_worker(address, tmp_path / "worker")
    assert wait_until(lambda: pool.slots == 4)
    runs = tmp_path / "runs"
    runs.touch()
    for n in range(4):
        pool.submit(str(n), {"do": "count_and_sleep", "file": str(runs), "seconds": 2.0})
    assert wait_until(lambda: len(runs.read_text().splitlines()) == 4)
    for process in (psutil.Process(leaving.pid), *psutil.Process(leaving.pid).children()):
        process.terminate()  # as a batch system does: all of them
    outcomes = collect(pool, 4)
    assert all(outcome.failure is None for outcome in outcomes.values())
    assert len(runs.read_text().splitlines()) == 4
    leaving.wait(20)
    pool.close()


def test_closing_leaves_no_trainer_on_workers_that_go_on(cluster, tmp_path):
    address, one_worker = cluster
    pool = DaskPool(ENTRY, ExternalScheduler(address), env=ENV)
    idle = one(pool, {"do": "echo"}).payload["pid"]
    pool.submit("running", sleeper(tmp_path / "pid"))
    running = pid_in(tmp_path / "pid")
    pool.close()
    assert gone([idle, running], 3.0)
    assert one_worker.poll() is None


def test_workers_that_go_on_stop_the_jobs_of_an_owner_that_was_killed(cluster, tmp_path):
    address, one_worker = cluster
    with driver(tmp_path, address) as (process, trainers):
        process.kill()
        assert gone(trainers, 5.0)
        assert one_worker.poll() is None


def test_workers_of_another_version_are_refused(cluster, monkeypatch):
    address, _ = cluster
    monkeypatch.setattr(tasks, "PACKAGES", (*tasks.PACKAGES, "pytest"))
    with pytest.raises(InputError, match=r"workers with pytest .* Install the same versions"):
        DaskPool(ENTRY, ExternalScheduler(address), env=ENV)


def test_a_job_survives_its_scheduler(tmp_path):
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    processes = [start_scheduler(port), start_worker(address, tmp_path)]
    pool = DaskPool(ENTRY, ExternalScheduler(address), env=ENV)
    pool.submit("job", sleeper(tmp_path / "pid"))
    trainer = pid_in(tmp_path / "pid")
    processes[0].kill()
    assert gone([trainer])
    assert wait_until(lambda: pool.slots == 0)
    processes += [start_scheduler(port), start_worker(address, Path(tmp_path))]
    outcomes = collect(pool, 1)
    pool.close()
    processes[0].wait()
    end(*processes[1:])
    assert outcomes["job"].payload == {"again": True}
