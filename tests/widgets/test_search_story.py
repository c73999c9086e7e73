"""The dock "Search networks" on a real search of tiny networks on a local Dask cluster: clicked from start to end."""

import sys
from pathlib import Path

import psutil
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QMainWindow, QMessageBox

sys.path.append(str(Path(__file__).parents[1]))

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.api import open_run
from napari_menndl.movie.reading import open_movie
from napari_menndl.widgets.layers import annotation_layer, movie_layer
from tiny import PIXEL_SIZE, SPACE, dots

FRAMES, LABELS = dots()


@pytest.fixture(autouse=True)
def _own_list_of_runs_and_no_search_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_MENNDL_DATA", str(tmp_path / "data"))
    yield
    left = processes(tmp_path)
    for process in left:
        process.kill()
    assert not left


def processes(folder):
    """Search processes at work below a folder, and all that they started."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "napari_menndl.process" in command and command[-1].startswith(str(folder)):
            found += [process, *process.children(recursive=True)]
    return [one for one in found if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def open_window(make_napari_viewer):
    def open_window():
        viewer = make_napari_viewer(show=True)
        viewer.window.resize(1280, 800)
        movie = open_movie(FRAMES, pixel_size=PIXEL_SIZE)
        annotation = Annotation.from_labels(LABELS, ["dot"], frames=[0], pixel_size=PIXEL_SIZE)
        for data, about, kind in (movie_layer(movie), annotation_layer(annotation)):
            getattr(viewer, f"add_{'image' if kind == 'image' else 'labels'}")(data, **about)
        viewer.dims.set_current_step(0, 0)
        _, dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Search networks")
        return viewer, dock

    return open_window


def click(qtbot, button):
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def close_by_hand(viewer, answer):
    """Close the window as its cross does, and click an answer to what it asks; returns the question."""
    asked = []

    def reply():
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox):
            QTimer.singleShot(50, reply)
            return
        asked.append((box.text(), box.defaultButton().text()))
        next(button for button in box.buttons() if button.text() == answer).click()

    QTimer.singleShot(50, reply)
    window = viewer.window._qt_window
    window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)  # the fixture closes it once more
    closed = QMainWindow.close(window)
    return asked[0], closed


def test_search_is_started_watched_left_running_found_again_stopped_and_resumed(qtbot, open_window, tmp_path):
    said_before = len(notification_manager.records)  # in tests of the same process
    viewer, dock = open_window()
    SPACE.save(tmp_path / "space.json")
    assert dock.setup.learn["frames"].value == "0"
    path = tmp_path / "dots.menndl"
    dock.setup.place["run"].value = path
    dock.setup.budget.minutes.setValue(60)
    advanced = {"space": tmp_path / "space.json", "population": 2, "pixels": 60_000, "rungs": 1}
    for name, value in advanced.items():
        dock.setup.advanced[name].value = value
    opened, hints = [], []
    dock.run_opened.connect(opened.append)
    dock.hint_changed.connect(hints.append)

    click(qtbot, dock.start_button)
    assert not dock.start_button.isEnabled()
    qtbot.waitUntil(lambda: dock.snapshot is not None and dock.snapshot.best is not None)
    assert [run.path for run in opened] == [path]
    assert dock.snapshot.state == "running"
    assert hints[-1] == dock.hint
    assert dock.leaderboard.rows.rowCount() >= 1
    qtbot.waitUntil(lambda: dock.network.network == dock.leaderboard.network)
    assert len(dock.network.layer_diagram.slabs) >= 2

    qtbot.mouseClick(dock.best_box, Qt.MouseButton.LeftButton, pos=dock.best_box.rect().center() * 0.2)
    qtbot.waitUntil(lambda: dock.best.shown is not None)
    assert viewer.layers["best network"].data.shape == FRAMES.shape
    evaluations = dock.snapshot.evaluations
    qtbot.waitUntil(lambda: dock.snapshot.evaluations > evaluations)

    question, closed = close_by_hand(viewer, "Cancel")
    assert question == ("The search dots.menndl is running.", "Keep running")
    assert not closed
    question, closed = close_by_hand(viewer, "Keep running")
    assert closed
    assert open_run(path).state == "running"

    viewer, dock = open_window()
    qtbot.waitUntil(lambda: dock.snapshot is not None and dock.snapshot.evaluations > evaluations)
    assert dock.run.path == path
    assert dock.snapshot.state == "running"
    click(qtbot, dock.stop_button)
    assert dock.stop_button.text() == "Stopping…"
    assert not dock.stop_button.isEnabled()
    qtbot.waitUntil(lambda: dock.snapshot.state == "stopped")
    qtbot.waitUntil(lambda: not processes(tmp_path))
    assert dock.stop_button.text() == "Stop"

    births = dock.snapshot.births
    click(qtbot, dock.resume_button)
    qtbot.waitUntil(lambda: dock.snapshot is not None and dock.snapshot.births > births)
    question, closed = close_by_hand(viewer, "Stop search")
    assert closed
    run = open_run(path)
    qtbot.waitUntil(lambda: run.state == "stopped")
    qtbot.waitUntil(lambda: not processes(tmp_path))
    assert not [record for record in notification_manager.records[said_before:] if record.severity.name == "ERROR"]
