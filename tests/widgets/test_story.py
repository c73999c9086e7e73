"""From File › Open Sample to a reviewed, corrected and exported movie: one person's way, with real clicks and keys."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from mouse import stroke
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QMainWindow, QMessageBox

sys.path.append(str(Path(__file__).parents[1]))

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.api import open_run
from napari_menndl.widgets.workflow import ANNOTATE, REVIEW, SEARCH
from tiny import SPACE

LEFT, SHIFT = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture(autouse=True)
def _no_process_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_MENNDL_DATA", str(tmp_path / "data"))
    yield
    left = [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(one.info["cmdline"] or [])]
    for process in left:
        process.kill()
    assert not left


@pytest.fixture
def open_window(qtbot, make_napari_viewer):
    """Function: napari with the sample and the workflow; returns both, and the sample's truth, which nobody sees."""

    def open_window():
        viewer = make_napari_viewer(show=True)
        viewer.window.resize(1280, 800)
        _, truth = viewer.open_sample("napari-menndl", "simulated_ws2")
        viewer.layers.remove(truth)
        viewer.dims.set_current_step(0, 0)
        workflow = viewer.window.add_plugin_dock_widget("napari-menndl", "MENNDL workflow")[1]
        go(qtbot, workflow, ANNOTATE)
        return viewer, workflow, truth.metadata["annotation"]

    return open_window


def go(qtbot, workflow, step):
    bar = workflow.tabs.tabBar()
    qtbot.mouseClick(bar, LEFT, pos=bar.tabRect(step).center())
    assert workflow.step == step
    return workflow.dock(step)


def click(qtbot, button):
    assert button.isEnabled(), button.text()
    qtbot.mouseClick(button, LEFT)
    QApplication.processEvents()


def press(qtbot, viewer, key):
    canvas = viewer.window._qt_viewer.canvas.native
    canvas.setFocus()
    qtbot.keyClick(canvas, key, SHIFT)


def stop(qtbot, search):
    click(qtbot, search.stop_button)
    assert search.stop_button.text() == "Stopping…"
    qtbot.waitUntil(lambda: search.snapshot.state == "stopped")


def close_by_hand(viewer, answer):
    """Close the window as its cross does; should it ask what to do with a search, answer."""

    def reply():
        box = QApplication.activeModalWidget()
        if isinstance(box, QMessageBox):
            next(button for button in box.buttons() if button.text() == answer).click()

    QTimer.singleShot(200, reply)
    window = viewer.window._qt_window
    window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)  # the fixture closes it once more
    assert QMainWindow.close(window)


def set_up(search, path):
    """Networks so small that they train in a second."""
    SPACE.save(path.parent / "space.json")
    search.setup.place["run"].value = path
    search.setup.budget.minutes.setValue(60)
    advanced = {"population": 2, "pixels": 60_000, "rungs": 1}
    for name, value in {**advanced, "space": path.parent / "space.json"}.items():
        search.setup.advanced[name].value = value


def test_from_a_sample_to_a_corrected_movie_and_a_second_search(qtbot, open_window, tmp_path, monkeypatch):
    viewer, workflow, truth = open_window()
    annotate = workflow.dock(ANNOTATE)
    dopants = truth.to_points(0).query("`class` == 'Mo substitution'")[["y", "x"]].to_numpy()

    # A few defects are painted, others clicked, and the Fourier method proposes more.
    click(qtbot, annotate.panel.choice.new)
    path = annotate.annotation.path
    for y, x in dopants[:3]:
        stroke(viewer, annotate.annotation_layer, (y, x), (y, x + 1))
    assert np.count_nonzero(Annotation.open(path).frame(0)) > 0
    annotate.panel.click_form["radius"].value = 0.06
    click(qtbot, annotate.panel.tools["points"])
    for place in dopants[3:8]:
        stroke(viewer, annotate.annotation_layer, tuple(place))
    click(qtbot, annotate.panel.to_discs)
    clicked = annotate.annotation.counts(0)["defect"]
    assert clicked == 8
    click(qtbot, annotate.panel.sections["Fourier helper"].toggleButton())
    fourier = annotate.panel.fourier
    click(qtbot, fourier.tune_button)
    qtbot.waitUntil(lambda: fourier.proposed is not None)
    click(qtbot, fourier.accept_button)
    assert annotate.annotation.counts(0)["defect"] >= clicked
    annotate.complete()
    assert str(Annotation.open(path).status[0]) == "complete"

    # A search learns from that frame, goes on under one's eyes, and outlives the window.
    search = go(qtbot, workflow, SEARCH)
    assert search.setup.learn["frames"].value == "0"
    run_path = tmp_path / "first.menndl"
    set_up(search, run_path)
    click(qtbot, search.start_button)
    qtbot.waitUntil(lambda: search.snapshot is not None and search.snapshot.best is not None)
    first = search.snapshot
    qtbot.waitUntil(lambda: search.snapshot.evaluations >= first.evaluations + 3)
    assert search.snapshot.best.fitness >= first.best.fitness
    close_by_hand(viewer, "Keep running")
    assert open_run(run_path).state == "running"

    # Another window finds both again.
    viewer, workflow, _ = open_window()
    annotate = workflow.dock(ANNOTATE)
    click(qtbot, annotate.panel.choice.offer)
    assert annotate.annotation.path == path
    search = go(qtbot, workflow, SEARCH)
    qtbot.waitUntil(lambda: search.snapshot is not None and search.snapshot.state == "running")
    assert search.run.path == run_path
    stop(qtbot, search)

    # Its best is reviewed over the whole movie, from error to error.
    review = go(qtbot, workflow, REVIEW)
    qtbot.waitUntil(lambda: review.shown is not None)
    qtbot.waitUntil(lambda: review.movie.done == 20 and not review.movie.busy)
    assert review.shown.annotated
    press(qtbot, viewer, Qt.Key.Key_E)
    wrong = review.walk.chosen
    assert wrong.outcome in ("false positive", "false negative")
    before = review.shown.total
    press(qtbot, viewer, Qt.Key.Key_Y if wrong.outcome == "false positive" else Qt.Key.Key_X)
    qtbot.waitUntil(lambda: review.shown.total != before)
    marked = Annotation.open(path).frame(0)[wrong.pixels]
    assert marked.any() == (wrong.outcome == "false positive")
    review.controls.more.expand()
    qtbot.wait(50)
    for button, name in ((review.controls.csv, "defects.csv"), (review.controls.png, "frame.png")):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, name=name: (str(tmp_path / name), ""))
        click(qtbot, button)
    assert {"outcome", "class", "y", "x"} <= set(pd.read_csv(tmp_path / "defects.csv").columns)
    assert (tmp_path / "frame.png").stat().st_size > 10_000

    # What was corrected is learned from.
    click(qtbot, review.controls.again)
    assert workflow.step == SEARCH
    assert search.setup.learn["frames"].value == "0"
    set_up(search, tmp_path / "second.menndl")
    click(qtbot, search.start_button)
    qtbot.waitUntil(lambda: search.run is not None and search.run.path.name == "second.menndl")
    qtbot.waitUntil(lambda: search.snapshot is not None and search.snapshot.evaluations > 0)
    learned = open_run(tmp_path / "second.menndl").task.labels[0]
    assert np.array_equal(learned, Annotation.open(path).frame(0))
    stop(qtbot, search)
    assert not [one for one in notification_manager.records if str(one.severity) == "error"]
