import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from filelock import FileLock
from made_up import SETTINGS, make_folder, make_task

from napari_menndl.errors import InputError
from napari_menndl.genome.space import SearchSpace
from napari_menndl.movie.metadata import Metadata
from napari_menndl.run import Run
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.islands.merge import merge_folders
from napari_menndl.search.journal import Journal


def test_folder_opens_as_it_was_created(tmp_path):
    made = make_folder(tmp_path / "run", seed=7)
    found = RunFolder.open(tmp_path / "run")
    assert found.settings == replace(SETTINGS, seed=7)
    assert found.space == SearchSpace()
    assert found.task.digest == found.task_digest == made.task_digest
    assert found.status()["state"] == "new"


def test_how_the_movie_was_recorded_is_kept_through_a_change_and_a_merge(tmp_path):
    known = Metadata(detector="HAADF", beam_energy=200.0, dwell_time=2e-6, acquired="2021-03-04")
    for name in ("a", "b"):
        RunFolder.create(tmp_path / name, SETTINGS, SearchSpace(), make_task(), metadata=known)
    RunFolder.open(tmp_path / "a").change_budget("5networks")
    assert Run(RunFolder.open(tmp_path / "a")).metadata == known
    merged = merge_folders([tmp_path / "a", tmp_path / "b"], tmp_path / "both", lambda note: None)
    assert merged.metadata == known


def test_a_folder_of_before_says_nothing_of_the_recording(tmp_path):
    make_folder(tmp_path / "run")
    assert "metadata" not in json.loads((tmp_path / "run" / "search.json").read_text())
    assert RunFolder.open(tmp_path / "run").metadata == Metadata()


def rewrite(path, **changes):
    file = path / "search.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


BAD_FOLDERS = {
    "absent": (lambda path: [one.unlink() for one in path.glob("search.json")], "no search.json"),
    "truncated": (lambda path: (path / "search.json").write_text('{"format"'), "readable search.json"),
    "another program's": (lambda path: (path / "search.json").write_text('{"hits": 3}'), "something else"),
    "a list": (lambda path: (path / "search.json").write_text("[]"), "something else"),
    "newer": (lambda path: rewrite(path, schema=99), "schema 99.*Update"),
    "newer, told otherwise": (lambda path: rewrite(path, schema=99, versions=None), "schema 99.*Update"),
    "unknown setting": (lambda path: rewrite(path, settings={"colour": 1}), "colour"),
    "a text for a number": (lambda path: rewrite(path, metadata={"beam_energy": "high"}), "beam_energy"),
    "unknown gene": (lambda path: rewrite(path, space={"layers": {"kernels9": [3]}}), "kernels9"),
}


@pytest.mark.parametrize("kind", BAD_FOLDERS)
def test_folder_that_is_no_search_is_refused(tmp_path, kind):
    make_folder(tmp_path / "run")
    spoil, says = BAD_FOLDERS[kind]
    spoil(tmp_path / "run")
    with pytest.raises(InputError, match=says):
        RunFolder.open(tmp_path / "run")


def test_existing_search_is_not_overwritten(tmp_path):
    make_folder(tmp_path / "run")
    with pytest.raises(InputError, match=r"a search in.*--resume"):
        make_folder(tmp_path / "run")


def test_foreign_files_are_not_mixed_with(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"not a search's.*Name another folder"):
        make_folder(tmp_path)


def test_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="a folder that can be written"):
        RunFolder.create(tmp_path / "file" / "run", SETTINGS, SearchSpace(), make_task())


PARTS_LEFT = {
    "nothing": (),
    "empty folders": ("networks", "requests"),
    "a task that was not written to its end": ("networks", "requests", ".task.zarr.0123abcd"),
    "all but search.json": ("networks", "requests", "task.zarr"),
}


@pytest.mark.parametrize("left", PARTS_LEFT)
@pytest.mark.parametrize("place", ["run", ".run.making", "run/.run.making"])
def test_folder_that_was_never_finished_is_replaced(tmp_path, place, left):
    for name in PARTS_LEFT[left]:
        (tmp_path / place / name).mkdir(parents=True)
        if "task" in name:
            (tmp_path / place / name).rmdir()
            make_task().save(tmp_path / place / name)
    made = make_folder(tmp_path / "run", seed=7)
    assert RunFolder.open(tmp_path / "run").task.digest == made.task_digest
    assert sorted(one.name for one in made.path.iterdir()) == ["networks", "requests", "search.json", "task.zarr"]
    assert list(tmp_path.iterdir()) == [made.path]


