"""Tiles stay where they may lie, hold every defect at many places, and show all of the frame."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_menndl.errors import InputError
from napari_menndl.metrics.components import label_components
from napari_menndl.task.tiles import SMALLEST_TILE, choose_tiles, fit_tile, permitted_origins

SEEDS = st.integers(0, 10_000)


def corner(height: int, width: int, y: int, x: int) -> np.ndarray:
    """All but a block in the upper left corner."""
    area = np.ones((height, width), bool)
    area[:y, :x] = False
    return area


def defects(seed: int, shape: tuple[int, int, int], number: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    for _ in range(number):
        n, y, x = (int(rng.integers(edge)) for edge in shape)
        labels[n, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = rng.integers(1, 3)
    return labels


def windows(tiles):
    return [(n, slice(y, y + tiles.size), slice(x, x + tiles.size)) for n, y, x in tiles.origins]


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(40, 80), st.integers(40, 80), st.integers(0, 36), st.integers(16, 64))
def test_no_tile_leaves_its_area_and_all_reached_defects_are_covered(seed, height, width, block, size):
    assume(block + 16 <= max(height, width))
    area = corner(height, width, block, block)
    labels = defects(seed, (2, height, width), 12)
    train = np.broadcast_to(area, labels.shape)
    size = fit_tile(size, area, train)
    tiles = choose_tiles(labels, train, area, size, np.random.default_rng(seed))
    seen = np.zeros(labels.shape, bool)
    for window in windows(tiles):
        assert area[window[1:]].shape == (size, size)
        assert area[window[1:]].all()
        seen[window] = True
    origins = permitted_origins(area, size)
    reached = np.zeros(area.shape, bool)
    for y, x in np.argwhere(origins):
        reached[y : y + size, x : x + size] = True
    for n in range(2):
        for value in (1, 2):
            components = label_components((labels[n] == value) & area, 1)
            for y, x in components.anchors():
                assert seen[n, y, x] or not reached[y, x]


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(0, 12))
def test_windows_around_defects_and_anywhere_are_drawn_equally_often(seed, number):
    labels = defects(seed, (1, 96, 96), number)
    everywhere = np.ones(labels.shape, bool)
    tiles = choose_tiles(labels, everywhere, everywhere[0], 16, np.random.default_rng(0))
    with_defect = np.array([(labels[w] > 0).any() for w in windows(tiles)])
    assert tiles.weights.sum() == pytest.approx(1)
    assert with_defect[: tiles.defects].all()
    assert tiles.weights[: tiles.defects].sum() == pytest.approx(0.5 if number else 0)
    seen = np.zeros(labels.shape, bool)
    for window in windows(tiles)[tiles.defects :]:
        seen[window] = True
    assert seen.all()


def test_a_defect_is_shown_at_many_places_of_a_tile_and_a_rare_class_more_often():
    labels = np.zeros((1, 128, 128), np.uint8)
    labels[0, 60:63, 60:63] = 2
    for x in range(10, 120, 12):
        labels[0, 20:23, x : x + 3] = 1
    everywhere = np.ones(labels.shape, bool)
    tiles = choose_tiles(labels, everywhere, everywhere[0], 32, np.random.default_rng(0))
    rare = np.array([(labels[w] == 2).any() for w in windows(tiles)[: tiles.defects]])
    places = np.unique(61 - tiles.origins[: tiles.defects][rare][:, 1:], axis=0)
    assert len(places) > 200
    assert np.ptp(places, axis=0).min() > 24
    shares = tiles.weights[: tiles.defects][rare].sum() / tiles.weights[: tiles.defects].sum()
    assert shares == pytest.approx(1 / (1 + np.sqrt(10)), rel=0.2)


@settings(max_examples=30, deadline=None)
@given(st.integers(16, 90), st.integers(20, 90), st.integers(20, 90), st.integers(0, 60), st.integers(0, 60))
def test_a_fitting_tile_fits_and_is_no_larger_than_asked(size, height, width, y, x):
    area = corner(height, width, y, x)
    try:
        fitting = fit_tile(size, area)
    except InputError:
        assert not area.any() or not permitted_origins(area, SMALLEST_TILE).any()
        return
    assert SMALLEST_TILE <= fitting <= size
    assert permitted_origins(area, fitting).any()


def test_a_frame_smaller_than_a_tile_shrinks_the_tile():
    assert fit_tile(256, np.ones((40, 64), bool)) == 40


def test_a_tile_reaches_the_narrow_side_of_an_area_too():
    area = corner(128, 128, 100, 60)
    assert fit_tile(64, area) < 64
    assert fit_tile(64, area) >= 28


def test_a_tile_need_not_reach_what_nobody_knows():
    area = corner(128, 128, 100, 60)
    train = np.zeros((1, 128, 128), bool)
    train[0, :, 64:] = True
    assert fit_tile(64, area, train) == 64


def test_tiles_of_sparse_annotation_may_hold_unknown_pixels_but_teach_something():
    labels = np.zeros((1, 96, 96), np.uint8)
    labels[0, 40:44, 40:44] = 1
    train = np.zeros((1, 96, 96), bool)
    train[0, 30:60, 30:60] = True
    tiles = choose_tiles(labels, train, ~train[0] | train[0], 32, np.random.default_rng(0))
    assert len(tiles)
    assert all(train[w].any() for w in windows(tiles))


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_the_same_stream_chooses_the_same_tiles(seed):
    labels = defects(seed, (1, 64, 64), 5)
    everywhere = np.ones(labels.shape, bool)
    assume(labels.any())
    one, two = (choose_tiles(labels, everywhere, everywhere[0], 20, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(one.origins, two.origins)
    assert np.array_equal(one.weights, two.weights)
