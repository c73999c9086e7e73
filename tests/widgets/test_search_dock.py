"""The dock "Search networks" in a real window on runs that are there already, and with input that cannot be used."""

import sys
from pathlib import Path

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFileDialog, QLabel, QPushButton, QTabBar

sys.path.append(str(Path(__file__).parents[1] / "search"))

from made_up import UnreliablePool, make_folder

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.search.runner import SearchRunner
from napari_menndl.search.settings import SearchSettings
from napari_menndl.search.views.known_runs import KnownRuns
from napari_menndl.widgets.layers import annotation_layer, movie_layer


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished search of 60 made-up networks: nothing was trained for it."""
    folder = make_folder(tmp_path_factory.mktemp("runs") / "made-up.menndl", budget="60networks")
    SearchRunner(folder, UnreliablePool(slots=2)).run()
    return folder.path


@pytest.fixture(autouse=True)
def known(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_MENNDL_DATA", str(tmp_path / "data"))
    notification_manager.records.clear()
    return KnownRuns()


@pytest.fixture
def make_dock(viewer):
    return lambda: viewer.window.add_plugin_dock_widget("napari-menndl", "Search networks")[1]


@pytest.fixture
def layers(viewer, movie, annotation):
    data, about, _ = movie_layer(movie)
    image = viewer.add_image(data, **about)
    data, about, _ = annotation_layer(annotation, movie.frame_time)
    return image, viewer.add_labels(data, **about)


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def errors():
    return [str(one.message) for one in notification_manager.records if one.severity.name == "ERROR"]


def shows(qtbot, dock, path):
    dock.open_run(path)
    qtbot.waitUntil(lambda: dock.snapshot is not None and dock.snapshot.whole)
    qtbot.waitUntil(lambda: dock.network.network is not None)


def test_without_movie_or_annotation_it_says_what_to_do(qtbot, make_dock, viewer, movie, annotation):
    dock = make_dock()
    assert "Open a movie" in dock.hint
    click(qtbot, dock.start_button)
    assert errors()[-1].startswith("Expected a movie")
    data, about, _ = movie_layer(movie)
    viewer.add_image(data, **about)
    assert "Annotate" in dock.hint
    assert "Expected a movie" not in dock.status.text()
    data, about, _ = annotation_layer(annotation)
    viewer.add_labels(data, **about)
    assert "Start the search" in dock.hint


def test_the_annotated_frame_in_view_is_offered_or_all_at_a_click(qtbot, make_dock, viewer, layers, annotation):
    viewer.dims.set_current_step(0, 3)
    dock = make_dock()
    setup, frames = dock.setup, dock.setup.learn["frames"]
    assert frames.value == "1"  # nothing is known of frame 3
    qtbot.waitUntil(lambda: viewer.dims.current_step[0] == 1)
    viewer.dims.set_current_step(0, 0)
    assert frames.value == "1"  # who looks around has not asked for another
    click(qtbot, setup.one_frame)
    assert frames.value == "0"
    assert setup.every_frame.text() == "All 2"
    click(qtbot, setup.every_frame)
    assert frames.value == "0-1"
    try:
        annotation.set_status(3, "complete")
        qtbot.waitUntil(lambda: frames.value == "0-1, 3")
        click(qtbot, setup.one_frame)
        assert frames.value == "0"
        frames.value = "1"
        annotation.set_status(3, "untouched")
        dock.setup._look_for_frames()
        assert frames.value == "1"
    finally:
        annotation.set_status(3, "untouched")


def test_red_text_goes_when_its_cause_is_gone(qtbot, make_dock, layers, annotation, tmp_path):
    dock = make_dock()
    dock.setup.learn["frames"].value, dock.setup.place["run"].value = "2", tmp_path / "new.menndl"
    click(qtbot, dock.start_button)
    qtbot.waitUntil(lambda: "an annotation of frame 2" in dock.status.text())
    try:
        annotation.set_status(2, "complete")
        qtbot.waitUntil(lambda: "an annotation of frame 2" not in dock.status.text())
    finally:
        annotation.set_status(2, "untouched")


def test_frames_of_a_plain_labels_layer_are_those_with_labels(qtbot, make_dock, viewer, movie):
    viewer.add_image(movie_layer(movie)[0])
    data = np.zeros((4, 128, 128), np.uint8)
    data[2, 5:9, 5:9] = 1
    viewer.add_labels(data)
    dock = make_dock()
    qtbot.waitUntil(lambda: dock.setup.learn["frames"].value == "2")


def test_what_cannot_be_searched_is_told_with_a_remedy(qtbot, make_dock, layers, finished, tmp_path):
    dock = make_dock()
    setup = dock.setup
    cases = [
        (lambda: setattr(setup.learn["frames"], "value", "9"), "frames among 0 … 3"),
        (lambda: setattr(setup.learn["frames"], "value", "2"), "an annotation of frame 2"),
        (lambda: setattr(setup.place["run"], "value", finished), "a new or empty run folder"),
        (lambda: setattr(setup.advanced["space"], "value", finished / "search.json"), "Expected"),
        (lambda: setattr(setup.advanced["start_from"], "value", tmp_path / "no.safetensors"), "which does not exist"),
        (lambda: setattr(setup.budget, "text", "2h, fitness 0.95"), None),
        (lambda: (setup.budget.kind.setCurrentIndex(4), setup.budget.several.setText("soon")), "budget"),
        (lambda: setattr(setup.pool, "spec", "tcp://127.0.0.1:9"), "nothing that listens"),
    ]
    for spoil, words in cases:
        notification_manager.records.clear()
        setup.learn["frames"].value, setup.place["run"].value = "0", tmp_path / "new.menndl"
        setup.advanced["space"].line_edit.value = setup.advanced["start_from"].line_edit.value = ""
        setup.budget.text, setup.pool.spec = "10min", "local"
        assert setup.problem() is None
        spoil()
        if words is None:
            assert setup.order().budget == "2h, fitness 0.95"
            continue
        click(qtbot, dock.start_button)
        qtbot.waitUntil(lambda: bool(errors()))
        assert words in errors()[0]
        assert words in dock.status.text()
        assert dock.start_button.isEnabled()
        assert not (tmp_path / "new.menndl").exists()


def test_connection_is_tested_beside_the_window(qtbot, make_dock):
    pool = make_dock().setup.pool
    with qtbot.waitSignal(pool.tested) as heard:
        click(qtbot, pool.button)
    assert heard.args[0].slots >= 1
    assert "slot" in pool.answer.text()
    pool.spec = "tcp://127.0.0.1:9"
    assert pool.address.isVisible()
    with qtbot.waitSignal(pool.tested):
        click(qtbot, pool.button)
    assert "Start one" in pool.answer.text()
    pool.spec = "local"
    assert not pool.answer.isVisible()


def test_networks_that_share_a_gpu_are_the_pools_affair_unless_chosen(make_dock, layers, tmp_path):
    setup = make_dock().setup
    setup.learn["frames"].value, setup.place["run"].value = "0", tmp_path / "new.menndl"
    assert "networks_per_gpu" not in setup.order().settings
    setup.advanced["networks_per_gpu"].value = 4
    assert setup.order().settings["networks_per_gpu"] == 4


def test_every_kind_of_pool_can_be_chosen_with_its_file(make_dock, tmp_path, monkeypatch):
    pool = make_dock().setup.pool
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "hosts"), ""))
    for place, kind in enumerate(pool.kinds):
        pool.kind.setCurrentIndex(place)
        assert pool.address.isVisibleTo(pool) == bool(kind.example)
        assert pool.choose.isVisibleTo(pool) == bool(kind.files)
        if kind.files:
            pool.choose.click()
            assert pool.spec == f"{kind.prefix}{tmp_path / 'hosts'}"
    for spec in ("ssh:/hosts", "slurm:/a.yaml", "/b.yaml", "tls://h:1?certificates=/c", "scheduler-file:/d", "serial"):
        pool.spec = spec
        assert pool.spec == spec


def test_a_finished_run_is_shown_whole(qtbot, make_dock, finished):
    dock = make_dock()
    shows(qtbot, dock, finished)
    assert "finished" in dock.headline.text()
    rows = dock.leaderboard.rows
    answer = dock.snapshot.answer
    assert rows.rowCount() == len(dock.snapshot.leaders) + 1 > 10
    assert [rows.index(0, c).data() for c in (1, 2)] == ["mean", f"{answer.fitness:.3f} ± {answer.error:.3f}"]
    assert rows.index(1, 1).data() == str(dock.snapshot.leaders[0].id)
    assert len(dock.network.steps) >= 1
    assert dock.network.steps[0].id == dock.snapshot.leaders[0].id
    assert "Finished" in dock.log.toPlainText()
    assert "constant" in dock.numbers.kinds.text()
    assert len(dock.curves.best.getData()[0]) > 1
    dock.curves.axis.setCurrentIndex(1)
    assert dock.curves.best.getData()[0][-1] == pytest.approx(dock.snapshot.elapsed)


def test_a_chosen_network_stays_chosen_and_shows_its_lineage(qtbot, make_dock, finished):
    dock = make_dock()
    shows(qtbot, dock, finished)
    table = dock.leaderboard
    row = table.visualRect(table.rows.index(3, 1)).center()  # below the mean
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=row)
    chosen = dock.snapshot.leaders[2].id
    qtbot.waitUntil(lambda: dock.network.network == chosen)
    table.rows.leaders = ()  # as when others have moved up
    table.show_snapshot(dock.snapshot)
    assert table.network == chosen
    assert [one.row() for one in table.selectionModel().selectedRows()] == [3]


def test_known_runs_are_listed_with_their_states_opened_and_forgotten(qtbot, make_dock, known, finished, tmp_path):
    fresh = make_folder(tmp_path / "fresh.menndl")
    for path in (tmp_path / "gone.menndl", fresh.path, finished):
        known.remember(path)
    dock = make_dock()
    tree = dock.runs.tree
    qtbot.waitUntil(lambda: tree.topLevelItemCount() == 3)
    states = {tree.topLevelItem(i).text(0): tree.topLevelItem(i).text(1) for i in range(3)}
    assert states == {"gone": "missing", "fresh": "new", "made-up": "finished"}
    dock.runs_section.expand(animate=False)
    tree.setCurrentItem(next(tree.topLevelItem(i) for i in range(3) if tree.topLevelItem(i).text(0) == "gone"))
    click(qtbot, dock.runs.forget_button)
    qtbot.waitUntil(lambda: tree.topLevelItemCount() == 2)
    tree.setCurrentItem(next(tree.topLevelItem(i) for i in range(2) if tree.topLevelItem(i).text(0) == "made-up"))
    click(qtbot, dock.runs.open_button)
    qtbot.waitUntil(lambda: dock.run is not None and dock.run.path == finished)


def test_a_running_search_is_attached_to_by_itself(qtbot, make_dock, known, tmp_path):
    running = make_folder(tmp_path / "running.menndl")
    known.remember(running.path)
    with running.lock():
        dock = make_dock()
        qtbot.waitUntil(lambda: dock.run is not None)
        assert dock.run.path == running.path


def test_a_folder_that_is_no_run_is_a_notification(qtbot, make_dock, tmp_path):
    dock = make_dock()
    dock.open_run(tmp_path)
    qtbot.waitUntil(lambda: bool(errors()))
    assert "search.json" in errors()[0]
    assert dock.run is None


def test_layers_may_go_and_be_renamed_under_the_dock(qtbot, make_dock, viewer, layers, finished):
    dock = make_dock()
    shows(qtbot, dock, finished)
    dock.best_box.setChecked(True)
    layers[0].name = "renamed"
    assert dock.setup.movie == layers[0]
    viewer.layers.clear()
    assert dock.setup.movie is None
    assert dock.setup.annotation is None
    assert dock.setup.problem() is not None


def test_best_follows_the_frame_and_leaves_the_annotation_alone(qtbot, make_dock, viewer, layers, run_folder):
    dock = make_dock()
    shows(qtbot, dock, run_folder)
    labels = np.array(layers[1].data)
    viewer.dims.set_current_step(0, 0)
    dock.best_box.setFocus()
    qtbot.keyClick(dock.best_box, Qt.Key.Key_Space)
    for frame in (0, 2, 1):
        viewer.dims.set_current_step(0, frame)
        assert dock.best.shown is None or dock.best.shown.frame == frame
        qtbot.waitUntil(lambda: dock.best.shown is not None)
        assert dock.best.shown.frame == frame
        found, true = viewer.layers["best network"].data[frame] > 0, labels[frame] > 0
        assert not true.any() or (found & true).sum() > 0.1 * true.sum()
    assert np.array_equal(layers[1].data, labels)
    assert dock.setup.annotation == layers[1]
    viewer.layers.remove("best network")
    assert not dock.best_box.isChecked()
    assert not errors()


def test_two_windows_watch_one_run(qtbot, make_dock, make_napari_viewer, finished):
    first = make_dock()
    second = make_napari_viewer(show=True).window.add_plugin_dock_widget("napari-menndl", "Search networks")[1]
    for dock in (first, second):
        shows(qtbot, dock, finished)
    assert first.snapshot.leaders == second.snapshot.leaders


def test_propose_fills_in_what_to_learn_from(make_dock, layers):
    dock = make_dock()
    dock.propose(*layers, [0, 2, 3])
    assert dock.setup.learn["frames"].value == "0, 2-3"
    assert (dock.setup.movie, dock.setup.annotation) == layers


def test_movie_of_one_frame_can_be_searched(make_dock, viewer, tmp_path):
    labels = np.zeros((1, 64, 64), np.uint8)
    labels[0, 5:9, 5:9] = 1
    viewer.add_image(np.zeros((64, 64)))
    data, about, _ = annotation_layer(Annotation.from_labels(labels, ["a"], frames=[0]))
    viewer.add_labels(data, **about)
    dock = make_dock()
    assert dock.setup.order().frames == (0,)


def test_budgets_are_shown_as_they_are_written(make_dock):
    budget = make_dock().setup.budget
    for text in ("10min", "500networks", "fitness 0.9", "plateau 200", "2h, fitness 0.95", "90s"):
        budget.text = text
        assert budget.text == text


def test_closed_dock_stops_watching(qtbot, make_dock, viewer, finished):
    dock = make_dock()
    shows(qtbot, dock, finished)
    watch = dock._watch
    viewer.window.remove_dock_widget("all")
    qtbot.waitUntil(watch._closed.is_set)
    qtbot.wait(200)
    assert not errors()


def test_nothing_in_the_dock_is_cut(qtbot, make_dock, viewer, layers, finished, tmp_path):
    dock = make_dock()
    shows(qtbot, dock, finished)
    dock.setup_section.expand(animate=False)
    for theme in ("dark", "light"):
        viewer.theme = theme
        qtbot.wait(100)
        assert dock.width() <= 420
        for part in [*dock.findChildren(QPushButton), *dock.findChildren(QLabel)]:
            cut = part.sizeHint().width() > part.width() and not (isinstance(part, QLabel) and part.wordWrap())
            if part.isVisible() and part.text():
                assert not cut, part.text()
        dock.grab().save(str(tmp_path / f"{theme}.png"))


def test_advanced_settings_are_there_at_the_next_start_and_said(qtbot, make_dock, viewer, layers, tmp_path):
    dock = make_dock()
    assert not dock.setup.changed_note.isVisible()
    dock.setup.advanced["population"].value = 5
    dock.setup.advanced["start_from"].value = network = str(tmp_path / "network.safetensors")
    assert dock.setup.order().settings["start_from"] == network
    assert f"Start from {network}" in dock.setup.changed_note.text()
    viewer.window.remove_dock_widget("all")
    again = make_dock()
    assert again.setup.order().settings["population"] == 5
    assert "Population 5" in again.setup.changed_note.text()
    assert "Start from" not in again.setup.changed_note.text()  # the next search need not begin where the last one did
    again.setup.advanced_section.expand(animate=False)
    qtbot.waitUntil(again.setup.defaults.isVisible)
    again.setup.defaults.click()
    assert again.setup.order().settings["population"] == SearchSettings().population
    assert again.setup.advanced["space"].line_edit.value == ""
    viewer.window.remove_dock_widget("all")
    assert make_dock().setup.order().settings["population"] == SearchSettings().population


def test_words_that_only_those_who_search_know_are_under_details(qtbot, make_dock, finished):
    dock = make_dock()
    shows(qtbot, dock, finished)
    qtbot.wait(50)
    told = [part.text() for part in dock.findChildren(QLabel) if part.isVisible()]
    told += [part.tabText(n) for part in dock.findChildren(QTabBar) for n in range(part.count())]
    told += [dock.leaderboard.rows.headerData(n, Qt.Orientation.Horizontal) for n in range(6)]
    told += [one.currentText() for one in dock.findChildren(QComboBox) if one.isVisible()]
    text = " ".join(told).lower()
    for word in ("best score", "networks tried", "time left", "layers"):
        assert word in text
    for word in ("birth", "born", "slot", "flop", "sandwich", "fitness", "rung"):
        assert word not in text
    dock.details_section.expand(animate=False)
    assert "FLOP/s" in dock.numbers.figures["flops"].text()
    assert dock.numbers.figures["flops"].isVisible()
