"""The dock in a real napari window: opened through the manifest, clicked, scrubbed, and left without its layers."""

import napari
import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QLabel, QPushButton

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.review.outcomes import COLOURS, FALSE_NEGATIVE, FALSE_POSITIVE, PREDICTED, TRUE_POSITIVE
from napari_menndl.widgets.layers import annotation_layer
from napari_menndl.widgets.open import open_review
from napari_menndl.widgets.review import messages


def colour_at(viewer, y, x):
    """What the canvas shows at a pixel of the frame, (r, g, b) 0 … 255."""
    picture = viewer.screenshot(canvas_only=True, flash=False)
    camera, layer = viewer.scene.camera, viewer.layers[0]
    place = layer.data_to_world((0, y, x))[-2:] - np.array(camera.center[-2:])
    row, column = np.array(picture.shape[:2]) / 2 + place * camera.zoom
    return picture[int(row), int(column), :3].astype(int)


def rgb(colour):
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def inner_pixel(mask):
    """One with equal neighbours all around, so that the canvas does not mix it with others."""
    inner = mask[1:-1, 1:-1].copy()
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            inner &= mask[dy : mask.shape[0] - 2 + dy, dx : mask.shape[1] - 2 + dx]
    return np.argwhere(inner)[0] + 1


def test_sample_opens_with_movie_and_annotation(viewer):
    movie, annotation = viewer.open_sample("napari-menndl", "simulated_ws2")
    assert movie.data.shape == annotation.data.shape
    assert np.allclose(movie.scale, annotation.scale)
    assert str(movie.units[-1]) == "nanometer"
    assert annotation.data[0].any()


def test_reader_places_an_annotation_over_its_movie(viewer, movie, annotation, tmp_path):
    write_movie(movie, tmp_path / "movie.tif")
    annotation.save(tmp_path / "expert.zarr")
    (image,) = viewer.open(tmp_path / "movie.tif", plugin="napari-menndl")
    (labels,) = viewer.open(tmp_path / "expert.zarr", plugin="napari-menndl")
    assert image.scale[0] == pytest.approx(movie.frame_time, rel=1e-4)
    assert np.array_equal(labels.scale, image.scale)


def test_click_lays_the_review_over_the_frame_in_its_colours(viewer, dock, tmp_path, click, shows):
    click(dock.controls.button)
    shows(dock, 0)
    overlay = viewer.layers["review"]
    assert overlay.data.dtype == np.uint8
    assert np.array_equal(overlay.data[0], dock.shown.overlay)
    seen = []
    for value in (TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE):
        mask = dock.display.overlay.image == value
        if mask.sum() > 30:
            assert np.abs(colour_at(viewer, *inner_pixel(mask)) - rgb(COLOURS[value])).max() < 40
            seen.append(value)
    assert len(seen) >= 2
    assert f"{dock.shown.total.f1:.2f}" in dock.controls.scores.frame_table.text()
    dock.grab().save(str(tmp_path / "dock.png"))
    viewer.window.screenshot(str(tmp_path / "window.png"), flash=False, canvas_only=False)


def test_overlay_follows_the_frame_and_never_shows_another_frames_defects(qtbot, viewer, dock, click, shows):
    click(dock.controls.button)
    shows(dock, 0)
    viewer.dims.set_current_step(0, 3)
    assert not dock.display.overlay.image.any()
    shows(dock, 3)
    assert "no annotation" in dock.controls.status.text()
    assert set(np.unique(dock.display.overlay.image)) <= {0, PREDICTED, PREDICTED + 1}  # one for each class
    for frame in (1, 2, 1, 3, 0, 1):
        viewer.dims.set_current_step(0, frame)
    shows(dock, 1)
    assert dock.shown.annotated
    qtbot.waitUntil(lambda: dock.movie.done == 4 and not dock.movie.busy)
    for frame in (3, 0, 2):
        viewer.dims.set_current_step(0, frame)
        assert np.array_equal(dock.display.overlay.image, dock.movie.reviews[frame].overlay), "drawn with the frame"


def test_annotation_makes_room_for_its_review_until_someone_selects_it(
    qtbot, viewer, open_dock, movie, expert, run_folder, click, shows
):
    dock = open_dock(movie, expert, run_folder)
    layer = viewer.layers["annotation"]
    click(dock.controls.button)
    shows(dock, 0)
    assert not layer.visible
    viewer.layers.selection.active = viewer.layers[0]
    qtbot.wait(20)
    viewer.layers.selection.active = layer
    qtbot.waitUntil(lambda: layer.visible)
    dock.controls.what["source"].value = "elsewhere"
    click(dock.controls.button)
    assert layer.visible


