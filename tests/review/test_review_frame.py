import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_menndl.errors import InputError
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.review.frame import review_labels
from napari_menndl.review.outcomes import FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE

labels = arrays(np.uint8, (10, 10), elements=st.integers(0, 2), fill=st.just(0))
DETECTORS = [MatchRule(2.0, min_area=1), MatchRule(0.0, extended=True, min_area=1)]


def draw(picture: str) -> np.ndarray:
    """'.' is 0, digits are labels, w p o are the review's white, purple and orange."""
    marks = ".123456789"
    colours = {"w": TRUE_POSITIVE, "p": FALSE_POSITIVE, "o": FALSE_NEGATIVE}
    rows = [line.strip() for line in picture.strip().splitlines()]
    return np.array([[colours.get(c, marks.find(c)) for c in row] for row in rows], np.uint8)


def test_a_defect_has_one_colour_throughout():
    predicted = draw("""
        11......
        11..11..
        ....11..
        ........
        """)
    true = draw("""
        .11.....
        .11.....
        ........
        ......11
        """)
    seen = review_labels(predicted, true, None, [MatchRule(1.0)])
    expected = draw("""
        ww......
        ww..pp..
        ....pp..
        ......oo
        """)
    np.testing.assert_array_equal(seen.colours, expected)
    assert (seen.total.tp, seen.total.fp, seen.total.fn) == (1, 1, 1)


def test_a_defect_of_the_wrong_class_is_made_up_and_missed():
    predicted, true = draw(".11.\n.11."), draw("..22\n..22")
    seen = review_labels(predicted, true, None, [MatchRule(2.0)] * 2)
    np.testing.assert_array_equal(seen.colours, draw(".poo\n.poo"))
    assert [(c.tp, c.fp, c.fn) for c in seen.counts] == [(0, 1, 0), (0, 0, 1)]


def test_where_nothing_is_known_nothing_is_judged():
    predicted, true = draw("111.111."), draw("........")
    known = np.arange(8)[None] < 4
    np.testing.assert_array_equal(review_labels(predicted, true, known, [MatchRule(1.0)]).colours, draw("ppp....."))


@given(predicted=labels, true=labels)
@settings(max_examples=60, deadline=None)
def test_colours_partition_what_is_marked(predicted, true):
    colours = review_labels(predicted, true, None, DETECTORS).colours
    assert not colours[(predicted == 0) & (true == 0)].any()
    assert colours[predicted > 0].all(), "every predicted pixel is right or wrong"
    assert (predicted[(colours == TRUE_POSITIVE) | (colours == FALSE_POSITIVE)] > 0).all()
    assert (true[colours == FALSE_NEGATIVE] > 0).all()


@given(predicted=labels, true=labels)
@settings(max_examples=60, deadline=None)
def test_swapping_the_experts_swaps_purple_and_orange(predicted, true):
    one, other = review_labels(predicted, true, None, DETECTORS), review_labels(true, predicted, None, DETECTORS)
    assert [(c.tp, c.fp, c.fn) for c in one.counts] == [(c.tp, c.fn, c.fp) for c in other.counts]


def test_the_same_labels_are_all_white():
    true = draw("11..22\n11..22\n......")
    np.testing.assert_array_equal(review_labels(true, true, None, DETECTORS).colours, (true > 0) * TRUE_POSITIVE)


def test_frames_of_different_shapes_are_refused():
    with pytest.raises(InputError, match="same frame"):
        review_labels(np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8), None, [])
