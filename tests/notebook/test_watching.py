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


def test_outside_jupyter_it_is_shown_once_without_waiting(run, diary, capsys):
    with run.folder.lock():
        watch(run, wait=False)
    assert "best fitness 0.600" in capsys.readouterr().out


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
given = dict(budget="1h", pool="serial", pixels=50_000, run={path!r})
"""
WAIT = "run_search(simulated.movie, marked, **given)"
WATCH = "run = run_search(simulated.movie, marked, **given, wait=False); watch(run, interval=0.2)"
RETURN = "run = run_search(simulated.movie, marked, **given, wait=False); watch(run, interval=0.2, wait=False)"


@pytest.fixture
def kernel(tmp_path):
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture
def path(tmp_path):
    """A run folder to be made; a search that is still running there in the end is stopped."""
    path = tmp_path / "a.menndl"
    yield path
    if path.exists() and (run := open_run(path)).alive:
        run.stop()
        run.wait()


def messages(client, until, timeout=600):
    """Every message of the kernel up to the first that `until` holds for, which is the last."""
    seen, end = [], time.monotonic() + timeout
    while not (seen and until(seen[-1])):
        message = client.get_iopub_msg(timeout=max(0.1, end - time.monotonic()))
        assert message["msg_type"] != "error", message["content"]
        seen.append(message)
    return seen


def output(message):
    return message["content"].get("data", {})


def is_picture(message):
    return "image/png" in output(message)


def is_idle(message):
    return message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"


def is_end_of(request):
    return lambda message: is_idle(message) and message["parent_header"].get("msg_id") == request


def text(seen):
    return "".join(message["content"].get("text", "") for message in seen)


def button(seen):
    """The number of the Stop button's channel."""
    opened = [message["content"] for message in seen if message["msg_type"] == "comm_open"]
    return next(one["comm_id"] for one in opened if one["data"]["state"].get("description") == "Stop")


def click(client, comm):
    data = {"method": "custom", "content": {"event": "click"}}
    client.shell_channel.send(client.session.msg("comm_msg", {"comm_id": comm, "data": data}))


def kept(seen):
    """Types of the outputs that a saved notebook has, without the plain words beside them."""
    shown = {}
    for message in seen:
        if message["msg_type"] in ("display_data", "update_display_data"):
            shown[message["content"]["transient"]["display_id"]] = output(message)
    return [sorted(set(one) - {"text/plain"}) for one in shown.values()]


def test_in_jupyter_table_and_curves_are_updated_in_place_and_interrupting_leaves_the_search_alone(kernel, path):
    manager, client = kernel
    client.execute(SEARCH.format(path=str(path)) + WATCH)
    first = messages(client, is_picture)
    later = messages(client, is_picture)
    assert first[-1]["msg_type"] == "display_data"
    assert later[-1]["msg_type"] == "update_display_data"
    table = [m for m in later if "text/html" in output(m)]
    assert table
    assert all(m["msg_type"] == "update_display_data" for m in table)
    manager.interrupt_kernel()
    assert "the search goes on" in text(messages(client, is_idle))
    run = open_run(path)
    births = run.status()["births"]
    while run.status()["births"] == births:
        assert run.state == "running"
        time.sleep(0.2)


def test_the_button_stops_a_search_while_its_cell_waits_and_table_and_curves_stay(kernel, path):
    _, client = kernel
    cell = client.execute(SEARCH.format(path=str(path)) + WAIT)
    seen = messages(client, is_picture)
    seen += messages(client, is_picture)  # it searches
    click(client, button(seen))
    seen += messages(client, is_end_of(cell))
    assert open_run(path).state == "stopped"
    assert kept(seen) == [["text/html"], ["text/html"], ["image/png"]]
    assert "stopped" in [output(m)["text/html"] for m in seen if "networks/h" in output(m).get("text/html", "")][-1]


def test_a_panel_lives_on_beside_other_cells_until_its_button_is_clicked(kernel, path):
    _, client = kernel
    seen = messages(client, is_end_of(client.execute(SEARCH.format(path=str(path)) + RETURN)))
    assert "14" in text(messages(client, is_end_of(client.execute("print(2 * 7)"))))
    messages(client, lambda m: is_picture(m) and m["msg_type"] == "update_display_data")
    click(client, button(seen))
    messages(client, lambda m: "stopped" in output(m).get("text/html", ""))
    assert open_run(path).state == "stopped"


def test_without_ipywidgets_there_is_all_but_the_button(kernel, path):
    _, client = kernel
    short = SEARCH.replace("1h", "1networks") + WAIT
    cell = client.execute("import sys; sys.modules['ipywidgets'] = None\n" + short.format(path=str(path)))
    seen = messages(client, is_end_of(cell))
    assert open_run(path).state == "finished"
    assert kept(seen) == [["text/html"], ["image/png"]]
    assert not [m for m in seen if m["msg_type"].startswith("comm")]
