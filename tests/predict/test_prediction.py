import dataclasses
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from bright import Brightness

from napari_menndl.errors import InputError
from napari_menndl.metrics.defect_table import DEFECT_COLUMNS
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.movie.absent import AbsentWarning
from napari_menndl.movie.movie import Movie
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.predict.prediction import Prediction

SHAPE = (5, 24, 20)


@pytest.fixture
def movie() -> Movie:
    frames = np.zeros(SHAPE, np.float32)
    for t in range(SHAPE[0]):
        frames[t, 0, 0] = t
        frames[t, 4 : 6 + t, 7:10] = 100
    return Movie(da.from_array(frames, chunks=(1, *SHAPE[1:])), (0.1, 0.1), name="growing")


def test_nothing_is_predicted_before_it_is_looked_at(movie: Movie) -> None:
    network = Brightness()
    prediction = Prediction(network, movie)
    assert prediction.probabilities.shape == (5, 2, 24, 20)
    assert prediction.probabilities.dtype == np.float32
    assert prediction.probabilities.chunks[0] == (1,) * 5
    assert prediction.labels.shape == SHAPE
    assert prediction.labels.dtype == np.uint8
    assert network.asked == []


def test_a_frame_in_view_is_predicted_once(movie: Movie) -> None:
    network = Brightness()
    prediction = Prediction(network, movie)
    prediction.labels[3].compute()
    prediction.probabilities[3].compute()
    prediction.frame_defects(3)
    assert network.asked == [3.0]


def test_probabilities_labels_and_table_tell_the_same(movie: Movie) -> None:
    prediction = Prediction(Brightness(), movie)
    labels = prediction.labels.compute()
    assert np.array_equal(labels == 1, movie.frames.compute() > 50)
    assert np.array_equal(labels == 1, prediction.probabilities[:, 0].compute() >= np.float32(0.8))
    table = prediction.defects
    assert tuple(table.columns) == DEFECT_COLUMNS
    assert table.frame.tolist() == [0, 1, 2, 3, 4]
    assert table.area_px.tolist() == [6, 9, 12, 15, 18]
    assert table.area_nm2.tolist() == pytest.approx([0.06, 0.09, 0.12, 0.15, 0.18])
    assert set(table["class"]) == {"bright"}


def test_the_lattice_site_of_a_defect_is_that_of_the_movie(tmp_path: Path) -> None:
    y, x = np.indices((120, 120)) / 12
    bright, dim = (np.exp(-40 * (np.sin(np.pi * (y - o)) ** 2 + np.sin(np.pi * (x - o)) ** 2) / 10) for o in (0, 0.5))
    noise = np.random.default_rng(0).normal(0, 3, (2, 120, 120))
    movie = Movie(da.from_array(100 * bright + 40 * dim + noise, chunks=(1, 120, 120)), (0.1, 0.1), name="crystal")
    prediction = Prediction(Brightness(), movie)
    table = prediction.defects
    inside = table["y"].between(6, 113) & table["x"].between(6, 113)
    assert inside.sum() == 2 * 9 * 9
    assert (table["site"][inside] == 1).all()
    path = prediction.write(tmp_path / "p.zarr")
    assert np.array_equal(Prediction.open(path, movie).defects["site"], table["site"], equal_nan=True)
    assert Prediction.open(path).defects["site"].isna().all()


def test_what_was_written_is_read_and_not_predicted_again(movie: Movie, tmp_path: Path) -> None:
    network, told = Brightness(), []
    prediction = Prediction(network, movie)
    path = prediction.write(tmp_path / "p.zarr", progress=lambda done, total: told.append((done, total)))
    assert told == [(n, 5) for n in range(6)]
    assert sorted(network.asked) == [0, 1, 2, 3, 4]
    expected = prediction.probabilities.compute()
    assert len(network.asked) == 5

    stored = Prediction.open(path)
    assert stored.spec == prediction.spec
    assert stored.written == 5
    assert np.array_equal(stored.probabilities.compute(), expected)
    assert np.array_equal(stored.labels.compute(), zarr.open_group(path, mode="r")["labels"][:])
    pd.testing.assert_frame_equal(stored.defects, prediction.defects)


