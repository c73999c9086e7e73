import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_menndl.metrics.detection import MatchRule, count_defects, fitness, pixel_counts, score_class
from napari_menndl.metrics.ranking import average_precision, best_threshold
from napari_menndl.metrics.scores import Counts

ANY_SIZE = [MatchRule(2.0, min_area=1), MatchRule(0.0, extended=True, min_area=1)]
masks = arrays(bool, (12, 12), elements=st.booleans(), fill=st.just(False))


def draw(picture: str, mark: str = "#") -> np.ndarray:
    return np.array([[c == mark for c in line.strip()] for line in picture.strip().splitlines()])


def discs(n: int, size: int = 64, seed: int = 0) -> np.ndarray:
    """n defects of 3 x 3 px on a grid of 8 px, in random cells."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((size, size), bool)
    for cell in rng.choice((size // 8) ** 2, n, replace=False):
        y, x = divmod(int(cell), size // 8)
        mask[8 * y + 3 : 8 * y + 6, 8 * x + 3 : 8 * x + 6] = True
    return mask


@pytest.mark.parametrize("match_rule", ANY_SIZE)
@given(found=masks, true=masks)
@settings(max_examples=40, deadline=None)
def test_swapping_found_and_true_swaps_false_and_missed(match_rule, found, true):
    there, back = match_rule.count(found, true), match_rule.count(true, found)
    assert (there.tp, there.fp, there.fn) == (back.tp, back.fn, back.fp)


@pytest.mark.parametrize("match_rule", ANY_SIZE)
@given(found=masks, true=masks)
@settings(max_examples=40, deadline=None)
def test_counts_add_up_to_all_found_and_all_true(match_rule, found, true):
    match = match_rule.match(found, true)
    assert match.counts.tp + match.counts.fp == len(match.found)
    assert match.counts.tp + match.counts.fn == len(match.true)


@pytest.mark.parametrize("match_rule", ANY_SIZE)
@given(found=masks, true=masks)
@settings(max_examples=40, deadline=None)
def test_areas_that_share_a_frame_share_its_counts_out(match_rule, found, true):
    """Each true defect counts in exactly one of two areas that make up the frame."""
    left = np.zeros((12, 12), bool)
    left[:, :5] = True
    parts = match_rule.count(found, true, left) + match_rule.count(found, true, ~left)
    assert parts == match_rule.count(found, true)


def test_a_pair_across_the_border_is_a_pair():
    inside = draw("####....", "#")[[0] * 3]
    found = draw("..###...")[[0] * 3]  # centre at x = 3: inside
    true = draw("...###..")[[0] * 3]  # centre at x = 4: outside
    match_rule = MatchRule(1.0)
    assert match_rule.count(found, true, inside) == Counts(0, 0, 0)
    assert match_rule.count(found, true, ~inside) == Counts(1, 0, 0)


def test_found_specks_are_noise_but_annotated_ones_are_defects():
    speck = draw("....\n.#..\n....")
    assert MatchRule(2.0).count(speck, np.zeros_like(speck)) == Counts(0, 0, 0)
    assert MatchRule(2.0).count(np.zeros_like(speck), speck) == Counts(0, 0, 1)


def test_pixels_are_counted_inside_only():
    found, true = draw("##.."), draw(".##.")
    assert pixel_counts(found, true, np.ones_like(true)) == Counts(1, 1, 1)
    assert pixel_counts(found, true, draw("##..")) == Counts(1, 1, 0)


@pytest.mark.parametrize("extended", [False, True])
def test_a_perfect_prediction_scores_one(extended):
    true = discs(10)
    everywhere = np.ones_like(true)
    score = score_class("vacancy", [(true * 0.9 + 0.05, true, everywhere)], MatchRule(2.0, extended))
    assert score is not None
    assert (score.f1, score.average_precision, score.pixel_f1) == (1.0, 1.0, 1.0)
    assert (score.tp, score.fp, score.fn) == (10, 0, 0)
    assert 0.1 < score.threshold < 0.9, "away from the cliffs at 0.05 and 0.95"


@pytest.mark.parametrize("low", [0.0, 1e-6, 0.4])
@pytest.mark.parametrize("high", [1.0 - 1e-6, 0.41, 1e-3])
def test_a_perfect_ranking_scores_one_wherever_its_values_lie(low, high):
    if high <= low:
        low, high = low * 1e-4, high
    true = discs(10)
    probability = np.random.default_rng(0).uniform(low, (low + high) / 2, true.shape)
    probability[true] = high
    score = score_class("vacancy", [(probability, true, np.ones_like(true))], MatchRule(2.0))
    assert score is not None
    assert score.average_precision == pytest.approx(1.0)
    assert score.f1 == 1.0


def test_frames_in_another_order_score_the_same():
    rng = np.random.default_rng(1)
    frames = [(rng.random((64, 64)) * 0.6 + 0.4 * discs(6, seed=s), discs(6, seed=s), discs(0) == 0) for s in range(3)]
    assert score_class("a", frames, MatchRule(2.0)) == score_class("a", frames[::-1], MatchRule(2.0))


def test_a_turned_frame_scores_the_same():
    rng = np.random.default_rng(1)
    true = discs(8)
    probability = rng.random(true.shape) * 0.7 + 0.3 * true
    everywhere = np.ones_like(true)
    one = score_class("a", [(probability, true, everywhere)], MatchRule(2.0))
    other = score_class("a", [(np.rot90(probability), np.rot90(true), everywhere)], MatchRule(2.0))
    assert one == other


def test_a_constant_response_scores_nothing():
    true = discs(4)
    score = score_class("a", [(np.full(true.shape, 0.5), true, np.ones_like(true))], MatchRule(2.0))
    assert score is not None
    assert (score.f1, score.tp, score.fn) == (0.0, 0, 4)


def test_an_absent_class_has_no_score():
    true = discs(4)
    assert score_class("a", [(true * 1.0, true, np.zeros_like(true))], MatchRule(2.0)) is None


def test_a_shower_of_specks_finds_nothing():
    true = discs(2)
    specks = np.zeros(true.shape)
    specks[::2, ::2] = 1.0
    (counts,) = count_defects(
        specks, MatchRule(2.0).match(true, true).true, np.ones_like(true), MatchRule(2.0, min_area=1), [0.5]
    )
    assert counts == Counts(0, 1024, 2)


def test_average_precision_of_known_curves():
    assert average_precision([Counts(4, 0, 0)]) == 1.0
    assert average_precision([Counts(2, 0, 2), Counts(4, 4, 0)]) == pytest.approx(0.5 * 1.0 + 0.5 * 0.5)
    assert average_precision([Counts(0, 5, 4)]) == 0.0
    assert average_precision([]) == 0.0


def test_the_middle_of_the_longest_plateau_is_chosen():
    good, bad = Counts(3, 1, 1), Counts(1, 3, 3)
    assert best_threshold([bad, good, bad, good, good, good, bad]) == 4


def test_fitness_weighs_classes_by_their_number_and_names_the_absent():
    a, b = discs(6, seed=0), np.roll(discs(4, seed=1), 4, axis=0) & (np.arange(64)[:, None] > 8)
    labels = np.where(a, 1, np.where(b, 2, 0)).astype(np.uint8)[None]
    probabilities = np.stack([labels[0] == 1, np.zeros_like(a), np.zeros_like(a)]).astype(float)[None]
    result = fitness(
        probabilities,
        labels,
        np.ones(labels.shape, bool),
        ["found", "missed", "nowhere"],
        [MatchRule(2.0)] * 3,
        np.random.default_rng(0),
    )
    found, missed = (s.tp + s.fn for s in result.scores)
    assert found > missed
    assert result.value == pytest.approx(found / (found + missed))
    assert [s.f1 for s in result.scores] == [1.0, 0.0]
    assert result.absent == ("nowhere",)
    assert result.error is not None
    assert 0 < result.error < 0.2


def test_fitness_of_nothing_is_none():
    result = fitness(
        np.zeros((1, 1, 8, 8)),
        np.zeros((1, 8, 8), np.uint8),
        np.ones((1, 8, 8), bool),
        ["a"],
        [MatchRule(2.0)],
        np.random.default_rng(0),
    )
    assert (result.value, result.error, result.scores, result.absent) == (None, None, (), ("a",))


def test_more_defects_make_the_fitness_more_certain():
    def error(n: int) -> float:
        true = discs(n)
        found = true & (discs(64) & (np.arange(64) < 40))
        inside = np.ones((1, 64, 64), bool)
        rng = np.random.default_rng(0)
        value = fitness(found[None, None] * 1.0, true[None] * 1, inside, ["a"], [MatchRule(2.0)], rng).error
        assert value is not None
        return value

    assert error(40) < error(4)


def test_a_class_of_one_moves_the_fitness_less_than_a_class_of_many():
    many, one = discs(25, seed=0), np.zeros((64, 64), bool)
    one[0:2, 0:2] = True
    labels = np.where(one, 2, np.where(many, 1, 0)).astype(np.uint8)[None]

    def value(found: list[np.ndarray]) -> float:
        match_rules, inside, rng = [MatchRule(2.0)] * 2, np.ones(labels.shape, bool), np.random.default_rng(0)
        result = fitness(np.stack(found)[None] * 1.0, labels, inside, ["many", "one"], match_rules, rng)
        assert result.value is not None
        return result.value

    nothing = np.zeros_like(many)
    assert value([many, one]) == 1.0
    assert value([many, nothing]) == pytest.approx(25 / 26)
    assert value([nothing, one]) == pytest.approx(1 / 26)
