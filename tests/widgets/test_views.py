"""``.view()`` of what a script or a notebook holds: a real window with the right layers, or what is missing for one."""

import subprocess
import sys

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_menndl import compare, open_run
from napari_menndl.interpreter import python_environment


@pytest.fixture
def opened():
    """Viewers that are closed in the end."""
    viewers = []
    yield lambda viewer: viewers.append(viewer) or viewer
    for viewer in viewers:
        viewer.close()


def kinds(viewer):
    return [(type(layer), layer.name) for layer in viewer.layers]


def test_a_movie_is_an_image_at_its_scale(opened, movie):
    viewer = opened(movie.view())
    (layer,) = viewer.layers
    assert isinstance(layer, Image)
    assert tuple(layer.scale) == pytest.approx((0.4064, 0.05, 0.05))
    assert viewer.canvas.overlays.scale_bar.visible
    assert viewer.dims.current_step[0] == 0


def test_an_annotation_lies_over_its_movie_in_the_colours_of_its_classes(opened, movie, annotation):
    viewer = opened(annotation.view(movie))
    assert [kind for kind, _ in kinds(viewer)] == [Image, Labels]
    image, labels = viewer.layers
    assert tuple(labels.scale) == tuple(image.scale)
    drawn = [labels.get_color(c) for c in (1, 2)]
    assert ["#" + bytes(np.round(255 * colour[:3]).astype(np.uint8)).hex() for colour in drawn] == [
        one.colour for one in annotation.classes
    ]
    assert kinds(opened(annotation.view())) == [(Labels, "annotation")]


def test_a_prediction_is_labels_over_the_movie_predicted_when_they_come_into_view(opened, movie, run_folder):
    prediction = open_run(run_folder).predict(movie)
    viewer = opened(prediction.view())
    assert [kind for kind, _ in kinds(viewer)] == [Image, Labels]
    viewer.dims.set_current_step(0, 2)
    assert np.array_equal(viewer.layers[1]._slice.image.raw, prediction.frame_labels(2))


def test_a_review_lies_over_the_movie_in_its_three_colours(opened, movie, annotation, run_folder):
    review = compare(open_run(run_folder).predict(movie), annotation, frames=[1])
    viewer = opened(review.view())
    assert kinds(viewer) == [(Image, movie.name), (Labels, "review")]
    overlay = np.asarray(viewer.layers[1].data)
    assert np.array_equal(overlay[1], review.colours(1))
    assert not overlay[0].any()


def test_a_run_is_its_labelled_frames_and_the_dock_that_watches_it(opened, run_folder, qtbot):
    run = open_run(run_folder)
    viewer = opened(run.view())
    assert kinds(viewer) == [(Image, "labelled frames"), (Labels, "labels")]
    assert np.array_equal(viewer.layers[1].data, run.task.labels)
    (dock,) = viewer.window.dock_widgets.values()
    qtbot.waitUntil(lambda: dock.snapshot is not None and dock.snapshot.state == "finished")


WITHOUT = """
import sys
{missing}
from napari_menndl import InputError, open_movie
import numpy as np
try:
    open_movie(np.zeros((2, 8, 8), "float32")).view()
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("missing", "screen", "words"),
    [
        ("sys.modules['napari'] = None", ":0", "napari-menndl[all]"),
        ("sys.modules['qtpy'] = None", ":0", "napari-menndl[all]"),
        ("", "", "a screen"),
    ],
    ids=["napari", "toolkit", "screen"],
)
def test_what_is_missing_is_named(missing, screen, words):
    environment = {**python_environment(), "DISPLAY": screen, "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM": ""}
    code = WITHOUT.format(missing=missing)
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert words in told.stdout