@pytest.mark.parametrize("name", ["networks/1-0.safetensors", "notes.txt", "task.zarr/notes.txt", "requests/stop"])
def test_folder_with_anything_else_in_it_is_left_alone(tmp_path, name):
    for part in ("networks", "requests"):
        (tmp_path / part).mkdir()
    make_task().save(tmp_path / "task.zarr")
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="a new or empty run folder"):
        make_folder(tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_hidden_files_of_a_person_are_kept(tmp_path):
    (tmp_path / ".notes").write_text("mine")
    make_folder(tmp_path)
    assert (tmp_path / ".notes").read_text() == "mine"


def test_search_without_its_configuration_is_no_unfinished_one(tmp_path):
    folder = make_folder(tmp_path / "run")
    folder.journal_path.touch()
    (folder.path / "search.json").unlink()
    with pytest.raises(InputError, match=r"a search without its search\.json"):
        make_folder(tmp_path / "run")


def test_folder_being_made_is_not_shared_and_appears_whole(tmp_path):
    script = """
import sys
from pathlib import Path
from napari_menndl.search.new_folder import new_run_folder
with new_run_folder(Path(sys.argv[1])) as staged:
    (staged / "networks").mkdir()
    print("making", flush=True)
    sys.stdin.read()
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    maker = subprocess.Popen([sys.executable, "-c", script, os.fspath(tmp_path / "run")], **pipes, text=True)
    try:
        maker.stdout.readline()
        with pytest.raises(InputError, match="another process at work"):
            make_folder(tmp_path / "run")
        assert not (tmp_path / "run").exists()
    finally:
        maker.kill()
        maker.communicate()
    make_folder(tmp_path / "run")
    assert [one.name for one in tmp_path.iterdir()] == ["run"]


def test_second_writer_is_told_who_writes(tmp_path):
    make_folder(tmp_path / "run")
    script = """
import sys
from napari_menndl.search.folder import RunFolder
with RunFolder.open(sys.argv[1]).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    writer = subprocess.Popen([sys.executable, "-c", script, os.fspath(tmp_path / "run")], **pipes, text=True)
    try:
        writer.stdout.readline()
        folder = RunFolder.open(tmp_path / "run")
        assert folder.status()["state"] == "running"
        assert folder.status()["holder"]["pid"] == writer.pid
        with pytest.raises(InputError, match=f"process {writer.pid} on"), folder.lock():
            pass
    finally:
        writer.kill()
        writer.communicate()
    assert folder.status()["state"] != "running"  # the lock died with its process
    with folder.lock(), folder.lock():
        assert RunFolder.open(tmp_path / "run").status()["state"] == "running"


def test_state_is_told_by_lock_and_journal(tmp_path):
    folder = make_folder(tmp_path / "run")
    with Journal(folder.journal_path) as journal:
        journal.record("started", slots=1, budget="10min")
        journal.commit()
        assert folder.status()["state"] == "interrupted"
        with folder.lock():
            folder.note("paused: disk full")
            status = RunFolder.open(folder.path).status()
            assert (status["state"], status["note"]) == ("running", "paused: disk full")
        journal.record("stopped", reason="asked to stop", elapsed=3.0)
        journal.commit()
        assert folder.status()["state"] == "stopped"
        json.dumps(folder.status())


def test_a_view_that_holds_the_lock_for_a_while_is_no_search(tmp_path):
    folder = make_folder(tmp_path / "run")
    with folder.lock():
        pass
    with FileLock(str(folder.path / "search.lock")):  # as a view does to see whether a search holds it
        assert folder.status()["state"] == "new"


def test_weights_are_kept_by_key(tmp_path):
    folder = make_folder(tmp_path / "run")
    assert folder.read_weights("3/0") == b""
    folder.write_weights("3/0", b"zero")
    folder.write_weights("3/1", b"one")
    assert folder.kept_weights() == {"3/0", "3/1"}
    folder.remove_weights("3/0")
    assert (folder.read_weights("3/0"), folder.read_weights("3/1")) == (b"", b"one")


def test_request_is_answered_once(tmp_path):
    folder = make_folder(tmp_path / "run")
    RunFolder.open(tmp_path / "run").request("stop")
    assert folder.requested("stop")
    folder.clear_requests()
    assert not folder.requested("stop")


def test_budget_can_be_changed_between_runs(tmp_path):
    folder = make_folder(tmp_path / "run")
    folder.change_budget("7networks")
    assert RunFolder.open(tmp_path / "run").settings == replace(SETTINGS, budget="7networks")
    with pytest.raises(InputError, match="10min"):
        folder.change_budget("a while")


def test_pool_can_be_changed_between_runs(tmp_path):
    make_folder(tmp_path / "run").change_pool("slurm:/profile.yaml")
    assert RunFolder.open(tmp_path / "run").settings == replace(SETTINGS, pool="slurm:/profile.yaml")


def test_folder_without_write_permission_can_be_read(tmp_path):
    """As a user who may only read; where the tests run as root, that user is "nobody"."""
    folder = make_folder(tmp_path / "run")
    with Journal(folder.journal_path) as journal:
        journal.record("started", slots=1, budget="10min")
        journal.commit()
    with folder.lock():
        pass
    for one in (tmp_path / "run", *(tmp_path / "run").rglob("*")):
        one.chmod(one.stat().st_mode & ~0o222 | 0o444)
    for one in (tmp_path, *tmp_path.parents):
        if one.stat().st_uid == os.getuid() and str(one).startswith("/tmp/"):
            one.chmod(one.stat().st_mode | 0o555)
    reader = RunFolder.open(tmp_path / "run")
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        assert reader.status()["state"] == "interrupted"
        with pytest.raises(InputError, match="a folder that can be written"), reader.lock():
            pass
        with pytest.raises(InputError, match="a folder that can be written"):
            reader.request("stop")
    finally:
        if root:
            os.seteuid(0)
