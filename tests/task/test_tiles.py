"""Tiles stay where they may lie, hold every defect, and leave out what repeats."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

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
    frames = np.random.default_rng(seed).normal(size=labels.shape).astype(np.float32)
    train = np.broadcast_to(area, labels.shape)
    size = fit_tile(size, area, train)
    tiles = choose_tiles(frames, labels, train, area, size, np.random.default_rng(seed))
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
def test_defects_and_background_are_drawn_equally_often(seed, number):
    labels = defects(seed, (1, 96, 96), number)
    frames = np.random.default_rng(seed).normal(size=labels.shape)
    everywhere = np.ones(labels.shape, bool)
    tiles = choose_tiles(frames, labels, everywhere, everywhere[0], 16, np.random.default_rng(0))
    with_defect = np.array([(labels[w] > 0).any() for w in windows(tiles)])
    assert tiles.weights.sum() == pytest.approx(1)
    assert len({tuple(o) for o in tiles.origins}) == len(tiles)
    assert with_defect[: tiles.defects].all()
    assert not with_defect[tiles.defects :].any()
    if number:
        assert tiles.weights[with_defect].sum() == pytest.approx(0.5)


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


def test_background_differs_more_than_windows_at_random():
    """A frame that is one and the same lattice but for a corner: the corner is not missed among the repeats."""
    y, x = np.indices((256, 256))
    frame = np.cos(2 * np.pi * y / 8) + np.cos(2 * np.pi * x / 8)
    frame[:40, :40] = np.random.default_rng(0).normal(0, 3, (40, 40))
    everywhere = np.ones((1, 256, 256), bool)
    labels = np.zeros((1, 256, 256), np.uint8)
    for seed in range(5):
        tiles = choose_tiles(frame[None], labels, everywhere, everywhere[0], 32, np.random.default_rng(seed))
        assert len(tiles) <= 8
        corner_tiles = (tiles.origins[:, 1:] < 40).all(axis=1)
        assert corner_tiles.sum() >= 1
        spread = pdist(np.array([[frame[w[1:]].std(), frame[w[1:]].mean()] for w in windows(tiles)])).max()
        assert spread > 0.5


def test_tiles_of_sparse_annotation_may_hold_unknown_pixels_but_teach_something():
    labels = np.zeros((1, 96, 96), np.uint8)
    labels[0, 40:44, 40:44] = 1
    train = np.zeros((1, 96, 96), bool)
    train[0, 30:60, 30:60] = True
    tiles = choose_tiles(np.zeros(labels.shape), labels, train, ~train[0] | train[0], 32, np.random.default_rng(0))
    assert len(tiles)
    assert all(train[w].any() for w in windows(tiles))


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_the_same_stream_chooses_the_same_tiles(seed):
    labels = defects(seed, (1, 64, 64), 5)
    everywhere = np.ones(labels.shape, bool)
    assume(labels.any())
    one, two = (
        choose_tiles(labels.astype(float), labels, everywhere, everywhere[0], 20, np.random.default_rng(seed))
        for _ in range(2)
    )
    assert np.array_equal(one.origins, two.origins)
    assert np.array_equal(one.weights, two.weights)
