"""Several workers, each with a disk of its own as on machines of their own: staging, second opinions, quarantine."""

import hashlib
import logging
import time
from pathlib import Path

import psutil
import pytest
from processes import end, free_port, start_scheduler, start_worker
from stand_ins import ENTRY, ENV
from waiting import collect, one, pid_in, wait_until

from napari_menndl.pool.clusters.external import ExternalScheduler
from napari_menndl.pool.dask.pool import DaskPool
from napari_menndl.pool.worker.staging import SharedInput


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A scheduler with two workers, one of which is sick: whatever asks it fails there."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    workers = [
        start_worker(address, tmp_path_factory.mktemp("disk"), threads=1, env={"SICK": sick}) for sick in ("no", "yes")
    ]
    scheduler = start_scheduler(port)
    yield address
    end(*workers, scheduler)


@pytest.fixture
def carried(tmp_path):
    (tmp_path / "task" / "deep").mkdir(parents=True)
    (tmp_path / "task" / "deep" / "file").write_bytes(b"frames" * 1000)
    return SharedInput("carried", tmp_path / "task")


def opened(address, **options):
    pool = DaskPool(ENTRY, ExternalScheduler(address), env=options.pop("env", ENV), timeout=20, **options)
    assert wait_until(lambda: pool.slots == 2, 30)
    return pool


HEALTHY = {**ENV, "SICK": "no"}


def test_every_worker_reads_its_own_copy_of_what_is_carried(address, carried):
    pool = opened(address, shared_input=carried, env=HEALTHY)
    for n in range(8):
        pool.submit(str(n), {"do": "read"})
    outcomes = collect(pool, 8).values()
    told = pool.telemetry()
    pool.close()
    assert {outcome.attachment for outcome in outcomes} == {b"frames" * 1000}
    places = {outcome.payload["place"] for outcome in outcomes}
    assert str(carried.path) not in places
    assert len(places) <= 2
    assert told.staged_bytes == 0  # the workers can read it themselves


def test_where_it_cannot_be_read_it_is_sent_once_and_no_job_is_blamed(address, carried, monkeypatch):
    (carried.path / "deep" / "file").write_bytes(b"labels" * 1000)
    monkeypatch.chdir(carried.path.parent)
    # For the workers this leads to a folder of theirs, where there is nothing.
    pool = opened(address, shared_input=SharedInput("carried", "/proc/self/cwd/task"), env=HEALTHY)
    for n in range(12):
        pool.submit(str(n), {"do": "read"})
    outcomes = collect(pool, 12).values()
    told = pool.telemetry()
    pool.close()
    assert {outcome.attachment for outcome in outcomes} == {b"labels" * 1000}
    machines = len({outcome.payload["place"] for outcome in outcomes})
    assert machines <= told.staged_bytes / 6000 < 2.2
    assert told.staged_seconds > 0


def test_a_copy_that_is_damaged_while_it_is_used_is_mended_before_a_job_is_blamed(address, carried):
    pool = opened(address, shared_input=carried, env=HEALTHY)
    sha = hashlib.sha256(b"frames" * 1000).hexdigest()
    for damage in range(4):
        outcome = one(pool, {"do": "read", "sha": sha})
        assert outcome.failure is None, damage
        (Path(outcome.payload["place"]) / "deep" / "file").write_bytes(b"FRAMES" * 1000)
    pool.close()


def test_no_job_pays_for_a_sick_worker_which_is_found_out(address, caplog):
    caplog.set_level(logging.WARNING)
    pool = opened(address)
    submitted, outcomes, deadline = 0, [], time.monotonic() + 600
    while not (quarantined := pool.telemetry().quarantined) and time.monotonic() < deadline:
        for _ in range(pool.free):
            pool.submit(str(submitted), {"do": "be_sick"})
            submitted += 1
        outcomes += pool.finished(timeout=1.0)
    outcomes += collect(pool, submitted - len(outcomes)).values()
    assert all(outcome.failure is None for outcome in outcomes)
    assert len({outcome.key for outcome in outcomes}) == len(outcomes) == submitted
    assert len(quarantined) == 1
    assert "is given no more jobs" in caplog.text
    assert "start another" in caplog.text
    assert wait_until(lambda: pool.slots == 1)
    pool.close()


