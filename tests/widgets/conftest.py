"""A real search of one network on one small frame, quickly learned, whose run the docks then show."""

import functools
import gc
import os
import tempfile

os.environ["NAPARI_ENSURE_PLUGIN_MAIN_THREAD"] = "1"
# Settings of the person who runs the tests are neither read nor changed.
os.environ["NAPARI_MENNDL_DATA"] = tempfile.mkdtemp(prefix="menndl-settings-")
os.environ["NAPARI_CONFIG"] = os.path.join(os.environ["NAPARI_MENNDL_DATA"], "settings.yaml")

import numpy as np
import pytest
from npe2 import PluginManifest
from pytestqt.qtbot import QtBot

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.genome.space import SearchSpace
from napari_menndl.movie.movie import Movie
from napari_menndl.movie.reading import open_movie
from napari_menndl.pool.serial import SerialPool
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.runner import SearchRunner
from napari_menndl.search.settings import SearchSettings
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.job import run
from napari_menndl.widgets.preferences import _file

CLASSES = ("dark", "bright")
SETTINGS = SearchSettings(
    budget="1networks",
    pool="serial",
    population=2,
    pixels=500_000,
    rungs=1,
    founders=("dilated_fcn",),
)


@pytest.fixture(scope="session", autouse=True)
def _manifests_are_read_once():
    """napari reads those of all plugins anew for every window, which takes a third of its start."""
    read = functools.cache(PluginManifest.from_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "from_file", lambda path: read(path).model_copy(deep=True))
        yield


class PatientQtBot(QtBot):
    """Waits until something happens, however slow the machine; a test that hangs ends all the same."""

    def waitUntil(self, callback, *, timeout=600_000):  # noqa: N802
        super().waitUntil(callback, timeout=timeout)

    def waitSignal(self, signal, *, timeout=600_000, **options):  # noqa: N802
        return super().waitSignal(signal, timeout=timeout, **options)


@pytest.fixture
def qtbot(qapp, request):
    return PatientQtBot(request)


@pytest.fixture
def viewer(make_napari_viewer):
    # napari looks through every object for garbage twice where a window ends: those that are there before are left out.
    gc.collect()
    gc.freeze()
    _file().clear()  # what a dock remembers is not that of another test
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1280, 800)
    return viewer


@pytest.fixture(scope="session")
def blobs() -> tuple[Movie, np.ndarray]:
    """Four frames of dark and bright blobs on noise, half of them too faint to be found, and their labels."""
    rng, size = np.random.default_rng(1), 128
    y, x = np.mgrid[:size, :size]
    frames, labels = rng.normal(0, 0.4, (4, size, size)), np.zeros((4, size, size), np.uint8)
    for t, frame in enumerate(frames):
        for number, (cy, cx) in enumerate(rng.uniform(8, size - 8, (60, 2))):
            squared = (y - cy) ** 2 + (x - cx) ** 2
            if labels[t][squared < 9.0**2].any():
                continue
            frame += (-3, 3, -3, 3, 0.2)[number % 5] * np.exp(-squared / 10)
            labels[t][squared < 3.5**2] = 1 + number % 5 % 2
    return open_movie((100 + 10 * frames).astype(np.float32), pixel_size=0.05, frame_time=0.4064), labels


@pytest.fixture(scope="session")
def movie(blobs):
    return blobs[0]


@pytest.fixture(scope="session")
def annotation(blobs):
    """Frames 0 and 1 are annotated, 2 and 3 are not."""
    return Annotation.from_labels(blobs[1], CLASSES, frames=[0, 1], pixel_size=(0.05, 0.05))


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory, movie, annotation):
    task = TrainingTask.from_movie(movie, annotation, frames=[0])
    folder = RunFolder.create(tmp_path_factory.mktemp("search") / "tiny.menndl", SETTINGS, SearchSpace(), task)
    pool = SerialPool(run)
    with folder.lock():
        SearchRunner(folder, pool).run()
    pool.close()
    return folder.path
