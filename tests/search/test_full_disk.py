"""A disk that fills up holds a search up and costs it nothing.

The disk is a small file system, seen by the searches alone; where none can be mounted, a limit on the size of files.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_up import evaluate, make_folder

from napari_menndl.pool.serial import SerialPool
from napari_menndl.search.runner import SearchRunner

pytestmark = pytest.mark.skipif(os.name == "nt", reason="file systems and limits of POSIX")

SCRIPT = Path(__file__).with_name("full_disk.py")
#: Mounts of its own for a process: for root, for others where the system lets them, or none.
OWN_MOUNTS = (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"])
CASES = ("searching, 0 bytes left", "searching, 50000 bytes left", "searching, 1000 bytes left")


def own_mounts(folder):
    """The command that gives a process mounts of its own, if any does."""
    for command in OWN_MOUNTS:
        try:
            mount = [*command, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
            if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
                return command
        except FileNotFoundError:
            break
    return None


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the searches saw."""
    folder = tmp_path_factory.mktemp("disk")
    command = own_mounts(folder)
    python = [sys.executable, SCRIPT, folder]
    python = [*command, *python] if command else [*python, "--limit"]
    paths = os.pathsep.join(str(path) for path in (SCRIPT.parent, SCRIPT.parents[1]))
    env = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run(python, capture_output=True, text=True, env=env, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    # On the disk of its own nothing is seen from here, nor left.
    assert [one.name for one in folder.iterdir()] == [] or not command
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = make_folder(tmp_path_factory.mktemp("search") / "run")
    SearchRunner(folder, SerialPool(evaluate)).run()
    return [fact.to_json() for fact in folder.facts()]


def results(facts):
    """Births and evaluations, without times."""
    said = ("kind", "id", "key", "evaluation")
    kinds = ("born", "promoted", "evaluated", "failed")
    return [{k: fact[k] for k in said if k in fact} for fact in facts if fact["kind"] in kinds]


@pytest.mark.parametrize("case", CASES)
def test_full_disk_pauses_the_search_which_says_so_and_goes_on_where_it_was(seen, undisturbed, case):
    found = seen["on"][case]
    paused = "paused: disk full"
    when = found["states"].index(paused)
    assert found["states"][when - 1] == found["states"][when + 1] == case.partition(",")[0]
    assert found["states"].count(paused) == 1
    assert (found["note"], found["free"], found["ended"]) == (paused, 0, "finished")
    assert results(found["told"]) == results(undisturbed)


@pytest.mark.parametrize("case", CASES)
def test_what_was_recorded_when_the_disk_filled_up_stays_as_it_was(seen, case):
    found = seen["on"][case]
    assert found["before"] == found["told"][: len(found["before"])]


def test_a_search_stopped_on_a_full_disk_is_resumed_without_loss(seen, undisturbed):
    found = seen["stopped"]
    assert (found["status"], found["resumed"]) == ("interrupted", "finished")
    assert found["before"] == found["told"][: len(found["before"])]
    assert results(found["told"]) == results(undisturbed)


def test_a_search_that_finds_no_room_to_begin_leaves_nothing(seen):
    assert "can be written" in seen["refused"]["error"]
    assert not seen["refused"]["left"]


def test_a_search_process_on_a_full_disk_tells_its_views_and_goes_on(seen):
    found = seen["real"]
    assert (found["note"], found["ended"]) == ("paused: disk full", "finished")
    assert found["members"] > 0
    assert found["before"] == found["told"][: len(found["before"])]
    evaluated = [fact["key"] for fact in found["told"] if fact["kind"] == "evaluated"]
    assert len(set(evaluated)) == len(evaluated)
    assert sum(fact["kind"] == "born" for fact in found["told"]) == 3
