from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_menndl.metrics.matching import match_overlap, match_points

TOLERANCE = 2.0
points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=5).map(
    lambda p: np.array(p, dtype=float).reshape(-1, 2)
)


def distances(found, true):
    return np.linalg.norm(found[:, None] - true[None], axis=2)


def best_by_trying_everything(found, true):
    """The largest number of pairs, and for it the smallest sum of distances."""
    if len(found) > len(true):
        found, true = true, found
    d = distances(found, true)
    best = (0, 0.0)
    for order in permutations(range(len(true)), len(found)):
        chosen = [d[i, j] for i, j in enumerate(order) if d[i, j] <= TOLERANCE]
        best = min(best, (-len(chosen), sum(chosen)))
    return -best[0], best[1]


@given(points, points)
@settings(max_examples=150, deadline=None)
def test_matching_is_the_best_of_all_one_to_one_matchings(found, true):
    pairs = match_points(found, true, TOLERANCE)
    assert len(set(pairs[:, 0].tolist())) == len(set(pairs[:, 1].tolist())) == len(pairs)
    d = distances(found, true)[pairs[:, 0], pairs[:, 1]]
    assert (d <= TOLERANCE).all()
    number, total = best_by_trying_everything(found, true)
    assert len(pairs) == number
    assert d.sum() == pytest.approx(total)


def test_one_more_pair_is_worth_more_than_closer_pairs():
    #     found      0   2           true  0 (near both)   -2 (near the first only)
    pairs = match_points([[0, 0], [0, 2]], [[0, 0], [0, -2]], 2.0)
    assert sorted(map(tuple, pairs.tolist())) == [(0, 1), (1, 0)]


@given(points, points, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_order_of_the_points_changes_nothing(found, true, random):
    order = list(range(len(found)))
    random.shuffle(order)
    assert len(match_points(found, true, TOLERANCE)) == len(match_points(found[order], true, TOLERANCE))
    assert len(match_points(found, true, TOLERANCE)) == len(match_points(true, found, TOLERANCE))


def test_every_point_is_itself():
    found = np.random.default_rng(0).uniform(0, 300, (2000, 2))
    pairs = match_points(found, found, 6.0)
    np.testing.assert_array_equal(np.sort(pairs[:, 0]), np.arange(2000))
    np.testing.assert_array_equal(pairs[:, 0], pairs[:, 1])


def numbered(picture: str) -> np.ndarray:
    return np.array([[int(c.replace(".", "0")) for c in line.strip()] for line in picture.strip().splitlines()])


def test_overlap_pairs_what_shares_enough_area():
    found = numbered("""
        11..22
        11..22
        ......
        333333
        """)
    true = numbered("""
        .11..2
        .11...
        ......
        .33333
        """)
    # 1 and 1: 2 of 6 shared; 2 and 2: 1 of 4; 3 and 3: 5 of 6
    assert sorted(match_overlap(found, true, iou=0.3).tolist()) == [[0, 0], [2, 2]]
    assert sorted(match_overlap(found, true, iou=0.25).tolist()) == [[0, 0], [1, 1], [2, 2]]
    assert match_overlap(found, true, iou=0.8).tolist() == [[2, 2]]


def test_a_hole_that_was_found_in_two_pieces_is_found_once():
    found = numbered("111.222")
    true = numbered("1111111")
    assert len(match_overlap(found, true)) == 1


def test_nothing_matches_nothing():
    assert match_points([], [], 3.0).shape == (0, 2)
    assert match_points([[1, 1]], [], 3.0).shape == (0, 2)
    assert match_points([[1, 1]], [[50, 50]], 3.0).shape == (0, 2)
    assert match_overlap(np.zeros((3, 3), int), np.ones((3, 3), int)).shape == (0, 2)
