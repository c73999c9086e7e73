"""Plot over the frames of a movie: click or drag to go to a frame."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg  # type: ignore[import-untyped]
from qtpy.QtCore import QSize, Qt, Signal  # type: ignore[attr-defined]


class FramePlot(pg.PlotWidget):
    """Common part of plots over frames: the frame in view as a line, and the mouse.

    Parameters
    ----------
    width, height : int
        `width` is a hint: the dock decides how wide the plot is.
    line : int
        Width of the line.

    Attributes
    ----------
    frame_chosen : Signal(frame)
    """

    frame_chosen = Signal(int)

    def __init__(self, width: int, height: int, line: int = 2) -> None:
        super().__init__()
        self._size, self._width = QSize(width, height), line
        self.setFixedHeight(height)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.item = self.getPlotItem()
        self.item.setMenuEnabled(False)
        self.item.hideButtons()
        self.item.setMouseEnabled(x=False, y=False)
        self._line = pg.InfiniteLine(0, angle=90)
        self.item.addItem(self._line, ignoreBounds=True)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        return self._size

    def frame_of(self, x: float) -> int:
        """Return the frame at a position of the axis."""
        raise NotImplementedError

    def recolour(self, ground: str, ink: str) -> None:
        """Set the colours of the theme."""
        self.setBackground(ground)
        for side in ("left", "bottom"):
            axis = self.item.getAxis(side)
            axis.setPen(ink)
            axis.setTextPen(ink)
        self._line.setPen(pg.mkPen(ink, width=self._width))

    def frame_at(self, position: Any) -> int:
        """Return the frame under a position of this widget."""
        return self.frame_of(float(self.item.vb.mapSceneToView(self.mapToScene(position)).x()))

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.frame_chosen.emit(self.frame_at(event.position().toPoint()))
        event.accept()

    mouseMoveEvent = mousePressEvent  # noqa: N815 (Qt's name)

    def mouseReleaseEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        event.accept()
