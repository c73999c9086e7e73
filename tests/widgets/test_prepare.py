"""The section "Prepare the movie" of the dock "Annotate defects", in a real napari window."""

import numpy as np
import pytest
import tifffile
from napari.utils.notifications import notification_manager
from qtpy.compat import isalive
from qtpy.QtCore import Qt

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.errors import InputError
from napari_menndl.movie.preparation import Average, Bin, Crop, Drift
from napari_menndl.widgets.annotate.prepare import _Question
from napari_menndl.widgets.annotate.settings import COMMON
from napari_menndl.widgets.background import end_all

DRIFT = ((0, 0), (2, -1), (3, -3), (5, -4))


@pytest.fixture
def dock(viewer, tmp_path, monkeypatch):
    """A movie of one drifting scene in napari, with the dock."""
    monkeypatch.setenv("NAPARI_MENNDL_DATA", str(tmp_path / "user"))
    rng = np.random.default_rng(0)
    wide = rng.normal(1000, 100, (112, 112))
    frames = np.stack([wide[8 + y : 104 + y, 8 + x : 104 + x] for y, x in DRIFT])
    tifffile.imwrite(tmp_path / "film.tif", frames.astype(np.uint16), photometric="minisblack")
    viewer.open(tmp_path / "film.tif", plugin="napari-menndl")
    _, dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Annotate defects")
    dock.panel.sections["Prepare the movie"].expand(animate=False)
    notification_manager.records.clear()
    return dock


def prepare(qtbot, dock, **asked):
    """Fill in the form, click, and wait for the layer."""
    part = dock.panel.prepare
    for name, value in asked.items():
        part.form[name].value = value
    with qtbot.waitSignal(part.prepared):
        qtbot.mouseClick(part.button, Qt.MouseButton.LeftButton)


def told():
    return " ".join(str(one.message) for one in notification_manager.records)


def test_a_corrected_movie_is_a_layer_with_annotations_of_its_own(qtbot, viewer, dock):
    recorded = dock.movie_layer
    prepare(qtbot, dock, crop=COMMON)
    assert [layer.name for layer in viewer.layers] == ["film", "film (drift, common area)"]
    assert dock.movie_layer is viewer.layers[1]
    assert not recorded.visible
    movie = dock.choice.movie()
    assert [type(step) for step in movie.steps] == [Drift, Crop]
    assert np.array_equal(movie.steps[0].moves, DRIFT)
    assert movie.raw.shape == (4, 96, 96)
    assert "recorded movie is still there" in dock.panel.prepare.said.text()
    # Every frame shows the same now.
    assert np.array_equal(viewer.layers[1].data[3].compute(), viewer.layers[1].data[0].compute())
    # What is annotated on it says so, and is not offered for the recorded movie.
    qtbot.mouseClick(dock.choice.new, Qt.MouseButton.LeftButton)
    path = dock.annotation.path
    assert Annotation.open(path).steps == dock.choice.movie().steps
    drawn = dock.annotation_layer
    dock.choice.form["movie"].value = viewer.layers["film"]
    assert drawn not in dock.choice.form["annotation"].choices
    dock.choice.form["movie"].value = viewer.layers["film (drift, common area)"]
    assert drawn in dock.choice.form["annotation"].choices
    viewer.layers.remove(drawn)
    assert dock.choice.offered == path
    dock.choice.form["movie"].value = viewer.layers["film"]
    assert dock.choice.offered is None
    with pytest.raises(InputError, match="the movie as it was recorded; found one of frames that were drift"):
        dock.choice.open(path)


def test_frames_are_cut_to_the_rectangle_that_was_drawn(qtbot, viewer, dock):
    viewer.add_shapes([[[1, 10.2, 20.4], [1, 10.2, 60.6], [1, 49.5, 60.6], [1, 49.5, 20.4]]], name="kept")
    assert "kept" in dock.panel.prepare.form["crop"].choices
    prepare(qtbot, dock, drift=False, crop="kept", average=2, binned=3)
    movie = dock.choice.movie()
    assert movie.steps == (Crop(11, 21, 39, 40), Average(2), Bin(3))
    assert movie.shape == (2, 13, 13)


def test_what_cannot_be_done_or_is_stopped_changes_nothing(qtbot, viewer, dock):
    part = dock.panel.prepare
    part.form["drift"].value = False
    part.begin()
    assert "something to do to the movie" in told()
    part.form["average"].value = 5
    part.begin()
    qtbot.waitUntil(lambda: "at least 5 frames" in told())
    assert part.button.isEnabled()
    assert len(viewer.layers) == 1
    # Measuring the drift of a long movie can be stopped.
    viewer.add_image(np.random.default_rng(0).normal(size=(99, 128, 128)).astype(np.float32), name="long")
    dock.choice.form["movie"].value = viewer.layers["long"]
    part.form["drift"].value = True
    part.begin()
    qtbot.waitUntil(part.bar.isVisible)
    qtbot.mouseClick(part.stop, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: part.said.text() == "Stopped; nothing is changed.")
    assert len(viewer.layers) == 2


def test_the_dock_may_be_closed_while_its_thread_measures_drift(qtbot, viewer, dock):
    viewer.add_image(np.random.default_rng(0).normal(size=(99, 128, 128)).astype(np.float32), name="long")
    dock.choice.form["movie"].value = viewer.layers["long"]
    part = dock.panel.prepare
    part.form["drift"].value = True
    question = _Question(dock.choice.movie(), viewer.layers["long"], (Drift(),))
    part.begin()
    qtbot.waitUntil(part.bar.isVisible)
    viewer.window.remove_dock_widget(dock)
    end_all()
    assert not isalive(part)
    with pytest.raises(InputError, match="stopped"):  # as its thread does, which the closed dock has stopped
        part._answer(question)
