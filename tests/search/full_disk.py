"""Searches on a disk that fills up: a script for a process of its own, whose mounts nobody else sees.

``unshare --mount python full_disk.py FOLDER``; with ``--limit`` the limit on the size of a file stands for the disk.
What was seen is printed as JSON.
"""

import errno
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from made_up import evaluate, make_folder

from napari_menndl.api import run_search
from napari_menndl.errors import InputError
from napari_menndl.pool.serial import SerialPool
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.journal import iterate_journal
from napari_menndl.search.runner import SearchRunner
from tiny import SETTINGS, SPACE, dots

TINY = SETTINGS | {"pixels": 15_000, "eta": 2}


class SmallDisk:
    """A real file system; ballast takes up what is to be free no more."""

    def __init__(self, path):
        self.path = path
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", path], check=True)

    @property
    def free(self):
        about = os.statvfs(self.path)
        return about.f_bavail * about.f_frsize

    def fill(self, leave, process=0):
        try:
            (self.path / "ballast").write_bytes(bytes(self.free - leave))
        except OSError as full:  # another process took some of it first
            if full.errno != errno.ENOSPC:
                raise

    def make_room(self, process=0):
        (self.path / "ballast").unlink()


class SmallFiles:
    """No file of a process, 0 being this one, may grow beyond so many bytes."""

    free = 0

    def __init__(self, path):
        self.path = path
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self, leave, process=0):
        # A full disk takes what is written over something: so does this the note of who holds the folder.
        resource.prlimit(process, resource.RLIMIT_FSIZE, (max(leave, 1024), self._before[1]))

    def make_room(self, process=0):
        resource.prlimit(process, resource.RLIMIT_FSIZE, self._before)


def recorded(path):
    """Every fact of the journal, none of them damaged."""
    return [fact for fact, _ in iterate_journal(path / "journal.jsonl", strict=True)]


def search(disk, name, when, leave, then):
    """Fill the disk in a state of the search, and see what it does until it ends, or `then` ends it."""
    folder = make_folder(disk.path / name)
    runner = SearchRunner(folder, SerialPool(evaluate))
    seen = {"states": []}

    def look(state):
        seen["states"].append(state)
        if state == when and "note" not in seen:
            disk.fill(leave)
        if state.startswith("paused"):
            seen.update(free=disk.free, note=folder.status()["note"], before=recorded(folder.path))
            then(runner)

    runner.events.state_changed.connect(look)
    seen["ended"] = runner.run()
    return seen | {"told": recorded(folder.path)}


def stopped(disk):
    """Asked to stop while the disk is full; resumed when there is room."""
    seen = search(disk, "stopped", "searching", 30_000, SearchRunner.stop)
    seen["status"] = RunFolder.open(disk.path / "stopped").status()["state"]
    disk.make_room()
    seen["resumed"] = SearchRunner(RunFolder.open(disk.path / "stopped"), SerialPool(evaluate)).run()
    return seen | {"told": recorded(disk.path / "stopped")}


def refused(disk):
    """A search is begun where there is no room for its task."""
    disk.fill(0)
    try:
        make_folder(disk.path / "refused")
    except InputError as error:
        return {"error": str(error), "left": (disk.path / "refused").exists()}
    finally:
        disk.make_room()


def real(disk):
    """A search process with real networks, watched through its folder; from the first network on the disk is full."""
    frames, labels = dots()
    run = run_search(
        frames, labels, budget="3networks", pool="serial", run=disk.path / "real", space=SPACE, wait=False, **TINY
    )
    run.wait_for_start()
    while not (status := run.status())["evaluations"]:
        time.sleep(0.02)
    process = status["holder"]["pid"]
    disk.fill(0, process)
    deadline = time.monotonic() + 600
    while not (status := run.status())["note"] and time.monotonic() < deadline:
        time.sleep(0.1)
    seen = {"note": status["note"], "before": recorded(run.path)}
    disk.make_room(process)
    run.wait()
    return seen | {"ended": run.state, "told": recorded(run.path), "members": len(run.status()["finished"]["members"])}


def main(path, disk):
    disk = disk(path)
    go_on = {
        f"{when}, {leave} bytes left": search(disk, f"{when}-{leave}", when, leave, lambda _: disk.make_room())
        for when, leave in (("searching", 0), ("searching", 50_000), ("searching", 1000))
    }
    print(json.dumps({"on": go_on, "stopped": stopped(disk), "refused": refused(disk), "real": real(disk)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), SmallFiles if "--limit" in sys.argv else SmallDisk)
