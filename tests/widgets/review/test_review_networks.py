"""A network into the dock and out of it: exported, without a pixel size, with classes that it never predicts."""

from dataclasses import replace

import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_menndl.api import open_run
from napari_menndl.opening import open_network


def messages():
    return " ".join(str(record.message) for record in notification_manager.records)


def test_the_network_is_exported_as_a_file_that_predicts(qtbot, dock, run_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "mine"), ""))
    qtbot.mouseClick(dock.controls.network, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "Wrote" in messages(), timeout=30_000)
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
    assert dock.controls.scores.silent.isVisibleTo(dock)
    dock.controls.level["threshold"].value = 0.3
    qtbot.waitUntil(lambda: not dock.controls.scores.silent.isVisibleTo(dock), timeout=20_000)


def test_a_network_of_unknown_pixel_size_predicts_pixel_for_pixel_and_says_so(
    open_dock, movie, annotation, run_folder, tmp_path, click, shows
):
    best = open_run(run_folder).best
    members = tuple(replace(one, pixel_size=None) for one in getattr(best, "members", (best,)))
    blind = replace(best, members=members) if hasattr(best, "members") else members[0]
    blind.save(tmp_path / "blind.safetensors")
    assert movie.pixel_size is not None
    dock = open_dock(movie, annotation, tmp_path / "blind.safetensors")
    click(dock.controls.button)
    shows(dock, 0)
    assert "pixel for pixel" in messages()


def test_the_threshold_of_one_class_leaves_the_others_as_they_are(qtbot, viewer, dock, click, shows):
    click(dock.controls.button)
    shows(dock, 0)
    own, level = dock.shown.thresholds, dock.controls.level
    first, second = dock.shown.class_names
    assert list(level["of_class"].choices) == ["every class", first, second]
    level["of_class"].value = second
    level["threshold"].value = 0.05
    qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.thresholds == (own[0], 0.05), timeout=10_000)
    level["of_class"].value = first
    assert level["threshold"].value == pytest.approx(min(max(own[0], 0.01), 0.99), abs=0.01)
    level["of_class"].value = "every class"
    level["threshold"].value = 0.6
    qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.thresholds == (0.6, 0.6), timeout=10_000)
    level["own_threshold"].value = True
    qtbot.waitUntil(lambda: dock.shown is not None and dock.shown.thresholds == own, timeout=10_000)
