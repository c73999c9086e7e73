"""Several movies in the dock: chosen in a list, predicted in turn, one table of all."""

from dataclasses import replace

import pandas as pd
import pytest
from qtpy.QtCore import Qt

from napari_menndl import open_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.predict.prediction import Prediction
from napari_menndl.widgets.layers import movie_layer
from napari_menndl.widgets.review.several import GO, STOP

pytestmark = pytest.mark.gui


@pytest.fixture
def days(movie, tmp_path):
    """Two movies of one name and shape, of other frames."""
    paths = [tmp_path / day / "movie.tif" for day in ("day1", "day2")]
    for t, path in enumerate(paths):
        path.parent.mkdir()
        write_movie(replace(movie, frames=movie.frames[t : t + 2]), path)
    return paths


@pytest.fixture
def several(viewer, open_dock, run_folder, days):
    """The list of a dock that has the network, the first movie open and the second in the list."""
    viewer.open(days[0], plugin="napari-menndl")
    dock = open_dock(replace(open_movie(days[1]), name="unticked"), source=run_folder)
    movies = dock.controls.movies
    dock.controls.several.expand(animate=False)
    movies.list.item(1).setCheckState(Qt.CheckState.Unchecked)
    movies.add_files(days[1:])
    return movies


def ended(qtbot, movies):
    qtbot.waitUntil(lambda: not movies.work.busy)
    assert movies.button.text() == GO


def test_movies_are_predicted_in_turn_into_one_table(qtbot, several, days, tmp_path):
    several.predict(tmp_path / "out")
    assert several.button.text() == STOP
    ended(qtbot, several)
    assert several.status.text().startswith("2 of 2 movies predicted")
    table = pd.read_csv(tmp_path / "out" / "defects.csv")
    assert list(table.columns[:2]) == ["movie", "frame"]
    for day in days:
        stored = Prediction.open(tmp_path / "out" / f"{day.parent.name}-movie.zarr", open_movie(day))
        assert len(table[table["movie"] == str(day)]) == len(stored.defects)


def test_what_was_stopped_goes_on_and_what_cannot_be_read_is_told(qtbot, several, tmp_path):
    (tmp_path / "broken.tif").write_text("no TIFF")
    several.add_files([tmp_path / "broken.tif"])
    several.predict(tmp_path / "out")
    several.button.click()
    ended(qtbot, several)
    assert several.status.text().startswith("Stopped: ")
    several.predict(tmp_path / "out")
    ended(qtbot, several)
    assert several.status.text().startswith("2 of 3 movies predicted")
    assert "broken.tif: Expected" in several.status.text()


def test_a_pixel_size_is_asked_for_all_movies_that_lack_it(qtbot, viewer, open_dock, movie, run_folder, tmp_path):
    dock = open_dock(movie, source=run_folder)
    for name in ("a", "b"):
        data, about, _ = movie_layer(replace(movie, pixel_size=None, name=name, frames=movie.frames[: len(name)] + 1))
        viewer.add_image(data, **about)
    movies = dock.controls.movies
    dock.controls.several.expand(animate=False)
    movies.predict(tmp_path / "out")
    ended(qtbot, movies)
    assert movies.status.text().startswith("1 of 3 movies")
    assert movies.pixel_size.isVisible()
    assert "<b>a, b</b>" in movies.pixel_size.text.text()
    movies.pixel_size.field.setValue(movie.pixel_size[0])
    movies.pixel_size.use.click()
    ended(qtbot, movies)
    assert movies.status.text().startswith("3 of 3 movies")


def test_layers_that_come_and_go_keep_what_is_ticked(viewer, several, movie):
    def listed():
        return [(item.text(), item.checkState() == Qt.CheckState.Checked) for item in several._items]

    assert listed() == [("movie", True), ("unticked", False), ("day2/movie.tif", True)]
    data, about, _ = movie_layer(replace(movie, name="third"))
    layer = viewer.add_image(data, **about)
    assert listed() == [("movie", True), ("unticked", False), ("third", True), ("day2/movie.tif", True)]
    viewer.layers.remove(layer)
    several.list.setCurrentRow(2)
    several.remove.click()
    assert listed() == [("movie", True), ("unticked", False)]
