"""The dock "MENNDL workflow" in a real napari window: steps, what is next, and how they hand over."""

from itertools import product

import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

from napari_menndl.api import open_run
from napari_menndl.widgets.help import ShortcutHelp
from napari_menndl.widgets.layers import annotation_layer, movie_layer
from napari_menndl.widgets.workflow import ANNOTATE, REVIEW, SEARCH, STEPS


def open_dock(viewer):
    notification_manager.records.clear()
    return viewer.window.add_plugin_dock_widget("napari-menndl", "MENNDL workflow")[1]


@pytest.fixture
def dock(viewer):
    dock = open_dock(viewer)
    dock.go_to(ANNOTATE)
    return dock


def add(viewer, movie, annotation=None):
    data, about, _ = movie_layer(movie)
    viewer.add_image(data, **about)
    if annotation is not None:
        data, about, _ = annotation_layer(annotation, movie.frame_time)
        viewer.add_labels(data, **about)


def click_tab(qtbot, dock, step):
    bar = dock.tabs.tabBar()
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.tabRect(step).center())
    assert dock.step == step


def test_every_step_says_what_to_do_next(qtbot, viewer, dock):
    for step, (title, _, _) in enumerate(STEPS):
        click_tab(qtbot, dock, step)
        assert dock.tabs.tabText(step) == title
        assert dock.hint == dock.dock(step).hint != ""
        assert dock.next.text().startswith("<b>Next:</b>")


def test_hint_follows_what_happens_in_the_step(qtbot, viewer, dock, movie):
    before = dock.hint
    with qtbot.waitSignal(dock.hint_changed):
        add(viewer, movie)
    assert dock.hint == dock.dock(ANNOTATE).hint != before


def test_brush_is_in_hand_in_the_first_step_alone(qtbot, viewer, dock, movie, annotation):
    add(viewer, movie, annotation)
    layer = dock.dock(ANNOTATE).annotation_layer
    layer.mode = "paint"
    for step in (SEARCH, REVIEW):
        click_tab(qtbot, dock, step)
        assert layer.mode == "pan_zoom"
    click_tab(qtbot, dock, ANNOTATE)
    assert layer.mode == "paint"


def test_steps_are_made_when_they_are_needed(dock):
    assert list(dock._docks) == [ANNOTATE]


def test_step_is_remembered(qtbot, viewer, dock):
    click_tab(qtbot, dock, REVIEW)
    viewer.window.remove_dock_widget("all")
    again = open_dock(viewer)
    assert again.step == REVIEW
    again.go_to(ANNOTATE)


def test_complete_frames_are_offered_to_the_search(qtbot, viewer, dock, movie, annotation):
    add(viewer, movie, annotation)
    layer = viewer.layers["annotation"]
    qtbot.waitUntil(lambda: dock.dock(ANNOTATE).annotation_layer == layer)
    click_tab(qtbot, dock, SEARCH)
    setup = dock.dock(SEARCH).setup
    assert setup.movie == viewer.layers[0]
    assert setup.annotation == layer
    assert setup.problem() is None or "frame" not in setup.problem()


def test_run_of_the_search_is_what_is_reviewed(qtbot, viewer, dock, movie, annotation, run_folder):
    add(viewer, movie, annotation)
    click_tab(qtbot, dock, SEARCH)
    with qtbot.waitSignal(dock.dock(SEARCH).run_opened):
        dock.dock(SEARCH).open_run(run_folder)
    click_tab(qtbot, dock, REVIEW)
    review = dock.dock(REVIEW)
    qtbot.waitUntil(lambda: review.shown is not None)
    assert review.shown.annotated
    assert open_run(run_folder).state == "finished"


def test_corrected_frames_go_back_to_the_search(qtbot, viewer, dock, movie, annotation):
    add(viewer, movie, annotation)
    click_tab(qtbot, dock, REVIEW)
    dock.dock(REVIEW).search_again.emit([1])
    assert dock.step == SEARCH
    assert dock.dock(SEARCH).setup.annotation == viewer.layers["annotation"]


def test_question_mark_and_key_show_the_shortcuts(qtbot, viewer, dock):
    qtbot.mouseClick(dock.help, Qt.MouseButton.LeftButton)
    assert any(label.text() == "<code>Shift+E</code>" for label in shortcut_labels(viewer))
    viewer.window.remove_dock_widget(docks(viewer)[-1])
    dock.dock(ANNOTATE)  # whose keys bring the one for help with them
    qtbot.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_H, Qt.KeyboardModifier.ShiftModifier)
    assert shortcut_labels(viewer)


def docks(viewer):
    return viewer.window._qt_window.findChildren(ShortcutHelp)


def shortcut_labels(viewer):
    return [label for dock in docks(viewer) if dock.isVisible() for label in dock.findChildren(QLabel)]


def test_layers_reach_every_step(qtbot, viewer, dock, movie):
    for step in range(3):
        click_tab(qtbot, dock, step)
    add(viewer, movie)
    layer = viewer.layers[0]
    assert dock.dock(ANNOTATE).movie_layer == layer
    assert dock.dock(SEARCH).setup.movie == layer
    assert dock.dock(REVIEW).inputs.image == layer


def test_every_step_fits_into_the_window(qtbot, viewer, dock, movie, annotation, tmp_path):
    add(viewer, movie, annotation)
    for theme, step in product(("dark", "light"), range(3)):
        viewer.theme = theme
        click_tab(qtbot, dock, step)
        qtbot.wait(100)
        assert dock.width() <= 520, (theme, step)
        page = dock.tabs.widget(step)
        assert page.widget().minimumSizeHint().width() <= page.viewport().width(), (theme, step)
        viewer.window.screenshot(str(tmp_path / f"workflow-{step}-{theme}.png"), flash=False, canvas_only=False)
