"""What every dock does to the window that it comes into."""

import numpy as np
import pytest
from magicgui.widgets import FloatSlider
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QScrollArea,
    QSpinBox,
    QStyle,
    QTabBar,
)
from superqt import QCollapsible

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.widgets.docking import NARROW, Docking, is_whole
from napari_menndl.widgets.layers import annotation_layer, movie_layer
from napari_menndl.widgets.workflow import ANNOTATE, REVIEW, SEARCH

DOCKS = ("Annotate defects", "Search networks", "Review frames", "Live review")


def open_dock(viewer, name="MENNDL workflow"):
    return viewer.window.add_plugin_dock_widget("napari-menndl", name)[1]


def add(viewer, movie, annotation=None):
    data, about, _ = movie_layer(movie)
    viewer.add_image(data, **about)
    if annotation is not None:
        data, about, _ = annotation_layer(annotation, movie.frame_time)
        viewer.add_labels(data, **about)


def turn_wheel(widget):
    middle = widget.rect().center()
    event = QWheelEvent(
        QPointF(middle),
        QPointF(widget.mapToGlobal(middle)),
        QPoint(),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def fields(dock):
    """Every field of a dock with what it holds."""
    holds = {
        QAbstractSpinBox: lambda one: one.text(),
        QComboBox: lambda one: one.currentIndex(),
        QAbstractSlider: lambda one: one.value(),
        QTabBar: lambda one: one.currentIndex(),
    }
    for kind, held in holds.items():
        for one in dock.findChildren(kind):
            if "ScrollBar" not in type(one).__name__:
                yield one, held


def test_docks_of_ours_lie_over_one_another_the_newest_in_front(qtbot, viewer, movie):
    add(viewer, movie)
    viewer.window.resize(1280, 800)
    docks = [open_dock(viewer, name) for name in (DOCKS[0], DOCKS[1], DOCKS[3])]
    qtbot.waitUntil(lambda: [one.visibleRegion().isEmpty() for one in docks] == [True, True, False])
    qtbot.waitUntil(lambda: is_whole(viewer))
    assert min(viewer.canvas.size) >= 550
    frames = [one.parent() for one in docks]
    frames[0].raise_()
    qtbot.waitUntil(lambda: not docks[0].visibleRegion().isEmpty())
    frames[2].setFloating(True)  # who takes one out is left alone
    qtbot.wait(50)
    assert frames[2].isFloating()


def test_the_wheel_scrolls_and_changes_no_field(qtbot, viewer, movie, annotation):
    add(viewer, movie, annotation)
    docks = [open_dock(viewer), open_dock(viewer, "Live review")]
    for step in (SEARCH, REVIEW, ANNOTATE):
        docks[0].go_to(step)
    late = [FloatSlider(value=0.5).native, QSpinBox()]  # as fields that are made later
    for one in late:
        one.setParent(docks[0])
        one.show()
    qtbot.wait(50)
    seen = [(one, held) for dock in docks for one, held in fields(dock)]
    assert len(seen) > 30
    for one, held in seen:
        if isinstance(one, QAbstractSpinBox):
            one.setFocus()
        before = held(one)
        turn_wheel(one)
        assert held(one) == before, one
    viewer.window.resize(1280, 500)
    docks[0].parent().raise_()
    docks[0].go_to(SEARCH)
    qtbot.wait(50)
    bars = [area.verticalScrollBar() for area in docks[0].findChildren(QScrollArea) if area.isVisible()]
    turn_wheel(docks[0].dock(SEARCH).setup.budget.kind)
    assert any(bar.value() > 0 for bar in bars)


@pytest.mark.parametrize(
    "name", ["MENNDL workflow", "Annotate defects", "Search networks", "Review frames", "Live review"]
)
def test_a_dock_leaves_the_frame_whole_unless_someone_has_zoomed_in(qtbot, viewer, movie, name):
    add(viewer, movie)
    qtbot.waitUntil(lambda: is_whole(viewer))
    dock = open_dock(viewer, name)
    qtbot.waitUntil(lambda: dock.isVisible() and viewer.canvas.size[1] < 700)
    qtbot.waitUntil(lambda: is_whole(viewer))
    assert viewer.canvas.size[1] >= 500  # of a window of 800
    assert max(dock.minimumSizeHint().width(), dock.minimumWidth()) <= NARROW + 20
    if name == "Live review":
        viewer.scene.camera.zoom *= 4
        zoom = viewer.scene.camera.zoom
        open_dock(viewer, "Review frames")
        qtbot.wait(100)
        assert viewer.scene.camera.zoom == zoom


def test_scale_bar_is_shown_where_the_movie_is_calibrated(qtbot, viewer, movie):
    open_dock(viewer, "Review frames")
    viewer.add_image(np.zeros((2, 8, 8)))
    qtbot.wait(50)
    assert not viewer.canvas.overlays.scale_bar.visible
    add(viewer, movie)
    qtbot.waitUntil(lambda: viewer.canvas.overlays.scale_bar.visible)


def test_dock_opens_at_an_annotated_frame_and_stays_where_one_is_in_view(qtbot, viewer, movie, blobs):
    add(viewer, movie, Annotation.from_labels(blobs[1], ("dark", "bright"), frames=[1, 2]))
    viewer.dims.set_current_step(0, 3)
    dock = open_dock(viewer)
    qtbot.waitUntil(lambda: viewer.dims.current_step[0] == 2)
    viewer.dims.set_current_step(0, 0)  # who then goes elsewhere is left there
    for step in (SEARCH, REVIEW, ANNOTATE):
        dock.go_to(step)
    qtbot.wait(100)
    assert viewer.dims.current_step[0] == 0


def test_the_button_that_a_hint_names_is_in_sight(qtbot, viewer, movie, tmp_path):
    viewer.window.resize(1280, 500)
    dock = open_dock(viewer)
    dock.go_to(ANNOTATE)
    annotate = dock.dock(ANNOTATE)
    add(viewer, movie)
    seen(qtbot, annotate.choice.new)
    annotate.choice.begin(tmp_path / "blobs.annotation.zarr")
    seen(qtbot, annotate.panel.tools["brush"])
    annotate.panel.sections["Frames"].collapse(animate=False)
    annotate.annotation.paint(annotate.frame, np.eye(128, dtype=np.uint8))
    assert "Complete" in dock.hint
    seen(qtbot, annotate.panel.buttons["complete"])


def seen(qtbot, button):
    qtbot.waitUntil(lambda: not button.visibleRegion().isEmpty())


def test_a_dock_that_is_closed_leaves_its_window_alone(qtbot, viewer, movie):
    dock = open_dock(viewer, "Annotate defects")
    assert dock.findChild(Docking) is not None
    viewer.window.remove_dock_widget("all")
    add(viewer, movie)
    qtbot.wait(50)
    assert not viewer.canvas.overlays.scale_bar.visible


def test_nothing_is_cut_where_a_dock_is_narrow(qtbot, viewer, movie, annotation):
    add(viewer, movie, annotation)
    dock = open_dock(viewer)
    for step in range(3):
        dock.go_to(step)
        for part in dock.dock(step).findChildren(QCollapsible):
            part.expand(animate=False)
        for part in (dock.dock(SEARCH).progress,) if step == SEARCH else ():
            part.show()
        if step == REVIEW:
            dock.dock(step).controls.show_parts(True)
        qtbot.wait(50)
        assert dock.dock(step).minimumSizeHint().width() <= NARROW
        areas = [one for one in dock.dock(step).findChildren(QScrollArea) if one.isVisible()]
        bar = dock.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent)
        assert max(one.widget().minimumSizeHint().width() for one in areas) <= NARROW - bar
