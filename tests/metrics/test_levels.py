"""All thresholds at once are each threshold by itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter

from napari_menndl.metrics.components import label_components
from napari_menndl.metrics.detection import MatchRule, Truth, count_defects, score_class
from napari_menndl.metrics.levels import find_components, rank_pixels
from napari_menndl.metrics.ranking import choose_thresholds
from napari_menndl.metrics.scores import Counts

shapes = st.tuples(st.integers(1, 12), st.integers(1, 12))
responses = shapes.flatmap(lambda shape: arrays(np.float32, shape, elements=st.sampled_from([0, 0.25, 0.5, 0.75, 1])))
LEVELS = np.array([0.2, 0.5, 0.6, 0.75, 2.0])


def one_by_one(response, true, inside, match_rule, thresholds, among):
    """The counts as they are defined: a mask for each threshold, its components drawn and matched."""
    counts = []
    for threshold in thresholds:
        found = label_components(response >= threshold, match_rule.min_area)
        if len(found) > 20 * len(true) + 50:
            counts.append(Counts(0, len(found), int(np.count_nonzero(true.lie_inside(inside) & among))))
        else:
            counts.append(match_rule.pair(found, true, inside).counts_among(among))
    return counts


@given(responses, st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_components_are_those_of_each_mask(response, min_area):
    found = find_components(rank_pixels(response[None], [LEVELS]))
    found = found.keep(found.areas >= min_area)
    for k, threshold in enumerate(LEVELS):
        one = label_components(response >= threshold, min_area)
        chosen = found.level == k
        np.testing.assert_array_equal(found.areas[chosen], one.areas)
        np.testing.assert_array_equal(found.centres[chosen], one.centres)
        np.testing.assert_array_equal(found.anchors()[chosen], one.anchors())


@pytest.mark.parametrize("extended", [False, True])
@given(responses, st.integers(0, 2**32 - 1), st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_counts_are_those_of_each_threshold(extended, response, seed, min_area):
    rng = np.random.default_rng(seed)
    true = label_components(rng.random(response.shape) < 0.2, 1)
    inside, among = rng.random(response.shape) < 0.7, rng.random(len(true)) < 0.7
    match_rule, thresholds = MatchRule(2.0, extended, min_area), rng.permutation(np.append(LEVELS, 0.5))
    counted = count_defects(response, true, inside, match_rule, thresholds, among)
    assert counted == one_by_one(response, true, inside, match_rule, thresholds, among)


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("smoothness", [0.5, 1.5, 4.0])
def test_counts_of_a_frame_are_those_of_each_threshold(smoothness, extended):
    rng = np.random.default_rng(0)
    noise, true = rng.normal(size=(2, 96, 96))
    noise, true = (gaussian_filter(field, scale) for field, scale in ((noise, smoothness), (true, 4.0)))
    defects = true > np.quantile(true, 0.95)
    response = (noise / noise.std() + true / true.std()).astype(np.float32)
    inside = np.add.outer(np.arange(96), np.arange(96)) < 120
    thresholds = choose_thresholds([response[inside]], 0.05)
    components, among = label_components(defects, 1), np.ones(label_components(defects, 1).areas.shape, bool)
    match_rule = MatchRule(5.0, extended)
    counted = count_defects(response, components, inside, match_rule, thresholds)
    assert counted == one_by_one(response, components, inside, match_rule, thresholds, among)
    assert any(c.tp for c in counted)


def test_classes_and_frames_together_are_each_by_itself():
    rng = np.random.default_rng(1)
    noise, true = (gaussian_filter(rng.normal(size=(2, 3, 48, 60)), (0, 0, s, s)) for s in (1.0, 2.5))
    masks = true > np.quantile(true, 0.95)
    masks[:, 1] &= np.arange(60) > 60  # a class that occurs nowhere
    responses = (noise / noise.std() + 2 * masks).astype(np.float32)
    inside = np.add.outer(np.arange(48), np.arange(60)) < np.array([70, 90])[:, None, None]
    match_rules = (MatchRule(4.0), MatchRule(2.0), MatchRule(4.0, extended=True, min_area=2))
    levels = LEVELS * 2
    first, absent, last = Truth(masks, inside, ("a", "b", "c"), match_rules).score(responses, levels)
    assert absent is None
    for c, score in ((0, first), (2, last)):
        counts = Counts()
        for response, mask, area in zip(responses[:, c], masks[:, c], inside, strict=True):
            counts += match_rules[c].count(response >= score.threshold, mask, area)
        assert (score.tp, score.fp, score.fn) == (counts.tp, counts.fp, counts.fn)
        frames = list(zip(responses[:, c], masks[:, c], inside, strict=True))
        assert score == score_class(score.name, frames, match_rules[c], levels)
        assert score.tp > 0
