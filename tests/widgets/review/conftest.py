"""A window with movie and annotation, and the dock "Review frames" opened in it through the manifest."""

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.widgets.layers import annotation_layer, movie_layer


@pytest.fixture
def expert(annotation, tmp_path):
    """The annotation on disk, to be edited: frames 0 and 1 are complete."""
    annotation.save(tmp_path / "expert.zarr")
    return Annotation.open(tmp_path / "expert.zarr", mode="r+")


@pytest.fixture
def open_dock(viewer):
    """Function: open movie and annotation, and the dock."""

    def open_dock(movie, annotation=None, source=None):
        data, about, _ = movie_layer(movie)
        viewer.add_image(data, **about)
        if annotation is not None:
            data, about, _ = annotation_layer(annotation, movie.frame_time)
            viewer.add_labels(data, **about)
        viewer.dims.set_current_step(0, 0)
        _, dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Review frames")
        if source is not None:
            dock.controls.what["source"].value = source
        notification_manager.records.clear()
        return dock

    return open_dock


@pytest.fixture
def dock(open_dock, movie, annotation, run_folder):
    """Movie and annotation open, the run folder named, nothing predicted yet."""
    return open_dock(movie, annotation, run_folder)


@pytest.fixture
def click(qtbot):
    """Function: press a button of a dock with the mouse."""

    def click(button):
        assert button.isEnabled()
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    return click


@pytest.fixture
def shows(qtbot):
    """Function: wait until a frame's review is seen."""

    def shows(dock, frame):
        qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.frame == frame)

    return shows


@pytest.fixture
def reviewed(qtbot, click):
    """Function: review the whole movie."""

    def reviewed(dock):
        click(dock.controls.button)
        frames = len(dock.inputs.movie)
        qtbot.waitUntil(lambda: dock.movie.done == frames and not dock.movie.busy)

    return reviewed


@pytest.fixture
def on_canvas(viewer):
    """Function: where a pixel (y, x) of the frame in view lies on the canvas, as (x, y) of its widget."""

    def on_canvas(y, x):
        camera, canvas = viewer.scene.camera, viewer.window._qt_viewer.canvas
        place = viewer.layers[0].data_to_world((0, y, x))[-2:] - np.array(camera.center[-2:])
        height, width = canvas.size
        row, column = np.array([height, width]) / 2 + place * camera.zoom
        return round(float(column)), round(float(row))

    return on_canvas
