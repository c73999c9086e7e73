"""Copies of a frame with defects pasted where the lattice is alike: within folds, labelled, and over nothing known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_menndl.metrics.components import label_components
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.task.pasting import LEAST, paste_defects
from napari_menndl.task.task import COPIED, COPIES, TrainingTask

SEEDS = st.integers(0, 10_000)
#: Lattice constant [px].
PERIOD = 12


def crystal(edge: int = 120, seed: int = 0, noise: float = 0.02) -> np.ndarray:
    """A square lattice of columns, (Y, X) float32."""
    y, x = np.mgrid[:edge, :edge] * (2 * np.pi / PERIOD)
    columns = np.cos(y) + np.cos(x)
    return (100 + 10 * columns + noise * np.random.default_rng(seed).normal(size=columns.shape)).astype(np.float32)


def with_vacancies(frame: np.ndarray, sites: list[tuple[int, int]], value: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Frame and labels with missing columns at multiples of the lattice constant."""
    frame, labels = frame.copy(), np.zeros(frame.shape, np.uint8)
    y, x = np.indices(frame.shape)
    for site in sites:
        distance = np.hypot(y - site[0] * PERIOD, x - site[1] * PERIOD)
        frame -= (15 * np.exp(-(distance**2) / 8)).astype(np.float32)
        labels[distance <= 3] = value
    return frame, labels


def task_of(frame: np.ndarray, labels: np.ndarray, known: np.ndarray | None = None) -> TrainingTask:
    known = np.ones(frame.shape, bool) if known is None else known
    rules = (MatchRule(3.0), MatchRule(3.0))
    return TrainingTask(frame[None], np.where(known, labels, 0)[None], known[None], ("a", "b"), rules)


SITES = [(2, 2), (3, 7), (5, 4), (7, 8), (8, 3)]


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_defects_are_pasted_whole_on_free_sites_of_the_same_lattice(seed):
    frame, labels = with_vacancies(crystal(240, seed), SITES)
    planes, drawn = paste_defects(frame[None], labels, np.ones(labels.shape, bool), 2, np.random.default_rng(seed))
    for copy, marked in zip(planes[:, 0], drawn, strict=True):
        assert (marked[labels > 0] == 1).all()
        pasted = label_components((marked > 0) & (labels == 0), 1)
        assert len(pasted) >= LEAST
        assert set(pasted.areas) == set(label_components(labels > 0, 1).areas)
        for y, x in pasted.centres:
            assert abs((y + 2) % PERIOD - 2) <= 1
            assert abs((x + 2) % PERIOD - 2) <= 1
        # It looks as the true ones do.
        assert copy[marked > 0].mean() == pytest.approx(frame[labels > 0].mean(), abs=1)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_only_known_pixels_are_copied_and_pasted_on(seed):
    frame, labels = with_vacancies(crystal(), SITES)
    known = np.zeros(labels.shape, bool)
    known[:70] = True
    labels[~known] = 0
    planes, drawn = paste_defects(frame[None], labels, known, 3, np.random.default_rng(seed))
    assert (planes[:, 0] != frame).any()
    assert np.array_equal(planes[:, 0, ~known], np.broadcast_to(frame[~known], (3, (~known).sum())))
    assert not drawn[:, ~known].any()


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.integers(0, 3), st.integers(0, 3))
def test_no_copy_shows_what_its_fold_validates_on(seed, split, fold):
    frame, labels = with_vacancies(crystal(240, seed), [(2 * y, 2 * x) for y, x in SITES] + SITES)
    task = task_of(frame, labels)
    hidden = ~task.split(split, fold).train
    other = replace(task, frames=np.where(hidden, task.frames[:, ::-1, ::-1], task.frames))
    copies, others = task.with_copies(split, fold), other.with_copies(split, fold)
    assert len(copies.frames) == 1 + COPIES
    assert (copies.frames[1:] != task.frames).any()
    assert np.array_equal(copies.frames[:, ~hidden[0]], others.frames[:, ~hidden[0]])
    assert np.array_equal(copies.labels, others.labels)


def test_copies_follow_the_frames_and_are_the_same_each_time():
    frame, labels = with_vacancies(crystal(180), SITES)
    task = replace(task_of(frame, labels), neighbours=np.repeat(frame[None, None], 4, axis=1))
    copies, again = task.with_copies(0, 1), replace(task).with_copies(0, 1)
    assert np.array_equal(copies.planes[0], task.planes[0])
    assert np.array_equal(copies.planes, again.planes)
    # The same is pasted into the neighbours.
    assert np.array_equal(copies.frames, copies.neighbours[:, 0])


def test_large_frames_are_not_copied():
    edge = int(np.sqrt(COPIED)) + 1
    frame = np.zeros((edge, edge), np.float32)
    task = task_of(frame, np.zeros(frame.shape, np.uint8))
    assert task.with_copies(0, None) is task


def test_a_defect_that_touches_another_is_not_pasted():
    frame, labels = with_vacancies(crystal(), [(5, 5)])
    labels[60 + 4 : 60 + 7, 58:63] = 2
    planes, drawn = paste_defects(frame[None], labels, np.ones(labels.shape, bool), 2, np.random.default_rng(0))
    assert np.array_equal(planes[:, 0], np.stack([frame] * 2))
    assert np.array_equal(drawn, np.stack([labels] * 2))


def test_nothing_is_pasted_where_nothing_can_be_compared():
    frame, labels = np.full((96, 96), 7.0, np.float32), np.zeros((96, 96), np.uint8)
    labels[40:44, 40:44] = 1
    frame[labels > 0] = 9
    task = task_of(frame, labels)
    assert task.with_copies(0, None) is task


def test_nothing_is_pasted_on_a_ground_without_a_lattice():
    rng = np.random.default_rng(0)
    ground = ndimage.gaussian_filter(rng.normal(size=(240, 240)), 6).astype(np.float32)
    frame, labels = with_vacancies(100 + 100 * ground + rng.normal(size=ground.shape).astype(np.float32), SITES)
    task = task_of(frame, labels)
    assert task.with_copies(0, None) is task
