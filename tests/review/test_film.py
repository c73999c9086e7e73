"""Pictures and films of a prediction, read back by the libraries that others read them with."""

import av
import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.cli import app
from napari_menndl.errors import InputError
from napari_menndl.movie.identity import digest_of
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.predict.labelling import label_pixels
from napari_menndl.predict.prediction import Prediction
from napari_menndl.predict.prediction_spec import PredictionSpec
from napari_menndl.predict.prediction_zarr import StoredFrames
from napari_menndl.review.film import draw_movie

LABELS = np.zeros((3, 48, 64), np.uint8)
for t in range(3):
    LABELS[t, 10 + t : 14 + t, 10:14] = 1
    LABELS[t, 30:34, 40 + t : 44 + t] = 2
BLUE, GREEN = (86, 180, 233), (0, 158, 115)  # of the first two classes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A movie of three frames and its stored prediction."""
    folder = tmp_path_factory.mktemp("film")
    frames = np.random.default_rng(0).normal(100, 10, LABELS.shape).astype(np.float32)
    write_movie(open_movie(frames, pixel_size=0.02), folder / "movie.tif")
    spec = PredictionSpec("0" * 16, "movie", LABELS.shape, (0.02, 0.02), ("S vacancy", "hole"), (0.5, 0.5), (1, 1))
    stored = StoredFrames.take(folder / "prediction.zarr", spec)
    for t, labels in enumerate(LABELS):
        chances = np.stack([labels == 1, labels == 2]).astype(np.float32)
        stored.put(t, chances, label_pixels(chances, spec.thresholds), digest_of(frames[t]))
    return folder


@pytest.fixture(scope="module")
def movie(folder):
    return open_movie(folder / "movie.tif")


@pytest.fixture
def prediction(folder):
    return Prediction.open(folder / "prediction.zarr")


def shows(picture, colour, within=0):
    """Whether a picture (Y, X, 3) uint8 has a noticeable part in a colour."""
    return np.mean(np.abs(picture[..., :3].astype(int) - colour).max(-1) <= within) > 1e-4


def film_frames(path):
    with av.open(str(path)) as file:
        return file.streams.video[0].average_rate, [one.to_ndarray(format="rgb24") for one in file.decode(video=0)]


def test_every_frame_is_a_picture_and_a_frame_of_the_film_in_the_colours_of_its_classes(prediction, movie, tmp_path):
    seen = []
    written = draw_movie(
        prediction,
        movie,
        pictures=tmp_path / "pictures",
        film=tmp_path / "film.mp4",
        rate=5,
        progress=lambda *done: seen.append(done),
    )
    names = [f"frame_000{t}.png" for t in range(3)]
    assert [one.name for one in written] == [*names, "film.mp4"]
    assert sorted(one.name for one in tmp_path.rglob("*.*")) == sorted(["film.mp4", *names])
    assert seen == [(1, 3), (2, 3), (3, 3)]
    pictures = [np.rint(imread(one) * 255) for one in written[:3]]
    rate, frames = film_frames(tmp_path / "film.mp4")
    assert rate == 5
    assert len(frames) == 3
    for picture, frame in zip(pictures, frames, strict=True):
        assert shows(picture, BLUE)
        assert shows(picture, GREEN)
        assert shows(frame, BLUE, within=25)
        assert frame.shape[:2] == tuple(size - size % 2 for size in picture.shape[:2])
        assert np.abs(frame.astype(int) - picture[: len(frame), : frame.shape[1], :3]).mean() < 8
    assert not np.array_equal(pictures[0], pictures[1])


def test_annotated_frames_are_drawn_in_the_colours_of_the_review_and_others_all_the_same(prediction, movie, tmp_path):
    annotation = Annotation.from_labels(np.roll(LABELS[:1], 20, axis=2), classes=["S vacancy", "hole"])
    draw_movie(prediction, movie, pictures=tmp_path, annotation=annotation, frames=[0, 2])
    first, last = (np.rint(imread(tmp_path / f"frame_000{t}.png") * 255) for t in (0, 2))
    legend = int(0.85 * len(first))
    for colour, judged in (((177, 75, 255), True), ((255, 140, 0), True), (GREEN, False)):
        assert shows(first[:legend], colour) == judged
        assert shows(last[:legend], colour) != judged


def test_what_is_there_is_kept_unless_told_otherwise(prediction, movie, tmp_path):
    (tmp_path / "frame_0001.png").write_text("mine")
    with pytest.raises(InputError, match=r"frame_0001\.png"):
        draw_movie(prediction, movie, pictures=tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["frame_0001.png"]
    draw_movie(prediction, movie, pictures=tmp_path, frames=[1], overwrite=True)
    assert imread(tmp_path / "frame_0001.png").ndim == 3


def test_an_interrupted_film_leaves_nothing_behind(prediction, movie, tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_movie(prediction, movie, film=tmp_path / "film.mp4", progress=interrupt)
    assert not list(tmp_path.iterdir())


def test_another_movie_or_place_is_refused(prediction, movie, tmp_path):
    other = open_movie(np.asarray(movie.frames)[:, ::-1])
    for arguments, words in (
        ((prediction, other), "another frame 0"),
        ((prediction, open_movie(np.asarray(movie.frames)[:2])), "shape"),
    ):
        with pytest.raises(InputError, match=words):
            draw_movie(*arguments, pictures=tmp_path / "pictures")
    for options, words in (
        ({"film": tmp_path / "film.avi"}, r"film\.mp4"),
        ({"film": tmp_path / "nowhere" / "film.mp4"}, "Create it first"),
        ({"film": tmp_path / "film.mp4", "rate": 0}, "frames per second"),
        ({"pictures": tmp_path, "frames": [7]}, "frames from 0 to 2"),
        ({}, "neither"),
    ):
        with pytest.raises(InputError, match=words):
            draw_movie(prediction, movie, **options)
    assert not [one for one in tmp_path.rglob("*") if one.is_file()]


def test_the_command_draws_what_it_is_asked_for(folder, tmp_path):
    words = ["pictures", folder / "prediction.zarr", folder / "movie.tif", "--frames", "0-1"]
    told = CliRunner().invoke(app, [*map(str, words), "--pictures", str(tmp_path), "--film", str(tmp_path / "a.mp4")])
    assert told.exit_code == 0, told.output
    assert "Wrote 2 pictures" in told.stdout
    assert len(film_frames(tmp_path / "a.mp4")[1]) == 2
    assert "neither" in CliRunner().invoke(app, list(map(str, words))).stderr
