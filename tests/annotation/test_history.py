"""What was painted can be taken back and painted again, also by another process after a crash."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.history import History, Stroke, claim
from napari_menndl.errors import InputError

SHAPE = (3, 16, 16)
BOXES = st.tuples(
    st.integers(0, 2), st.integers(0, 12), st.integers(0, 12), st.integers(1, 6), st.integers(1, 6), st.integers(0, 2)
)


@pytest.fixture
def annotation(tmp_path):
    return Annotation.create(tmp_path / "a.annotation.zarr", SHAPE, ["S", "hole"])


def box(annotation, t, y, x, height, width, value):
    labels = annotation.frame(t).copy()
    labels[y : y + height, x : x + width] = value
    return annotation.paint(t, labels)


def reopened(annotation):
    return Annotation.open(annotation.path, mode="r+")


@settings(max_examples=10, deadline=None)
@given(st.lists(BOXES, max_size=6), st.booleans())
def test_undo_and_redo_walk_through_all_that_was_painted(boxes, reopen):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        annotation = Annotation.create(f"{folder}/a.zarr", SHAPE, ["S", "hole"])
        states = [np.array(annotation.labels[:])]
        states += [np.array(annotation.labels[:]) for one in boxes if box(annotation, *one)]
        if reopen:
            annotation = reopened(annotation)
        for state in states[-2::-1]:
            assert annotation.undo() is not None
            assert np.array_equal(annotation.labels[:], state)
        assert annotation.undo() is None
        for state in states[1:]:
            assert annotation.redo() is not None
            assert np.array_equal(annotation.labels[:], state)
        assert annotation.redo() is None


def test_a_new_stroke_forgets_what_was_undone(annotation):
    box(annotation, 0, 0, 0, 2, 2, 1)
    box(annotation, 0, 8, 8, 2, 2, 1)
    annotation.undo()
    box(annotation, 1, 8, 8, 2, 2, 2)
    assert not annotation.can_redo
    assert reopened(annotation).redo() is None
    assert [annotation.undo(), annotation.undo(), annotation.undo()] == [1, 0, None]


def test_only_the_pixels_of_a_stroke_are_taken_back(annotation):
    diagonal = np.diag(np.ones(16, np.uint8))
    annotation.paint(0, diagonal)
    annotation.labels[0, 3, 9] = 2  # somebody else, inside the same rectangle
    annotation.undo()
    assert annotation.labels[0, 3, 9] == 2
    assert np.count_nonzero(annotation.frame(0)) == 1


def test_history_is_bounded(tmp_path):
    history = History(tmp_path / "history", most=3)
    zeros, one = np.zeros((1, 1), np.uint8), np.ones((1, 1), np.uint8)
    for t in range(5):
        history.record(Stroke(t, (0, 0), zeros, one))
    assert len(list((tmp_path / "history").iterdir())) == 3
    kept = []
    again = History(tmp_path / "history", most=3)
    while stroke := again.to_undo():
        kept.append(stroke.frame)
        again.undone()
    assert kept == [4, 3, 2]


def test_stroke_that_a_crash_left_half_written_is_not_there(annotation):
    box(annotation, 0, 0, 0, 2, 2, 1)
    folder = annotation.path / "history"
    (folder / "000000001.partial").write_bytes(b"PK")
    assert reopened(annotation).undo() == 0


def test_undo_that_a_crash_left_half_done_is_done_again(annotation):
    box(annotation, 0, 0, 0, 2, 2, 1)
    annotation.labels[0] = 0  # the labels were taken back already, the stroke not yet marked as undone
    again = reopened(annotation)
    assert again.undo() == 0
    assert not again.frame(0).any()
    assert again.redo() == 0
    assert np.count_nonzero(again.frame(0)) == 4


def test_damaged_stroke_is_said_so_and_the_labels_stay(annotation):
    box(annotation, 0, 0, 0, 2, 2, 1)
    next((annotation.path / "history").glob("*.npz")).write_bytes(b"nonsense")
    with pytest.raises(InputError, match="stroke"):
        annotation.undo()
    assert np.count_nonzero(annotation.frame(0)) == 4


def test_equal_labels_are_no_stroke(annotation):
    assert not annotation.paint(0, np.zeros(SHAPE[1:], np.uint8))
    assert not annotation.can_undo
    assert str(annotation.status[0]) == "untouched"


def test_in_memory_there_is_no_history():
    annotation = Annotation(np.zeros(SHAPE, np.uint8), ["S"])
    assert box(annotation, 0, 0, 0, 2, 2, 1)
    assert annotation.undo() is annotation.redo() is annotation.path is None


def test_an_annotation_that_cannot_be_locked_is_said_to_be_unprotected(annotation):
    (annotation.path / "history" / ".lock").mkdir()
    with pytest.warns(UserWarning, match=r"a\.annotation\.zarr cannot be locked here .*Paint it in one napari only"):
        claim(annotation.path)


def test_an_annotation_that_cannot_be_written_needs_no_lock(annotation, recwarn):
    """As a user who may only read; where the tests run as root, that user is "nobody"."""
    for one in (annotation.path, *annotation.path.rglob("*")):
        one.chmod(0o555)
    for one in (annotation.path.parent, *annotation.path.parents):
        if one.stat().st_uid == os.getuid() and str(one).startswith("/tmp/"):
            one.chmod(one.stat().st_mode | 0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        claim(annotation.path)
    finally:
        if root:
            os.seteuid(0)
    assert not recwarn.list
