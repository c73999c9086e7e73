"""A real search of one network on one small simulated frame, and napari windows to show it in."""

import os

os.environ["NAPARI_ENSURE_PLUGIN_MAIN_THREAD"] = "1"

import pytest

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.genome.space import SearchSpace
from napari_menndl.movie.simulation import simulate_movie
from napari_menndl.pool.serial import SerialPool
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.runner import SearchRunner
from napari_menndl.search.settings import SearchSettings
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.job import run

CLASSES = ("S vacancy", "hole")


@pytest.fixture(scope="session")
def simulated():
    """Four frames of 128 × 128 px with holes."""
    return simulate_movie(frames=4, shape=(128, 128), snr=10)


@pytest.fixture(scope="session")
def annotation(simulated):
    """Frames 0 and 1 are annotated, 2 and 3 are not."""
    return Annotation.from_simulation(simulated, frames=[0, 1], classes=CLASSES)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory, simulated, annotation):
    folder = RunFolder.create(
        tmp_path_factory.mktemp("search") / "tiny.menndl",
        SearchSettings(
            budget="1networks",
            pool="serial",
            population=2,
            finalists=1,
            pixels=300_000,
            rung_folds=(1,),
            founders=("dilated_fcn",),
        ),
        SearchSpace(),
        TrainingTask.from_movie(simulated.movie, annotation, frames=[0]),
    )
    pool = SerialPool(run)
    with folder.lock():
        SearchRunner(folder, pool).run()
    pool.close()
    return folder.path
