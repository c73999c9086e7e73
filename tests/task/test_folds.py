"""Folds are rectangles that share the frame and its defects fairly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_menndl.task.folds import cut_folds

SEEDS = st.integers(0, 10_000)


def scatter(seed: int, shape: tuple[int, int], numbers: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """So many defects of each class, anywhere."""
    rng = np.random.default_rng(seed)
    kinds = np.repeat(np.arange(len(numbers)), numbers)
    return rng.uniform(0, np.array(shape) - 1, (len(kinds), 2)), kinds


def fold_of(fold_map: np.ndarray, points: np.ndarray) -> np.ndarray:
    y, x = np.rint(points).astype(int).T
    return fold_map[y, x]


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(2, 9), st.integers(0, 5), st.integers(8, 90), st.integers(8, 90))
def test_every_fold_is_one_rectangle_and_every_pixel_has_one_fold(seed, folds, split, height, width):
    points, kinds = scatter(seed, (height, width), (5, 2))
    fold_map = cut_folds(np.ones((height, width)), points, kinds, folds, split)
    assert set(np.unique(fold_map)) == set(range(folds))
    for fold in range(folds):
        y, x = np.nonzero(fold_map == fold)
        assert len(y) == (y.max() - y.min() + 1) * (x.max() - x.min() + 1)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(0, 5))
def test_two_folds_have_35_to_65_percent_of_what_is_known(seed, split):
    points, kinds = scatter(seed, (60, 80), (7,))
    known = np.zeros((60, 80))
    known[5:45, 20:70] = 1
    fold_map = cut_folds(known, points, kinds, 2, split)
    share = known[fold_map == 0].sum() / known.sum()
    assert 0.35 <= share <= 0.65


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(0, 5))
def test_every_class_with_enough_defects_is_in_every_fold(seed, split):
    points, kinds = scatter(seed, (128, 128), (40, 24))
    fold_map = cut_folds(np.ones((128, 128)), points, kinds, 4, split)
    for kind in (0, 1):
        numbers = np.bincount(fold_of(fold_map, points[kinds == kind]), minlength=4)
        assert numbers.min() >= 1


def test_defects_part_more_evenly_than_with_cuts_through_the_middle():
    middle = (np.indices((128, 128)) >= 64).T @ (1, 2)
    ours, theirs = [], []
    for seed in range(30):
        points, kinds = scatter(seed, (128, 128), (24, 8))
        fold_map = cut_folds(np.ones((128, 128)), points, kinds, 4, 0)
        for folds, spread in ((fold_map, ours), (middle, theirs)):
            spread.extend(np.bincount(fold_of(folds, points[kinds == k]), minlength=4).std() for k in (0, 1))
    assert np.mean(ours) < 0.6 * np.mean(theirs)


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2), (1, 2), (0, 3)])
def test_another_split_has_other_folds(one, other):
    alike = []
    for seed in range(20):
        points, kinds = scatter(seed, (96, 96), (20,))
        maps = [cut_folds(np.ones((96, 96)), points, kinds, 4, split) for split in (one, other)]
        folds = [[m == fold for fold in range(4)] for m in maps]
        alike += [max((a & b).sum() / (a | b).sum() for b in folds[1]) for a in folds[0]]
    assert np.mean(alike) < 0.8


def test_the_same_split_is_always_cut_alike():
    points, kinds = scatter(4, (50, 70), (9, 3))
    maps = [cut_folds(np.ones((50, 70)), points, kinds, 4, 1) for _ in range(2)]
    assert np.array_equal(*maps)
