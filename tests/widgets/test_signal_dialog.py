"""Files with several images: a person at a window is asked which; a script gets the likely one, and it is said."""

import h5py
import numpy as np
import tifffile
import zarr
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QDialog, QDialogButtonBox

from napari_menndl.widgets.axes_dialog import AxesDialog
from napari_menndl.widgets.reader import get_reader
from napari_menndl.widgets.signal_dialog import SignalDialog

FRAMES = np.random.default_rng(0).integers(1, 4000, (4, 24, 32)).astype(np.uint16)


def hspy(path):
    """HyperSpy's groups: an overview, and two detectors at the same time."""
    file = path / "m.hspy"
    with h5py.File(file, "w") as h5:
        for name, frames in (("overview", FRAMES[0]), ("HAADF", FRAMES), ("BF", FRAMES // 2)):
            group = h5.create_group(f"Experiments/{name}")
            group["data"] = frames
            axes = [("time", 0.5, "s"), ("y", 0.02, "nm"), ("x", 0.02, "nm")][-frames.ndim :]
            for i, (axis, scale, unit) in enumerate(axes):
                navigate = frames.ndim - i > 2
                about = {"name": axis, "scale": scale, "units": unit, "navigate": navigate, "size": frames.shape[i]}
                group.create_group(f"axis-{i}").attrs.update(about)
    return file


def ome_tiff(path):
    file = path / "m.ome.tif"
    with tifffile.TiffWriter(file) as tiff:
        for name, frames in (("overview", FRAMES[0, ::2, ::2]), ("HAADF", FRAMES), ("BF", FRAMES // 2)):
            about = {"Name": name, "axes": "TYX"[-frames.ndim :], "PhysicalSizeX": 0.02, "PhysicalSizeXUnit": "nm"}
            about |= {"PhysicalSizeY": 0.02, "PhysicalSizeYUnit": "nm"}
            tiff.write(frames, metadata=about, photometric="minisblack")
    return file


def zarr_arrays(path):
    group = zarr.open_group(str(path / "m.zarr"), mode="w")
    for name, frames in (("BF", FRAMES // 2), ("HAADF", FRAMES), ("overview", FRAMES[0])):
        group.create_array(name, data=frames, chunks=(1, *frames.shape[1:]) if frames.ndim > 2 else frames.shape)
    return path / "m.zarr"


FILES = {"HyperSpy": hspy, "OME-TIFF": ome_tiff, "zarr": zarr_arrays}


def through_the_menu(viewer, path):
    """What File › Open does with the chosen path."""
    viewer.window._qt_viewer._qt_open([str(path)], stack=False, plugin="napari-menndl")


def dropped(viewer, path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    button, key = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(10, 10), Qt.DropAction.CopyAction, data, button, key)
    drop = QDropEvent(QPointF(10, 10), Qt.DropAction.CopyAction, data, button, key)
    for event in (enter, drop):
        QApplication.sendEvent(viewer.window._qt_viewer, event)


def by_a_person(qtbot, viewer, path, *acts, door=through_the_menu):
    """Open a path while the window's event loop runs, as it does for a person; each dialog gets one of `acts`."""
    errors, seen, done = [], [], []
    waiting = list(acts)

    def answer():
        if done:
            return
        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, QDialog) and dialog.isVisible():
            seen.append(type(dialog))
            waiting.pop(0)(dialog)
        QTimer.singleShot(10, answer)

    def go():
        QTimer.singleShot(10, answer)
        try:
            door(viewer, path)
        except Exception as error:
            errors.append(error)
        done.append(True)

    QTimer.singleShot(0, go)
    qtbot.waitUntil(lambda: bool(done))
    assert not errors
    assert not waiting
    return seen


def press(dialog, button):
    dialog.findChild(QDialogButtonBox).button(getattr(QDialogButtonBox.StandardButton, button)).click()


def accept(dialog):
    press(dialog, "Open")


def cancel(dialog):
    press(dialog, "Cancel")


def choose(name):
    def act(dialog):
        (row,) = dialog.list.findItems(name, Qt.MatchFlag.MatchExactly, 1)
        dialog.list.setCurrentItem(row)
        press(dialog, "Open")

    return act


def test_person_is_asked_and_gets_what_was_chosen_or_nothing(qtbot, viewer, tmp_path):
    for kind, save in FILES.items():
        folder = tmp_path / kind
        folder.mkdir()
        path = str(save(folder))
        for act, expected in (
            (accept, FRAMES),  # the likely one is chosen already
            (choose("BF"), FRAMES // 2),
            (cancel, None),
        ):
            notification_manager.records.clear()
            opened = []

            def door(viewer, path, opened=opened):
                opened.extend(get_reader(path)(path))

            assert by_a_person(qtbot, viewer, path, act, door=door) == [SignalDialog], kind
            ((frames, *_),) = opened
            assert (frames is None) == (expected is None), kind
            assert expected is None or np.array_equal(np.asarray(frames), expected), kind
            assert not notification_manager.records, kind


def test_cancel_opens_nothing_in_the_window_and_complains_of_nothing(qtbot, viewer, tmp_path):
    notification_manager.records.clear()
    by_a_person(qtbot, viewer, hspy(tmp_path), cancel)
    assert not viewer.layers
    assert not notification_manager.records


def test_every_image_is_described_and_drag_and_drop_asks_as_well(qtbot, viewer, tmp_path):
    words = []

    def look(dialog):
        rows = [dialog.list.topLevelItem(i) for i in range(dialog.list.topLevelItemCount())]
        words.extend([row.text(column) for column in range(1, 6)] for row in rows)
        words.append(dialog.list.selectedItems()[0].text(1))
        press(dialog, "Open")

    by_a_person(qtbot, viewer, hspy(tmp_path), look, door=dropped)
    assert words == [
        ["BF", "4", "24 × 32", "uint16", "0.02 nm"],
        ["HAADF", "4", "24 × 32", "uint16", "0.02 nm"],
        ["overview", "1", "24 × 32", "uint16", "0.02 nm"],
        "HAADF",
    ]
    assert viewer.layers[0].name == "m HAADF"


def test_image_of_many_axes_is_chosen_first_and_its_time_axis_next(qtbot, viewer, tmp_path):
    four = np.arange(2 * 3 * 24 * 32, dtype=np.uint16).reshape(2, 3, 24, 32)
    with tifffile.TiffWriter(tmp_path / "m.ome.tif") as tiff:
        for name, frames, axes in (("HAADF", FRAMES, "TYX"), ("focal series", four, "TZYX")):
            tiff.write(frames, metadata={"Name": name, "axes": axes}, photometric="minisblack")
    seen = by_a_person(qtbot, viewer, tmp_path / "m.ome.tif", choose("focal series"), accept)
    assert seen == [SignalDialog, AxesDialog]
    assert np.array_equal(np.asarray(viewer.layers[0].data), four[:, 0])


def test_what_is_hardly_a_movie_can_be_insisted_on(qtbot, viewer, tmp_path):
    with h5py.File(tmp_path / "m.hspy", "w") as h5:
        group = h5.create_group("Experiments/patterns")
        group["data"] = FRAMES
        for i, (axis, unit) in enumerate((("time", "s"), ("ky", "1/nm"), ("kx", "1/nm"))):
            about = {"name": axis, "scale": 0.5, "units": unit, "navigate": i == 0, "size": FRAMES.shape[i]}
            group.create_group(f"axis-{i}").attrs.update(about)

    def insist(dialog):
        assert not dialog.list.selectedItems()  # nothing of it is likely
        assert "diffraction" in dialog.list.topLevelItem(0).text(6)
        choose("patterns")(dialog)

    by_a_person(qtbot, viewer, tmp_path / "m.hspy", insist)
    assert viewer.layers[0].data.shape == FRAMES.shape


def test_colours_cannot_be_chosen_and_files_of_one_series_are_asked_about_once(qtbot, viewer, tmp_path):
    for t in range(3):
        with tifffile.TiffWriter(tmp_path / f"{t}.tif") as tiff:
            tiff.write(np.zeros((24, 32, 3), np.uint8), photometric="rgb", metadata=None)
            tiff.write(FRAMES[t, ::2, ::2], photometric="minisblack", metadata=None)
            tiff.write(FRAMES[t], photometric="minisblack", metadata=None)

    def look(dialog):
        assert dialog.list.topLevelItem(0).flags() == Qt.ItemFlag.NoItemFlags
        assert dialog.list.selectedItems()[0].text(0) == "2"
        press(dialog, "Open")

    by_a_person(qtbot, viewer, tmp_path, look)
    assert np.array_equal(np.asarray(viewer.layers[0].data), FRAMES[:3])


def test_script_gets_the_likely_one_and_a_notification(viewer, tmp_path):
    notification_manager.records.clear()
    viewer.open(hspy(tmp_path), plugin="napari-menndl")
    assert np.array_equal(np.asarray(viewer.layers[0].data), FRAMES)
    (said,) = notification_manager.records
    assert "holds 3 signals" in str(said.message)
