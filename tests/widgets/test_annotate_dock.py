"""The dock "Annotate defects" in a real napari window: painted, clicked and typed at."""

import numpy as np
import pytest
from mouse import stroke
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QApplication,
    QComboBox,
    QHeaderView,
    QLabel,
    QMessageBox,
    QPushButton,
    QScrollBar,
)
from scipy import ndimage

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.movie.writing import write_movie
from napari_menndl.simulation.simulate import simulate_movie
from napari_menndl.widgets.annotate.dock import AnnotateDefects

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """napari's folder of user data is a person's; not the tests'."""
    monkeypatch.setenv("NAPARI_MENNDL_DATA", str(tmp_path / "user"))


@pytest.fixture
def path(movie, tmp_path):
    write_movie(movie, tmp_path / "blobs.tif")
    return tmp_path / "blobs.tif"


def add_dock(viewer):
    _, dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Annotate defects")
    return dock


@pytest.fixture
def dock(viewer, path):
    viewer.open(path, plugin="napari-menndl")
    viewer.dims.set_current_step(0, 0)
    dock = add_dock(viewer)
    notification_manager.records.clear()
    return dock


@pytest.fixture
def begun(qtbot, dock):
    """An annotation begun with a click."""
    click(qtbot, dock.choice.new)
    return dock


def click(qtbot, button):
    qtbot.mouseClick(button, LEFT)
    QApplication.processEvents()


def key(qtbot, viewer, *args):
    qtbot.keyClick(viewer.window._qt_viewer.canvas.native, *args)
    QApplication.processEvents()


def unfold(qtbot, dock, title):
    section = dock.panel.sections[title]
    click(qtbot, section.toggleButton())
    qtbot.waitUntil(lambda: section.isExpanded() and section.content().height() > 20)


def on_disk(dock):
    return Annotation.open(dock.annotation.path)


def shown_counts(qtbot, dock, **counts):
    qtbot.waitUntil(lambda: dock.panel.classes.model.counts == counts)


def test_strokes_are_on_disk_when_the_mouse_is_released(qtbot, viewer, begun, path):
    assert begun.annotation.path == path.with_name("blobs.annotation.zarr")
    layer = begun.annotation_layer
    stroke(viewer, layer, (40, 40), (40, 50))
    painted = on_disk(begun).frame(0)
    assert painted[40, 40] == painted[40, 50] == 1
    assert str(on_disk(begun).status[0]) == "in progress"
    shown_counts(qtbot, begun, defect=1)
    assert len(list((begun.annotation.path / "history").glob("*.npz"))) == 1


