import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from napari_menndl.metrics.detection import MatchRule, score_class
from napari_menndl.metrics.ranking import (
    PROBABILITY_THRESHOLDS,
    choose_thresholds,
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


@given(st.integers(1, 40))
def test_where_nothing_is_found_a_probability_of_one_half_decides(defects):
    assert LEVELS[steady_threshold(LEVELS, [Counts(0, 0, defects)] * len(LEVELS))] == 0.5


def test_many_defects_are_followed_and_few_are_not():
    chosen = [LOGITS[steady_threshold(LEVELS, counts_of(n, -5, -3))] for n in (1, 4, 16, 64)]
    assert chosen == sorted(chosen, reverse=True)
    assert chosen[0] > -2
    assert -5 <= chosen[-1] <= -3


def test_twenty_defects_are_believed_however_low_their_probabilities():
    assert LOGITS[steady_threshold(LEVELS, counts_of(20, -6, -4))] <= -4


@given(st.integers(20, 60), st.floats(-2, 0), st.floats(1.5, 3))
def test_the_threshold_keeps_away_from_cliffs(defects, first, width):
    chosen = LOGITS[steady_threshold(LEVELS, counts_of(defects, first, first + width))]
    assert first + 0.2 <= chosen <= first + width - 0.2


@given(st.integers(1, 40), st.floats(-3, 1), st.floats(0.5, 2))
def test_black_and_white_exchanged_mirror_the_threshold(defects, first, width):
    """Neither finding too much nor finding too little is preferred as such."""
    f1 = [Counts(defects, 0, 0) if first <= z <= first + width else Counts(0, 0, defects) for z in LOGITS]
    one = steady_threshold(LEVELS, f1)
    other = steady_threshold(LEVELS, f1[::-1])
    assert LOGITS[one] == pytest.approx(-LOGITS[other], abs=0.51)


def test_two_examples_that_are_ranked_well_get_a_threshold():
    """One of two was found, among five finds that are not labelled: no ground for silence."""
    assert score(0.3, 1, 5, 1).cutoff == 0.3
    assert score(0.3, 0, 0, 2).cutoff == 0.3


def test_a_single_example_is_not_judged_by_a_network_that_has_seen_none():
    """The threshold is one half, whatever was found; only very many false finds silence the class."""
    unseen = np.full((16, 16), 0.01, np.float32)
    unseen[2:5, 2:5] = 0.2
    unseen[10:13, 10:13] = 0.1
    true = np.zeros(unseen.shape, bool)
    true[2:5, 2:5] = True
    found = score_class("hole", [(unseen, true, np.ones_like(true))], MatchRule(2.0))
    assert (found.threshold, found.cutoff, found.average_precision) == (0.5, 0.5, 1.0)
    assert score(0.5, 0, 8, 1).cutoff == 0.5
    assert score(0.5, 0, 20, 1).cutoff == math.inf


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
