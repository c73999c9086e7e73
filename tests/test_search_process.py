"""The search process and what befalls it. Everything is real, and small: movie, networks, rungs."""

# ruff: noqa: E402
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.append(str(BENCHMARKS))

from fault_cells.training import (
    complete_lines,
    is_alive,
    kill_and_resume,
    losses,
    processes_of,
    random_moments,
    search_process,
    start_tiny,
    tiny_movie,
)
from napari_menndl.annotation.annotation import Annotation
from napari_menndl.api import open_run, resume_search, run_search
from napari_menndl.cli import app
from napari_menndl.errors import InputError
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie
from tiny import dots, prepare

pytestmark = pytest.mark.skipif(os.name == "nt", reason="about POSIX signals and sessions")


@pytest.fixture(autouse=True)
def _no_search_is_left(tmp_path):
    yield
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "napari_menndl.process" in command and command[-1].startswith(str(tmp_path)):
            process.kill()


def wait_until(true, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return answer


def kinds(run):
    return [fact.kind for fact in run.folder.facts()]


def test_kill_9_at_random_moments_loses_and_doubles_nothing(tmp_path):
    run = start_tiny(tmp_path / "run", "10networks")

    kills = kill_and_resume(run, random_moments(5, seed=4)[3:])  # the last of them in the last step

    run = open_run(run.path)
    assert len(kills) == 2
    assert sum(kill.processes for kill in kills) > 0
    assert [kill.orphans for kill in kills] == [0] * 2
    assert losses(run, kills) == (0, 0)
    assert all(complete_lines(run).startswith(kill.recorded) for kill in kills)
    assert [fact.id for fact in run.folder.facts() if fact.kind == "born"] == list(range(10))
    assert run.state == "finished"
    movie = tiny_movie().movie
    labels = run.predict(movie).labels[1].compute()
    assert labels.shape == movie.shape[1:]
    assert labels.max() <= len(run.task.class_names)


def test_a_search_outlives_its_starter_and_refuses_a_second_search_process(tmp_path):
    run = prepare(tmp_path / "run", budget="10min")
    starter = "import sys; from napari_menndl.api import open_run; open_run(sys.argv[1]).start()"
    subprocess.run([sys.executable, "-c", starter, str(run.path)], check=True)
    wait_until(lambda: "started" in kinds(run))

    second = subprocess.run(
        [sys.executable, "-m", "napari_menndl.process", str(run.path)], capture_output=True, text=True, timeout=600
    )
    holder = psutil.Process(run.status()["holder"]["pid"])

    assert second.returncode == 2
    assert f"process {holder.pid} on" in second.stderr
    assert "Traceback" not in second.stderr
    assert run.state == "running"
    with pytest.raises(InputError, match="not running"):
        resume_search(run.path)
    run.stop()
    run.wait()
    assert run.state == "stopped"


def test_sigterm_ends_a_search_cleanly_and_it_can_be_resumed(tmp_path):
    run = prepare(tmp_path / "run", budget="10min", pool="local", slots=1)
    run.start()
    wait_until(lambda: "born" in kinds(run))
    process = search_process(run)

    process.terminate()
    run.wait()

    assert run.state == "stopped"
    assert kinds(run)[-1] == "stopped"
    assert wait_until(lambda: not processes_of(process.pid), 10)
    recorded = complete_lines(run)
    births = run.status()["births"]
    again = resume_search(run.path, budget=f"{births + 1}networks")
    assert "resumed" in kinds(again)
    assert again.state == "finished"
    assert again.status()["births"] == births + 1
    assert complete_lines(again).startswith(recorded)


def test_a_search_that_breaks_off_is_told_to_whoever_waits(tmp_path):
    run = prepare(tmp_path / "run", budget="10min")
    run.start()
    search_process(run).kill()

    with pytest.raises(InputError, match=r"broke off.*--resume --run"):
        run.wait()


def test_ctrl_c_of_the_command_line_stops_the_search_and_says_how_to_resume(tmp_path):
    simulated = tiny_movie()
    write_movie(simulated.movie, tmp_path / "movie.tif")
    Annotation.from_simulation(simulated).save(tmp_path / "annotation.zarr")
    command = [sys.executable, "-m", "napari_menndl.cli", "search", str(tmp_path / "movie.tif")]
    command += ["--annotation", str(tmp_path / "annotation.zarr"), "--run", str(tmp_path / "run"), "--slots", "1"]

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background ignores Ctrl-C
    shell = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    signal.signal(signal.SIGINT, handler)
    wait_until((tmp_path / "run" / "journal.jsonl").exists)
    searching = psutil.Process(shell.pid).children()
    shell.send_signal(signal.SIGINT)
    said, _ = shell.communicate(timeout=600)

    assert f"napari-menndl search --resume --run {tmp_path / 'run'}" in said
    assert "Traceback" not in said
    assert shell.returncode == 0
    assert open_run(tmp_path / "run").state == "stopped"
    assert not any(is_alive(one) for one in searching)


def test_an_interrupted_run_search_says_what_goes_on_and_how_to_end_it(tmp_path):
    frames, labels = dots()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background ignores Ctrl-C
    ctrl_c = threading.Thread(target=lambda: (wait_until((tmp_path / "run" / "journal.jsonl").exists), press()))

    def press():
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    ctrl_c.start()
    try:
        with pytest.raises(KeyboardInterrupt, match="The search goes on in the background") as told:
            run_search(frames, labels, run=tmp_path / "run", budget="1h", pool="serial")
    finally:
        ctrl_c.join()
        signal.signal(signal.SIGINT, handler)
    run = open_run(tmp_path / "run")
    assert f"(process {run.status()['holder']['pid']})" in str(told.value)
    assert f"napari-menndl stop {run.path}" in str(told.value)
    assert run.state == "running"
    run.stop()
    run.wait()
    assert run.state == "stopped"


def test_a_search_that_came_to_nothing_is_no_success(tmp_path):
    frames, labels = dots()
    write_movie(open_movie(frames), tmp_path / "movie.tif")
    Annotation.from_labels(labels).save(tmp_path / "labels.zarr")
    words = [tmp_path / "movie.tif", "--annotation", tmp_path / "labels.zarr", "--run", tmp_path / "run"]
    options = ["--pool", "serial", "--budget", "0.2s"]  # sooner over than a trainer has started
    result = CliRunner().invoke(app, ["search", *map(str, words), *options])
    assert result.exit_code == 1
    assert "labels.zarr: labels of 2 frames, 1 class (defect: 50 defects)" in result.output
    assert "The search came to nothing: no network was evaluated" in " ".join(result.output.split())
    with pytest.warns(UserWarning, match="came to nothing"):
        resume_search(tmp_path / "run", budget="0.3s")
