"""A network into the dock and out of it: exported, without a pixel size, with classes that it never predicts."""

from dataclasses import replace

import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_menndl.api import open_run
from napari_menndl.opening import open_network
from napari_menndl.predict.ensemble import without_pixel_size
from napari_menndl.predict.resample import PixelSizeError
from napari_menndl.widgets.pixel_size import AS_IT_IS, answer_for, with_answer


def messages():
    return " ".join(str(record.message) for record in notification_manager.records)


def test_the_network_is_exported_as_a_file_that_predicts(qtbot, dock, run_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "mine"), ""))
    qtbot.mouseClick(dock.controls.network, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "Wrote" in messages())
    assert open_network(tmp_path / "mine.safetensors").digest == open_run(run_folder).best.digest


def test_a_class_that_is_never_predicted_is_told_over_the_table(
    qtbot, viewer, open_dock, movie, annotation, run_folder, tmp_path, click, shows
):
    best = open_run(run_folder).best
    names = best.class_names
    best.with_thresholds([2.0, *best.thresholds[1:]]).save(tmp_path / "silent.safetensors")
    dock = open_dock(movie, annotation, tmp_path / "silent.safetensors")
    click(dock.controls.button)
    shows(dock, 0)
    assert dock.controls.scores.silent.text().startswith(f"Never predicted: {names[0]}.")
    qtbot.waitUntil(lambda: dock.controls.scores.silent.isVisibleTo(dock))
    dock.controls.level["threshold"].value = 0.3
    qtbot.waitUntil(lambda: not dock.controls.scores.silent.isVisibleTo(dock))


def test_a_network_of_unknown_pixel_size_predicts_pixel_for_pixel_where_someone_says_so(
    qtbot, open_dock, movie, annotation, run_folder, tmp_path, click, shows
):
    best = open_run(run_folder).best
    without_pixel_size(best).save(tmp_path / "blind.safetensors")
    assert movie.pixel_size is not None
    dock = open_dock(movie, annotation, tmp_path / "blind.safetensors")
    row = dock.controls.pixel_size
    click(dock.controls.button)
    qtbot.waitUntil(row.isVisible)
    assert dock.shown is None
    assert "pixel for pixel" in row.text.text()
    assert not row.field.isVisible()
    dock.following.renew()  # asks once more, and fails after the answer
    click(row.as_it_is)
    shows(dock, 0)
    assert "as it is" in row.text.text()
    click(row.change)
    qtbot.waitUntil(row.as_it_is.isVisible)


def test_the_pixel_size_of_a_movie_is_asked_for_and_remembered(
    qtbot, open_dock, movie, annotation, run_folder, click, shows
):
    dock = open_dock(replace(movie, pixel_size=None), annotation, run_folder)
    row = dock.controls.pixel_size
    click(dock.controls.button)
    qtbot.waitUntil(row.isVisible)
    assert "how large a pixel" in dock.hint
    assert not messages()  # a question is no error
    assert not row.use.isEnabled()
    row.field.setValue(movie.pixel_size[0])
    click(row.use)
    shows(dock, 0)
    assert dock.shown.defects["y_nm"].notna().all()
    dock.open_run(run_folder)
    assert answer_for(dock.inputs.movie) == movie.pixel_size
    shows(dock, 0)
    assert "as you said" in row.text.text()


@pytest.mark.parametrize("knows", ["movie", "network"])
def test_as_it_is_predicts_what_a_network_without_pixel_size_does(movie, run_folder, knows):
    network = open_run(run_folder).best
    blind, bare = without_pixel_size(network), replace(movie, pixel_size=None)
    given = (network, bare) if knows == "network" else (blind, movie)
    with pytest.raises(PixelSizeError):
        with_answer(*given, None)
    used, shown = with_answer(*given, AS_IT_IS)
    assert (used.pixel_size, shown.pixel_size) == (None, None)
    assert used.digest == blind.digest


def test_the_threshold_of_one_class_leaves_the_others_as_they_are(qtbot, viewer, dock, click, shows):
    click(dock.controls.button)
    shows(dock, 0)
    own, level = dock.shown.thresholds, dock.controls.level
    first, second = dock.shown.class_names
    assert list(level["of_class"].choices) == ["every class", first, second]
    level["of_class"].value = second
    level["threshold"].value = 0.05
    qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.thresholds == (own[0], 0.05))
    level["of_class"].value = first
    assert level["threshold"].value == pytest.approx(min(max(own[0], 0.01), 0.99), abs=0.01)
    level["of_class"].value = "every class"
    level["threshold"].value = 0.6
    qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.thresholds == (0.6, 0.6))
    level["own_threshold"].value = True
    qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.thresholds == own)
