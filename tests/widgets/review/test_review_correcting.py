"""From error to error, correcting, and searching again: with keys and clicks in a real napari window."""

from dataclasses import replace

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, Qt

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.widgets.layers import PLACE
from napari_menndl.widgets.review.error_navigator import SelectedDefect


@pytest.fixture
def press(qtbot, viewer):
    """Function: press a letter with Shift, the mouse being over the canvas."""

    def press(letter):
        canvas = viewer.window._qt_viewer.canvas.native
        canvas.setFocus()
        qtbot.keyClick(canvas, getattr(Qt.Key, f"Key_{letter}"), Qt.KeyboardModifier.ShiftModifier)

    return press


@pytest.fixture
def point(qtbot, viewer, on_canvas):
    """Function: click a pixel (y, x) of the frame in view."""

    def point(y, x):
        canvas, place = viewer.window._qt_viewer.canvas.native, QPoint(*on_canvas(y, x))
        qtbot.mouseMove(canvas, place)
        qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=place)

    return point


def test_keys_walk_through_the_errors_of_all_frames_and_back(
    qtbot, viewer, open_dock, movie, expert, run_folder, reviewed, press
):
    dock = open_dock(movie, expert, run_folder)
    reviewed(dock)
    viewer.dims.set_current_step(0, 2)
    met = []
    for _ in range(3):
        press("E")
        chosen = dock.walk.chosen
        met.append((chosen.frame, chosen.centre))
        assert int(viewer.dims.current_step[0]) == chosen.frame
        place = viewer.layers[0].data_to_world((0, *chosen.centre))[-2:]
        assert np.allclose(viewer.scene.camera.center[-2:], place)
        assert len({*met}) == len(met)
        assert chosen.outcome in ("false positive", "false negative")
        assert chosen.pixels.any()
    assert met == sorted(met)
    press("Q")
    assert (dock.walk.chosen.frame, dock.walk.chosen.centre) == met[1]
    assert "error 2 of" in dock.controls.errors.about.text()
    assert "defect" in viewer.layers  # the ring


def test_rejected_miss_leaves_the_annotation_and_accepted_find_enters_it(
    qtbot, viewer, open_dock, movie, expert, run_folder, reviewed, press, point, click, tmp_path
):
    dock = open_dock(movie, expert, run_folder)
    reviewed(dock)
    missed = dock.shown.total.fn
    press("E")
    wrong = dock.walk.chosen
    assert wrong.outcome == "false negative"
    press("X")
    qtbot.waitUntil(lambda: dock.shown.total.fn == missed - 1)
    assert not Annotation.open(tmp_path / "expert.zarr").frame(0)[wrong.pixels].any()
    viewer.dims.set_current_step(0, 3)
    viewer.reset_view()
    qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.frame == 3)
    found = dock.shown.defects.iloc[0]
    point(found["y"], found["x"])
    assert dock.walk.chosen.outcome == "predicted"
    click(dock.controls.errors.accept)
    qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.annotated)
    assert dock.shown.total.tp == 1
    again = Annotation.open(tmp_path / "expert.zarr")
    assert again.class_names[again.frame(3)[round(found["y"]), round(found["x"])] - 1] == found["class"]
    assert str(again.status[3]) == "in progress"
    with qtbot.waitSignal(dock.search_again) as asked:
        click(dock.controls.again)
    assert asked.args == [[0, 3]]
    assert not any(str(r.severity) == "error" for r in notification_manager.records)


def test_accepting_the_rest_completes_a_frame(qtbot, viewer, open_dock, movie, expert, run_folder, reviewed, click):
    dock = open_dock(movie, expert, run_folder)
    reviewed(dock)
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.frame == 2)
    predicted = dock.shown.predicted
    dock.controls.more.expand()
    qtbot.wait(50)
    click(dock.controls.complete)
    qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.annotated)
    assert np.array_equal(expert.frame(2), predicted)
    assert str(expert.status[2]) == "complete"
    assert dock.shown.total.f1 == 1


def test_accepting_the_rest_loses_no_defect_of_a_class_that_the_annotation_lacks(
    qtbot, viewer, open_dock, movie, expert, run_folder, reviewed, click
):
    dock = open_dock(movie, expert, run_folder)
    reviewed(dock)
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.frame == 2)
    lacking = dock.shown.class_names[dock.shown.predicted.max() - 1]
    expert.change_class(lacking, name="another")
    dock.controls.more.expand()
    qtbot.wait(50)
    click(dock.controls.complete)
    assert f"the class {lacking!r} in the annotation" in str(notification_manager.records[-1].message)
    assert str(expert.status[2]) != "complete"


def test_repaint_takes_the_brush_of_the_class_and_painting_counts_as_a_correction(
    qtbot, viewer, open_dock, movie, expert, run_folder, reviewed, press, click
):
    dock = open_dock(movie, expert, run_folder)
    reviewed(dock)
    press("E")
    name = dock.walk.chosen.name
    click(dock.controls.errors.repaint_button)
    layer = viewer.layers["annotation"]
    assert (layer.mode, layer.selected_label) == ("paint", expert.class_names.index(name) + 1)
    assert viewer.layers.selection.active == layer
    layer.paint((dock.walk.chosen.frame, 64, 64), layer.selected_label)
    assert dock.corrected == {dock.walk.chosen.frame}
    assert dock.controls.again.isEnabled()


def test_correction_without_an_annotation_says_what_to_do(
    qtbot, viewer, open_dock, movie, run_folder, reviewed, point, click
):
    dock = open_dock(movie, None, run_folder)
    reviewed(dock)
    found = dock.shown.defects.iloc[0]
    point(found["y"], found["x"])
    click(dock.controls.errors.accept)
    assert "New annotation" in str(notification_manager.records[-1].message)


def test_plain_labels_are_corrected_and_undone_by_napari(
    qtbot, viewer, open_dock, movie, annotation, run_folder, reviewed, press
):
    dock = open_dock(movie, None, run_folder)
    movie_layer = viewer.layers[0]
    place = {name: getattr(movie_layer, name) for name in PLACE}
    layer = viewer.add_labels(np.array(annotation.labels), name="plain", **place)
    reviewed(dock)
    missed = dock.shown.total.fn
    press("E")
    frame, pixels = dock.walk.chosen.frame, dock.walk.chosen.pixels
    press("X")
    assert not layer.data[frame][pixels].any()
    qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.total.fn == missed - 1)
    layer.undo()
    qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.total.fn == missed)


def test_a_selected_defect_says_what_is_known_of_it():
    one = SelectedDefect(3, "hole", "predicted", (1.0, 2.0), 0.61, 0.5, np.ones((1, 1), bool))
    assert one.describe() == "predicted: hole, confidence 0.61, agreement 0.50"
    assert replace(one, agreement=np.nan).describe() == "predicted: hole, confidence 0.61"
