"""The ledger: what goes in comes out once, and who travels alone."""

import pytest

from napari_menndl.errors import Failure
from napari_menndl.pool.dask.job_queue import Job, JobQueue
from napari_menndl.pool.protocol import Outcome


def outcome(key, seconds=1.0):
    return Outcome(key, {}, b"", None, "host/0", 100.0, 100.0 + seconds)


@pytest.fixture
def ledger():
    return JobQueue(attempts=3)


def filled(ledger, *keys, seconds=0.001):
    """Short jobs, of which several travel together."""
    ledger.add(first := Job("first", {}, b""))
    ledger.next_batch()
    ledger.deliver(outcome("first", seconds), first)
    ledger.fetch(0)
    for key in keys:
        ledger.add(Job(key, {}, b""))
    return ledger


def keys(jobs):
    return [job.key for job in jobs]


def test_a_result_that_comes_twice_is_handed_back_once(ledger):
    ledger.add(job := Job("a", {}, b""))
    for _ in range(2):
        ledger.deliver(outcome("a"), job)
    assert keys(ledger.fetch(0)) == ["a"]
    assert ledger.fetch(0) == []


def test_a_late_result_is_not_that_of_the_next_job_of_its_name(ledger):
    ledger.add(early := Job("a", {}, b""))
    ledger.cancel("a")
    assert [one.failure.kind for one in ledger.fetch(0)] == ["cancelled"]
    ledger.add(late := Job("a", {}, b""))
    ledger.deliver(outcome("a"), early)
    assert ledger.fetch(0) == []
    ledger.deliver(outcome("a"), late)
    assert keys(ledger.fetch(0)) == ["a"]


def test_short_jobs_travel_together_and_long_ones_alone(ledger):
    assert keys(filled(ledger, *"abc").next_batch()) == ["a", "b", "c"]
    assert keys(filled(JobQueue(3), *"abc", seconds=1.0).next_batch()) == ["a"]


def test_of_jobs_that_lost_their_worker_together_none_is_blamed_and_each_goes_alone(ledger):
    filled(ledger, *"abc")
    for _ in range(2):
        ledger.again(ledger.next_batch(), "the worker died", count=True)
    assert [keys(ledger.next_batch()) for _ in range(3)] == [["b"], ["c"], ["a"]]
    assert ledger.fetch(0) == []


def test_a_job_that_loses_worker_after_worker_alone_fails_without_blame(ledger):
    ledger.add(Job("a", {}, b""))
    for _ in range(3):
        ledger.again(ledger.next_batch(), "the worker died", count=True)
    (failed,) = ledger.fetch(0)
    assert failed.failure.kind == "worker_lost"
    assert not failed.failure.blames_genome


def test_what_does_not_count_may_happen_for_ever(ledger):
    ledger.add(Job("a", {}, b""))
    for _ in range(50):
        ledger.again(ledger.next_batch(), "not staged", count=False)
    assert keys(ledger.next_batch()) == ["a"]


def test_everything_fails_when_the_pool_is_given_up(ledger):
    filled(ledger, *"ab")
    ledger.fail_all(Failure("scheduler_lost", "gone"))
    assert sorted(keys(ledger.fetch(0))) == ["a", "b"]
    assert len(ledger) == 0


@pytest.mark.parametrize(("seconds", "slots", "window"), [(60.0, 16, 16), (1.0, 16, 17), (1.0, 0, 0), (0.001, 2, 66)])
def test_the_window_is_the_slots_and_what_is_on_its_way(ledger, seconds, slots, window):
    assert filled(ledger, seconds=seconds).window(slots) == window
