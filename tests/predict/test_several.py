"""Where the predictions of several movies go: each has a name of its own, as short as tells them apart."""

import pandas as pd
import pytest

from napari_menndl.errors import InputError
from napari_menndl.predict.several import DefectTable, places_for


@pytest.mark.parametrize(
    ("movies", "names"),
    [
        (["day1/a.tif", "day2/b.tif"], ["a", "b"]),
        (["day1/movie.tif", "day2/movie.tif", "day2/other.tif"], ["day1-movie", "day2-movie", "other"]),
        (["x/day1/movie.tif", "y/day1/movie.tif"], ["x-day1-movie", "y-day1-movie"]),
    ],
)
def test_names_are_as_long_as_it_takes(tmp_path, movies, names):
    places = places_for([tmp_path / one for one in movies], tmp_path / "out")
    assert [place.name for place in places] == [f"{name}.zarr" for name in names]


def test_movies_that_differ_in_suffix_alone_have_places_of_their_own(tmp_path):
    places = places_for([tmp_path / "movie.tif", tmp_path / "movie.zarr"], tmp_path / "out")
    assert len(set(places)) == 2
    assert [place.name.rsplit("-")[-1] for place in places] == ["movie.tif.zarr", "movie.zarr.zarr"]


def test_a_movie_is_predicted_once(tmp_path):
    with pytest.raises(InputError, match="each movie once"):
        places_for([tmp_path / "a.tif"] * 2, tmp_path / "out")


def test_the_table_of_several_says_of_which_movie_each_defect_is(tmp_path):
    table = DefectTable(tmp_path / "defects.csv", several=True)
    for name in ("a", "b"):
        table.add(name, pd.DataFrame({"frame": [0, 1]}))
    assert pd.read_csv(table.path)["movie"].tolist() == ["a", "a", "b", "b"]
    assert len(table) == 4
