"""The review of all frames in a real napari window: progress, plot, colours, probabilities, a second expert, export."""

import dask.array as da
import numpy as np
import pandas as pd
from matplotlib.image import imread
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtWidgets import QFileDialog

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.api import compare, open_run
from napari_menndl.metrics.defect_table import DEFECT_COLUMNS
from napari_menndl.movie.movie import Movie
from napari_menndl.review.outcomes import PALETTES
from napari_menndl.widgets.layers import annotation_layer
from napari_menndl.widgets.review.frame_review import ANY, NOTHING
from napari_menndl.widgets.review.scores import pooled


def test_scores_of_the_movie_are_those_of_its_review(dock, reviewed, run_folder, movie, annotation, qtbot):
    reviewed(dock)
    whole = compare(open_run(run_folder).predict(movie), annotation)
    total = whole.scores[(whole.scores["frame"] == "all") & (whole.scores["class"] == "all")].iloc[0]
    tallies = pooled(dock.movie.reviews.values())
    assert sum(t.defects.tp for t in tallies.values()) == total["tp"]
    qtbot.waitUntil(lambda: f"{total['f1']:.2f}" in dock.controls.scores.movie_table.text())
    assert f"{total['average_precision']:.2f}" in dock.controls.scores.movie_table.text()
    qtbot.waitUntil(lambda: dock.controls.progress.value() == len(movie))


def test_plot_is_a_scrubber(qtbot, viewer, dock, reviewed, shows):
    reviewed(dock)
    plot = dock.controls.scores.plot
    qtbot.waitUntil(lambda: len(plot.values) == 4 and plot.isVisible())
    assert np.isnan(plot.values[3])
    for frame in (3, 1):
        column = plot.mapFromScene(plot.getPlotItem().vb.mapViewToScene(QPointF(frame, 0))).x()
        qtbot.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(round(column), plot.height() // 2))
        assert int(viewer.dims.current_step[0]) == frame
        shows(dock, frame)
    dock.controls.view["quantity"].value = "defects found"
    assert plot.values[3] == len(dock.movie.reviews[3].defects)


def test_review_of_a_long_movie_can_be_stopped_and_the_frame_in_view_still_follows(
    qtbot, viewer, open_dock, movie, run_folder, click, shows
):
    long = Movie(da.concatenate([movie.frames] * 10), movie.pixel_size, movie.frame_time, "long")
    dock = open_dock(long, None, run_folder)
    click(dock.controls.button)
    shows(dock, 0)
    qtbot.waitUntil(lambda: dock.controls.button.text() == "Stop")
    click(dock.controls.button)
    qtbot.waitUntil(lambda: not dock.movie.busy)
    done = dock.movie.done
    assert 1 <= done < 40
    assert dock.controls.button.text() == "Review movie"
    viewer.dims.set_current_step(0, 39)
    shows(dock, 39)
    assert dock.movie.done <= done + 1


def test_threshold_renews_the_scores_of_all_frames_without_predicting(qtbot, dock, reviewed):
    reviewed(dock)
    dock.controls.level["threshold"].value = 0.05
    qtbot.waitUntil(lambda: dock.movie.done == 4 and set(dock.movie.reviews[3].thresholds) == {0.05})
    assert all(set(review.thresholds) == {0.05} for review in dock.movie.reviews.values())
    assert all(review.seconds == 0 for review in dock.movie.reviews.values())
    dock.controls.level["own_threshold"].value = True
    qtbot.waitUntil(lambda: dock.movie.done == 4 and dock.movie.setting.threshold is None)


def test_outlines_and_colours_change_at_once(qtbot, viewer, dock, reviewed):
    reviewed(dock)
    layer, filled = viewer.layers["review"], dock.shown.overlay
    dock.controls.view["outlines"].value = True
    drawn = dock.display.overlay.image
    assert np.array_equal(drawn, layer.data[dock.shown.frame])
    assert 0 < np.count_nonzero(drawn) < np.count_nonzero(filled)
    assert np.array_equal(drawn[drawn > 0], filled[drawn > 0])
    for palette, colours in PALETTES.items():
        dock.controls.view["colours"].value = palette
        shown = np.round(255 * layer.colormap.color_dict[2][:3]).astype(int)
        assert "#" + "".join(f"{c:02x}" for c in shown) == colours[1]
        assert colours[1] in dock.controls.scores.legend.text()


def test_probability_is_shown_on_demand_and_follows_the_frame(qtbot, viewer, dock, reviewed, shows):
    reviewed(dock)
    dock.controls.view["shading"].value = ANY
    qtbot.waitUntil(lambda: "probability" in viewer.layers)
    for frame in (0, 3):
        viewer.dims.set_current_step(0, frame)
        shows(dock, frame)
        expected = dock.movie.reviewer.shading(dock.movie.setting, frame, ANY)
        qtbot.waitUntil(lambda: np.array_equal(viewer.layers["probability"].data[0], expected))  # noqa: B023
    assert viewer.layers["probability"] not in dock.controls.what["movie"].choices
    dock.controls.view["shading"].value = NOTHING
    assert "probability" not in viewer.layers


def test_two_experts_are_compared_in_the_same_colours(qtbot, viewer, dock, annotation, click, shows):
    other = Annotation(annotation.labels.copy(), annotation.classes, ["complete"] * 4)
    other.labels[1] = np.where(other.labels[1] == 2, 0, other.labels[1])
    viewer.add_labels(other.labels, **annotation_layer(other, 0.4064, "other expert")[1])
    dock.controls.what["source"].line_edit.value = ""
    dock.controls.view["second"].value = viewer.layers["other expert"]
    viewer.dims.set_current_step(0, 1)
    click(dock.controls.button)
    shows(dock, 1)
    assert dock.shown.tallies["dark"].defects.f1 == 1
    assert dock.shown.tallies["bright"].defects.recall == 0
    dock.controls.view["second"].value = viewer.layers["annotation"]
    click(dock.controls.button)
    assert "two different annotations" in str(notification_manager.records[-1].message)


def test_defects_and_picture_are_exported(qtbot, dock, reviewed, tmp_path, monkeypatch):
    reviewed(dock)
    dock.controls.more.expand()
    qtbot.wait(50)
    for button, name in ((dock.controls.csv, "defects"), (dock.controls.png, "frame.png")):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, name=name: (str(tmp_path / name), ""))
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    table = pd.read_csv(tmp_path / "defects.csv")
    assert len(table) == sum(len(review.defects) for review in dock.movie.reviews.values())
    assert set(table["outcome"]) <= {"true positive", "false positive", "false negative", "predicted"}
    for name, kind in (("named.parquet", "Tables (*.csv)"), ("chosen", "Parquet tables (*.parquet)")):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, of=(str(tmp_path / name), kind): of)
        qtbot.mouseClick(dock.controls.csv, Qt.MouseButton.LeftButton)
        found = pd.read_parquet((tmp_path / name).with_suffix(".parquet"))
        pd.testing.assert_frame_equal(found, table, check_dtype=False)
    assert imread(tmp_path / "frame.png").shape[1] > 800
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "nowhere" / "x.csv"), ""))
    qtbot.mouseClick(dock.controls.csv, Qt.MouseButton.LeftButton)
    assert "can be written" in str(notification_manager.records[-1].message)


