"""A movie and its annotations find each other again."""

import json

import numpy as np
import pytest

from napari_menndl.annotation import association
from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.association import AnnotationIndex
from napari_menndl.movie.reading import open_movie

FRAMES = np.arange(2 * 8 * 8, dtype=np.float32).reshape(2, 8, 8)


@pytest.fixture
def index(tmp_path):
    return AnnotationIndex(tmp_path / "mine")


def movie_at(path):
    path.parent.mkdir(exist_ok=True)
    np.save(path, FRAMES)
    return open_movie(path)


def annotate(path):
    return Annotation.create(path, FRAMES.shape).path


def test_annotation_goes_beside_its_movie_and_is_found_there(index, tmp_path):
    movie = movie_at(tmp_path / "data" / "run 1.npy")
    assert index.find(movie) == []
    place = index.place(movie)
    assert place == tmp_path / "data" / "run 1.annotation.zarr"
    annotate(place)
    assert index.find(movie) == [place]
    assert index.place(movie).name == "run 1.2.annotation.zarr"


def test_annotations_of_a_movie_of_a_like_name_are_not_taken(index, tmp_path):
    annotate(index.place(movie_at(tmp_path / "data" / "ws10.npy")))
    assert index.find(movie_at(tmp_path / "data" / "ws1.npy")) == []


def test_where_the_folder_cannot_be_written_it_goes_to_the_persons_own(index, tmp_path, monkeypatch):
    movie = movie_at(tmp_path / "data" / "a b.npy")
    monkeypatch.setattr(association.os, "access", lambda *_: False)  # root may write everywhere
    place = index.place(movie)
    assert place == tmp_path / "mine" / "a-b.annotation.zarr"
    index.remember(movie, annotate(place))
    assert AnnotationIndex(tmp_path / "mine").find(movie) == [place]


def test_movie_that_is_no_file_is_known_by_its_first_frame(index):
    place = index.place(open_movie(FRAMES))
    index.remember(open_movie(FRAMES), annotate(place))
    assert index.find(open_movie(FRAMES.copy())) == [place]
    assert index.find(open_movie(FRAMES + 1)) == []


def test_latest_is_offered_first_and_what_is_gone_is_not(index, tmp_path):
    movie = movie_at(tmp_path / "data" / "m.npy")
    places = [annotate(tmp_path / "elsewhere" / f"{n}.annotation.zarr") for n in "ab"]
    for place in places:
        index.remember(movie, place)
    beside = annotate(index.place(movie))
    assert index.find(movie) == [places[1], places[0], beside]
    index.remember(movie, places[0])
    places[1].rename(tmp_path / "gone")
    assert index.find(movie) == [places[0], beside]


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"other": []})])
def test_damaged_index_costs_only_what_it_knew(index, tmp_path, text):
    movie = movie_at(tmp_path / "data" / "m.npy")
    beside = annotate(index.place(movie))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "annotations.json").write_text(text)
    assert index.find(movie) == [beside]
    index.remember(movie, beside)
    assert index.find(movie) == [beside]
