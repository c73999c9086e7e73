"""The defects of a reviewed movie, followed through time in the dock."""

import numpy as np
import pandas as pd
from napari.layers import Tracks
from qtpy.QtWidgets import QFileDialog


def test_the_defects_are_followed_shown_and_saved(viewer, dock, reviewed, click, qtbot, tmp_path, monkeypatch):
    view = dock.controls.tracks
    assert not dock.controls.through_time.isVisible()
    reviewed(dock)
    dock.controls.through_time.expand(animate=False)
    assert not view.save.isEnabled()
    click(view.follow)
    qtbot.waitUntil(lambda: dock.tracks.found is not None)
    found, movie = dock.tracks.found, dock.inputs.movie
    layer = next(layer for layer in viewer.layers if isinstance(layer, Tracks))
    assert len(np.unique(layer.data[:, 0])) == len(found)
    assert np.allclose(layer.scale, dock.inputs.image.scale)
    assert found.observed.pixel_size == movie.pixel_size
    assert found.observed.frame_time == movie.frame_time
    assert "tracks in 4 of 4 frames" in view.status.text()
    # Where nothing is judged, every predicted defect is in a track; a missed one is in none.
    predicted = sum((review.defects["outcome"] != "false negative").sum() for review in dock.movie.reviews.values())
    assert len(found.trajectories) == predicted

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    click(view.save)
    assert len(pd.read_csv(tmp_path / "trajectories.csv")) == predicted

    view.plot.frame_chosen.emit(2)
    qtbot.waitUntil(lambda: dock.inputs.frame == 2)
    assert view.plot._line.value() == 2

    # Another threshold finds other defects: the tracks are of the former ones, and that is said.
    dock.controls.level["own_threshold"].value = False
    dock.controls.level["threshold"].value = 0.99
    qtbot.waitUntil(lambda: "follow the defects again" in view.status.text())
    assert not view.save.isEnabled()

    dock.controls.what["source"].value = tmp_path
    assert dock.tracks.found is None
    assert layer not in viewer.layers