def test_no_annotation_lies_among_the_colours_of_a_review(
    qtbot, viewer, open_dock, movie, annotation, run_folder, click, shows
):
    dock = open_dock(movie, annotation, run_folder)
    data, about, _ = annotation_layer(annotation, movie.frame_time, name="another expert")
    viewer.add_labels(data, **about)
    both = [viewer.layers["annotation"], viewer.layers["another expert"]]
    click(dock.controls.button)
    shows(dock, 0)
    assert not any(layer.visible for layer in both)
    viewer.layers.selection.active = viewer.layers[0]
    qtbot.wait(20)
    viewer.layers.selection.active = both[1]
    qtbot.waitUntil(lambda: [layer.visible for layer in both] == [False, True])
    dock.controls.what["source"].value = "elsewhere"
    assert all(layer.visible for layer in both)


def test_threshold_acts_on_what_is_predicted_already(qtbot, viewer, dock, click, shows):
    viewer.dims.set_current_step(0, 3)
    click(dock.controls.button)
    shows(dock, 3)
    found = []
    for threshold in (0.95, 0.05):
        dock.controls.level["threshold"].value = threshold
        qtbot.waitUntil(lambda: set(dock.shown.thresholds) == {threshold})  # noqa: B023 (called at once)
        assert dock.shown.seconds == 0
        assert np.array_equal(dock.display.overlay.image, dock.shown.overlay)
        found.append(np.count_nonzero(dock.display.overlay.image))
    assert found[0] < found[1]
    assert not dock.controls.level["own_threshold"].value


def test_painting_renews_the_review(qtbot, viewer, dock, annotation, click, shows):
    labels = viewer.layers["annotation"]
    labels.data = labels.data.copy()
    click(dock.controls.button)
    shows(dock, 0)
    missed = dock.shown.total.fn
    labels.brush_size = 6
    y, x = next((y, x) for y in range(8, 120, 4) for x in range(8, 120, 4) if not _near(dock.shown.overlay, y, x))
    labels.paint((0, y, x), 1)
    qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.total.fn == missed + 1)


def _near(overlay, y, x):
    return overlay[y - 8 : y + 9, x - 8 : x + 9].any()


def test_foreign_folder_is_a_notification_that_says_what_to_do(qtbot, dock, tmp_path, click):
    for path in (tmp_path / "nowhere", tmp_path):
        dock.controls.what["source"].value = path
        click(dock.controls.button)
        qtbot.waitUntil(lambda: "search.json" in dock.controls.status.text())
    messages = [str(record.message) for record in notification_manager.records]
    assert len(messages) == 2
    assert all(message.startswith("Expected a run folder") for message in messages)
    assert not any("Traceback" in message for message in messages)


def test_missing_folder_and_missing_movie_are_asked_for(viewer, dock, click):
    dock.controls.what["source"].line_edit.value = ""
    click(dock.controls.button)
    assert "folder of a run" in dock.controls.status.text()
    viewer.layers.clear()
    click(dock.controls.button)
    assert "movie" in dock.controls.status.text()


def test_dropped_folder_is_taken(dock, tmp_path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    dock.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, buttons, keys))
    assert dock.controls.what["source"].value == tmp_path


def test_layers_may_go_and_be_renamed_under_the_dock(qtbot, viewer, dock, click, shows):
    click(dock.controls.button)
    shows(dock, 0)
    viewer.layers[0].name = "renamed"
    assert "renamed" in [str(choice) for choice in dock.controls.what["movie"].choices]
    viewer.layers.remove("annotation")
    qtbot.waitUntil(lambda: dock.shown is not None and not dock.shown.annotated)
    assert dock.controls.what["annotation"].value is None
    viewer.layers.remove("review")
    assert "removed" in dock.controls.status.text()
    click(dock.controls.button)
    shows(dock, 0)
    assert "review" in viewer.layers
    viewer.layers.remove("renamed")
    assert dock.controls.what["movie"].value is None
    assert not notification_manager.records


def test_movie_may_go_while_its_frame_is_predicted(qtbot, viewer, dock, click):
    click(dock.controls.button)
    viewer.layers.remove(viewer.layers[0].name)
    qtbot.waitUntil(lambda: not dock.movie.busy)
    assert dock.shown is None
    assert not notification_manager.records


