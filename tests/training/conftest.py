"""A task that a small network learns in a second: bright and dark blobs on a noisy ground."""

from collections.abc import Callable

import numpy as np
import pytest

from napari_menndl.genome.genes import Conv, TrainingGenes
from napari_menndl.genome.genome import Genome
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.task.task import TrainingTask


def blob_task(size: int = 128, blobs: int = 30, seed: int = 0) -> TrainingTask:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    frame, labels = rng.normal(0, 0.3, (size, size)), np.zeros((size, size), np.uint8)
    for i, (cy, cx) in enumerate(rng.uniform(5, size - 5, (2 * blobs, 2))):
        squared = (y - cy) ** 2 + (x - cx) ** 2
        near = squared < 3.0**2
        if labels[squared < 7.0**2].any():
            continue
        frame += (1 if i % 2 else -1) * 3 * np.exp(-squared / 8)
        labels[near] = 1 + i % 2
    match_rules = (MatchRule(3.0), MatchRule(3.0))
    known = np.ones((1, size, size), bool)
    return TrainingTask(
        (100 + 10 * frame[None]).astype(np.float32), labels[None], known, ("dark", "bright"), match_rules
    )


def small_genome(**genes: object) -> Genome:
    layers = (Conv(filters=8, kernel=(5, 5)), Conv(filters=8, kernel=(3, 3)))
    defaults = {"learning_rate": 0.01, "schedule": "cosine", "normalisation": "global", "tile": 32, "class_weight": 3.0}
    return Genome(layers, (), TrainingGenes(**(defaults | genes)))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def task() -> TrainingTask:
    return blob_task()


@pytest.fixture(scope="session")
def make_genome() -> Callable[..., Genome]:
    return small_genome
