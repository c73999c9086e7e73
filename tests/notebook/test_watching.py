import _thread
import signal
import time
from threading import Timer

import pytest
from jupyter_client.manager import start_new_kernel

from napari_menndl.api import open_run
from napari_menndl.notebook import watch


@pytest.fixture(autouse=True)
def interruptible():
    """A suite that was started in the background ignores Ctrl-C, and so would its kernels."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_outside_jupyter_it_is_text(finished, capsys):
    watch(finished)
    assert "best fitness 0.600" in capsys.readouterr().out


def test_a_search_that_ended_early_says_how_to_go_on(run, diary, capsys):
    watch(run)
    assert "resume_search" in capsys.readouterr().out


def test_an_interrupt_ends_the_watching_and_asks_nothing_of_the_search(run, diary, capsys):
    with run.folder.lock():
        Timer(0.5, _thread.interrupt_main).start()
        watch(run, interval=0.1)
    assert "the search goes on" in capsys.readouterr().out
    assert not run.folder.requested("stop")


SEARCH = """
from napari_menndl import Annotation, run_search, simulate_movie
from napari_menndl.notebook import watch
simulated = simulate_movie(1)
marked = Annotation.from_simulation(simulated)
run = run_search(simulated.movie, marked, budget="1h", pool="serial", pixels=50_000, run={path!r}, wait=False)
watch(run, interval=0.2)
"""


@pytest.fixture
def kernel(tmp_path):
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def messages(client, until, timeout=120.0):
    """Every message of the kernel up to the first that `until` holds for, which is the last."""
    seen, end = [], time.monotonic() + timeout
    while not (seen and until(seen[-1])):
        message = client.get_iopub_msg(timeout=max(0.1, end - time.monotonic()))
        assert message["msg_type"] != "error", message["content"]
        seen.append(message)
    return seen


def is_picture(message):
    return "image/png" in message["content"].get("data", {})


def is_idle(message):
    return message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"


def test_in_jupyter_table_and_curves_are_updated_in_place_and_interrupting_leaves_the_search_alone(kernel, tmp_path):
    manager, client = kernel
    path = tmp_path / "a.menndl"
    client.execute(SEARCH.format(path=str(path)))
    first = messages(client, is_picture)
    later = messages(client, is_picture)
    assert first[-1]["msg_type"] == "display_data"
    assert later[-1]["msg_type"] == "update_display_data"
    table = [m for m in later if "text/html" in m["content"].get("data", {})]
    assert table
    assert all(m["msg_type"] == "update_display_data" for m in table)
    manager.interrupt_kernel()
    said = "".join(m["content"].get("text", "") for m in messages(client, is_idle))
    assert "the search goes on" in said
    run = open_run(path)
    try:
        births = run.status()["births"]
        while run.status()["births"] == births:
            assert run.state == "running"
            time.sleep(0.2)
    finally:
        run.stop()
        run.wait()
    assert run.state == "stopped"
