"""A hand on the mouse, over the canvas of a real window."""

import numpy as np
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton


def stroke(viewer, layer, *pixels):
    """Press at the first pixel (y, x) of the frame in view, drag through the others, release at the last."""
    canvas, frame = viewer.window._qt_viewer.canvas.native, int(viewer.dims.current_step[0])
    points = [_place(viewer, canvas, layer.data_to_world((frame, y, x))) for y, x in pixels]
    _send(canvas, QEvent.Type.MouseMove, points[0], NONE, NONE)
    _send(canvas, QEvent.Type.MouseButtonPress, points[0], LEFT, LEFT)
    for point in points[1:]:
        _send(canvas, QEvent.Type.MouseMove, point, NONE, LEFT)
    _send(canvas, QEvent.Type.MouseButtonRelease, points[-1], LEFT, NONE)


def _place(viewer, canvas, world):
    middle = np.array([canvas.width(), canvas.height()]) / 2
    x, y = middle + (np.asarray(world)[-2:] - viewer.camera.center[-2:])[::-1] * viewer.camera.zoom
    return QPointF(x, y)


def _send(canvas, kind, place, button, buttons):
    event = QMouseEvent(kind, place, canvas.mapToGlobal(place), button, buttons, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(canvas, event)
    QApplication.processEvents()
