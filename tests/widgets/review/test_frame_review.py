"""One frame, predicted and set against its annotation; no window."""

import gc
import os
import shutil
import tempfile

import numpy as np
import pandas as pd
import pytest
from napari.layers import Labels, Layer

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.api import compare, open_run
from napari_menndl.errors import InputError
from napari_menndl.movie.reading import open_movie
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.predict.prediction import Prediction
from napari_menndl.review.outcomes import FALSE_NEGATIVE, FALSE_POSITIVE, PREDICTED, TRUE_POSITIVE
from napari_menndl.review.tables import score_rows
from napari_menndl.widgets.layers import annotation_layer
from napari_menndl.widgets.review.frame_review import AGREEMENT, ANY, Question, Setting
from napari_menndl.widgets.review.reviewer import FrameReviewer
from napari_menndl.widgets.review.sources import place_beside


@pytest.fixture
def question(run_folder, movie, annotation):
    def make(frame=0, layer=None, source=None, thorough=False, **others):
        layer = layer or Layer.create(*annotation_layer(annotation))
        return Question(Setting(source or str(run_folder), movie, layer, **others), frame, thorough=thorough)

    return make


def as_it_is(annotation):
    return annotation


def other_classes(annotation):
    """The same labels, one class under another name and the order swapped."""
    labels = np.choose(annotation.labels, [0, 2, 1]).astype(np.uint8)
    return Annotation.from_labels(labels, ("bright", "another"), frames=[0, 1], pixel_size=annotation.pixel_size)


def partly_known(annotation):
    part = Annotation(annotation.labels.copy(), annotation.classes, annotation.status, pixel_size=(0.05, 0.05))
    part.set_regions(1, [(0, 0, 90, 100)])
    return part


@pytest.mark.parametrize("made", [as_it_is, other_classes, partly_known])
@pytest.mark.parametrize("said", ["run", "stored", "second expert"])
def test_a_frame_is_reviewed_as_from_python_whichever_comes_first(
    question, run_folder, movie, annotation, tmp_path, made, said
):
    truth, prediction, source = made(annotation), open_run(run_folder).predict(movie), str(run_folder)
    if said == "stored":
        source = str(tmp_path / "stored.zarr")
        prediction.write(source)
    if said == "second expert":
        labels = np.asarray(prediction.labels)
        prediction = Annotation.from_labels(labels, annotation.class_names[::-1], frames=[0, 1])
        source = Layer.create(*annotation_layer(prediction))
    whole = compare(prediction, truth, labelled=0)
    reviewer, layer = FrameReviewer(), Layer.create(*annotation_layer(truth))
    asked = [question(t, layer, source, thorough=True, labelled=(0,)) for t in (1, 0)]
    reviews = [reviewer.answer(one) for one in asked]
    for review in reviews:
        judged = np.where(review.overlay < PREDICTED, review.overlay, 0)
        assert np.array_equal(judged, whole.compare(review.frame).colours)
        own = {row[2]: row[3:] for row in score_rows(review.tallies)}
        theirs = whole.scores[(whole.scores["scope"] == "all") & (whole.scores["frame"] == review.frame)]
        assert own == {row[2]: pytest.approx(row[3:], nan_ok=True) for row in theirs.itertuples(index=False, name=None)}
    table = reviewer.defects(asked[0].setting, reviews)
    judged = table[table["outcome"] != "predicted"].reset_index(drop=True)
    expected = whole.defects
    if said == "second expert":  # of two annotations alone nothing knows the time; the dock has the movie
        expected = expected.assign(time_s=judged["frame"] * movie.frame_time)
    pd.testing.assert_frame_equal(judged, expected)
    assert judged["born"].any()


def test_classes_of_other_names_are_not_taken_for_those_of_the_prediction(question, annotation):
    foreign = Annotation.from_labels(annotation.labels, ("oxygen", "carbon"), frames=[0])
    with pytest.warns(UserWarning, match="no class of the prediction"):
        review = FrameReviewer().answer(question(0, Layer.create(*annotation_layer(foreign))))
    assert not review.annotated
    assert set(review.defects["outcome"]) == {"predicted"}


