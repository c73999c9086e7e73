import pytest

from napari_menndl.notebook.board import board
from napari_menndl.notebook.course import Choice, Course, Judged, Point


def test_a_search_that_has_not_begun_has_no_course(run):
    course = Course(run.folder)
    assert not course.read()
    assert (course.judged, course.best, course.median, course.choice) == ([], [], [], None)


def test_a_pause_between_stopping_and_resuming_does_not_count(run, diary):
    course = Course(run.folder)
    assert course.read()
    assert course.judged == [Judged(0, 10.0, 0, 0.3), Judged(1, 20.0, 0, 0.2), Judged(0, 50.0, 1, 0.6)]
    assert course.best == [Point(3, 10.0, 0.3), Point(3, 50.0, 0.6)]
    assert course.median == [Point(3, 30.0, 0.25)]


def test_only_what_is_new_is_taken_in(run, diary):
    course = Course(run.folder)
    course.read()
    assert not course.read()
    diary.evaluated(9012.0, "2/0", None)
    assert course.read()
    assert course.judged[-1] == Judged(2, 52.0, 0, None)


def test_the_last_step_is_the_choice_and_no_part_of_the_curves(finished):
    course = Course(finished.folder)
    course.read()
    assert course.choice == Choice((0,), pytest.approx(60.0), 0.55, 0.05)
    assert len(course.judged) == 3


def test_the_leaderboard_names_the_best_first_with_their_layers(run, diary):
    course = Course(run.folder)
    course.read()
    html = board(run.status(), course)
    assert html.index("#0") < html.index("#1")
    assert "0.600 ± 0.020" in html
    assert "upsample" in course.layers(1)
    assert "conv 3×3" in html
