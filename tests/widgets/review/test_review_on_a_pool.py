"""A movie that is predicted elsewhere is reviewed as one that is predicted here."""

from contextlib import suppress

import numpy as np
import psutil

from napari_menndl.predict.job import ENTRY
from napari_menndl.widgets.review.frame_review import Question, Setting
from napari_menndl.widgets.review.reviewer import FrameReviewer
from napari_menndl.widgets.review.sources import PooledSource


def trainers():
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended since, or is about to
            if ENTRY in " ".join(child.cmdline()):
                found.append(child)
    return found


def test_a_pool_that_is_chosen_predicts_the_movie(qtbot, dock, reviewed, run_folder, movie):
    dock.controls.pool.spec = "serial"
    reviewed(dock)
    assert isinstance(dock.movie.reviewer.source(dock.movie.setting), PooledSource)
    for frame in range(len(movie)):
        here = FrameReviewer().answer(Question(Setting(str(run_folder), movie), frame))
        assert np.array_equal(dock.movie.reviews[frame].predicted, here.predicted)
    dock.controls.pool.spec = "local"
    assert not dock.movie.reviews
    qtbot.waitUntil(lambda: not trainers())


def test_a_pool_without_its_address_is_asked_for(qtbot, dock, click):
    dock.controls.pool.kind.setCurrentIndex(1)
    click(dock.controls.button)
    assert "address" in dock.controls.status.text()
