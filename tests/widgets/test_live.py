"""The dock "Live review" in a real napari window, while frames are being written."""

import threading
import time

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QLabel, QLineEdit, QPushButton

from napari_menndl.api import open_run
from napari_menndl.errors import InputError
from napari_menndl.metrics.defect_table import DEFECT_COLUMNS
from napari_menndl.predict.live import LivePredictor
from napari_menndl.widgets.frames_layer import outlined
from napari_menndl.widgets.live.feed import NewFrame
from napari_menndl.widgets.live.frames import LiveFrames
from napari_menndl.widgets.live.panel import FOLLOW, STOP
from napari_menndl.widgets.live.predicting import open_live


@pytest.fixture
def dock(viewer, run_folder):
    """The run's network chosen, and nothing to follow yet."""
    _, dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Live review")
    dock.form["network"].value = run_folder
    dock.form["pixel_size"].value = 0.05
    dock.form["existing"].value = False
    dock.form["newest"].value = True
    dock.form["source"].line_edit.value = ""
    dock.form["tables"].line_edit.value = ""
    notification_manager.records.clear()
    yield dock
    dock.stop()


@pytest.fixture
def series(tmp_path):
    path = tmp_path / "series"
    path.mkdir()
    return path


def write(series, movie, t, name=None):
    tifffile.imwrite(series / f"{t if name is None else name}.tif", movie.frame(t))


def click(qtbot, dock):
    qtbot.mouseClick(dock.button, Qt.MouseButton.LeftButton)


def start(qtbot, dock, source=None):
    if source is not None:
        dock.form["source"].value = source
    click(qtbot, dock)
    assert dock.button.text() == STOP
    qtbot.waitUntil(lambda: dock.following)
    qtbot.wait(250)  # the source has been looked at


def predicted(qtbot, dock, *numbers):
    qtbot.waitUntil(lambda: set(dock.frames.counts) >= set(numbers))


def errors():
    return [str(record.message) for record in notification_manager.records if str(record.severity) != "info"]


def test_every_new_image_is_overlaid_as_it_arrives(qtbot, viewer, dock, series, movie, run_folder):
    write(series, movie, 0)
    start(qtbot, dock, series)
    network = open_run(run_folder).best
    for t in (1, 2, 3):
        write(series, movie, t)
        predicted(qtbot, dock, t)
        qtbot.waitUntil(lambda: dock.view.frame(dock._newest) == t)  # noqa: B023 (called at once)
        expected = LivePredictor(lambda: network).predict(t, movie.frame(t), (0.05, 0.05))
        assert np.array_equal(dock.view.overlay.image, outlined(expected.labels))
        assert dock.frames.counts[t] == expected.counts
        assert f"Frame {t}:" in dock.status.text()
        assert "after it appeared" in dock.status.text()
    assert 0 not in dock.frames.counts
    layer = viewer.layers["live: series"]
    assert layer.data.shape == (4, 128, 128)
    assert np.array_equal(np.asarray(layer.data[2]), movie.frame(2))
    assert all(0 <= latency < 20 for latency in dock.frames.latencies)
    assert not errors()


def test_the_defects_found_so_far_become_a_layer_of_points(qtbot, viewer, dock, series, movie):
    start(qtbot, dock, series)
    assert not dock.points.isEnabled()
    for t in range(2):
        write(series, movie, t)
        predicted(qtbot, dock, t)
    qtbot.mouseClick(dock.points, Qt.MouseButton.LeftButton)
    layer, table = viewer.layers["live: series defects"], dock.frames.table
    assert len(table) == sum(sum(counts.values()) for counts in dock.frames.counts.values()) > 0
    assert np.array_equal(layer.data, table[["frame", "y", "x"]])
    assert tuple(layer.features) == DEFECT_COLUMNS
    assert table["agreement"].between(0, 1).all()
    assert np.allclose(layer.scale, viewer.layers["live: series"].scale)


def test_a_fast_answer_says_how_many_networks_predicted(qtbot, dock, series, movie, run_folder):
    members = len(open_run(run_folder).best.members)
    dock.form["fast"].value = True
    start(qtbot, dock, series)
    for t in range(2):
        write(series, movie, t)
        predicted(qtbot, dock, t)
        qtbot.waitUntil(lambda: f"Frame {t}:" in dock.status.text())  # noqa: B023 (called at once)
        assert (f"({members} networks: " in dock.status.text()) == (t == 0)
    assert f" of {members} networks: " in dock.status.text()
    dock.form["fast"].value = False


