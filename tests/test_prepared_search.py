"""A search on a drifting movie that is corrected, cut and averaged first, from the command line to the table."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import CliRunner

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.carrying import fitted
from napari_menndl.api import compare, open_run
from napari_menndl.cli import app
from napari_menndl.cli.arguments import preparation
from napari_menndl.errors import InputError
from napari_menndl.movie.preparation import Average, Bin, Crop, Drift
from napari_menndl.movie.reading import open_movie
from napari_menndl.predict.ensemble import open_predictor
from napari_menndl.predict.prediction import Prediction
from napari_menndl.task.task import TrainingTask
from tiny import SPACE

TINY = ["--pool", "serial", "--pixels", "60000", "--population", "2", "--rungs", "1", "--eta", "2"]
SIZE, DRIFT = 72, ((0, 0), (2, -1), (3, -3), (5, -4))
STEPS = (Drift(tuple((float(y), float(x)) for y, x in DRIFT)), Crop(common=True))


def drifting(seed=0):
    """Frames (4, 72, 72) uint16 of bright dots at random places, and their labels; to be moved by `DRIFT`."""
    rng = np.random.default_rng(seed)
    wide = np.zeros((SIZE + 16, SIZE + 16), np.uint8)
    for y, x in rng.integers(1, SIZE + 15, (70, 2)):
        wide[y - 1 : y + 2, x - 1 : x + 2] = 1
    views = [wide[8 + y : 8 + y + SIZE, 8 + x : 8 + x + SIZE] for y, x in DRIFT]
    labels = np.stack(views)
    frames = rng.normal(1000, 60, labels.shape) + 500.0 * labels
    return frames.astype(np.uint16), labels


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A drifting movie, labels of its first recorded frame, and a search on what is left after correction."""
    folder = tmp_path_factory.mktemp("prepared")
    frames, labels = drifting()
    tifffile.imwrite(folder / "movie.tif", frames, photometric="minisblack")
    tifffile.imwrite(folder / "other.tif", drifting(seed=1)[0], photometric="minisblack")
    tifffile.imwrite(folder / "labels.tif", labels[:1], photometric="minisblack")
    SPACE.save(folder / "space.json")
    said = run(
        *("search", folder / "movie.tif", "--annotation", folder / "labels.tif", "--run", folder / "a.menndl"),
        *("--drift", "--crop", "common", "--space", folder / "space.json", "--budget", "1networks", *TINY),
    )
    (folder / "said.txt").write_text(said.output)
    run("predict", folder / "a.menndl", folder / "other.tif", "--out", folder / "p.zarr")
    return folder


def test_a_search_says_what_is_done_to_the_movie_and_to_its_labels(folder):
    said = " ".join((folder / "said.txt").read_text().split())
    assert "drift corrected (by up to 5" in said
    assert "4 frames of 67 × 68 px" in said
    assert "annotation is taken as one of the recorded frames" in said


def test_the_run_keeps_the_steps_in_plain_json_and_the_labels_went_along(folder):
    task = open_run(folder / "a.menndl").task
    assert [type(step) for step in task.steps] == [Drift, Crop]
    assert np.array_equal(task.steps[0].moves, DRIFT)
    assert json.loads((folder / "a.menndl" / "task.zarr" / "zarr.json").read_text())["attributes"]["steps"]
    assert np.array_equal(task.labels[0], drifting()[1][0, 5:, :68])


def test_prediction_repeats_the_steps_on_another_movie_and_says_so(folder):
    with pytest.warns(UserWarning, match=r"other is prepared as in the search: drift corrected .* common area"):
        prediction = open_run(folder / "a.menndl").predict(folder / "other.tif")
    assert len(prediction) == 4
    assert [type(step) for step in prediction.spec.steps] == [Drift, Crop]
    stored = Prediction.open(folder / "p.zarr")
    assert stored.spec == prediction.spec
    pd.testing.assert_frame_equal(stored.frame_defects(3), prediction.frame_defects(3))


