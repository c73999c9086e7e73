"""Points that are clicked in a real napari window: discs at once, on disk at once, and theirs to be changed later."""

import numpy as np
import pytest
from mouse import stroke
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.task.task import TrainingTask
from napari_menndl.widgets.annotate.dock import AnnotateDefects
from napari_menndl.widgets.layers import movie_layer


@pytest.fixture
def path(movie, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_MENNDL_DATA", str(tmp_path / "user"))
    write_movie(movie, tmp_path / "blobs.tif")
    return tmp_path / "blobs.tif"


def opened(viewer, path):
    viewer.open(path, plugin="napari-menndl")
    viewer.dims.set_current_step(0, 0)
    _, dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Annotate defects")
    notification_manager.records.clear()
    return dock


def begin(qtbot, dock):
    """An annotation of two classes just begun, the tool "Points" in hand for the second, its radius 4 px."""
    click(qtbot, dock.choice.new)
    click(qtbot, dock.panel.classes.add)
    dock.panel.click_form["radius"].value = 0.2
    click(qtbot, dock.panel.tools["points"])
    return dock


@pytest.fixture
def begun(qtbot, viewer, path):
    """In a window."""
    return begin(qtbot, opened(viewer, path))


@pytest.fixture
def model(qtbot, path):
    """Without a window, where the mouse is not needed."""
    viewer = ViewerModel()
    data, about, _ = movie_layer(open_movie(path))
    viewer.add_image(data, **about)
    viewer.dims.set_current_step(0, 0)
    dock = AnnotateDefects(viewer)
    qtbot.addWidget(dock)
    dock.show()
    notification_manager.records.clear()
    return begin(qtbot, dock)


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    QApplication.processEvents()


def on_disk(dock):
    return Annotation.open(dock.annotation.path)


def click_at(viewer, dock, *pixels):
    for pixel in pixels:
        stroke(viewer, dock.annotation_layer, pixel)


def add(dock, *pixels):
    for pixel in pixels:
        dock.clicks.layer.add((0, *pixel))


def test_thirty_clicks_are_there_when_napari_is_closed_and_opened_again_and_a_search_learns_them(
    qtbot, viewer, begun, path, make_napari_viewer
):
    places = [(y, x) for y in range(12, 120, 18) for x in range(14, 120, 22)]
    click_at(viewer, begun, *places)
    assert len(places) == 30
    assert begun.clicks.layer is not None
    viewer.close()
    second = make_napari_viewer(show=True)
    dock = opened(second, path)
    click(qtbot, dock.choice.offer)
    assert dock.annotation.counts(0) == {"defect": 0, "class 2": 30}
    dock.complete()
    task = TrainingTask.from_movie(open_movie(path), on_disk(dock), (0,))
    assert all(task.labels[0, y, x] == 2 for y, x in places)
    # The next click beside a disc from before is a defect of its own.
    dock.panel.classes.select(2)
    click(qtbot, dock.panel.tools["points"])
    click_at(second, dock, (12, 18))
    assert on_disk(dock).counts(0) == {"defect": 0, "class 2": 31}
    assert not notification_manager.records


def test_the_discs_of_a_class_take_the_radius_in_the_form(qtbot, model):
    add(model, (30, 30), (60, 60))
    model.panel.classes.select(1)
    add(model, (90, 90))
    model.panel.classes.select(2)
    for radius in (0.3, 0.1):
        model.panel.click_form["radius"].value = radius
        labels = on_disk(model).frame(0)
        assert np.count_nonzero(labels == 2) / 2 == pytest.approx(np.pi * (radius / 0.05) ** 2, rel=0.2)
        assert np.count_nonzero(labels == 1) == pytest.approx(np.pi * 4**2, rel=0.2)
    model.panel.classes.select(1)
    assert model.panel.click_form["radius"].value == pytest.approx(0.2)
    click(qtbot, model.panel.undo)
    assert np.count_nonzero(on_disk(model).frame(0) == 2) / 2 == pytest.approx(np.pi * 6**2, rel=0.2)


def test_undo_takes_a_click_away_and_redo_brings_it_back(qtbot, model):
    add(model, (30, 30), (60, 60))
    for number in (1, 0):
        click(qtbot, model.panel.undo)
        assert len(model.clicks.layer.data) == on_disk(model).counts(0)["class 2"] == number
    for number in (1, 2):
        click(qtbot, model.panel.redo)
        assert len(model.clicks.layer.data) == on_disk(model).counts(0)["class 2"] == number
    assert list(model.clicks.layer.features["class"]) == ["class 2"] * 2


def test_a_point_that_is_dragged_or_deleted_takes_its_disc_along(viewer, begun):
    click_at(viewer, begun, (30, 30), (60, 60))
    begun.clicks.layer.mode = "select"
    stroke(viewer, begun.annotation_layer, (30, 30), (30, 60), (30, 90))
    labels = on_disk(begun).frame(0)
    assert (labels[30, 30], labels[30, 90], labels[60, 60]) == (0, 2, 2)
    begun.clicks.layer.selected_data = {1}
    begun.clicks.layer.remove_selected()
    assert on_disk(begun).counts(0) == {"defect": 0, "class 2": 1}
    viewer.layers.remove(begun.clicks.layer)
    assert on_disk(begun).counts(0) == {"defect": 0, "class 2": 1}


def test_what_is_erased_takes_its_point_away_and_a_click_beside_the_frame_is_refused(qtbot, model):
    add(model, (30, 30), (60, 60))
    model.annotation_layer.brush_size = 14
    model.annotation_layer.paint((0, 30, 30), 0)
    qtbot.waitUntil(lambda: model.clicks.layer.data.tolist() == [[0, 60, 60]])
    model.clicks.layer.add((0, 60, 300))
    assert "1 outside" in str(notification_manager.records[-1].message)
    assert len(model.clicks.layer.data) == 1
    assert on_disk(model).counts(0)["class 2"] == 1


def test_a_class_that_is_renamed_or_removed_takes_its_points_along(model):
    add(model, (30, 30))
    model.annotation.change_class("class 2", name="vacancy")
    add(model, (60, 60))
    assert on_disk(model).counts(0) == {"defect": 0, "vacancy": 2}
    model.annotation.remove_class("defect")
    assert model.clicks.layer is None
    assert on_disk(model).counts(0) == {"vacancy": 2}