def test_closed_dock_leaves_nothing_behind_that_answers(qtbot, viewer, dock, click, shows):
    click(dock.controls.button)
    shows(dock, 0)
    viewer.window.remove_dock_widget("all")
    viewer.dims.set_current_step(0, 1)
    qtbot.wait(300)
    assert not notification_manager.records


def test_nothing_in_the_dock_is_cut(qtbot, viewer, dock, tmp_path, click, shows):
    click(dock.controls.button)
    shows(dock, 0)
    for theme in ("dark", "light"):
        viewer.theme = theme
        qtbot.wait(50)
        assert dock.width() <= 360
        for part in [*dock.findChildren(QPushButton), *dock.findChildren(QLabel)]:
            if part.isVisible() and not (isinstance(part, QLabel) and (part.wordWrap() or not part.text())):
                assert part.sizeHint().width() <= part.width(), part.text()
        body = dock.controls.widget()
        assert body.minimumSizeHint().width() <= dock.controls.viewport().width()
        dock.controls.more.expand()
        qtbot.wait(50)
        assert body.minimumSizeHint().width() <= dock.controls.viewport().width()
        dock.grab().save(str(tmp_path / f"{theme}.png"))


def test_review_opens_from_code(viewer, movie, annotation, run_folder, shows):
    dock = open_review(movie, annotation, run_folder, frame=1, viewer=viewer, block=False)
    shows(dock, 1)
    assert [layer.name for layer in viewer.layers] == [movie.name, "annotation", "review"]
    assert napari.current_viewer() is viewer or dock.viewer == viewer


@pytest.fixture
def two_experts(annotation):
    """Another expert's annotation, who marks bright defects only, and that which the run learned from."""
    labels = annotation.labels.copy()
    labels[labels == 1] = 0
    other = Annotation(labels, annotation.classes, annotation.status, None, annotation.pixel_size)
    return other, Annotation(
        annotation.labels.copy(), annotation.classes, annotation.status, None, annotation.pixel_size
    )


def test_of_two_annotations_that_which_the_run_learned_from_is_taken(
    viewer, open_dock, movie, two_experts, run_folder, click, shows
):
    for expert, name in zip(two_experts, ("other", "learned from"), strict=True):
        data, about, _ = annotation_layer(expert, movie.frame_time, name=name)
        viewer.add_labels(data, **about)
    dock = open_dock(movie, None, run_folder)
    click(dock.controls.button)
    shows(dock, 0)
    assert dock.inputs.annotation.name == "learned from"
    assert not notification_manager.records
    dock.controls.what["annotation"].value = viewer.layers["other"]
    dock.predict()
    assert dock.inputs.annotation.name == "other"  # a person may choose
    assert "is not what tiny.menndl learned from" in str(notification_manager.records[-1].message)


def test_where_that_annotation_is_not_open_the_labels_that_the_run_kept_are_taken(
    viewer, open_dock, movie, annotation, two_experts, run_folder, click, shows
):
    dock = open_dock(movie, two_experts[0], run_folder)
    click(dock.controls.button)
    shows(dock, 0)
    assert "is not open" in str(notification_manager.records[-1].message)
    assert dock.inputs.annotation.name == "tiny.menndl learned from"
    assert np.array_equal(dock.inputs.annotation.data[0], annotation.labels[0])
    assert dock.shown.annotated


def test_next_says_to_go_on_only_where_something_was_reviewed(qtbot, open_dock, movie, run_folder, tmp_path, click):
    (tmp_path / "empty.menndl").mkdir()
    dock = open_dock(movie, None, tmp_path / "empty.menndl")
    click(dock.controls.button)
    qtbot.waitUntil(lambda: dock.hint == messages.FAILED)
    dock.controls.what["source"].value = run_folder
    assert dock.hint == messages.GO
    click(dock.controls.button)
    qtbot.waitUntil(lambda: dock.hint == messages.ALONE)


def test_an_annotation_of_another_movie_is_neither_suggested_nor_compared(
    qtbot, viewer, open_dock, movie, annotation, run_folder, click, shows
):
    theirs = Annotation(annotation.labels.copy(), annotation.classes, annotation.status)
    theirs.note(open_movie(np.asarray(movie.frames)[:, ::-1]))
    dock = open_dock(movie, theirs, run_folder)
    assert dock.inputs.annotation is None
    dock.controls.what["annotation"].value = viewer.layers["annotation"]
    click(dock.controls.button)
    shows(dock, 0)
    assert not dock.shown.annotated
    qtbot.waitUntil(
        lambda: any("another one than was annotated" in str(one.message) for one in notification_manager.records)
    )