def test_frame_without_annotation_shows_the_prediction_alone(question):
    review = FrameReviewer().answer(question(3, threshold=0.3))
    assert not review.annotated
    assert np.array_equal(review.overlay, np.where(review.predicted, PREDICTED - 1 + review.predicted, 0))
    assert len(np.unique(review.overlay)) == 3  # each class in a colour of its own
    assert not review.tallies
    assert set(review.defects["outcome"]) == {"predicted"}
    assert review.defects["confidence"].between(0.3, 1).all()


def test_large_frame_is_told_part_by_part_and_then_judged_like_any(question):
    reviewer, told, asked = FrameReviewer(), [], question(1, threshold=0.3)
    reviewer.source(asked.setting).part = 32
    review = reviewer.answer_at_once(asked, (128.0, 0.0), lambda _, part: told.append(part))
    assert [one.done for one in told] == list(range(1, 17))
    assert not told[0].overlay[:96].any()
    assert not told[0].overlay[:, 32:].any()
    assert (told[-1].overlay > 0)[review.predicted > 0].all()
    assert np.array_equal(review.overlay, FrameReviewer().answer(asked).overlay)


def test_lower_threshold_finds_no_fewer_pixels(question):
    reviewer = FrameReviewer()
    found = [(reviewer.answer(question(3, threshold=t)).overlay > 0).sum() for t in (0.9, 0.5, 0.1)]
    assert found == sorted(found)


def test_prediction_is_remembered_until_the_run_is_read_anew(question):
    reviewer = FrameReviewer()
    assert not reviewer.remembers(question())
    assert reviewer.answer(question()).seconds > 0
    assert reviewer.remembers(question(threshold=0.7))
    assert reviewer.answer(question(threshold=0.7)).seconds == 0
    assert not reviewer.remembers(question(reading=1))