def test_defects_are_written_in_the_frame_s_own_system_and_in_the_sample_s(folder):
    table = pd.read_csv(folder / "p.defects.csv")
    stored = Prediction.open(folder / "p.zarr")
    (drift, crop), last = stored.spec.steps, table[table["frame"] == 3]
    assert len(last)
    assert (last["frame_file"] == 3).all()
    np.testing.assert_allclose(last["y_file"], last["y"] + crop.top - drift.moves[3][0])
    np.testing.assert_allclose(last["x_sample"], last["x_file"] + drift.shifts[3][1])
    assert last["y_sample_nm"].isna().all()  # nobody said how large a pixel is


def test_borders_that_drift_leaves_are_not_predicted_and_said_once(folder, tmp_path):
    movie = open_movie(folder / "movie.tif").prepared(STEPS[:1])
    prediction = Prediction(open_run(folder / "a.menndl").best, movie)
    with pytest.warns(UserWarning, match="borders that drift") as told:
        prediction.write(tmp_path / "p.zarr")
    assert ["borders that drift correction leaves" in str(one.message) for one in told].count(True) == 1
    assert not [one for one in told if "Of a frame" in str(one.message)]
    assert not prediction.frame_probabilities(3)[:, :5].any()
    assert not prediction.frame_probabilities(3)[:, :, -4:].any()


def test_a_stored_prediction_is_shown_over_the_frames_it_was_made_of_alone(folder):
    from napari_menndl.widgets.review.sources import open_source

    movie = open_movie(folder / "other.tif")
    # As large and as long, but moved elsewhere.
    other = movie.prepared([Drift(tuple((float(y), float(x)) for y, x in DRIFT)), Crop(5, 0, 67, 68)])
    with pytest.raises(InputError, match="a prediction of these frames"):
        open_source(folder / "p.zarr", other)
    open_source(folder / "p.zarr", movie.prepared([Drift(), Crop(common=True)]))


def test_predictions_of_a_run_without_steps_have_the_columns_they_had(folder):
    network = open_run(folder / "a.menndl").best
    # Drift and cuts do not change how a frame looks: the recorded one can be predicted as well.
    plain = Prediction(network, open_movie(folder / "movie.tif"))
    assert "y_file" not in plain.frame_defects(0)
    assert "steps" not in plain.spec.to_json()


def test_a_network_keeps_the_steps_and_goes_without_the_measured_shifts(folder, tmp_path):
    best = open_run(folder / "a.menndl").best
    assert best.steps == (Drift(), Crop(common=True))
    again = open_predictor(best.save(tmp_path / "best.safetensors"))
    assert again.steps == best.steps
    assert again.digest == best.digest