def test_the_defects_become_a_layer_of_points_with_the_columns_of_the_table(qtbot, viewer, dock, reviewed, click):
    reviewed(dock)
    dock.controls.more.expand()
    qtbot.wait(50)
    click(dock.controls.points)
    layer, image = viewer.layers[-1], dock.inputs.image
    table = dock.movie.reviewer.defects(dock.movie.setting, dock.movie.reviews.values())
    assert layer.name == f"{image.name} defects"
    assert np.array_equal(layer.data, table[["frame", "y", "x"]])
    assert np.allclose(layer.scale, image.scale)
    assert {*DEFECT_COLUMNS, "outcome", "born"} == set(layer.features)
    pd.testing.assert_frame_equal(layer.features, table, check_dtype=False, check_categorical=False)
    pairs = set(zip(table["class"], map(tuple, layer.border_color), strict=True))
    assert len(pairs) == len({colour for _, colour in pairs}) == table["class"].nunique()


def test_single_image_without_scale_is_a_movie_of_one_frame(qtbot, viewer, dock, movie, run_folder, click, shows):
    one = viewer.add_image(np.asarray(movie.frame(3)), scale=movie.pixel_size, units=("nm", "nm"), name="one")
    dock.controls.what["movie"].value = one
    dock.controls.what["annotation"].value = None
    click(dock.controls.button)
    shows(dock, 0)
    assert viewer.layers["review"].data.shape == one.data.shape
    assert not dock.controls.scores.plot.isVisible()
    dock.next_error()
    assert "No error" in dock.controls.errors.about.text()


def test_hint_says_what_to_do_next(qtbot, viewer, dock, reviewed, run_folder):
    said = []
    dock.hint_changed.connect(said.append)
    assert "Review movie" in dock.hint
    dock.controls.what["source"].line_edit.value = ""
    dock.controls.what["source"].value = run_folder
    reviewed(dock)
    assert "Shift+E" in dock.hint
    viewer.layers.clear()
    assert "Open a movie" in dock.hint
    assert said[-1] == dock.hint


def test_two_windows_do_not_share_a_review(qtbot, make_napari_viewer, dock, reviewed, movie):
    reviewed(dock)
    other = make_napari_viewer(show=True)
    _, second = other.window.add_plugin_dock_widget("napari-menndl", "Review frames")
    assert second.shown is None
    assert second.controls.what["movie"].value is None
    assert "review" not in other.layers
