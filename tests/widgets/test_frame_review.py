"""One frame, predicted and set against its annotation; no window."""

import numpy as np
import pytest
from napari.layers import Labels, Layer

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.api import compare, open_run
from napari_menndl.errors import InputError
from napari_menndl.review.frame import FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE
from napari_menndl.widgets.frame_review import PREDICTED, FrameReviewer, Question
from napari_menndl.widgets.layers import annotation_layer


@pytest.fixture
def question(run_folder, movie, annotation):
    def make(frame=0, layer=None, **others):
        layer = layer or Layer.create(*annotation_layer(annotation))
        return Question(str(run_folder), movie, frame, layer, **others)

    return make


def test_frame_review_agrees_with_the_review_of_the_movie(question, run_folder, movie, annotation):
    review = FrameReviewer().answer(question(1))
    whole = compare(open_run(run_folder).predict(movie), annotation, frames=[1])
    assert review.annotated
    assert np.array_equal(review.overlay, whole.look(1).colours)


def test_frame_without_annotation_shows_the_prediction_alone(question):
    review = FrameReviewer().answer(question(3, threshold=0.3))
    assert not review.annotated
    assert set(np.unique(review.overlay)) == {0, PREDICTED}
    assert review.total.tp == review.total.fn == 0 < review.total.fp


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


def test_memory_is_bounded(question):
    reviewer = FrameReviewer(capacity=1)
    for frame in range(3):
        reviewer.answer(question(frame))
    assert [reviewer.remembers(question(frame)) for frame in range(3)] == [False, False, True]


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
    assert list(review.counts) == ["bright"]
    assert PREDICTED in review.overlay


@pytest.mark.parametrize(
    ("labels", "found"), [(np.zeros((4, 64, 64), int), "64 × 64"), (np.full((4, 128, 128), 9), "label 9")]
)
def test_foreign_annotation_is_refused_with_its_name(question, labels, found):
    with pytest.raises(InputError, match=found) as caught:
        FrameReviewer().answer(question(0, Labels(labels, name="other")))
    assert "'other'" in str(caught.value)