def test_undo_and_redo_reach_strokes_from_before_napari_was_closed(qtbot, viewer, begun, path, make_napari_viewer):
    for y in (30, 60):
        stroke(viewer, begun.annotation_layer, (y, 40))
    viewer.close()
    second = make_napari_viewer(show=True)
    second.open(path, plugin="napari-menndl")
    dock = add_dock(second)
    assert "blobs.annotation.zarr" in dock.choice.offer.text()
    assert "Continue" in dock.hint
    click(qtbot, dock.choice.offer)
    assert dock.annotation.counts(0) == {"defect": 2}
    click(qtbot, dock.panel.undo)
    assert on_disk(dock).counts(0) == {"defect": 1}
    assert second.dims.current_step[0] == 0
    key(qtbot, second, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert on_disk(dock).counts(0) == {"defect": 0}
    assert not dock.panel.undo.isEnabled()
    key(qtbot, second, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    click(qtbot, dock.panel.redo)
    assert on_disk(dock).counts(0) == {"defect": 2}
    assert not notification_manager.records


def test_bucket_is_undone_like_a_brush(qtbot, viewer, begun):
    stroke(viewer, begun.annotation_layer, (40, 40))
    begun.annotation_layer.mode = "fill"
    stroke(viewer, begun.annotation_layer, (90, 90))
    assert on_disk(begun).frame(0).all()
    click(qtbot, begun.panel.undo)
    assert not on_disk(begun).frame(0)[90, 90]
    assert on_disk(begun).frame(0)[40, 40]


def test_digit_keys_choose_the_class(qtbot, viewer, begun):
    click(qtbot, begun.panel.classes.add)
    layer, table = begun.annotation_layer, begun.panel.classes
    for digit, value in ((Qt.Key.Key_1, 1), (Qt.Key.Key_2, 2)):
        layer.mode = "pan_zoom"
        key(qtbot, viewer, digit)
        assert (layer.selected_label, table.row, str(layer.mode)) == (value, value - 1, "paint")
    key(qtbot, viewer, Qt.Key.Key_9)
    assert layer.selected_label == 2
    stroke(viewer, layer, (40, 40))
    assert on_disk(begun).frame(0)[40, 40] == 2


def test_row_that_is_clicked_is_the_class_that_is_painted(qtbot, viewer, begun):
    click(qtbot, begun.panel.classes.add)
    view, model = begun.panel.classes.view, begun.panel.classes.model
    for row in (0, 1, 0):
        qtbot.mouseClick(view.viewport(), LEFT, pos=view.visualRect(model.index(row, 0)).center())
        assert begun.annotation_layer.selected_label == row + 1


def test_class_is_renamed_in_the_table_and_a_taken_name_is_refused(qtbot, begun):
    click(qtbot, begun.panel.classes.add)
    model = begun.panel.classes.model
    assert model.setData(model.index(0, 2), "S vacancy")
    assert on_disk(begun).class_names == ("S vacancy", "class 2")
    assert not model.setData(model.index(1, 2), "S vacancy")
    assert "S vacancy" in str(notification_manager.records[-1].message)


def test_class_is_deleted_with_its_labels_after_a_warning(qtbot, viewer, begun, monkeypatch):
    click(qtbot, begun.panel.classes.add)
    for value, y in ((1, 30), (2, 60)):
        begun.annotation_layer.selected_label = value
        stroke(viewer, begun.annotation_layer, (y, 40))
    begun.panel.classes.select(1)
    asked = []
    for answer in (QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.Ok):
        monkeypatch.setattr(QMessageBox, "warning", lambda *args, a=answer: asked.append(args[2]) or a)
        click(qtbot, begun.panel.classes.delete)
        kept = answer == QMessageBox.StandardButton.Cancel
        assert on_disk(begun).counts(0) == ({"defect": 1, "class 2": 1} if kept else {"class 2": 1})
    assert all("'defect'" in text and "1 frame" in text for text in asked)
    assert begun.annotation_layer.data is begun.annotation.labels
    stroke(viewer, begun.annotation_layer, (90, 40))
    assert on_disk(begun).frame(0)[90, 40] == 1


def test_status_follows_buttons_and_keys_and_empty_is_not_untouched(qtbot, viewer, begun):
    frames = begun.panel.frames
    key(qtbot, viewer, Qt.Key.Key_C, Qt.KeyboardModifier.ShiftModifier)
    assert on_disk(begun).known(0).all()
    assert "1 of 4 complete" in frames.title.text()
    key(qtbot, viewer, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    assert begun.frame == 1
    click(qtbot, frames.buttons["complete"])
    click(qtbot, frames.next)
    assert begun.frame == 2
    assert [str(s) for s in on_disk(begun).status] == ["complete", "complete", "untouched", "untouched"]
    assert not on_disk(begun).known(2).any()
    qtbot.mouseClick(frames.view.viewport(), LEFT, pos=frames.view.visualRect(frames.model.index(0)).center())
    assert begun.frame == 0
    key(qtbot, viewer, Qt.Key.Key_C, Qt.KeyboardModifier.ShiftModifier)
    assert str(on_disk(begun).status[0]) == "in progress"


def test_dragged_rectangle_becomes_a_region_and_comes_back(qtbot, viewer, begun, path, make_napari_viewer):
    click(qtbot, begun.panel.tools["region"])
    stroke(viewer, begun.annotation_layer, (20, 30), (50, 60), (70, 90))
    (region,) = on_disk(begun).regions[0]
    assert np.abs(np.array(region) - (20, 30, 70, 90)).max() <= 2
    assert not notification_manager.records
    viewer.close()
    second = make_napari_viewer(show=True)
    second.open(path, plugin="napari-menndl")
    dock = add_dock(second)
    click(qtbot, dock.choice.offer)
    assert len(dock.regions.layer.data) == 1
    dock.regions.layer.selected_data = {0}
    dock.regions.layer.remove_selected()
    assert on_disk(dock).regions == {}


def test_clicked_points_become_discs_and_come_back_to_be_moved(qtbot, viewer, begun):
    click(qtbot, begun.panel.classes.add)
    begun.panel.click_form["radius"].value = 0.2
    click(qtbot, begun.panel.tools["points"])
    for pixel in ((30, 30), (60, 60), (90, 30)):
        stroke(viewer, begun.annotation_layer, pixel)
    click(qtbot, begun.panel.to_discs)
    assert on_disk(begun).counts(0) == {"defect": 0, "class 2": 3}
    area = np.count_nonzero(on_disk(begun).frame(0)) / 3
    assert area == pytest.approx(np.pi * 4**2, rel=0.1)  # 0.2 nm are 4 px
    assert begun.clicks.layer is None
    click(qtbot, begun.panel.to_points)
    points = begun.clicks.layer
    assert len(points.data) == 3
    points.selected_data = {0}
    points.remove_selected()
    click(qtbot, begun.panel.to_discs)
    assert on_disk(begun).counts(0) == {"defect": 0, "class 2": 2}
    click(qtbot, begun.panel.undo)
    assert on_disk(begun).counts(0) == {"defect": 0, "class 2": 3}


def test_any_points_layer_over_the_movie_can_be_turned_into_discs(qtbot, viewer, begun):
    movie = begun.movie_layer
    place = {"scale": movie.scale[-2:], "units": movie.units[-2:], "axis_labels": movie.axis_labels[-2:]}
    unfold(qtbot, begun, "Points")
    viewer.add_points(np.array([[30.0, 40.0], [90.0, 90.0]]), **place)
    assert "no discs yet" in begun.hint
    begun.complete()
    assert "no discs yet" in str(notification_manager.records[-1].message)
    click(qtbot, begun.panel.to_discs)
    assert on_disk(begun).counts(0) == {"defect": 2}
    assert "no discs yet" not in begun.hint
    viewer.add_points(np.array([[300.0, 40.0]]), **place)
    click(qtbot, begun.panel.to_discs)
    assert "1 outside" in str(notification_manager.records[-1].message)


def test_fourier_helper_previews_tunes_and_marks(qtbot, viewer, begun, annotation):
    labels = (annotation.frame(0) == 2).astype(np.uint8)
    begun.annotation.paint(0, labels)
    begun.complete()
    helper = begun.panel.fourier
    unfold(qtbot, begun, "Fourier helper")
    click(qtbot, helper.tune_button)
    assert helper.bar.isVisible()
    qtbot.waitUntil(lambda: helper.proposed is not None)
    assert not helper.bar.isVisible()
    outlined = [helper.proposed[2].sum()]
    helper.form["threshold"].value = helper.form["threshold"].value + 1
    qtbot.waitUntil(lambda: helper.proposed[1].threshold == helper.form["threshold"].value)
    outlined.append(helper.proposed[2].sum())
    assert outlined[1] < outlined[0]
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: helper.proposed is not None and helper.proposed[0].frame == 2)
    shown = viewer.layers["Fourier proposal"].data[2] > 0
    assert shown.any()
    assert np.array_equal(ndimage.binary_fill_holes(shown) & helper.proposed[2], helper.proposed[2])
    click(qtbot, helper.accept_button)
    assert on_disk(begun).counts(2)["defect"] > 0
    assert "Fourier proposal" not in viewer.layers
    click(qtbot, begun.panel.undo)
    assert on_disk(begun).counts(2) == {"defect": 0}
    assert not notification_manager.records


def test_column_helper_is_tuned_to_one_frame_and_marks_another(qtbot, viewer, tmp_path):
    simulated = simulate_movie(frames=2, shape=(192, 192), snr=5.0, area_seed=5)
    write_movie(simulated.movie, tmp_path / "ws2.tif")
    viewer.open(tmp_path / "ws2.tif", plugin="napari-menndl")
    viewer.dims.set_current_step(0, 0)
    dock = add_dock(viewer)
    click(qtbot, dock.choice.new)
    truth = [np.asarray(labels) == 1 for labels in simulated.labels]
    dock.annotation.paint(0, truth[0].astype(np.uint8))
    dock.complete()
    helper = dock.panel.columns
    unfold(qtbot, dock, "Column helper")
    click(qtbot, helper.tune_button)
    qtbot.waitUntil(lambda: helper.proposed is not None)
    viewer.dims.set_current_step(0, 1)
    qtbot.waitUntil(lambda: helper.proposed is not None and helper.proposed[0].frame == 1)
    assert viewer.layers["Column proposal"].data[1].any()
    click(qtbot, helper.accept_button)
    marked = on_disk(dock).frame(1) == 1
    reached = ndimage.label(truth[1])[0]
    assert len(np.unique(reached[marked & (reached > 0)])) >= 0.7 * reached.max()


def test_column_helper_says_where_there_is_no_lattice(qtbot, viewer, begun):
    unfold(qtbot, begun, "Column helper")
    click(qtbot, begun.panel.columns.button)
    qtbot.waitUntil(lambda: "Bragg spots" in begun.panel.columns.status.text())
    assert "click the defects" in str(notification_manager.records[-1].message)


def test_layers_may_go_and_be_renamed_under_the_dock(qtbot, viewer, begun):
    hints = []
    begun.hint_changed.connect(hints.append)
    viewer.layers[0].name = "renamed"
    assert "renamed" in [str(choice) for choice in begun.choice.form["movie"].choices]
    viewer.layers.move(0, 2)
    stroke(viewer, begun.annotation_layer, (40, 40))
    assert on_disk(begun).counts(0) == {"defect": 1}
    # Where a labels layer goes, napari 0.9 draws what belonged to it from freed memory, which ends the process with
    # some drivers: nothing is drawn from here on.
    viewer.window._qt_viewer.canvas.native.hide()
    viewer.layers.remove(begun.annotation_layer)
    assert begun.annotation is None
    assert "Continue blobs.annotation.zarr" in begun.hint == hints[-1]
    click(qtbot, begun.choice.offer)
    assert begun.annotation.can_undo
    viewer.layers.clear()
    assert begun.movie_layer is begun.annotation is None
    assert "Open a movie" in begun.hint
    assert not notification_manager.records


def test_closed_dock_leaves_nothing_behind_that_answers(qtbot, viewer, begun):
    layer, path = begun.annotation_layer, begun.annotation.path
    viewer.window.remove_dock_widget("all")
    qtbot.wait(50)
    viewer.dims.set_current_step(0, 1)
    layer.paint((1, 40, 40), 1)
    assert Annotation.open(path).frame(1)[40, 40] == 1
    key(qtbot, viewer, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    assert not notification_manager.records


def test_nothing_in_the_dock_is_cut(qtbot, viewer, begun):
    for section in begun.panel.sections.values():
        section.expand(animate=False)
    for theme in ("dark", "light"):
        viewer.theme = theme
        qtbot.wait(50)
        assert begun.width() <= 370
        panel = begun.panel
        assert panel.widget().minimumSizeHint().width() <= panel.viewport().width()
        for part in [*begun.findChildren(QPushButton), *begun.findChildren(QLabel)]:
            if part.isVisible() and not (isinstance(part, QLabel) and part.wordWrap()):
                assert part.minimumSizeHint().width() <= part.width(), part.text()


def test_every_control_explains_itself(begun):
    kinds = (QAbstractButton, QComboBox, QAbstractSlider)
    for part in [part for kind in kinds for part in begun.findChildren(kind)]:
        inner = part.objectName().startswith("qt_") or isinstance(part, (QScrollBar, QHeaderView))
        assert inner or part.toolTip() or part.parent().toolTip() or part.parent().parent().toolTip(), part


def test_stroke_is_recorded_once_with_two_docks(viewer, begun):
    other = AnnotateDefects(viewer)
    assert other.annotation is begun.annotation
    stroke(viewer, begun.annotation_layer, (40, 40))
    assert len(list((begun.annotation.path / "history").glob("*.npz"))) == 1
    other.deleteLater()


def test_class_says_in_the_dock_how_it_is_counted(qtbot, begun):
    click(qtbot, begun.panel.classes.add)
    form, table = begun.panel.matching.form, begun.panel.classes
    table.select(1)
    form["tolerance"].value = 0.08
    table.select(2)
    assert (form["tolerance"].value, form["extended"].value) == (0.0, False)
    form["extended"].value = True
    assert not form["tolerance"].enabled
    assert [(c.extended, c.tolerance) for c in on_disk(begun).classes] == [(False, 0.08), (True, None)]
    table.select(1)
    assert form["tolerance"].value == 0.08
    assert form["tolerance"].enabled
