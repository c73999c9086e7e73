"""Points that come, go and move: what becomes of the labels below them."""

import numpy as np
import pytest

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.clicked_frames import Click, ClickedFrames, draw

SIZE = 40


@pytest.fixture
def annotation(tmp_path):
    return Annotation.create(tmp_path / "a.zarr", (2, SIZE, SIZE), ("one", "two"))


@pytest.fixture
def frames(annotation):
    return ClickedFrames(annotation)


def at(y, x, value=1, radius=3.0, frame=0):
    return Click(frame, y, x, value, radius)


def label(annotation, y, x, frame=0):
    return int(annotation.frame(frame)[y, x])


def test_clicks_are_discs_in_the_labels(annotation, frames):
    clicks = [at(8, 8), at(20, 20, value=2, radius=5.0)]
    assert frames.change(0, clicks)
    assert np.array_equal(annotation.frame(0), draw((SIZE, SIZE), clicks))
    assert annotation.counts(0) == {"one": 1, "two": 1}
    assert not frames.change(0, clicks)


def test_clicks_whose_discs_meet_stay_two_defects_and_a_click_beside_an_older_defect_too(annotation, frames):
    frames.change(0, [at(10, 10), at(10, 15)])
    assert annotation.counts(0)["one"] == 2
    later = ClickedFrames(annotation)  # the points of the first two are gone, as after closing the window
    later.change(0, [at(16, 10)])
    assert annotation.counts(0)["one"] == 3


def test_what_lies_under_a_disc_comes_back_when_it_goes(annotation, frames):
    painted = annotation.frame(0).copy()
    painted[:, 18:30] = 2
    annotation.paint(0, painted)
    kept = at(5, 5)
    frames.change(0, [kept, at(20, 20)])
    assert label(annotation, 20, 20) == 1
    frames.change(0, [kept])
    assert np.array_equal(annotation.frame(0) == 2, painted == 2)
    assert label(annotation, 5, 5) == 1


def test_what_is_erased_of_a_disc_stays_erased_when_another_is_clicked(annotation, frames):
    clicks = [at(10, 10)]
    frames.change(0, clicks)
    labels = annotation.frame(0).copy()
    labels[10:] = 0
    annotation.paint(0, labels)
    assert not frames.follow(0)
    frames.change(0, [*clicks, at(30, 30)])
    assert np.array_equal(annotation.frame(0)[:20], labels[:20])
    frames.change(0, [at(30, 30)])
    assert not annotation.frame(0)[:20].any()


def test_undo_and_redo_take_the_clicks_along(annotation, frames):
    first, second = at(10, 10), at(30, 30)
    moved = at(30, 10)
    states = [(), (first,), (first, second), (first, moved)]
    for clicks in states[1:]:
        frames.change(0, clicks)
    for clicks in reversed(states[:-1]):
        annotation.undo()
        assert frames.follow(0)
        assert frames.on(0) == clicks
    for clicks in states[1:]:
        annotation.redo()
        frames.follow(0)
        assert frames.on(0) == clicks


def test_a_click_whose_disc_is_erased_is_gone_and_one_of_which_a_part_is_left_is_not(annotation, frames):
    whole, part = at(10, 10), at(30, 30)
    frames.change(0, [whole, part])
    labels = annotation.frame(0).copy()
    labels[:30] = 0
    annotation.paint(0, labels)
    assert frames.follow(0)
    assert frames.on(0) == (part,)


def test_a_painted_defect_can_be_taken_as_a_click_and_moved(annotation, frames):
    painted = np.zeros((SIZE, SIZE), np.uint8)
    painted[4:8, 4:20] = painted[30:33, 30:33] = 1
    annotation.paint(0, painted)
    shapes = [np.flatnonzero(part) for part in (painted * (np.arange(SIZE)[:, None] < s) for s in (20,))]
    long = Click(0, 5.5, 11.5, 1, 4.0, shapes[0])
    square = Click(0, 31, 31, 1, 1.7, np.flatnonzero(painted * (np.arange(SIZE)[:, None] > 20)))
    frames.adopt(0, [long, square])
    assert np.array_equal(annotation.frame(0), painted)
    frames.change(0, [long, at(20, 20)])
    assert np.array_equal(annotation.frame(0)[4:8], painted[4:8])
    assert label(annotation, 31, 31) == 0
    assert label(annotation, 20, 20) == 1
