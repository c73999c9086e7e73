"""A proposal never overwrites what an expert marked, and is tuned only where that is known."""

import numpy as np
import pytest

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.proposals import merge_proposals, surroundings


def draw(*rows):
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.uint8)


MARKED = draw(
    "22......",
    "22......",
    "........",
    "........",
)
PROPOSED = draw(
    "..11..11",
    "..11..11",
    "........",
    "11....1.",
)


def test_proposals_are_added_but_for_noise_and_what_touches_a_mark():
    labels, added = merge_proposals(MARKED, PROPOSED > 0, 1)
    assert added == 1
    assert np.array_equal(labels, draw("22....11", "22....11", "........", "........"))


@pytest.mark.parametrize(
    ("status", "regions", "share"),
    [("complete", [], 1.0), ("in progress", [(0, 0, 10, 40)], 0.25), ("untouched", [], 0)],
)
def test_where_the_annotation_is_known_it_is_learned_from(status, regions, share):
    annotation = Annotation(np.zeros((1, 40, 40), np.uint8), ["a"], [status], {0: regions} if regions else {})
    assert surroundings(annotation, 0).mean() == share


def test_in_progress_the_surroundings_of_a_mark_are_learned_from():
    labels = np.zeros((1, 40, 40), np.uint8)
    labels[0, 18:23, 18:23] = 1
    known = surroundings(Annotation(labels, ["a"], ["in progress"]), 0)
    assert known[18:23, 18:23].all()
    assert known[20, 26]
    assert not known[20, 35]
