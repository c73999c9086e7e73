"""Behaviour that all docks share in their window: the frame stays visible, the wheel scrolls, buttons are shown."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDockWidget,
    QGraphicsView,
    QMainWindow,
    QScrollArea,
    QScrollBar,
    QTabBar,
    QWidget,
)
from superqt import QCollapsible

from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.search.frame_numbers import finished_frames, nearest_frames
from napari_menndl.widgets.layers import frame_in_view, pixel_size_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

#: Fields that would react to the wheel, or keep it, while a person scrolls a dock.
FIELDS = (QAbstractSpinBox, QComboBox, QAbstractSlider, QTabBar, QGraphicsView)
#: Smallest and initial width of a dock [px]: on a screen of 1280 x 800 napari's own docks are beside it.
NARROW, WIDE = 320, 360
#: Smallest width of a number field; margin around a widget that is scrolled into view [px].
_FIELD, _MARGIN = 96, 12


class Docking(QObject):
    """Behaviour of a dock in its window; created at the end of its ``__init__``.

    A dock that is added where another of ours lies becomes a tab over it: side by side they would leave no room for the
    frame. If the frame was completely visible before the dock was placed, it is fitted to the rest of the canvas. A
    calibrated movie gets a scale bar, and a new annotation is shown at an annotated frame. Over a field the wheel
    scrolls the dock.

    Parameters
    ----------
    dock : QWidget
    viewer : napari.Viewer

    Attributes
    ----------
    placed : bool
        Whether the dock was placed in the window.
    """

    def __init__(self, dock: QWidget, viewer: Viewer) -> None:
        super().__init__(dock)
        self._dock, self._viewer = dock, viewer
        self._whole = is_whole(viewer)
        self.placed = False
        self._met: set[int] = set()
        self._named: QWidget | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._arrange)
        self._watch(dock)
        inserted, take_up = viewer.layers.events.inserted, self._take_up
        inserted.connect(take_up)

        def leave() -> None:
            with suppress(AttributeError, ValueError):  # the viewer is partly deleted when its window closes
                inserted.disconnect(take_up)

        dock.destroyed.connect(leave)

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 (Qt's name)
        kind = event.type()
        if kind == QEvent.Type.Wheel and _is_field(watched):
            return _scroll_around(watched, event)
        if kind == QEvent.Type.ChildPolished and isinstance(child := event.child(), QWidget):
            self._watch(child)
        elif kind == QEvent.Type.Show and watched is self._dock:
            self._take_up()
        return False

    def _watch(self, widget: QWidget) -> None:
        for one in (widget, *widget.findChildren(QWidget)):
            one.installEventFilter(self)
            if isinstance(one, QComboBox):  # as wide as the dock, not as its longest choice
                one.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
                one.setMinimumContentsLength(4)
            elif isinstance(one, QAbstractSpinBox):
                one.setMinimumWidth(_FIELD)

    def point_to(self, widget: QWidget | None) -> None:
        """Scroll a widget into view, now and whenever the dock is shown: the next step needs it."""
        self._named = widget
        self._take_up()

    def _take_up(self, event: Any = None) -> None:
        self._soon.start(0)  # after everything is laid out

    def _arrange(self) -> None:
        dock = self._dock
        if not dock.isVisible():
            return
        if self._named is not None:
            bring_into_sight(self._named)
        frame = dock.parent()
        if not isinstance(frame, QDockWidget):
            return  # a part of another dock, which does the rest
        if not self.placed:  # once: a person may move it elsewhere
            self.placed = True
            if _lay_over_others(frame):
                self._take_up()  # when the canvas has its new size
                return
        if self._whole and not is_whole(self._viewer):
            self._viewer.fit_to_view()
        self._whole = False
        for layer in self._viewer.layers:
            if id(layer) not in self._met:
                self._met.add(id(layer))
                self._meet(layer)

    def _meet(self, layer: Any) -> None:
        if isinstance(layer, Image) and pixel_size_of(layer) is not None:
            self._viewer.canvas.overlays.scale_bar.visible = True
        elif isinstance(layer, Labels):
            show_annotated(self._viewer, layer)


def _lay_over_others(frame: QDockWidget) -> bool:
    """Make a dock a tab in front of our docks on the same side of the window; return whether there were any."""
    window = frame.parent()
    if not isinstance(window, QMainWindow) or frame.isFloating():
        return False
    side, together = window.dockWidgetArea(frame), window.tabifiedDockWidgets(frame)
    others = [
        one
        for one in window.findChildren(QDockWidget)
        if one is not frame and one not in together and not (one.isHidden() or one.isFloating())
        if window.dockWidgetArea(one) == side and any(ours.placed for ours in one.findChildren(Docking))
    ]
    if others:
        window.tabifyDockWidget(others[-1], frame)
        frame.raise_()
    return bool(others)


def bring_into_sight(widget: QWidget) -> None:
    """Expand and scroll everything around a widget, so that it is visible."""
    around = widget.parentWidget()
    while around is not None:
        if isinstance(around, QCollapsible) and not around.isExpanded():
            around.expand(animate=False)
        around = around.parentWidget()
    around = widget.parentWidget()
    while around is not None:
        if isinstance(around, QScrollArea):
            if (body := around.widget()) is not None and (layout := body.layout()) is not None:
                layout.activate()
            around.ensureWidgetVisible(widget, 0, _MARGIN)
        around = around.parentWidget()


def is_whole(viewer: Viewer) -> bool:
    """Whether the canvas shows the layers completely."""
    if not len(viewer.layers) or viewer.dims.ndisplay != 2:
        return False
    canvas, camera = np.array(viewer.canvas.size, float), viewer.scene.camera
    edges = (np.asarray(viewer.layers.extent.world)[:, -2:] - np.array(camera.center)[-2:]) * camera.zoom
    return bool((np.abs(edges) <= canvas / 2 + 1).all())


def show_annotated(viewer: Viewer, layer: Labels) -> None:
    """Bring an annotated frame into view, unless one is."""
    annotation = layer.metadata.get("annotation")
    if annotation is None or layer.ndim != 3:
        return
    begun = [t for t, status in enumerate(annotation.status) if status is not FrameStatus.UNTOUCHED]
    here = frame_in_view(layer, viewer.dims.point)
    if begun and here not in begun:
        (frame,) = nearest_frames(finished_frames(annotation) or begun, here)
        viewer.dims.set_point(viewer.dims.ndim - 3, layer.data_to_world((frame, 0, 0))[0])


def _scroll_around(widget: QWidget, event: Any) -> bool:
    """Pass a wheel event to the innermost scrollable part around a field; True, as the event is handled."""
    around = widget.parentWidget()
    while around is not None:
        bar = around.verticalScrollBar() if isinstance(around, QScrollArea) else None
        if bar is not None and bar.minimum() < bar.maximum():
            QApplication.sendEvent(bar, event)
            break
        around = around.parentWidget()
    return True


def _is_field(widget: Any) -> bool:
    viewport = isinstance(widget, QWidget) and isinstance(widget.parent(), QGraphicsView)
    return viewport or (isinstance(widget, FIELDS) and not isinstance(widget, QScrollBar))
