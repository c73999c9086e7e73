"""What an expert decides about single defects goes into the annotation, and stays what it was elsewhere."""

import numpy as np
import pytest

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.errors import InputError
from napari_menndl.review.corrections import accept, begin, complete, defect_at, reject

FRAME = np.array(
    [[int(c) for c in row.replace(".", "0")] for row in ("11....22", "11....22", "........", "..11....", "..11....")],
    np.uint8,
)


@pytest.fixture
def annotation(tmp_path):
    """On disk: frame 0 complete, frame 1 in progress with one mark, frame 2 untouched; 5 x 8 px."""
    path = tmp_path / "expert.zarr"
    labels = np.zeros((3, *FRAME.shape), np.uint8)
    labels[0], labels[1, 3:, 2:4] = FRAME, 1
    Annotation(labels, ["vacancy", "hole"], ["complete", "in progress", "untouched"]).save(path)
    return Annotation.open(path, mode="r+")


@pytest.fixture
def predicted():
    """The defect of class 2 at the upper right, (Y, X) bool."""
    return defect_at(FRAME, 0, 7)


def test_a_defect_is_all_that_is_connected_to_a_pixel():
    assert defect_at(FRAME, 0, 1).sum() == 4
    assert defect_at(FRAME, 4, 3)[3:, 2:4].all()
    assert not defect_at(FRAME, 2, 2).any()
    assert not defect_at(FRAME, -1, 99).any()


@pytest.mark.parametrize("t", [0, 1, 2])
def test_accepting_is_known_and_on_disk_at_once(annotation, predicted, t, tmp_path):
    accept(annotation, t, predicted, "hole")
    again = Annotation.open(tmp_path / "expert.zarr")
    assert (again.frame(t)[predicted] == 2).all()
    assert again.known(t)[predicted].all()


@pytest.mark.parametrize("t", [0, 1, 2])
def test_rejecting_undoes_accepting_and_is_known(annotation, predicted, t):
    reject(annotation, t, predicted)
    before = annotation.frame(t).copy()
    accept(annotation, t, predicted, "vacancy")
    reject(annotation, t, predicted)
    assert np.array_equal(annotation.frame(t), before)
    assert annotation.known(t)[predicted].all()


def test_a_decision_leaves_the_status_sensible(annotation, predicted):
    for t in range(3):
        reject(annotation, t, predicted)
    assert [str(s) for s in annotation.status] == ["complete", "in progress", "in progress"]
    assert annotation.regions.get(0, ()) == ()
    assert annotation.known(0).all()


def test_what_was_marked_by_hand_stays_known(annotation, predicted):
    accept(annotation, 1, predicted, "hole")
    assert annotation.known(1)[3:, 2:4].all()
    assert (annotation.frame(1)[3:, 2:4] == 1).all()
    assert not annotation.known(1)[4, 0]


def test_an_accepted_defect_replaces_those_it_touches(annotation):
    larger = np.zeros(FRAME.shape, bool)
    larger[1:3, 1:4] = True
    accept(annotation, 0, larger, "hole")
    after = annotation.frame(0)
    assert np.array_equal(after == 2, larger | (FRAME == 2))
    assert not after[0, 0]
    assert (after[3:, 2:4] == 1)[1].all()


def test_completing_takes_over_only_what_was_not_decided(annotation, predicted):
    reject(annotation, 2, predicted)
    complete(annotation, 2, FRAME)
    assert np.array_equal(annotation.frame(2), np.where(predicted, 0, FRAME))
    assert annotation.known(2).all()
    assert str(annotation.status[2]) == "complete"


def test_completing_without_prediction_says_that_there_is_no_more(annotation):
    before = annotation.frame(1).copy()
    complete(annotation, 1)
    assert np.array_equal(annotation.frame(1), before)
    assert annotation.known(1).all()


def test_a_painted_frame_is_in_progress(annotation):
    begin(annotation, 2)
    assert str(annotation.status[2]) == "untouched"
    annotation.labels[2, 0, 0] = 1
    begin(annotation, 2)
    assert str(annotation.status[2]) == "in progress"


def test_unknown_class_and_read_only_annotation_are_refused(annotation, predicted, tmp_path):
    with pytest.raises(InputError, match="vacancy, hole"):
        accept(annotation, 0, predicted, "crack")
    locked = Annotation.open(tmp_path / "expert.zarr")
    with pytest.raises(InputError, match="written"):
        reject(locked, 0, predicted)
