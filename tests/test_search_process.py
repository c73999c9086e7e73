"""The search process and what befalls it. Everything is real, and small: movie, networks, rungs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from kills import (
    SETTINGS,
    TINY,
    complete_lines,
    kill_and_resume,
    losses,
    processes_of,
    random_moments,
    search_process,
    start_tiny,
    tiny_movie,
)

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.api import open_run, resume_search
from napari_menndl.errors import InputError
from napari_menndl.movie.writing import write_movie

pytestmark = pytest.mark.skipif(not hasattr(os, "getsid"), reason="POSIX signals and sessions")


@pytest.fixture(autouse=True)
def _no_process_is_left(tmp_path):
    yield
    for process in psutil.process_iter(["cmdline"]):
        if "napari_menndl.api" in (process.info["cmdline"] or ()) and str(tmp_path) in " ".join(process.info["cmdline"]):
            process.kill()


def wait_for(true, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return answer


def test_kill_9_at_random_moments_loses_and_doubles_nothing(tmp_path):
    run = start_tiny(tmp_path / "run", "16networks")

    kills = kill_and_resume(run, random_moments(5, seed=0))

    run = open_run(run.path)
    assert len(kills) == 5
    assert sum(kill.processes for kill in kills) > 0
    assert [kill.orphans for kill in kills] == [0] * 5
    assert losses(run, kills) == (0, 0)
    assert all(complete_lines(run).startswith(kill.recorded) for kill in kills)
    assert [fact["id"] for fact in run.folder.facts() if fact["kind"] == "born"] == list(range(16))
    assert run.state == "finished"
    frame = tiny_movie().movie.frame(1)
    assert run.best.predict_frame(frame).shape == (len(run.task.class_names), *frame.shape)