def test_source_may_be_a_growing_tiff_or_zarr(qtbot, dock, tmp_path, movie):
    for path in (tmp_path / "grows.tif", tmp_path / "grows.zarr"):
        start(qtbot, dock, path)
        for t in range(2):
            if path.suffix == ".tif":
                tifffile.imwrite(path, movie.frame(t), append=t > 0, metadata=None)
            else:
                if t == 0:
                    zarr.create_array(str(path), shape=(0, 128, 128), chunks=(1, 128, 128), dtype="f4")
                array = zarr.open_array(str(path), mode="r+")
                array.resize((t + 1, 128, 128))
                array[t] = movie.frame(t)
            predicted(qtbot, dock, t)
        click(qtbot, dock)
        assert not dock.following
    assert not errors()


def test_defects_are_written_to_tables_of_their_own_each_time_when_asked(qtbot, dock, series, movie, tmp_path):
    write(series, movie, 0)
    dock.form["tables"].value = tmp_path / "tables"
    start(qtbot, dock, series)
    for t in (1, 2):
        write(series, movie, t)
        predicted(qtbot, dock, t)
    click(qtbot, dock)
    (folder,) = (tmp_path / "tables").iterdir()
    assert folder.name.startswith("series 20")
    frames, defects = pd.read_csv(folder / "frames.csv"), pd.read_csv(folder / "defects.csv")
    assert list(frames["frame"]) == [1, 2]
    for t in (1, 2):
        assert sum(dock.frames.counts[t].values()) == (defects["frame"] == t).sum()
    assert not errors()


def test_frames_there_already_are_predicted_when_asked(qtbot, dock, series, movie):
    for t in range(3):
        write(series, movie, t)
    dock.form["existing"].value = True
    start(qtbot, dock, series)
    predicted(qtbot, dock, 0, 1, 2)
    numbers, curves = dock.frames.curves()
    assert numbers == [0, 1, 2]
    assert set(curves) == {"dark", "bright"}


def test_frames_added_to_a_layer_are_predicted(qtbot, viewer, dock, movie):
    data = np.asarray(movie.frames)
    layer = viewer.add_image(data[:1], name="camera", scale=(1, 0.05, 0.05), units=("pixel", "nm", "nm"))
    dock.form["pixel_size"].value = 0
    dock.form["layer"].value = layer
    start(qtbot, dock)
    for t in (2, 3):
        layer.data = data[: t + 1]
        predicted(qtbot, dock, t)
    assert sorted(dock.frames.counts) == [1, 2, 3]
    assert viewer.dims.current_step[0] == 3
    assert dock.view.overlay.image.any()


def test_single_image_that_changes_is_predicted_each_time(qtbot, viewer, dock, movie):
    layer = viewer.add_image(movie.frame(0), name="camera")
    dock.form["layer"].value = layer
    start(qtbot, dock)
    for n, t in enumerate((1, 2)):
        layer.data = movie.frame(t)
        predicted(qtbot, dock, n)
    assert np.array_equal(dock.view.overlay.image, outlined(dock.frames.labels[1].unpack()))


def test_frames_that_come_too_fast_are_said_and_predicted_in_the_next_pause(qtbot, dock, series, movie):
    start(qtbot, dock, series)
    said = []
    for n in range(12):
        write(series, movie, n % 4, name=n)
    qtbot.waitUntil(lambda: said.append(dock.behind.text()) or len(dock.frames.counts) == 12)
    assert any("come faster than the network predicts" in text for text in said)
    assert dock.behind.text() == ""
    assert not dock.frames.waiting


def test_newest_frame_is_predicted_first():
    frames = LiveFrames()
    for number in (0, 1, 2, 1):
        frames.add(NewFrame(number, 0.0))
    assert [frames.waiting.pop().number for _ in range(3)] == [1, 2, 0]


