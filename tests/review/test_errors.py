"""Walking through the errors: every one of them, in order, and round."""

import pandas as pd
import pytest

from napari_menndl.review.error_list import errors_in, next_error

ROWS = [
    (0, 5.0, 5.0, "true positive"),
    (0, 9.0, 1.0, "false positive"),
    (0, 2.0, 7.0, "false negative"),
    (3, 1.0, 1.0, "false positive"),
    (3, 1.0, 1.0, "predicted"),
]


@pytest.fixture
def errors():
    table = pd.DataFrame(ROWS, columns=["frame", "y", "x", "outcome"])
    return errors_in([table[table["frame"] == t] for t in (3, 1, 0)])


def test_errors_are_what_is_false_or_missed_in_reading_order(errors):
    assert list(zip(errors["frame"], errors["y"], strict=True)) == [(0, 2.0), (0, 9.0), (3, 1.0)]


@pytest.mark.parametrize("step", [1, -1])
def test_walking_meets_every_error_once_and_comes_back(errors, step):
    place, met = (0, -1.0, -1.0), []
    for _ in range(2 * len(errors)):
        number = next_error(errors, place, step)
        met.append(number)
        place = tuple(errors.loc[number, ["frame", "y", "x"]])
    assert sorted(met[: len(errors)]) == list(range(len(errors)))
    assert met[len(errors) :] == met[: len(errors)]


def test_back_undoes_forth(errors):
    for number in range(len(errors)):
        place = tuple(errors.loc[number, ["frame", "y", "x"]])
        after = tuple(errors.loc[next_error(errors, place, 1), ["frame", "y", "x"]])
        assert next_error(errors, after, -1) == number


def test_no_errors_no_next():
    assert next_error(errors_in([]), (0, 0.0, 0.0), 1) is None
    assert next_error(errors_in([pd.DataFrame(ROWS[:1], columns=["frame", "y", "x", "outcome"])]), (0, 0, 0), 1) is None