def test_what_memory_does_not_hold_is_on_disk_until_the_end(question, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    reviewer = FrameReviewer(capacity=1)
    first = [reviewer.answer(question(frame)) for frame in range(3)]
    assert (tmp_path / os.listdir(tmp_path)[0] / "prediction.zarr").exists()
    for frame in range(3):
        again = reviewer.answer(question(frame))
        assert again.seconds == 0
        assert np.array_equal(again.overlay, first[frame].overlay)
    del reviewer
    gc.collect()
    assert not os.listdir(tmp_path)


def test_pixels_outside_a_region_are_not_judged(question, movie, annotation):
    partial = Annotation(annotation.labels.copy(), annotation.classes, pixel_size=annotation.pixel_size)
    partial.set_regions(0, [(0, 0, 40, 128)])
    review = FrameReviewer().answer(question(0, Layer.create(*annotation_layer(partial)), threshold=0.3))
    centres = partial.shape[1] - 20  # far from the region: no defect reaches down there from it
    assert not np.isin(review.overlay[centres:], (TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE)).any()
    assert review.annotated


def test_class_that_the_annotation_lacks_is_not_judged(question, annotation):
    bright = Annotation.from_labels(annotation.frame(0) == 2, ["bright"])
    review = FrameReviewer().answer(question(0, Layer.create(*annotation_layer(bright)), threshold=0.3))
    assert list(review.tallies) == ["bright"]
    assert PREDICTED in review.overlay


@pytest.mark.parametrize(
    ("labels", "found"), [(np.zeros((4, 64, 64), int), "64 × 64"), (np.full((4, 128, 128), 9), "label 9")]
)
def test_foreign_annotation_is_refused_with_its_name(question, labels, found):
    with pytest.raises(InputError, match=found) as caught:
        FrameReviewer().answer(question(0, Labels(labels, name="other")))
    assert "'other'" in str(caught.value)


@pytest.fixture
def sources(run_folder, movie, tmp_path):
    """The same prediction three times: as run, as saved network, and stored."""
    network = open_run(run_folder).best
    network.save(tmp_path / "best.safetensors")
    Prediction(network, movie).write(tmp_path / "stored.zarr")
    return [str(run_folder), str(tmp_path / "best.safetensors"), str(tmp_path / "stored.zarr")]


def test_run_saved_network_and_stored_prediction_are_reviewed_alike(question, sources):
    for frame, threshold in ((1, None), (3, 0.4)):
        reviews = [FrameReviewer().answer(question(frame, source=one, threshold=threshold)) for one in sources]
        for other in reviews[1:]:
            assert np.array_equal(other.predicted, reviews[0].predicted)
        assert np.array_equal(reviews[1].overlay, reviews[0].overlay)


@pytest.mark.parametrize(("source", "found"), [("nowhere.safetensors", "nowhere"), ("nowhere", "search.json")])
def test_what_predicts_nothing_is_refused(question, tmp_path, source, found):
    with pytest.raises(InputError, match=found):
        FrameReviewer().answer(question(0, source=str(tmp_path / source)))


def test_stored_prediction_of_another_movie_is_refused(question, sources, movie):
    shorter = open_movie(movie.frames[:2], pixel_size=movie.pixel_size)
    with pytest.raises(InputError, match="4 × 128 × 128"):
        FrameReviewer().answer(Question(Setting(sources[2], shorter), 0))


def test_two_experts_are_compared_where_both_say_something(question, annotation):
    second = Annotation(annotation.labels.copy(), annotation.classes, ["complete"] * 4)
    gone = second.labels[0] == 1
    second.labels[0][gone] = 0
    review = FrameReviewer().answer(question(0, source=Layer.create(*annotation_layer(second))))
    assert review.tallies["bright"].defects.fp == review.tallies["bright"].defects.fn == 0
    assert review.tallies["dark"].defects.tp == 0 < review.tallies["dark"].defects.fn
    assert (review.overlay[gone] == FALSE_NEGATIVE).all()
    assert not FrameReviewer().answer(question(2, source=Layer.create(*annotation_layer(second)))).annotated


def test_prediction_is_kept_beside_the_run_when_asked(question, run_folder, movie):
    reviewer = FrameReviewer()
    reviewer.answer(question(2, keep=True))
    (place,) = run_folder.parent.glob("*.prediction.zarr")
    stored = Prediction.open(place)
    assert stored.written == 1
    assert np.array_equal(stored.frame_probabilities(2), open_run(run_folder).predict(movie).frame_probabilities(2))


def test_what_is_kept_of_one_movie_is_not_shown_over_another_of_its_name_and_shape(run_folder, movie, tmp_path):
    run = shutil.copytree(run_folder, tmp_path / "tiny.menndl")
    other = open_movie(np.asarray(movie.frames)[:, ::-1], pixel_size=movie.pixel_size)
    assert (other.name, other.shape) == (movie.name, movie.shape)

    def predicted(one, **options):
        return FrameReviewer().answer(Question(Setting(str(run), one, threshold=0.3, **options), 2)).predicted

    for one in (movie, other, movie):
        assert np.array_equal(predicted(one, keep=True), predicted(one))
    assert not np.array_equal(predicted(movie), predicted(other))
    stored = place_beside(run, movie, open_run(run).best.digest)
    assert FrameReviewer().answer(Question(Setting(str(stored), movie), 2)).frame == 2
    with pytest.raises(InputError, match="another movie"):
        FrameReviewer().answer(Question(Setting(str(stored), other), 2))


def test_probabilities_lie_between_nothing_and_everything(question):
    reviewer = FrameReviewer()
    setting = question().setting
    classes = [reviewer.shading(setting, 0, name) for name in ("dark", "bright")]
    assert np.array_equal(reviewer.shading(setting, 0, ANY), np.maximum(*classes))
    assert 0 <= min(map(np.min, classes)) <= max(map(np.max, classes)) <= 1


def test_only_several_networks_can_agree(question, run_folder, movie, tmp_path):
    best = open_run(run_folder).best
    members = getattr(best, "members", (best,))
    members[0].save(tmp_path / "one.safetensors")
    both = Ensemble((members[0], members[0]), best.thresholds)
    both.save(tmp_path / "two.safetensors")
    reviewer = FrameReviewer()
    with pytest.raises(InputError, match="one network"):
        reviewer.shading(question(source=str(tmp_path / "one.safetensors")).setting, 3, AGREEMENT)
    asked = question(3, source=str(tmp_path / "two.safetensors"), threshold=0.3, thorough=True)
    assert (reviewer.shading(asked.setting, 3, AGREEMENT) == 1).all()
    assert set(reviewer.answer(asked).agreement.values()) <= {1.0}
