"""A movie and its annotations find each other again."""

import json

import numpy as np
import pytest
import zarr

from napari_menndl.annotation import movie_index
from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.movie_index import AnnotationIndex
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie

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
    monkeypatch.setattr(movie_index.os, "access", lambda *_: False)  # root may write everywhere
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


def begun(path, movie, *frames):
    """An annotation of some frames of a movie, begun as the dock does."""
    annotation = Annotation.create(path, movie.shape)
    annotation.movie = movie
    for t in frames:
        annotation.set_status(t, "complete")
    return annotation


def other_movie_at(path):
    np.save(path, FRAMES[:, ::-1] + 1)
    return open_movie(path)


def test_another_movie_under_the_same_name_is_not_offered_its_annotation(index, tmp_path):
    movie = movie_at(tmp_path / "data" / "m.npy")
    annotation = begun(index.place(movie), movie, 0)
    index.remember(movie, annotation.path)
    assert index.find(movie) == [annotation.path]
    other = other_movie_at(tmp_path / "data" / "m.npy")
    assert index.find(other) == []
    assert index.others(other) == [annotation.path]
    assert index.place(other).name == "m.2.annotation.zarr"


def test_a_movie_that_was_moved_or_converted_finds_its_annotation(index, tmp_path):
    movie = movie_at(tmp_path / "data" / "m.npy")
    annotation = begun(index.place(movie), movie, 1)
    index.remember(movie, annotation.path)
    moved = movie_at(tmp_path / "archive" / "2024-07-01.npy")
    assert index.find(moved) == [annotation.path]
    write_movie(movie, tmp_path / "converted.tif")
    assert index.find(open_movie(tmp_path / "converted.tif")) == [annotation.path]
    assert index.find(other_movie_at(tmp_path / "archive" / "m.npy")) == []


def test_in_a_folder_that_grows_and_changes_each_annotated_frame_is_known(index, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for t in range(3):
        np.save(folder / f"{t}.npy", FRAMES[0] + t)
    annotation = begun(index.place(open_movie(folder)), open_movie(folder), 0, 1)
    np.save(folder / "3.npy", FRAMES[1])
    np.save(folder / "1.npy", FRAMES[1] ** 2)
    later = open_movie(folder)
    assert index.find(later) == [annotation.path]
    stored = Annotation.open(annotation.path, mode="r+")
    assert [stored.is_same_frame(t, later) for t in range(3)] == [True, False, None]
    assert stored.changed_frames(later) == [1]
    stored.movie = later
    stored.set_status(1, "complete")  # it was looked at again
    assert stored.changed_frames(later) == []


def test_an_annotation_that_does_not_say_its_frames_is_found_by_name_as_before(index, tmp_path):
    movie = movie_at(tmp_path / "data" / "m.npy")
    annotation = begun(index.place(movie), movie, 0)
    group = zarr.open_group(annotation.path, mode="r+")
    del group.attrs["digests"]
    assert index.find(other_movie_at(tmp_path / "data" / "m.npy")) == [annotation.path]
    assert Annotation.open(annotation.path).is_of(movie) is None


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"other": []})])
def test_damaged_index_costs_only_what_it_knew(index, tmp_path, text):
    movie = movie_at(tmp_path / "data" / "m.npy")
    beside = annotate(index.place(movie))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "annotations.json").write_text(text)
    assert index.find(movie) == [beside]
    index.remember(movie, beside)
    assert index.find(movie) == [beside]
