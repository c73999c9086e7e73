"""What every pool promises, held against the serial and the Dask pool alike."""

import sys

import pytest
from stand_ins import ENTRY, ENV
from waiting import collect, one

from napari_menndl.pool.clusters.local import Local
from napari_menndl.pool.dask.pool import DaskPool
from napari_menndl.pool.process.slot import Slot
from napari_menndl.pool.serial import SerialPool
from napari_menndl.pool.settings import LocalSettings

TIME_LIMIT = 0.8

FAILURES = [
    ("fail", "error", "no such landscape"),
    ("answer_nonsense", "error", "unpack"),
    ("exhaust_memory", "out_of_memory", "not a byte left"),
    ("exhaust_gpu", "out_of_memory", "CUDA out of memory"),
    ("fill_disk", "disk_full", "No space left"),
    ("exit", "crashed", "exit code 3"),
    ("hang_deaf", "timeout", "time limit of 0.8 s"),
]
if sys.platform != "win32":
    FAILURES += [("segfault", "crashed", "SIGSEGV"), ("stop_itself", "timeout", "time limit of 0.8 s")]


def serial():
    return SerialPool(Slot(ENTRY, env=ENV), timeout=TIME_LIMIT)


def dask():
    return DaskPool(ENTRY, Local(LocalSettings(slots=2)), timeout=TIME_LIMIT, env=ENV)


@pytest.fixture(scope="module", params=[serial, dask], ids=lambda make: make.__name__)
def pool(request):
    pool = request.param()
    yield pool
    pool.close()
    assert pool.free == 0
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit("late", {})


def test_nothing_in_flight_is_finished_at_once(pool):
    assert pool.finished() == []


def test_every_job_comes_back_once_with_its_key_and_payload(pool):
    keys = [f"{n}/0" for n in range(40)]
    for n, key in enumerate(keys):
        pool.submit(key, {"do": "echo", "n": n})
    outcomes = collect(pool, len(keys))
    assert [outcomes[key].payload["n"] for key in keys] == list(range(40))
    assert pool.finished() == []


def test_a_rolling_search_keeps_within_what_is_free(pool):
    submitted, finished = 0, 0
    while finished < 30:
        free = pool.free
        assert free >= 0
        for _ in range(min(free, 30 - submitted)):
            pool.submit(str(submitted), {"do": "echo"})
            submitted += 1
            assert pool.free >= 0
        finished += len(pool.finished())
    assert finished == 30
    assert pool.free >= pool.slots >= 1


@pytest.mark.parametrize(
    "attachment", [b"", b"\x00\xff\n" * 5, bytes(range(256)) * 40_000], ids=["none", "few", "10 MB"]
)
def test_an_attachment_arrives_byte_for_byte(pool, attachment):
    assert one(pool, {"do": "echo"}, attachment).attachment == attachment


def test_an_outcome_says_where_and_when(pool):
    outcome = one(pool, {"do": "sleep", "seconds": 0.2})
    assert 0.2 <= outcome.finished - outcome.started < 2.0
    assert outcome.slot


@pytest.mark.parametrize(("do", "kind", "word"), FAILURES, ids=[do for do, _, _ in FAILURES])
def test_a_failure_is_data_of_its_job_and_of_no_other(pool, do, kind, word):
    pool.submit("before", {"do": "echo"})
    pool.submit("bad", {"do": do})
    pool.submit("after", {"do": "echo"})
    outcomes = collect(pool, 3)
    failure = outcomes["bad"].failure
    assert failure.kind == kind
    assert word in failure.message
    assert outcomes["bad"].payload is None
    assert kind != "timeout" or do == "stop_itself" or f"do_{do}" in failure.traceback  # where it hung
    assert outcomes["before"].failure is outcomes["after"].failure is None


def test_a_failure_carries_its_traceback(pool):
    assert "do_fail" in one(pool, {"do": "fail"}).failure.traceback
    assert "going, going" in one(pool, {"do": "exit"}).failure.traceback


def test_a_crash_is_run_once_more_before_it_is_blamed(pool, tmp_path):
    outcome = one(pool, {"do": "crash_once", "file": str(tmp_path / "first")})
    assert outcome.failure is None


def test_what_libraries_print_disturbs_nothing(pool):
    assert one(pool, {"do": "print"}).payload == {"read": ""}


def test_a_key_is_in_flight_once_and_free_again_afterwards(pool):
    pool.submit("same", {"do": "sleep", "seconds": 0.3})
    with pytest.raises(ValueError, match="in flight"):
        pool.submit("same", {"do": "echo"})
    collect(pool, 1)
    assert one(pool, {"do": "echo"}, key="same").failure is None


def test_a_cancelled_job_comes_back_as_such(pool):
    for key in "abcd":
        pool.submit(key, {"do": "sleep", "seconds": 0.3})
    pool.cancel("d")
    pool.cancel("unknown")
    outcomes = collect(pool, 4)
    assert outcomes["d"].failure.kind == "cancelled"
    assert all(outcomes[key].failure is None for key in "abc")