def test_overlay_is_that_of_the_frame_in_view(qtbot, viewer, dock, series, movie):
    start(qtbot, dock, series)
    for t in range(3):
        write(series, movie, t)
        predicted(qtbot, dock, t)
    for t in (0, 2, 1):
        viewer.dims.set_current_step(0, t)
        assert np.array_equal(dock.view.overlay.image, outlined(dock.frames.labels[t].unpack()))
    dock.form["newest"].value = False
    write(series, movie, 3)
    predicted(qtbot, dock, 3)
    assert viewer.dims.current_step[0] == 1
    assert np.array_equal(dock.view.overlay.image, outlined(dock.frames.labels[1].unpack()))


def test_click_on_the_plot_goes_to_that_frame(qtbot, viewer, dock, series, movie):
    start(qtbot, dock, series)
    for t in range(4):
        write(series, movie, t)
        predicted(qtbot, dock, t)
    qtbot.wait(100)
    plot = dock.plot
    place = plot.mapFromScene(plot.getPlotItem().vb.mapViewToScene(QPointF(1.0, 0.5)))
    qtbot.mousePress(plot.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(int(place.x()), int(place.y())))
    assert viewer.dims.current_step[0] == 1


def test_source_that_vanishes_and_images_of_another_size_are_said(qtbot, dock, series, movie):
    start(qtbot, dock, series)
    write(series, movie, 0)
    predicted(qtbot, dock, 0)
    tifffile.imwrite(series / "1.tif", movie.frame(1)[:50])
    qtbot.waitUntil(lambda: "unlike the others" in dock.notice.text())
    series.rename(series.with_name("away"))
    qtbot.waitUntil(lambda: "not there" in dock.notice.text())
    series.with_name("away").rename(series)
    write(series, movie, 2)
    predicted(qtbot, dock, 2)


def test_frames_wait_until_someone_says_how_large_a_pixel_is(qtbot, dock, series, movie):
    dock.form["pixel_size"].value = 0
    start(qtbot, dock, series)
    for t in range(2):
        write(series, movie, t)
    qtbot.waitUntil(lambda: dock.pixel_size.isVisible())
    assert "0.05" in dock.pixel_size.text.text()
    assert "say how large a pixel is" in dock.status.text()
    dock.pixel_size.field.setValue(0.05)
    dock.pixel_size.use.click()
    predicted(qtbot, dock, 0, 1)
    assert dock.form["pixel_size"].value == 0.05
    assert not dock.pixel_size.isVisible()
    assert tuple(dock.view.layer.scale[-2:]) == pytest.approx((0.05, 0.05))


def test_the_pixel_size_is_taken_to_a_ten_thousandth(dock):
    for size in (0.0106, 0.025, 0.03125):
        dock.form["pixel_size"].value = size
        assert dock.settings.pixel_size == size


def test_frames_are_taken_as_they_are_where_someone_says_so(qtbot, dock, series, movie):
    dock.form["pixel_size"].value = 0
    start(qtbot, dock, series)
    write(series, movie, 0)
    qtbot.waitUntil(lambda: dock.pixel_size.isVisible())
    dock.pixel_size.as_it_is.click()
    predicted(qtbot, dock, 0)
    assert "as it is" in dock.pixel_size.text.text()
    dock.stop()
    start(qtbot, dock, series)  # and is not asked again
    write(series, movie, 1)
    predicted(qtbot, dock, 1)


@pytest.mark.parametrize("missing", ["network", "source", "folder", "kind"])
def test_what_is_missing_is_asked_for(qtbot, dock, tmp_path, missing):
    dock.form["source"].value = tmp_path / "series"
    if missing in ("network", "source"):
        dock.form[missing].line_edit.value = ""
    elif missing == "folder":
        dock.form["source"].value = tmp_path / "no" / "series"
    else:
        (tmp_path / "movie.dm4").write_bytes(b"1")
        dock.form["source"].value = tmp_path / "movie.dm4"
    click(qtbot, dock)
    qtbot.waitUntil(lambda: len(errors()) == 1)
    assert dock.button.text() == FOLLOW
    assert "Expected" in dock.status.text()


def test_saved_network_can_be_followed_with(qtbot, dock, series, movie, run_folder, tmp_path):
    path = open_run(run_folder).best.save(tmp_path / "best.safetensors")
    dock.form["network"].value = path
    start(qtbot, dock, series)
    write(series, movie, 0)
    predicted(qtbot, dock, 0)


