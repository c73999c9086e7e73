"""The dock "Annotate defects" on all kinds of layers; its controls are clicked, the viewer needs no canvas."""

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.files import user_data
from napari_menndl.movie.movie import Movie
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.widgets.annotate.dock import AnnotateDefects
from napari_menndl.widgets.annotate.opening import layer_name
from napari_menndl.widgets.layers import annotation_layer, movie_layer


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """napari's folder of user data is a person's; not the tests'."""
    monkeypatch.setenv("NAPARI_MENNDL_DATA", str(tmp_path / "user"))
    notification_manager.records.clear()


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def add_dock(qtbot, viewer):
    def add():
        dock = AnnotateDefects(viewer)
        qtbot.addWidget(dock)
        dock.show()
        for name in ("inserted", "removed", "reordered", "renamed"):  # as napari's window does
            getattr(viewer.layers.events, name).connect(dock.reset_choices)
        return dock

    return add


@pytest.fixture
def dock(viewer, movie, tmp_path, add_dock):
    """A movie that is a file."""
    write_movie(movie, tmp_path / "blobs.tif")
    open_in(viewer, tmp_path / "blobs.tif")
    viewer.dims.set_current_step(0, 0)
    return add_dock()


@pytest.fixture
def begun(qtbot, dock):
    click(qtbot, dock.choice.new)
    return dock


def open_in(viewer, path):
    data, about, _ = movie_layer(open_movie(path))
    viewer.add_image(data, **about)


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def on_disk(dock):
    return Annotation.open(dock.annotation.path)


def test_last_frame_has_no_next(qtbot, begun):
    for t in range(4):
        begun.annotation.set_status(t, "complete")
    click(qtbot, begun.panel.frames.next)
    assert "complete" in begun.panel.status.text()


def test_tuning_without_a_label_says_what_is_missing(qtbot, begun):
    begun.panel.fourier.tune_button.click()
    qtbot.waitUntil(lambda: "labelled defect" in begun.panel.fourier.status.text())
    assert begun.panel.fourier.tune_button.isEnabled()


def test_labels_in_memory_are_kept_on_disk_at_a_click(qtbot, viewer, dock, movie, annotation):
    data, about, _ = annotation_layer(annotation, movie.frame_time)
    viewer.add_labels(data, **about)
    assert dock.choice.new.text() == "Save layer as annotation"
    assert dock.annotation.counts(0) == annotation.counts(0)
    click(qtbot, dock.choice.new)
    assert np.array_equal(on_disk(dock).labels[:], annotation.labels)
    assert on_disk(dock).classes == annotation.classes
    assert on_disk(dock).status == annotation.status
    assert [la.name for la in viewer.layers] == ["blobs", "blobs annotation"]
    assert dock.annotation_layer.mode == "pan_zoom"  # nobody has asked for a brush


def test_plain_labels_are_kept_with_their_frames_in_progress(qtbot, viewer, dock):
    plain = np.zeros(dock.movie_layer.data.shape, int)
    plain[1, 40:50, 40:50] = 2
    layer = viewer.add_labels(plain, scale=dock.movie_layer.scale, units=dock.movie_layer.units)
    colour = layer.get_color(2)
    dock.choice.form["annotation"].value = viewer.layers[-1]
    click(qtbot, dock.choice.new)
    assert np.allclose(dock.annotation_layer.get_color(1), colour, atol=0.01)  # known by its colour
    assert [str(s) for s in on_disk(dock).status] == ["untouched", "in progress", "untouched", "untouched"]


@pytest.mark.parametrize(
    ("shape", "dtype"), [((64, 64), "uint8"), ((1, 48, 64), "int32"), ((3, 64, 40), "float64")], ids=str
)
def test_movies_of_any_kind_are_annotated(qtbot, viewer, add_dock, shape, dtype):
    data = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    viewer.add_image(data, scale=(1.0, 0.02, 0.03)[-len(shape) :], units=("s", "nm", "nm")[-len(shape) :])
    viewer.dims.set_current_step(0, 0)
    dock = add_dock()
    click(qtbot, dock.choice.new)
    assert dock.annotation.shape == ((1, *shape) if len(shape) == 2 else shape)
    assert dock.annotation.pixel_size == pytest.approx((0.02, 0.03))
    layer = dock.annotation_layer
    layer.paint((0, 20, 30), 1)
    assert on_disk(dock).frame(0)[20, 30] == 1
    assert np.allclose(
        layer.data_to_world((0, 20, 30))[-2:], viewer.layers[0].data_to_world((0, 20, 30)[-len(shape) :])[-2:]
    )
    assert len(on_disk(dock)) == (shape[0] if len(shape) == 3 else 1)


