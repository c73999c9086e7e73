"""What a pool tells of how its time was spent, and what it learns of its workers."""

from types import SimpleNamespace

import pytest
from stand_ins import ENTRY, ENV
from waiting import one

from napari_menndl.errors import Failure
from napari_menndl.pool.dask.worker_registry import WorkerRegistry
from napari_menndl.pool.process.hardware import machine_memory, memory_per_slot
from napari_menndl.pool.process.slot import Slot
from napari_menndl.pool.serial import SerialPool
from napari_menndl.pool.telemetry import SlotClock


class Time:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Time()


def ran(seconds):
    return SimpleNamespace(started=100.0, finished=100.0 + seconds)


def test_slot_seconds_add_up(clock):
    slots = SlotClock(0, clock)
    slots.set_slots(4, wanted=0)
    clock.now = 10.0
    slots.set_slots(2, wanted=5)
    slots.sent(1)
    slots.sent(2)
    clock.now = 13.0
    slots.ended(1, [ran(1.0), ran(1.5)])
    assert slots.read() == (2.5 + 3.0, 40.0 + 6.0, 0.5)


def test_of_more_tasks_than_slots_only_so_many_are_running(clock):
    slots = SlotClock(2, clock)
    slots.set_slots(2, wanted=5)
    for task in range(5):
        slots.sent(task)
    clock.now = 10.0
    assert slots.read() == (20.0, 20.0, 0.0)


def test_the_serial_pool_tells_of_its_time():
    pool = SerialPool(Slot(ENTRY, env=ENV), timeout=20)
    one(pool, {"do": "sleep", "seconds": 0.3})
    told = pool.telemetry()
    pool.close()
    assert 0.3 <= told.busy_seconds <= told.available_seconds
    assert (told.workers, told.slots, told.quarantined) == (1, 1, ())


FAILURE = Failure("crashed", "twice")


def registry(*names, clock=None):
    registry = WorkerRegistry(clock or Time())
    registry.update(dict.fromkeys(names, 2))
    return registry


def test_three_contradictions_in_a_row_are_quarantine():
    found = registry("a", "b", "c")
    for _ in range(2):
        found.contradicted("a", FAILURE)
    found.succeeded("a")
    for _ in range(2):
        found.contradicted("a", FAILURE)
    assert found.quarantined == ()
    found.contradicted("a", FAILURE)
    assert found.quarantined == ("a",)
    assert found.available == {"b", "c"}
    assert found.slots == 4


def test_the_last_worker_is_never_quarantined():
    found = registry("a", "b")
    for name in ("a", "b"):
        for _ in range(5):
            found.contradicted(name, FAILURE)
    assert found.available == {"b"}


def test_who_was_contradicted_is_not_asked_for_a_second_opinion_where_others_are():
    found = registry("a", "b", "c")
    found.contradicted("b", FAILURE)
    assert found.peers("a") == {"c"}
    assert found.peers("c") == {"a"}
    found.update({"a": 1, "b": 1})
    assert found.peers("a") == {"b"}
    assert registry("a").peers("a") == frozenset()


def test_a_worker_without_room_is_left_alone_for_a_while(clock):
    found = registry("a", "b", clock=clock)
    found.pause("a", "No space left on device")
    assert found.available == {"b"}
    clock.now = 60.0
    assert found.available == {"a", "b"}


def test_slots_share_the_machine_and_never_starve():
    whole = machine_memory()
    assert memory_per_slot(1) < whole
    assert memory_per_slot(10_000) >= min(2 * 2**30, 0.9 * whole - 1)