def test_a_lost_frame_of_a_stored_prediction_is_not_one_without_defects(movie: Movie, tmp_path: Path) -> None:
    path, network = tmp_path / "p.zarr", Brightness()
    Prediction(network, movie).write(path)
    shutil.rmtree(path / "probabilities" / "c" / "2")
    with pytest.warns(AbsentWarning, match=r"The prediction of frame 2 in p\.zarr is lost"):
        stored = Prediction.open(path)
    assert stored.written == 4
    with pytest.raises(InputError, match="frame 2"):
        stored.frame_labels(2)
    with pytest.warns(AbsentWarning):
        Prediction(again := Brightness(), movie).write(path)
    assert again.asked == [2]
    with warnings.catch_warnings():
        warnings.simplefilter("error", AbsentWarning)
        assert Prediction.open(path).frame_labels(2).any()


def test_a_frame_of_which_nothing_is_predicted_is_not_lost(movie: Movie, tmp_path: Path) -> None:
    network = Brightness()
    network.predict_frame = lambda frame, pixel_size=None: np.zeros((2, *frame.shape), np.float32)
    Prediction(network, movie).write(tmp_path / "p.zarr")
    assert Prediction.open(tmp_path / "p.zarr").written == 5


def test_an_interrupted_writing_goes_on(movie: Movie, tmp_path: Path) -> None:
    path = tmp_path / "p.zarr"
    first = Brightness()
    Prediction(first, movie).write(path, cancel=lambda: len(first.asked) >= 2)
    assert Prediction.open(path).written == 2
    with pytest.raises(InputError, match="2 of 5"):
        Prediction.open(path).frame_labels(4)

    second, told = Brightness(), []
    Prediction(second, movie).write(path, progress=lambda done, total: told.append(done))
    assert second.asked == [2, 3, 4]
    assert told == [2, 3, 4, 5]
    whole = Prediction(Brightness(), movie).probabilities.compute()
    assert np.array_equal(Prediction.open(path).probabilities.compute(), whole)


@pytest.mark.parametrize("change", [{"digest": "other"}, {"thresholds": (0.1, 0.1)}, {"class_names": ("a", "b")}])
def test_another_networks_prediction_is_not_written_over(movie: Movie, tmp_path: Path, change: dict) -> None:
    path = Prediction(Brightness(), movie).write(tmp_path / "p.zarr")
    with pytest.raises(InputError, match="another network or movie"):
        Prediction(Brightness(**change), movie).write(path)
    assert Prediction.open(path).spec.network == "abc"