def test_four_axes_are_refused_with_what_to_do(qtbot, viewer, add_dock):
    viewer.add_image(np.zeros((2, 2, 16, 16)))
    dock = add_dock()
    assert "Split" in dock.hint
    click(qtbot, dock.choice.new)
    assert "Split" in str(notification_manager.records[-1].message)
    notification_manager.records.clear()


def test_without_layers_the_hint_says_how_to_begin(add_dock):
    dock = add_dock()
    assert "Open Sample" in dock.hint
    assert not dock.choice.new.isEnabled()
    for act in (dock.go_to_next, dock.complete, dock.panel.undo.click, dock.panel.to_discs.click):
        act()
    assert not notification_manager.records


def test_two_movies_keep_two_annotations(qtbot, viewer, begun, movie, tmp_path):
    write_movie(Movie(movie.frames[:2], movie.pixel_size, movie.frame_time), tmp_path / "other.tif")
    open_in(viewer, tmp_path / "other.tif")
    first = begun.annotation
    begun.choice.form["movie"].value = viewer.layers["other"]
    begun.choice.form["annotation"].value = None
    click(qtbot, begun.choice.new)
    assert begun.annotation.path.name == "other.annotation.zarr"
    assert len(begun.annotation) == 2
    begun.choice.form["annotation"].value = viewer.layers["blobs annotation"]
    assert begun.annotation is first


def test_of_two_movies_of_one_name_and_shape_each_has_its_own_annotation(qtbot, viewer, movie, tmp_path, add_dock):
    paths = [tmp_path / day / "movie.tif" for day in ("day1", "day2")]
    for path, frames in zip(paths, (movie.frames, movie.frames[:, ::-1]), strict=True):
        path.parent.mkdir()
        write_movie(Movie(frames, movie.pixel_size, movie.frame_time), path)
        open_in(viewer, path)
    dock = add_dock()
    images = list(viewer.layers)
    for image, path in zip(images, paths, strict=True):
        dock.choice.form["movie"].value = image
        assert dock.annotation is None  # never the other movie's
        click(qtbot, dock.choice.new)
        assert dock.annotation.path == path.with_name("movie.annotation.zarr")
        dock.annotation.set_status(0, "complete")
    for image, path in zip(images, paths, strict=True):
        dock.choice.form["movie"].value = image
        assert dock.annotation.path == path.with_name("movie.annotation.zarr")
    assert not notification_manager.records


def test_an_annotation_is_not_taken_over_another_movie_that_bears_its_movies_name(qtbot, viewer, dock, movie, tmp_path):
    click(qtbot, dock.choice.new)
    dock.annotation.set_status(0, "complete")
    viewer.layers.clear()
    write_movie(Movie(movie.frames[:, ::-1], movie.pixel_size), tmp_path / "blobs.tif", overwrite=True)
    open_in(viewer, tmp_path / "blobs.tif")
    assert dock.choice.offered is None
    assert "blobs.annotation.zarr was drawn on other frames" in dock.hint
    dock.choice.open(tmp_path / "blobs.annotation.zarr")  # a person may know better
    assert "another movie" in str(notification_manager.records[-1].message)
    viewer.dims.set_current_step(0, 0)
    assert "Frame 0 is another one" in dock.hint
    click(qtbot, dock.panel.frames.buttons["complete"])
    assert "Frame 0 is another one" not in dock.hint


def test_a_frame_that_changed_under_its_annotation_is_named(qtbot, viewer, movie, tmp_path, add_dock):
    folder = tmp_path / "frames"
    folder.mkdir()
    for t, frame in enumerate(np.asarray(movie.frames)):
        np.save(folder / f"{t}.npy", frame)
    open_in(viewer, folder)
    viewer.dims.set_current_step(0, 0)
    dock = add_dock()
    click(qtbot, dock.choice.new)
    for t in (0, 1):
        dock.annotation.set_status(t, "complete")
    viewer.layers.clear()
    np.save(folder / "1.npy", np.asarray(movie.frames[3]))
    open_in(viewer, folder)
    click(qtbot, dock.choice.offer)
    assert "Frame 1 of" in str(notification_manager.records[-1].message)
    viewer.dims.set_current_step(0, 0)
    assert "complete" in dock.hint
    viewer.dims.set_current_step(0, 1)
    assert "Frame 1 is another one" in dock.hint


