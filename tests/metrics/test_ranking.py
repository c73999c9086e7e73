import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from napari_menndl.metrics.detection import MatchRule, score_class
from napari_menndl.metrics.ranking import (
    DEFECTS_ABOVE_PIXELS,
    PROBABILITY_THRESHOLDS,
    choose_thresholds,
    expected_threshold,
    steady_threshold,
)
from napari_menndl.metrics.scores import ClassScore, Counts

LOGITS = np.linspace(-6, 6, 25)
LEVELS = expit(LOGITS)


def counts_of(defects: int, first: float, last: float) -> list[Counts]:
    """All is found and nothing false from one logit to another; much too much before, nothing after."""
    return [
        Counts(defects, 0, 0)
        if first <= z <= last
        else Counts(0, 0, defects)
        if z > last
        else Counts(0, 9 * defects, defects)
        for z in LOGITS
    ]


def score(threshold: float, tp: int, fp: int, fn: int) -> ClassScore:
    return ClassScore("a", 0.0, 0.0, 0.0, threshold, tp, fp, fn)


def expected_from(p, levels, above=DEFECTS_ABOVE_PIXELS):
    """The threshold to be expected from pixels with these probabilities."""
    reached = p[p >= levels[0]]
    highest = np.searchsorted(levels, reached, side="right") - 1
    number, positive = np.bincount(highest, minlength=len(levels)), np.bincount(highest, reached, len(levels))
    return expected_threshold(number, positive, p.sum(), above)


@given(st.integers(1, 40), st.sampled_from(LEVELS))
def test_where_nothing_is_found_the_probabilities_decide(defects, expected):
    assert LEVELS[steady_threshold(LEVELS, [Counts(0, 0, defects)] * len(LEVELS), expected)] == expected


def test_probabilities_that_are_sure_are_read_off_above_a_half_and_others_below():
    background = np.full(1000, 1e-4)
    expected = [expected_from(np.r_[background, np.full(20, p)], LEVELS) for p in (0.999, 0.5, 0.1)]
    assert expected == pytest.approx([0.68, 0.51, 0.17], abs=0.01)


def test_the_threshold_expected_for_pixels_has_their_highest_expected_f1():
    p = np.random.default_rng(0).beta(0.2, 1.0, 5000)
    levels = np.linspace(0.01, 0.99, 99)
    f1 = [2 * p[p >= t].sum() / (np.count_nonzero(p >= t) + p.sum()) for t in levels]
    assert expected_from(p, levels, 0.0) == pytest.approx(levels[np.argmax(f1)], abs=0.03)


def test_many_defects_are_followed_and_few_are_not():
    chosen = [LOGITS[steady_threshold(LEVELS, counts_of(n, -5, -3), 0.5)] for n in (1, 4, 16, 64)]
    assert chosen == sorted(chosen, reverse=True)
    assert chosen[0] > -2
    assert -5 <= chosen[-1] <= -3


def test_twenty_defects_are_believed_however_low_their_probabilities():
    assert LOGITS[steady_threshold(LEVELS, counts_of(20, -6, -4), 0.5)] <= -4


@given(st.integers(20, 60), st.floats(-2, 0), st.floats(1.5, 3))
def test_the_threshold_keeps_away_from_cliffs(defects, first, width):
    chosen = LOGITS[steady_threshold(LEVELS, counts_of(defects, first, first + width), 0.5)]
    assert first + 0.2 <= chosen <= first + width - 0.2


@given(st.integers(1, 40), st.floats(-3, 1), st.floats(0.5, 2))
def test_black_and_white_exchanged_mirror_the_threshold(defects, first, width):
    """Neither finding too much nor finding too little is preferred as such."""
    f1 = [Counts(defects, 0, 0) if first <= z <= first + width else Counts(0, 0, defects) for z in LOGITS]
    one = steady_threshold(LEVELS, f1, 0.5)
    other = steady_threshold(LEVELS, f1[::-1], 0.5)
    assert LOGITS[one] == pytest.approx(-LOGITS[other], abs=0.51)


def test_two_examples_that_are_ranked_well_get_a_threshold():
    """One of two was found, among five finds that are not labelled: no ground for silence."""
    assert score(0.3, 1, 5, 1).cutoff == 0.3
    assert score(0.3, 0, 0, 2).cutoff == 0.3


def test_a_class_that_floods_the_frame_is_not_predicted():
    assert score(0.3, 1, 30, 1).cutoff == math.inf
    assert score(0.3, 10, 80, 1).cutoff == math.inf
    assert score(0.3, 40, 80, 1).cutoff == 0.3


def test_a_response_that_is_no_probability_is_read_off_where_it_is_best():
    rng = np.random.default_rng(0)
    true = np.zeros((64, 64), bool)
    true[8:11, 8:11] = true[40:43, 30:33] = True
    response = rng.uniform(-1, 0, true.shape) + 40.0 * true
    found = score_class("a", [(response, true, np.ones_like(true))], MatchRule(2.0))
    assert found is not None
    assert found.f1 == 1.0


@pytest.mark.parametrize("positive", [0.0, 0.002, 0.05, 0.4])
@pytest.mark.parametrize("kinds", [3, 40, 10_000])
def test_thresholds_are_quantiles_around_the_true_share(kinds, positive):
    values = np.rint(np.random.default_rng(kinds).normal(size=9_000) * kinds).astype(np.float32)
    found = choose_thresholds([values[:100], values[100:]], positive)
    shares = 1 - np.clip(np.geomspace(0.03, 6.0, 14) * positive, 0, 1)
    wanted = np.unique([*np.quantile(values, shares, method="nearest"), *PROBABILITY_THRESHOLDS])
    np.testing.assert_array_equal(found, wanted[(wanted > values.min()) & (wanted <= values.max())])
