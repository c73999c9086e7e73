"""A search so small that it takes seconds: two frames of bright dots, networks of two or three layers."""

import numpy as np

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.genome.ranges import LayerSpace, Limits, TrainingSpace
from napari_menndl.genome.space import SearchSpace
from napari_menndl.movie.reading import open_movie
from napari_menndl.pool.serial import SerialPool
from napari_menndl.run import Run
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.runner import SearchRunner
from napari_menndl.search.settings import SearchSettings
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.job import run as train

SPACE = SearchSpace(
    LayerSpace(kinds=("conv",), filters=(4, 8), kernel=(3, 5), strides=(1,)),
    # So few steps are stable at moderate rates only.
    TrainingSpace(batch=(4,), tile=(32,), learning_rate=(2e-3, 6e-3), optimiser=("adam",)),
    Limits(layers=(2, 3)),
)
SETTINGS = {"population": 2, "pixels": 60_000, "founders": (), "rungs": 1}
PIXEL_SIZE = (0.02, 0.02)


def dots():
    """Frames (2, 64, 64) float32 of noise and bright dots, and their labels (2, 64, 64) uint8."""
    frames = np.random.default_rng(0).normal(100, 10, (2, 64, 64)).astype(np.float32)
    labels = np.zeros(frames.shape, np.uint8)
    for t, first in enumerate((6, 8)):
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                labels[t, first + dy :: 13, first + dx :: 13] = 1
    frames[labels > 0] += 80
    return frames, labels


def prepare(path, **changed) -> Run:
    """A run folder whose search has not begun."""
    frames, labels = dots()
    settings = SearchSettings.from_json({**SETTINGS, "budget": "2networks", "pool": "serial", **changed})
    movie = open_movie(frames, pixel_size=PIXEL_SIZE)
    task = TrainingTask.from_movie(movie, Annotation.from_labels(labels))
    return Run(RunFolder.create(path, settings, SPACE, task))


def finish(run: Run) -> Run:
    """Search in this process, without starting another."""
    SearchRunner(run.folder, SerialPool(train)).run()
    return run
