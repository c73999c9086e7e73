"""The reader behind File › Open, where it has to ask."""

import numpy as np
import pytest
import tifffile
import zarr
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QDialogButtonBox

from napari_menndl.errors import InputError
from napari_menndl.movie.hyperstack import find_many_axes
from napari_menndl.widgets.axes_dialog import AxesDialog
from napari_menndl.widgets.reader import get_reader, read

DATA = np.arange(3 * 5 * 8 * 9, dtype=np.uint16).reshape(3, 5, 8, 9)


@pytest.fixture(params=["npy", "zarr", "tif", "ome.tif"])
def path(request, tmp_path):
    """A file of 3 × 5 images; only the last says what its axes mean."""
    path = tmp_path / f"four.{request.param}"
    if request.param == "npy":
        np.save(path, DATA)
    elif request.param == "zarr":
        zarr.create_array(str(path), data=DATA)
    else:
        about = {"metadata": {"axes": "ZTYX"}, "ome": True} if "ome" in request.param else {}
        tifffile.imwrite(path, DATA, photometric="minisblack", **about)
    return path


def answer(act):
    """Do something to the dialog once it is open."""

    def look():
        dialogs = [w for w in QApplication.topLevelWidgets() if isinstance(w, AxesDialog) and w.isVisible()]
        if dialogs:
            act(dialogs[0])
        else:
            QTimer.singleShot(10, look)

    QTimer.singleShot(10, look)


def press(qtbot, dialog, button):
    box = dialog.findChild(QDialogButtonBox)
    qtbot.mouseClick(box.button(button), Qt.MouseButton.LeftButton)


def test_person_says_which_axis_is_time_and_where_the_other_is_cut(qtbot, path):
    def choose(dialog):
        dialog.times[0].click()
        assert not dialog.cuts[0].isEnabled()
        dialog.cuts[1].setValue(4)
        dialog.grab().save(str(path.parent / "dialog.png"))
        press(qtbot, dialog, QDialogButtonBox.StandardButton.Open)

    answer(choose)
    ((frames, about, kind),) = get_reader(str(path))(str(path))
    assert kind == "image"
    assert np.array_equal(np.asarray(frames), DATA[:, 4])
    assert about["axis_labels"] == ("t", "y", "x")


def test_axis_that_the_file_calls_time_is_suggested(qtbot, path):
    answer(lambda dialog: press(qtbot, dialog, QDialogButtonBox.StandardButton.Open))
    ((frames, _, _),) = read(str(path))
    assert np.array_equal(np.asarray(frames), DATA[0] if "ome" in path.name else DATA[:, 0])


def test_cancelling_opens_nothing_and_says_why(qtbot, path):
    answer(lambda dialog: press(qtbot, dialog, QDialogButtonBox.StandardButton.Cancel))
    with pytest.raises(InputError, match="Axis 1, length 5"):
        read(str(path))


def test_nobody_is_asked_about_movies_colours_or_what_is_no_array(tmp_path):
    np.save(tmp_path / "movie.npy", DATA[0])
    np.save(tmp_path / "colours.npy", np.zeros((4, 8, 9, 3), np.uint8))
    np.save(tmp_path / "one.npy", DATA[:1, :])
    (tmp_path / "broken.tif").write_bytes(b"II*\0")
    for name in ("movie.npy", "colours.npy", "one.npy", "broken.tif", "none.zarr"):
        assert find_many_axes(tmp_path / name) is None


@pytest.mark.parametrize("choice", [(2, {}), (0, {1: 5}), (0, {1: -1})])
def test_axis_or_index_that_is_not_there_is_refused(tmp_path, choice):
    np.save(tmp_path / "four.npy", DATA)
    with pytest.raises(InputError, match="time axis"):
        find_many_axes(tmp_path / "four.npy").movie(*choice)


def test_what_was_left_out_of_a_file_is_a_notification(viewer, tmp_path):
    frames = np.arange(4 * 32 * 40, dtype=np.uint16).reshape(4, 32, 40)
    with tifffile.TiffWriter(tmp_path / "two.tif") as file:
        file.write(frames[:1, :16, :20], photometric="minisblack", metadata={"axes": "TYX"})
        file.write(frames, photometric="minisblack", metadata={"axes": "TYX"})
    notification_manager.records.clear()
    (layer,) = viewer.open(tmp_path / "two.tif", plugin="napari-menndl")
    assert layer.data.shape == frames.shape
    (said,) = notification_manager.records
    assert "two.tif" in str(said.message)
    assert "(1, 16, 20)" in str(said.message) or "16 × 20" in str(said.message)
