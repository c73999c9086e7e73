"""What holds for the comparison of a frame, whoever asks for it."""

import numpy as np
import pandas as pd
import pytest

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.errors import InputError
from napari_menndl.metrics.defect_table import DEFECT_COLUMNS
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.predict.labelling import find_defects
from napari_menndl.review.compare import Comparison
from napari_menndl.review.outcomes import PREDICTED
from napari_menndl.review.review import Review
from napari_menndl.review.tables import JUDGED_COLUMNS

NAMES = ("vacancy", "hole", "dopant")


def dots(*places):
    """Labels (32, 32) of dots of 9 px: (y, x, label)."""
    labels = np.zeros((32, 32), np.uint8)
    for y, x, label in places:
        labels[y - 1 : y + 2, x - 1 : x + 2] = label
    return labels


PREDICTED_LABELS = dots((4, 4, 2), (4, 12, 1), (4, 20, 3), (12, 4, 1), (28, 28, 1))
TRUE = dots((4, 4, 2), (4, 12, 1), (20, 4, 2), (20, 20, 1))
KNOWN = np.arange(32)[:, None] + np.zeros((32, 32)) < 24


@pytest.fixture
def frame():
    rules = (MatchRule(2.0), MatchRule(2.0), None)  # the annotation has no dopants
    return Comparison(NAMES, rules).frame(7, PREDICTED_LABELS, TRUE, KNOWN)


def test_defects_have_the_numbers_and_columns_of_the_prediction(frame):
    chances = np.zeros((3, 32, 32), np.float32)
    predicted = find_defects(PREDICTED_LABELS, chances, NAMES, frame=7)
    table = frame.defects(alone=True)
    assert tuple(table.columns) == JUDGED_COLUMNS == (*DEFECT_COLUMNS, "outcome", "born")
    assert table["defect"].is_unique
    found = table[table["outcome"] != "false negative"].set_index("defect").sort_index()
    columns = ["frame", "class", "y", "x", "area_px"]
    pd.testing.assert_frame_equal(found[columns], predicted.set_index("defect")[columns])
    both = pd.concat([predicted, table], ignore_index=True)
    assert tuple(both.columns) == tuple(table.columns)


def test_what_is_predicted_is_right_wrong_or_not_judged(frame):
    table = frame.defects(alone=True).set_index("defect")["outcome"]
    assert table.to_dict() == {
        0: "true positive",
        1: "false positive",
        2: "predicted",  # outside of what is known
        3: "true positive",
        4: "predicted",  # of a class that is not annotated
        5: "false negative",
        6: "false negative",
    }
    assert set(np.unique(frame.overlay)) == {0, 1, 2, 3, PREDICTED, PREDICTED + 2}
    assert set(frame.tallies()) == {"vacancy", "hole"}


def test_an_empty_frame_has_a_table_of_the_same_kind(frame):
    nothing = np.zeros((32, 32), np.uint8)
    empty = Comparison(NAMES, (None,) * 3).frame(0, nothing, nothing, KNOWN).defects(alone=True)
    assert len(empty) == 0
    assert empty.dtypes.equals(frame.defects().dtypes)


def test_a_class_that_is_not_predicted_is_neither_right_nor_wrong():
    labels = np.stack([dots((8, 8, 1), (8, 24, 2))])
    both = Annotation.from_labels(labels, ("vacancy", "hole"))
    one = Annotation.from_labels(np.stack([dots((8, 8, 1), (8, 24, 1))]), ("vacancy",))
    assert list(Review.of(one, both).defects["outcome"]) == ["true positive"]


def test_the_score_of_a_frame_does_not_depend_on_the_others():
    rng = np.random.default_rng(3)
    true = np.stack([dots((6, 6, 1), (6, 20, 1), (20, 6, 1)), dots((6, 6, 1), (22, 22, 1)), dots((15, 15, 1))])
    chances = np.clip(0.5 * true + rng.uniform(0, 0.45, true.shape) * np.arange(1, 4)[:, None, None] / 3, 0, 1)[:, None]
    annotation = Annotation.from_labels(true, ("vacancy",))
    labels = (chances[:, 0] > 0.5).astype(np.uint8)

    def scores(frames):
        found = Review.of(labels, annotation, probabilities=chances, frames=frames).scores
        return found[(found["frame"] == 2) & (found["class"] == "vacancy")].reset_index(drop=True)

    pd.testing.assert_frame_equal(scores([2]), scores([0, 1, 2]), check_dtype=False)


def test_probabilities_that_say_nothing_score_nothing():
    same = np.full((3, 32, 32), 0.3, np.float32)
    said = Comparison(NAMES, (MatchRule(40.0),) * 3).frame(0, TRUE, TRUE, KNOWN, same).sweeps()
    assert all(counts.tp == counts.fp == 0 for sweep in said.values() for counts in sweep)


def test_responses_that_are_no_probabilities_are_refused():
    labels = np.stack([TRUE])
    with pytest.raises(InputError, match="from 0 to 1"):
        Review.of(labels, Annotation.from_labels(labels, NAMES[:2]), probabilities=np.full((1, 2, 32, 32), 4.0))