def test_a_network_of_averages_refuses_single_frames_and_one_of_single_frames_warns_of_averages(folder):
    movie = open_movie(folder / "movie.tif")
    network = open_run(folder / "a.menndl").best
    network = getattr(network, "members", (network,))[0]
    with pytest.raises(InputError, match="averages of 2 frames, as the network was trained on"):
        Prediction(replace(network, steps=(Average(2),)), movie)
    with pytest.warns(UserWarning, match="trained on the movie as it was recorded"):
        Prediction(network, movie.prepared([Average(2)]))
    Prediction(replace(network, steps=(Average(2),)), movie.prepared([Average(2)]))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--crop", "1,2,3"], "top,left,height,width"),
        (["--crop", "0,0,100,100"], "rectangle within"),
        (["--crop", "common"], "drift correction before"),
        (["--average", "1"], "between 2 and 10000"),
        (["--average", "2"], "frames 0 and 1, both in average 0, with different labels"),
        (["--bin", "2"], "labels of their own"),
        (["--resume", "--drift"], "resumed"),
        (["--pixel-size", "1,5"], "Write a decimal point"),
        (["--pixel-size", "0.02,-0.02"], "nearly square"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_search(folder, tmp_path, words, said):
    tifffile.imwrite(tmp_path / "labels.tif", drifting()[1], photometric="minisblack")
    command = ("search", folder / "movie.tif", "--annotation", tmp_path / "labels.tif", "--run", tmp_path / "b")
    assert said in " ".join(run(*command, *words, code=2).stderr.split())
    assert not (tmp_path / "b").exists()


def test_steps_are_done_in_one_order_whatever_the_order_they_are_typed_in():
    steps = preparation(True, " 1, 2,30,40", 4, 2)
    assert steps == (Drift(), Crop(1, 2, 30, 40), Average(4), Bin(2))
    assert preparation(True, "common", None, None) == (Drift(), Crop(common=True))
    assert preparation(False, None, None, None) == ()


# Annotations of prepared movies ---------------------------------------------------------------------------------------


def prepared():
    frames, labels = drifting()
    return open_movie(frames).prepared(STEPS), labels


def test_labels_of_recorded_frames_are_moved_and_cut_as_the_frames_are():
    movie, labels = prepared()
    annotation = Annotation(labels, ("dot",), ["complete"] * 4, {2: [(10, 12, 30, 40), (0, 0, 3, 3)]}, steps=())
    with pytest.warns(UserWarning, match="moved and cut as they are"):
        carried = fitted(annotation, movie.steps, movie.shape, movie.raw.shape)
    for t in range(4):
        assert np.array_equal(carried.frame(t), labels[0][5:, :68])
    assert carried.regions[2] == ((8, 9, 28, 37),)  # the other one lies outside


def test_labels_of_recorded_frames_know_their_recording_through_its_preparation():
    movie, labels = prepared()
    annotation = Annotation(labels, ("dot",), ["complete"] * 4, steps=())
    annotation.note(movie.raw)
    with pytest.warns(UserWarning, match="moved and cut as they are"):
        TrainingTask.from_movie(movie, annotation, 1)
    other = open_movie(drifting(seed=1)[0]).prepared(STEPS)
    assert annotation.is_of(movie) is True
    assert annotation.is_of(other) is False
    with pytest.warns(UserWarning, match="moved"), pytest.raises(InputError, match="another frame 1"):
        TrainingTask.from_movie(other, annotation, 1)
    # The status set over the prepared movie notes the recorded frame, which is what was annotated.
    annotation.movie = movie
    annotation.set_status(2, "in progress")
    assert annotation.is_of(movie.raw) is True


def test_an_annotation_says_on_disk_what_it_was_drawn_on(tmp_path):
    movie, _ = prepared()
    made = Annotation.create(tmp_path / "a.zarr", movie.shape, steps=movie.steps)
    made.set_status(1, "complete")
    assert Annotation.open(tmp_path / "a.zarr").steps == movie.steps
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(made, movie.steps, movie.shape, movie.raw.shape)
    Annotation.create(tmp_path / "old.zarr", movie.shape)
    assert Annotation.open(tmp_path / "old.zarr").steps is None


@pytest.mark.parametrize(
    ("drawn_on", "shape", "steps", "said"),
    [
        (STEPS[:1], (4, 72, 72), (), "drift corrected"),
        ((Average(2),), (2, 72, 72), STEPS[:1], "averages of 2 frames"),
        ((), (4, 72, 72), (Bin(2),), "as it was recorded"),
        (None, (5, 72, 72), (Average(2),), "belongs to this movie"),
        (None, (4, 36, 72), (Bin(2),), "labels of their own"),
        (None, (4, 60, 60), (Crop(0, 0, 50, 50),), "belongs to this movie"),
        (None, (5, 72, 72), STEPS[:1], "belongs to this movie"),
    ],
)
def test_an_annotation_of_other_frames_is_refused_by_their_steps(drawn_on, shape, steps, said):
    annotation = Annotation(np.ones(shape, np.uint8), ("dot",), ["complete"] * shape[0], steps=drawn_on)
    movie = open_movie(drifting()[0]).prepared(steps)
    with pytest.raises(InputError, match=said):
        TrainingTask.from_movie(movie, annotation)


def test_an_average_takes_the_labels_of_the_one_of_its_frames_that_is_annotated():
    frames, labels = drifting()
    movie = open_movie(frames).prepared((Drift(STEPS[0].shifts), Average(2), Crop(5, 0, 67, 68)))
    status = ["untouched", "complete", "in progress", "untouched"]
    annotation = Annotation(labels, ("dot",), status, {2: [(10, 12, 30, 40)]}, steps=())
    with pytest.warns(UserWarning, match="average 0 those of frame 1, 1 those of frame 2"):
        carried = fitted(annotation, movie.steps, movie.shape, movie.raw.shape)
    assert carried.shape == movie.shape
    assert carried.status == ("complete", "in progress")
    assert carried.regions == {1: ((8, 9, 28, 37),)}
    for t in (0, 1):
        assert np.array_equal(carried.frame(t), labels[0][5:, :68])


def test_frames_of_one_average_that_are_annotated_alike_are_one_annotation():
    movie = open_movie(drifting()[0]).prepared([Average(2)])
    labels = np.repeat(drifting()[1][:2], 2, axis=0)
    with pytest.warns(UserWarning, match="average 0 those of frame 0, 1 those of frame 2"):
        carried = fitted(Annotation.from_labels(labels), movie.steps, movie.shape, movie.raw.shape)
    assert np.array_equal(np.asarray(carried.labels), labels[::2])
    labels[3, 40, 40] ^= 1
    with pytest.raises(InputError, match="frames 2 and 3, both in average 1, with different labels"):
        fitted(Annotation.from_labels(labels), movie.steps, movie.shape, movie.raw.shape)


@pytest.mark.filterwarnings("ignore:The last 1 of 4 frames", "ignore:The annotation is taken")
def test_an_annotated_frame_that_makes_no_whole_average_is_named():
    movie = open_movie(drifting()[0]).prepared([Average(3)])
    annotation = Annotation(drifting()[1], ("dot",), ["complete", *["untouched"] * 2, "complete"], steps=())
    with pytest.warns(UserWarning, match="Frame 3 of the annotation, at the end .* no whole average"):
        assert len(fitted(annotation, movie.steps, movie.shape, movie.raw.shape)) == 1


@pytest.mark.filterwarnings("ignore:The annotation is taken")
def test_an_average_of_other_frames_than_were_annotated_is_refused():
    frames, labels = drifting()
    annotation = Annotation(labels, ("dot",), ["untouched", "complete", "untouched", "untouched"], steps=())
    annotation.note(open_movie(frames))
    TrainingTask.from_movie(open_movie(frames).prepared([Average(2)]), annotation, 0)
    with pytest.raises(InputError, match="another frame 1"):
        TrainingTask.from_movie(open_movie(drifting(seed=1)[0]).prepared([Average(2)]), annotation, 0)


def test_labels_that_fit_the_prepared_frames_alone_are_theirs():
    movie = open_movie(drifting()[0]).prepared([Crop(2, 2, 60, 60)])
    annotation = Annotation.from_labels(drifting()[1][:, 2:62, 2:62])
    with pytest.warns(UserWarning, match="taken as one of the prepared movie"):
        assert fitted(annotation, movie.steps, movie.shape, movie.raw.shape) is annotation


def test_every_place_has_its_partner_in_nm_also_in_a_review_and_in_pixels_of_the_file():
    frames, labels = drifting()
    movie = open_movie(frames, pixel_size=(0.015, 0.01)).prepared([*STEPS, Bin(2)])
    binned = np.stack([labels[0][5:, :68][1::2, 1::2]] * 4)
    one, other = (Annotation(binned, ("dot",), ["complete"] * 4, steps=movie.steps) for _ in range(2))
    other.pixel_size = movie.pixel_size
    table = compare(other, one).defects  # one of the two knows it
    assert len(table) > 10
    for place, binning in (("", 2), ("_file", 1), ("_sample", 1)):
        np.testing.assert_allclose(table[f"y{place}_nm"], table[f"y{place}"] * 0.015 * binning)
        np.testing.assert_allclose(table[f"x{place}_nm"], table[f"x{place}"] * 0.01 * binning)
    one.pixel_size = (0.04, 0.02)
    with pytest.raises(InputError, match="pixel size"):
        compare(other, one)


def test_a_prediction_of_a_prepared_movie_is_compared_with_labels_of_recorded_frames(folder):
    movie, labels = prepared()
    prediction = Prediction(open_run(folder / "a.menndl").best, movie)
    annotation = Annotation.from_labels(labels, open_run(folder / "a.menndl").task.class_names)
    annotation.note(movie.raw)  # of frames that differ from those that were predicted
    prediction.frame_probabilities(0)
    with pytest.warns(UserWarning, match="moved and cut"):
        review = compare(prediction, annotation, labelled=0)
    own = Annotation.from_labels(np.stack([labels[0][5:, :68]] * 4), annotation.classes)
    own.steps = movie.steps
    pd.testing.assert_frame_equal(review.scores, compare(prediction, own, labelled=0).scores)