def test_a_worker_that_comes_later_with_other_versions_gets_no_jobs_and_is_told_of(address, tmp_path, caplog):
    about = tmp_path / "torch-1.0.dist-info" / "METADATA"
    about.parent.mkdir()
    about.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.0\n")
    pool = opened(address, env=HEALTHY)
    late = start_worker(address, tmp_path / "disk", threads=1, env={"PYTHONPATH": str(tmp_path)})
    submitted, outcomes, deadline = 0, [], time.monotonic() + 600
    while not pool.telemetry().quarantined and time.monotonic() < deadline:
        for _ in range(pool.free):
            pool.submit(str(submitted), {"do": "echo"})
            submitted += 1
        outcomes += pool.finished(timeout=1.0)
    outcomes += collect(pool, submitted - len(outcomes)).values()
    assert wait_until(lambda: pool.slots == 2)
    pool.close()
    end(late)
    assert all(outcome.failure is None for outcome in outcomes)
    assert "torch 1.0 instead of" in caplog.text
    assert "Install the same versions" in caplog.text


def test_a_second_opinion_that_dies_with_its_worker_is_heard_elsewhere(address, tmp_path):
    pool = opened(address, env=HEALTHY)
    pool.submit("job", {"do": "crash_twice_then_report", "file": str(tmp_path / "pid")})
    second = psutil.Process(pid_in(tmp_path / "pid")).parent()
    second.kill()  # its nanny starts another, of another address
    assert collect(pool, 1)["job"].failure is None
    assert wait_until(lambda: pool.slots == 2)
    pool.close()


def test_a_job_that_fails_everywhere_is_blamed_and_no_worker(address):
    pool = opened(address, env=HEALTHY)
    assert one(pool, {"do": "exit"}).failure.kind == "crashed"
    assert one(pool, {"do": "fail"}).failure.kind == "error"
    told = pool.telemetry()
    pool.close()
    assert told.quarantined == ()
    assert told.workers == told.slots == 2


def test_time_and_bytes_are_told(address):
    pool = opened(address, env=HEALTHY)
    for n in range(4):
        pool.submit(str(n), {"do": "sleep", "seconds": 0.3}, b"x" * 1000)
    collect(pool, 4)
    told = pool.telemetry()
    pool.close()
    assert 1.2 <= told.busy_seconds <= told.available_seconds
    assert told.sent_bytes > 4000
    assert 0 < told.received_bytes < 4000
    assert told.waited_seconds > 0


def test_nonsense_from_a_worker_is_a_failure_of_each_job_and_of_none_once_there_is_another(tmp_path):
    port = free_port()
    address, preload = f"tcp://127.0.0.1:{port}", Path(__file__).with_name("hostile_worker.py")
    processes = [start_worker(address, tmp_path / "hostile", threads=1, preload=preload), start_scheduler(port)]
    pool = DaskPool(ENTRY, ExternalScheduler(address), env=ENV)
    assert wait_until(lambda: pool.slots == 1)
    for n in range(20):
        pool.submit(str(n), {"do": "echo"})
    alone = collect(pool, 20).values()
    assert {outcome.failure.kind for outcome in alone} == {"error"}
    assert not any(outcome.failure.blames_genome for outcome in alone)

    processes.insert(0, start_worker(address, tmp_path / "other", threads=1))
    assert wait_until(lambda: pool.slots == 2)
    submitted, outcomes = 0, []
    while not pool.telemetry().quarantined and submitted < 10_000:
        for _ in range(pool.free):
            pool.submit(str(submitted), {"do": "echo", "n": submitted})
            submitted += 1
        outcomes += pool.finished(timeout=1.0)
    outcomes += collect(pool, submitted - len(outcomes)).values()
    told = pool.telemetry()
    pool.close()
    end(*processes)
    assert sorted(outcome.payload["n"] for outcome in outcomes) == list(range(submitted))
    assert len(told.quarantined) == 1
