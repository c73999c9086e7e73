"""A slot and its trainer child, beyond what every pool promises."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from stand_ins import ENTRY, ENV
from waiting import gone, pid_in, wait_until

from napari_menndl.pool.process.slot import Slot
from napari_menndl.pool.serial import SerialPool


@pytest.fixture
def slot():
    slot = Slot(ENTRY, env=ENV)
    yield slot
    slot.close()


def in_background(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()), daemon=True)
    thread.start()
    return thread, results


def test_a_trainer_starts_with_the_first_job_and_is_kept(slot):
    assert slot.pid is None
    pids = {slot.run("job", {"do": "echo"}).payload["pid"] for _ in range(3)}
    assert pids == {slot.pid}


def test_a_job_is_told_how_long_it_has_waited_for_its_trainer(slot):
    began = time.monotonic()
    first, second = (slot.run("job", {"do": "echo"}).payload["waited"] for _ in range(2))
    assert time.monotonic() - began > first > second >= 0


@pytest.mark.parametrize("do", ["exhaust_memory", "exhaust_gpu", "exit", "hang_deaf"])
def test_a_damaged_trainer_is_replaced(slot, do):
    before = slot.run("job", {"do": "echo"}).payload["pid"]
    slot.run("job", {"do": do}, timeout=0.5)
    assert slot.run("job", {"do": "echo"}).payload["pid"] != before
    assert gone([before])


def test_a_trainer_is_replaced_after_so_many_jobs():
    slot = Slot(ENTRY, env=ENV, max_jobs=2)
    pids = [slot.run("job", {"do": "echo"}).payload["pid"] for _ in range(4)]
    slot.close()
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_a_job_that_takes_more_memory_than_a_slot_has_is_stopped_and_says_so():
    slot = Slot(ENTRY, env=ENV, memory=200 * 2**20)
    failure = slot.run("job", {"do": "hold_memory", "bytes": 400 * 2**20}, timeout=20).failure
    after = slot.run("job", {"do": "echo"}).failure
    slot.close()
    assert failure.kind == "out_of_memory"
    assert "a slot of this machine has 0.2 GiB" in failure.message
    assert after is None


def test_time_in_which_everything_was_stopped_is_nobodys_time():
    """As when a laptop sleeps: half of a job is done when all processes stop, longer than its limit."""
    script = (
        "import sys\n"
        "from napari_menndl.pool.process.slot import Slot\n"
        f"slot = Slot({ENTRY!r}, env={ENV!r})\n"
        "print(slot.run('job', {'do': 'echo'}).payload['pid'], flush=True)\n"
        "print(slot.run('job', {'do': 'sleep', 'seconds': 1.0}, timeout=2.0).failure, flush=True)\n"
        "slot.close()\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    both = [owner.pid, int(owner.stdout.readline())]
    time.sleep(0.5)
    for number, seconds in ((signal.SIGSTOP, 2.5), (signal.SIGCONT, 0.0)):
        for pid in both:
            os.kill(pid, number)
        time.sleep(seconds)
    assert owner.communicate(timeout=600)[0].strip() == "None"


def test_a_trainer_that_exits_idle_is_no_failure():
    slot = Slot(ENTRY, env=ENV, idle=0.2)
    first = slot.run("job", {"do": "echo"}).payload["pid"]
    assert gone([first])
    assert slot.run("job", {"do": "echo"}).failure is None
    slot.close()


def test_a_trainer_gets_its_environment_and_a_low_priority():
    slot = Slot(ENTRY, threads=3, env=ENV | {"CUDA_VISIBLE_DEVICES": "1"})
    found = slot.run("job", {"do": "environment"}).payload
    slot.close()
    assert found["OMP_NUM_THREADS"] == "3"
    assert found["CUDA_VISIBLE_DEVICES"] == "1"
    assert sys.platform == "win32" or found["nice"] == 10


@pytest.mark.parametrize("entry", ["no_such_module:run", "stand_ins:no_such_function", "stand_ins"])
def test_an_entry_that_cannot_be_imported_is_an_error_and_no_crash(entry):
    slot = Slot(entry, env=ENV)
    failure = slot.run("job", {}).failure
    slot.close()
    assert failure.kind == "error"
    assert "Error" in failure.traceback


@pytest.mark.parametrize("kills", [1, 2])
def test_a_job_whose_trainer_is_killed_from_outside_is_not_blamed(slot, kills, tmp_path):
    _, results = in_background(lambda: slot.run("job", {"do": "sleep", "seconds": 0.8}))
    killed = set()
    for _ in range(kills):
        pid = wait_until(lambda: slot.pid if slot.pid not in killed else None)
        time.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
    assert wait_until(lambda: results)
    assert results[0].failure is None


def test_a_trainer_goes_on_through_the_signals_its_owner_acts_on(slot, tmp_path):
    pid = slot.run("first", {"do": "echo"}).payload["pid"]
    thread, results = in_background(lambda: slot.run("job", {"do": "sleep", "seconds": 0.5}))
    time.sleep(0.2)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(pid, number)
    thread.join(5)
    assert results[0].payload == {"pid": pid}


def test_closing_stops_a_running_job_from_another_thread(slot):
    _, results = in_background(lambda: slot.run("job", {"do": "sleep", "seconds": 60}))
    pid = wait_until(lambda: slot.pid)
    slot.close()
    slot.close()
    assert wait_until(lambda: results)
    assert results[0].failure.kind == "cancelled"
    assert gone([pid])
    assert slot.run("job", {"do": "echo"}).failure.kind == "cancelled"


def test_a_job_that_nobody_wants_is_stopped(slot):
    asked = []
    began = time.monotonic()
    outcome = slot.run("job", {"do": "sleep", "seconds": 60}, wanted=lambda: asked.append(1) or len(asked) < 2)
    assert outcome.failure.kind == "cancelled"
    assert time.monotonic() - began < 5


def test_a_large_attachment_to_a_trainer_that_is_stopped_does_not_block(slot):
    pid = slot.run("job", {"do": "echo"}).payload["pid"]
    os.kill(pid, signal.SIGSTOP)
    assert slot.run("job", {"do": "echo"}, b"x" * 10_000_000, timeout=0.5).failure.kind == "timeout"
    assert gone([pid])


def test_what_a_trainer_started_dies_with_it(slot, tmp_path):
    file = tmp_path / "pid"
    outcome = slot.run("job", {"do": "spawn_and_hang", "file": str(file)}, timeout=1.0)
    assert outcome.failure.kind == "timeout"
    assert gone([pid_in(file)])


def test_a_trainer_and_what_it_started_die_with_its_owner(tmp_path):
    file = tmp_path / "pid"
    script = (
        "from napari_menndl.pool.process.slot import Slot\n"
        f"Slot({ENTRY!r}, env={ENV!r}).run('job', {{'do': 'spawn_and_hang', 'file': {str(file)!r}}})\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", script])
    grandchild = pid_in(file)
    trainer = psutil.Process(grandchild).ppid()
    assert psutil.Process(trainer).ppid() == owner.pid
    owner.kill()
    owner.wait()
    assert gone([trainer, grandchild], 3.0)


def test_a_function_of_this_process_obeys_the_same_signature():
    pool = SerialPool(lambda payload, attachment: ({"sum": sum(payload["terms"])}, attachment[::-1]))
    pool.submit("3", {"terms": [1, 2]}, b"ab")
    assert pool.free == 0
    (outcome,) = pool.finished()
    assert (outcome.payload, outcome.attachment, pool.free) == ({"sum": 3}, b"ba", 1)


def test_the_serial_pool_keeps_the_order():
    pool = SerialPool(lambda payload, attachment: (payload, attachment))
    for n in range(5):
        pool.submit(str(n), {})
    assert [pool.finished()[0].key for _ in range(5)] == list("01234")