def test_better_network_of_a_run_is_taken_up(run_folder, movie, monkeypatch):
    monkeypatch.setattr("napari_menndl.predict.live.RENEWAL", 0.0)
    live = open_live((run_folder, False))
    first = live.network
    live.predict(0, movie.frame(0), (0.05, 0.05))
    assert live.network is first
    with open_run(run_folder).folder.journal_path.open("ab") as journal:
        journal.write(b"{")  # the beginning of a line that a search is writing
    live.predict(0, movie.frame(0), (0.05, 0.05))
    assert live.network is not first
    assert live.network.digest == first.digest


def test_frame_that_is_not_finite_is_said_and_the_next_one_predicted(qtbot, dock, series, movie):
    start(qtbot, dock, series)
    tifffile.imwrite(series / "0.tif", np.full((128, 128), np.nan, np.float32))
    qtbot.waitUntil(lambda: "finite" in dock.status.text())
    write(series, movie, 1)
    predicted(qtbot, dock, 1)


def test_layers_may_be_removed_while_frames_arrive(qtbot, viewer, dock, series, movie):
    start(qtbot, dock, series)
    write(series, movie, 0)
    predicted(qtbot, dock, 0)
    viewer.layers.remove("live prediction")
    write(series, movie, 1)
    predicted(qtbot, dock, 1)
    assert "live prediction" in viewer.layers
    viewer.layers.remove("live: series")
    assert not dock.following
    assert "removed" in dock.status.text()
    assert not errors()


def test_closed_dock_follows_no_more(qtbot, viewer, dock, series, movie):
    start(qtbot, dock, series)
    viewer.window.remove_dock_widget("all")
    qtbot.waitUntil(lambda: not [t for t in threading.enumerate() if t.name == "menndl-follow"])


def test_key_begins_and_ends_following(qtbot, viewer, dock, series):
    dock.form["source"].value = series
    canvas = viewer.window._qt_viewer.canvas.native
    qtbot.keyClick(canvas, Qt.Key.Key_F, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: dock.following)
    qtbot.keyClick(canvas, Qt.Key.Key_F, Qt.KeyboardModifier.ShiftModifier)
    assert not dock.following


def test_dropped_run_is_the_network_and_any_other_path_the_source(dock, series, run_folder):
    dock.form["network"].line_edit.value = ""
    for path in (run_folder, series):
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path))])
        buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        dock.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, buttons, keys))
    assert (dock.form["network"].value, dock.form["source"].value) == (run_folder, series)


def test_what_was_followed_is_there_at_the_next_start(qtbot, viewer, dock, series, make_napari_viewer):
    start(qtbot, dock, series)
    click(qtbot, dock)
    _, again = make_napari_viewer().window.add_plugin_dock_widget("napari-menndl", "Live review")
    assert again.settings.source == series
    assert again.settings.pixel_size == 0.05


def test_nothing_in_the_dock_is_cut(qtbot, viewer, dock, series, movie, tmp_path):
    start(qtbot, dock, series)
    for t in range(4):
        write(series, movie, t)
        predicted(qtbot, dock, t)
        time.sleep(0.05)
    for theme in ("dark", "light"):
        viewer.theme = theme
        qtbot.wait(200)
        for part in [*dock.findChildren(QPushButton), *dock.findChildren(QLabel)]:
            if part.isVisible() and not (isinstance(part, QLabel) and (part.wordWrap() or not part.text())):
                assert part.sizeHint().width() <= part.width(), part.text()
        viewer.window.screenshot(str(tmp_path / f"window-{theme}.png"), flash=False, canvas_only=False)


def test_error_names_the_field_in_which_the_pixel_size_is_given(run_folder, movie):
    with pytest.raises(InputError, match="pixel size"):
        open_live((run_folder, False)).predict(0, movie.frame(0))


def test_folders_and_files_can_be_chosen_from_a_menu(qtbot, dock, tmp_path):
    path = tmp_path / "grows.tif"
    path.write_bytes(b"II*\0")
    _, file = dock.menus[1].actions()

    def choose():
        (dialog,) = [w for w in QApplication.topLevelWidgets() if isinstance(w, QFileDialog) and w.isVisible()]
        dialog.findChild(QLineEdit).setText(str(path))
        qtbot.keyClick(dialog.findChild(QLineEdit), Qt.Key.Key_Return)

    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    QTimer.singleShot(300, choose)
    file.trigger()
    assert dock.settings.source == path
