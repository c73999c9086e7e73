"""The column helper finds the columns of a lattice, and which of them depart from their kind."""

import numpy as np
import pytest
from scipy.spatial import KDTree

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.columns import ColumnSettings, FrameColumns, find_columns, tune_columns
from napari_menndl.errors import InputError
from napari_menndl.metrics.detection import score_class
from napari_menndl.simulation.simulate import simulate_movie

SQUARE = ((14, 2), (-2, 14)), ((0, 0, 1.0), (0.5, 0.5, 0.5))
#: A cell and its columns: place in it, height.
CRYSTALS = {
    "square, two kinds": SQUARE,
    "triangular": (((0, 12), (10.4, 6)), ((0, 0, 1.0),)),
    "perovskite": (((18, 1), (-1, 18)), ((0, 0, 1.0), (0.5, 0.5, 0.7), (0.5, 0, 0.3), (0, 0.5, 0.3))),
    "oblong, two rows": (((22, 0), (0, 11)), ((0.1, 0.2, 1.0), (0.4, 0.7, 0.8))),
}
SHAPE = (200, 230)


def crystal(cell, motif, *, noise=0.15, distortion=0.0, missing=None):
    """An image of Gaussian columns, and their places by kind."""
    rng = np.random.default_rng(0)
    cells = np.stack(np.meshgrid(*[np.arange(-40, 40)] * 2, indexing="ij"), -1).reshape(-1, 2)
    image, grid = noise * rng.normal(size=SHAPE), np.indices(SHAPE)
    places = []
    for y, x, _ in motif:
        there = (cells + np.array((y, x))) @ np.array(cell, float)
        there += distortion * np.stack([np.sin(there[:, 1] / 60), np.cos(there[:, 0] / 70)], axis=1)
        there = there[((there > 1) & (there < np.array(SHAPE) - 2)).all(axis=1)]
        places.append(there)
    for number, (there, (_, _, height)) in enumerate(zip(places, motif, strict=True)):
        for index, (y, x) in enumerate(there):
            if (number, index) != missing:
                image += height * np.exp(-((grid[0] - y) ** 2 + (grid[1] - x) ** 2) / (2 * 1.8**2))
    return image.astype(np.float32), places


@pytest.mark.parametrize("name", CRYSTALS)
def test_every_column_is_found_with_its_kind(name):
    image, places = crystal(*CRYSTALS[name])
    columns = find_columns(image)
    tree = KDTree(columns.positions)
    distance, nearest = tree.query(np.concatenate(places))
    inside = (np.abs(np.concatenate(places) - np.array(SHAPE) / 2) < np.array(SHAPE) / 2 - 12).all(axis=1)
    assert (distance[inside] < 1.2).all()
    heights = np.repeat([h for _, _, h in CRYSTALS[name][1]], [len(p) for p in places])
    kinds = columns.kind[nearest]
    for brighter, dimmer in ((1.0, 0.8), (1.0, 0.7), (1.0, 0.5), (0.7, 0.3)):
        if {brighter, dimmer} <= set(heights):
            assert kinds[(heights == brighter) & inside].max() < kinds[(heights == dimmer) & inside].min()
    assert len(columns.positions) == pytest.approx(len(distance), rel=0.08)  # some more at the very border


def test_a_lattice_distorted_by_the_scan_is_followed():
    image, places = crystal(*SQUARE, distortion=1.0)
    distance, _ = KDTree(find_columns(image).positions).query(np.concatenate(places))
    assert np.mean(distance < 1.5) > 0.95


def test_a_missing_column_stands_out():
    image, places = crystal(*SQUARE, missing=(1, 60))
    y, x = np.rint(places[1][60]).astype(int)
    frame = FrameColumns(image)
    response = frame.response(ColumnSettings("dark", kind=2))
    inside = (slice(8, -8), slice(8, -8))  # of columns at the very border, only a part is seen
    assert response[y, x] == response[inside].max() > 8
    assert np.hypot(*(np.argwhere(response[inside] > 8) + 8 - (y, x)).T).max() < 6
    for others in (ColumnSettings("dark", kind=1), ColumnSettings("bright", kind=2), ColumnSettings("dark", ceiling=6)):
        assert frame.response(others)[inside].max() < 7


@pytest.mark.parametrize("image", [np.random.default_rng(0).normal(size=(128, 128)), np.eye(64)])
def test_without_a_lattice_it_says_so(image):
    with pytest.raises(InputError, match="Bragg spots"):
        find_columns(image)


def test_settings_are_tuned_to_labels():
    simulated = simulate_movie(frames=1, shape=(256, 256), snr=5.0, area_seed=5)
    annotation = Annotation.from_simulation(simulated, frames=[0])
    frame, labels = simulated.movie.frame(0), np.asarray(simulated.labels[0])
    known = np.ones(labels.shape, bool)
    for c, least in ((0, 0.85), (1, 0.6)):  # Mo on W columns; single S vacancies
        truth, match_rule = labels == c + 1, annotation.match_rule(c)
        settings = tune_columns(frame, truth, known, match_rule)
        response = FrameColumns(frame).response(settings)
        assert score_class("", [(response, truth, known)], match_rule, [settings.threshold]).f1 > least
