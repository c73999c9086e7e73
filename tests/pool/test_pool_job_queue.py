"""The jobs_queue: what goes in comes out once, and who travels alone."""

import pytest

from napari_menndl.errors import Failure
from napari_menndl.pool.dask.job_queue import Job, JobQueue
from napari_menndl.pool.protocol import Outcome


def outcome(key, seconds=1.0):
    return Outcome(key, {}, b"", None, "host/0", 100.0, 100.0 + seconds)


@pytest.fixture
def jobs_queue():
    return JobQueue(attempts=3)


def filled(jobs_queue, *keys, seconds=0.001):
    """Short jobs, of which several travel together."""
    jobs_queue.add(first := Job("first", {}, b""))
    jobs_queue.next_batch()
    jobs_queue.deliver(outcome("first", seconds), first)
    jobs_queue.fetch(0)
    for key in keys:
        jobs_queue.add(Job(key, {}, b""))
    return jobs_queue


def keys(jobs):
    return [job.key for job in jobs]


def test_a_result_that_comes_twice_is_handed_back_once(jobs_queue):
    jobs_queue.add(job := Job("a", {}, b""))
    for _ in range(2):
        jobs_queue.deliver(outcome("a"), job)
    assert keys(jobs_queue.fetch(0)) == ["a"]
    assert jobs_queue.fetch(0) == []


def test_a_late_result_is_not_that_of_the_next_job_of_its_name(jobs_queue):
    jobs_queue.add(early := Job("a", {}, b""))
    jobs_queue.cancel("a")
    assert [one.failure.kind for one in jobs_queue.fetch(0)] == ["cancelled"]
    jobs_queue.add(late := Job("a", {}, b""))
    jobs_queue.deliver(outcome("a"), early)
    assert jobs_queue.fetch(0) == []
    jobs_queue.deliver(outcome("a"), late)
    assert keys(jobs_queue.fetch(0)) == ["a"]


def test_short_jobs_travel_together_and_long_ones_alone(jobs_queue):
    assert keys(filled(jobs_queue, *"abc").next_batch()) == ["a", "b", "c"]
    assert keys(filled(JobQueue(3), *"abc", seconds=1.0).next_batch()) == ["a"]


def test_of_jobs_that_lost_their_worker_together_none_is_blamed_and_each_goes_alone(jobs_queue):
    filled(jobs_queue, *"abc")
    for _ in range(2):
        jobs_queue.requeue(jobs_queue.next_batch(), "the worker died", count=True)
    assert [keys(jobs_queue.next_batch()) for _ in range(3)] == [["b"], ["c"], ["a"]]
    assert jobs_queue.fetch(0) == []


def test_a_job_that_loses_worker_after_worker_alone_fails_without_blame(jobs_queue):
    jobs_queue.add(Job("a", {}, b""))
    for _ in range(3):
        jobs_queue.requeue(jobs_queue.next_batch(), "the worker died", count=True)
    (failed,) = jobs_queue.fetch(0)
    assert failed.failure.kind == "worker_lost"
    assert not failed.failure.blames_genome


def test_what_does_not_count_may_happen_for_ever(jobs_queue):
    jobs_queue.add(Job("a", {}, b""))
    for _ in range(50):
        jobs_queue.requeue(jobs_queue.next_batch(), "not staged", count=False)
    assert keys(jobs_queue.next_batch()) == ["a"]


def test_everything_fails_when_the_pool_is_given_up(jobs_queue):
    filled(jobs_queue, *"ab")
    jobs_queue.fail_all(Failure("scheduler_lost", "gone"))
    assert sorted(keys(jobs_queue.fetch(0))) == ["a", "b"]
    assert len(jobs_queue) == 0


@pytest.mark.parametrize(("seconds", "slots", "window"), [(60.0, 16, 16), (1.0, 16, 17), (1.0, 0, 0), (0.001, 2, 66)])
def test_the_window_is_the_slots_and_what_is_on_its_way(jobs_queue, seconds, slots, window):
    assert filled(jobs_queue, seconds=seconds).window(slots) == window
