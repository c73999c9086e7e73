"""Section "Where to look next" of the dock "Annotate defects", in a real napari window."""

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.compat import isalive

from napari_menndl.api import open_run
from napari_menndl.predict.suggest import suggest_regions
from napari_menndl.widgets.annotate.next_region import _Question
from napari_menndl.widgets.background import end_all


@pytest.fixture
def dock(viewer, movie):
    image = viewer.add_image(np.asarray(movie.frames), name="movie", scale=(1, 0.05, 0.05), units=("pixel", "nm", "nm"))
    _, dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Annotate defects")
    dock.choice.choose_movie(image)
    dock.choice.begin()
    return dock


def test_the_region_on_which_networks_disagree_most_is_brought_into_view_and_marked(
    qtbot, viewer, dock, movie, run_folder
):
    part = dock.panel.next_region
    dock.panel.show_section("Where to look next")
    part.form["network"].value = run_folder
    found = suggest_regions(open_run(run_folder).best, dock.choice.movie(), count=10)
    part.button.click()
    qtbot.waitUntil(part.button.isEnabled)
    if not found:
        assert "agree" in part.said.text()
        return
    first = found[0]
    assert dock.frame == first.frame
    assert f"Frame {first.frame}" in part.said.text()
    y0, x0, y1, x1 = first.region
    corners = part.layer.data[0]
    assert corners[:, 0].tolist() == [first.frame] * 4
    assert corners[:, 1:].min(0).tolist() == [y0 - 0.5, x0 - 0.5]
    assert corners[:, 1:].max(0).tolist() == [y1 - 0.5, x1 - 0.5]
    centre = np.array(viewer.scene.camera.center)[-2:]
    assert np.allclose(centre, np.array([y0 + y1 - 1, x0 + x1 - 1]) / 2 * 0.05)
    viewer.window._qt_window.resize(1280, 800)
    part.done.click()
    assert list(dock.annotation.regions[first.frame]) == [first.region]
    assert part.layer is None
    assert part.done.isHidden()
    part.button.click()
    if len(found) > 1:
        assert f"Frame {found[1].frame}" in part.said.text()


def test_what_is_missing_is_said(dock):
    dock.panel.next_region.form["network"].line_edit.value = ""
    notification_manager.records.clear()
    dock.panel.next_region.button.click()
    assert "a network" in str(notification_manager.records[-1].message)


def test_the_dock_may_be_closed_while_its_thread_looks_for_regions(viewer, dock, run_folder):
    part, question = dock.panel.next_region, _Question(run_folder, dock.choice.movie(), dock.annotation)
    viewer.window.remove_dock_widget(dock)
    end_all()
    assert not isalive(part)
    assert part._suggest(question) is not None  # as its thread does; there is no one left to tell the progress