def test_a_foreign_place_is_left_alone(movie: Movie, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").write_text("keep me")
    with pytest.raises(InputError):
        Prediction(Brightness(), movie).write(tmp_path / "notes")
    assert (tmp_path / "notes" / "todo.txt").read_text() == "keep me"
    with pytest.raises(InputError):
        Prediction.open(tmp_path / "notes")
    with pytest.raises(InputError):
        Prediction.open(tmp_path / "missing")


def test_a_movie_of_unknown_scale_is_refused_before_any_work(movie: Movie) -> None:
    network = Brightness()
    with pytest.raises(InputError, match="pixel_size"):
        Prediction(network, dataclasses.replace(movie, pixel_size=None))
    assert network.asked == []


@pytest.mark.parametrize("t", [5, -6])
def test_a_frame_that_does_not_exist_is_refused(movie: Movie, t: int) -> None:
    prediction = Prediction(Brightness(), movie)
    with pytest.raises(InputError):
        prediction.frame_labels(t)
    assert np.array_equal(prediction.frame_labels(-1), prediction.frame_labels(4))


def test_smallest_areas_are_meant_in_nm(movie: Movie) -> None:
    # Trained on pixels of a quarter the area: 12 of those are 3 of the movie's.
    network = Brightness(match_rules=(MatchRule(3.0, min_area=12),) * 2, pixel_size=(0.05, 0.05))
    assert Prediction(network, movie).spec.min_areas == (3, 3)


def test_chosen_frames_are_written_in_their_order_and_read_from_disk_at_once(movie: Movie, tmp_path: Path) -> None:
    network = Brightness()
    prediction = Prediction(network, movie)
    prediction.write(tmp_path / "some.zarr", frames=[3, 1])
    assert network.asked == [3, 1]
    assert prediction.written == 2
    prediction.write(tmp_path / "some.zarr")
    assert network.asked == [3, 1, 0, 2, 4]


def as_movie(frames: np.ndarray, name: str = "growing") -> Movie:
    return Movie(da.from_array(frames, chunks=(1, *SHAPE[1:])), (0.1, 0.1), name=name)


def test_another_movies_prediction_is_refused_or_replaced_on_demand(movie: Movie, tmp_path: Path) -> None:
    path = Prediction(Brightness(), movie).write(tmp_path / "p.zarr")
    other = as_movie(movie.frames.compute()[:, ::-1].copy())
    with pytest.raises(InputError, match=r"prediction of another movie at .*: its frame 0 is another one.*--anew"):
        Prediction(Brightness(), other).write(path)
    stored = Prediction.open(path)
    assert np.array_equal(stored.labels.compute() == 1, movie.frames.compute() > 50)
    Prediction(Brightness(), other).write(path, anew=True)
    assert np.array_equal(Prediction.open(path).labels.compute() == 1, other.frames.compute() > 50)


def test_a_refused_prediction_is_left_as_it_is(movie: Movie, tmp_path: Path) -> None:
    first = as_movie(movie.frames.compute()[:3], "day 1")
    path, network = Prediction(Brightness(), first).write(tmp_path / "p.zarr"), Brightness()
    with pytest.raises(InputError, match="another movie"):
        Prediction(Brightness(), as_movie(movie.frames.compute() + 1)).write(path)
    Prediction(network, first).write(path)
    assert network.asked == []
    assert Prediction.open(path).spec == Prediction(network, first).spec


def test_what_was_begun_on_another_movie_is_not_gone_on_with(movie: Movie, tmp_path: Path) -> None:
    path = Prediction(Brightness(), movie).write(tmp_path / "p.zarr", frames=[1])
    with pytest.raises(InputError, match="frame 1 is another one"):
        Prediction(Brightness(), as_movie(movie.frames.compute() + 1)).write(path)


@pytest.mark.parametrize("changed", [[2], [0, 4]])
def test_frames_that_changed_are_predicted_anew(movie: Movie, tmp_path: Path, changed: list[int]) -> None:
    path = Prediction(Brightness(), movie).write(tmp_path / "p.zarr")
    frames = movie.frames.compute()
    frames[changed, 20:] = 100
    network = Brightness()
    with pytest.warns(UserWarning, match=f"{', '.join(map(str, changed))} of 'growing' changed"):
        Prediction(network, as_movie(frames)).write(path)
    assert network.asked == changed
    assert np.array_equal(Prediction.open(path).labels.compute() == 1, frames > 50)


def test_neighbours_of_a_changed_frame_are_predicted_anew_where_the_network_looks_at_them(
    movie: Movie, tmp_path: Path
) -> None:
    @dataclasses.dataclass
    class Averages(Brightness):
        reach: int = 2

        def predict_frame(self, frame: np.ndarray, pixel_size: tuple[float, float] | None = None) -> np.ndarray:
            return super().predict_frame(frame[0], pixel_size)

    path = Prediction(Averages(), movie).write(tmp_path / "p.zarr")
    frames = movie.frames.compute()
    frames[4, 20:] = 100
    network = Averages()
    with pytest.warns(UserWarning, match="Frame 4"):
        Prediction(network, as_movie(frames)).write(path)
    # At its ends a movie's frames are averaged with others up to four frames away.
    assert network.asked == [0, 1, 2, 3, 4]


def test_a_movie_that_has_grown_goes_on(movie: Movie, tmp_path: Path) -> None:
    frames, path, network = movie.frames.compute(), tmp_path / "p.zarr", Brightness()
    Prediction(Brightness(), as_movie(frames[:3])).write(path)
    Prediction(network, movie).write(path)
    assert network.asked == [3, 4]
    assert np.array_equal(Prediction.open(path).labels.compute() == 1, frames > 50)
    with pytest.raises(InputError, match="5 frames, while the movie has 3"):
        Prediction(Brightness(), as_movie(frames[:3])).write(path)


@pytest.mark.parametrize("place", ["elsewhere.tif", "converted.zarr", "stack.npy"])
def test_the_same_frames_are_the_same_movie_wherever_they_lie(movie: Movie, tmp_path: Path, place: str) -> None:
    path, network = Prediction(Brightness(), movie).write(tmp_path / "p.zarr"), Brightness()
    if place.endswith(".npy"):
        np.save(tmp_path / place, movie.frames.compute().astype(np.uint16))
    else:
        write_movie(movie, tmp_path / place)
    Prediction(network, open_movie(tmp_path / place, pixel_size=0.1)).write(path)
    assert network.asked == []


def test_a_prediction_without_digests_is_read_and_gone_on_with_and_that_is_said(movie: Movie, tmp_path: Path) -> None:
    path = Prediction(Brightness(), movie).write(tmp_path / "p.zarr", frames=[0, 1])
    del zarr.open_group(path, mode="r+")["digests"]  # as earlier versions wrote it
    network = Brightness()
    with pytest.warns(UserWarning, match="2 of the frames .* cannot be checked"):
        Prediction(network, movie).write(path)
    assert network.asked == [2, 3, 4]
    assert Prediction.open(path).written == 5
    with pytest.warns(UserWarning, match="2 of the frames"):
        Prediction(network, movie).write(path)


def test_a_frame_that_cannot_be_read_any_more_keeps_its_prediction_and_that_is_said(
    movie: Movie, tmp_path: Path
) -> None:
    path, network = Prediction(Brightness(), movie).write(tmp_path / "p.zarr"), Brightness()
    frames = movie.frames.compute()
    frames[3] = np.nan
    with pytest.warns(UserWarning, match="Frame 3 of 'growing' cannot be read now"):
        Prediction(network, as_movie(frames)).write(path)
    assert network.asked == []


def cut_short(folder: Path, frames: np.ndarray) -> Path:
    """A folder of single frames, the copying of one of which broke off."""
    (folder / "frames").mkdir()
    for t, frame in enumerate(frames):
        tifffile.imwrite(folder / "frames" / f"{t}.tif", frame, photometric="minisblack")
    file = folder / "frames" / "3.tif"
    file.write_bytes(file.read_bytes()[: -frames[0].nbytes // 2])
    return folder / "frames"


def no_picture(folder: Path, frames: np.ndarray) -> Path:
    """A folder of single frames, the first of which is empty."""
    (folder / "npy").mkdir()
    for t, frame in enumerate(frames):
        np.save(folder / "npy" / f"{t}.npy", frame)
    (folder / "npy" / "0.npy").write_bytes(b"")
    return folder / "npy"


def chunk_gone(folder: Path, frames: np.ndarray) -> Path:
    """A zarr of which one frame was not copied."""
    zarr.create_array(folder / "gone.zarr", data=frames, chunks=(1, *frames.shape[1:]))
    (folder / "gone.zarr" / "c" / "2" / "0" / "0").unlink()
    return folder / "gone.zarr"


def chunk_damaged(folder: Path, frames: np.ndarray) -> Path:
    """A zarr in which one frame's bytes are others."""
    zarr.create_array(folder / "bad.zarr", data=frames, chunks=(1, *frames.shape[1:]))
    (folder / "bad.zarr" / "c" / "1" / "0" / "0").write_bytes(b"no compressed numbers")
    return folder / "bad.zarr"


def blank(folder: Path, frames: np.ndarray) -> Path:
    """A frame that was exported without any value, as where a script divided by 0."""
    frames = frames.copy()
    frames[4] = np.nan
    np.save(folder / "blank.npy", frames)
    return folder / "blank.npy"


BAD_FRAMES = {cut_short: 3, no_picture: 0, chunk_gone: 2, chunk_damaged: 1, blank: 4}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("write_bad", "bad"), BAD_FRAMES.items(), ids=[one.__name__ for one in BAD_FRAMES])
def test_one_bad_frame_costs_the_others_nothing(
    write_bad: Callable[[Path, np.ndarray], Path], bad: int, movie: Movie, tmp_path: Path
) -> None:
    source = write_bad(tmp_path, movie.frames.compute())
    prediction = Prediction(Brightness(), open_movie(source, pixel_size=0.1))
    with pytest.raises(InputError, match=rf"\b{bad}\b"):
        prediction.write(tmp_path / "p.zarr")
    others = [t for t in range(SHAPE[0]) if t != bad]
    assert [t for t in range(SHAPE[0]) if prediction.is_written(t)] == others
    assert sorted(set(prediction.find_defects(others)["frame"])) == others


def test_what_is_looked_at_is_predicted_from_the_movie_it_is_looked_at_in(movie: Movie, tmp_path: Path) -> None:
    frames = movie.frames.compute()
    path = Prediction(Brightness(), movie).write(tmp_path / "p.zarr")
    frames[3] = 100 - frames[3]
    prediction = Prediction(Brightness(), as_movie(frames))
    prediction.write(path, frames=())
    assert np.array_equal(prediction.frame_labels(3) == 1, frames[3] > 50)