def test_255_beside_classes_in_plain_labels_is_not_looked_at(qtbot, viewer, dock, annotation):
    labels = np.array(annotation.labels)
    labels[2:] = 0
    labels[0, :40] = labels[1, 100:] = 255
    viewer.add_labels(labels)
    dock.choice.form["annotation"].value = viewer.layers["labels"]
    click(qtbot, dock.choice.new)
    stored = on_disk(dock)
    assert stored.class_names == ("class 1", "class 2")
    assert [stored.known(t).sum() for t in range(4)] == [128 * 88, 128 * 100, 0, 0]
    assert not stored.known(0)[:40].any()
    assert "255" in str(notification_manager.records[-1].message)


def test_annotation_of_fewer_frames_is_lengthened_when_it_is_kept(qtbot, viewer, dock, annotation):
    short = Annotation(annotation.labels[:2], annotation.classes, annotation.status[:2])
    data, about, _ = annotation_layer(short)
    viewer.add_labels(data, **about)
    click(qtbot, dock.choice.new)
    assert [str(s) for s in on_disk(dock).status] == ["complete", "complete", "untouched", "untouched"]
    assert np.array_equal(on_disk(dock).frame(1), annotation.frame(1))


def test_annotate_opens_from_code(viewer, movie, add_dock):
    data, about, _ = movie_layer(movie)
    viewer.add_image(data, **about)
    dock = add_dock()
    dock.choice.begin()
    assert dock.annotation_layer in viewer.layers
    assert dock.annotation.path.parent == user_data()  # a movie in memory has no folder of its own


def test_movie_in_memory_finds_its_annotation_again(viewer, movie, add_dock):
    data, about, _ = movie_layer(movie)
    dock = add_dock()
    for _ in range(2):
        viewer.add_image(data, **about)
        if dock.choice.offered is None:
            dock.choice.begin()
            dock.annotation.set_status(0, "complete")
        else:
            dock.choice.open_offered()
        assert str(dock.annotation.status[0]) == "complete"
        viewer.layers.clear()


def test_annotation_opened_in_a_second_window_is_painted_there_alone(begun, movie, qtbot):
    first = begun.annotation_layer
    second = ViewerModel()
    data, about, _ = movie_layer(open_movie(begun.movie_layer.metadata["source"]))
    second.add_image(data, **about)
    dock = AnnotateDefects(second)
    qtbot.addWidget(dock)
    dock.choice.open_offered()
    assert not first.editable
    dock.annotation_layer.paint((0, 40, 40), 1)
    dock.annotation_layer.undo()
    assert not on_disk(dock).frame(0).any()
    assert not notification_manager.records


def test_annotation_that_another_napari_paints_is_left_alone(begun, viewer):
    path = begun.annotation.path
    viewer.layers.remove(begun.annotation_layer)
    with another_process_paints(path):
        begun.choice.open_offered()
        assert "another napari" in str(notification_manager.records[-1].message)
        assert begun.annotation is None
        assert len(viewer.layers) == 1
    begun.choice.open_offered()
    assert begun.annotation.path == path


@contextmanager
def another_process_paints(path):
    code = "import sys; from pathlib import Path; from napari_menndl.annotation.history import claim\n"
    code += "lock = claim(Path(sys.argv[1])); print('claimed', flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "claimed\n"
    yield
    other.kill()  # a lock dies with its process
    other.communicate()


@pytest.mark.parametrize(
    ("file", "layer"),
    [
        ("WS2-area-0", "WS2 area 0 annotation"),
        ("WS2-area-0.2", "WS2 area 0 (2) annotation"),
        ("WS2 area 0.3", "WS2 area 0 (3) annotation"),
        ("somebody's", "somebody's annotation"),
    ],
)
def test_layer_of_an_annotation_is_called_after_its_movie(movie, file, layer):
    assert layer_name(Path(f"{file}.annotation.zarr"), replace(movie, name="WS2 area 0")) == layer
