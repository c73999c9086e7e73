"""A quantity over the frames of a movie, which one can click to go to a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg  # type: ignore[import-untyped]
from qtpy.QtCore import QSize, Qt, Signal  # type: ignore[attr-defined]

from napari_menndl.review.tables import score_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_menndl.widgets.review.frame_review import FrameReview


def _score(column: str) -> Callable[[FrameReview], float]:
    from napari_menndl.review.tables import SCORE_COLUMNS

    place = SCORE_COLUMNS.index(column)

    def value(review: FrameReview) -> float:
        return float(score_rows(review.tallies)[0][place]) if review.annotated else np.nan  # type: ignore[arg-type]

    return value


def _found(review: FrameReview) -> float:
    return float((review.defects["outcome"] != "false negative").sum())


def _errors(review: FrameReview) -> float:
    return float(review.total.fp + review.total.fn) if review.annotated else np.nan


def _confidence(review: FrameReview) -> float:
    found = review.defects[review.defects["outcome"] != "false negative"]["confidence"]
    return float(found.astype(float).mean()) if len(found) else np.nan


#: What can be plotted; the first shows the defect F1 or, as long as no frame has one, the defects found.
QUANTITIES: dict[str, Callable[[FrameReview], float]] = {
    "defect F1": _score("f1"),
    "precision": _score("precision"),
    "recall": _score("recall"),
    "average precision": _score("average_precision"),
    "errors": _errors,
    "defects found": _found,
    "mean confidence": _confidence,
}
HEIGHT = 112
SHARES = ("defect F1", "precision", "recall", "average precision", "mean confidence")


class FramePlot(pg.PlotWidget):
    """One value per frame, and the frame in view as a line: click or drag to go to a frame.

    Attributes
    ----------
    frame_chosen : Signal(frame)
    """

    frame_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(HEIGHT)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setToolTip("Click or drag to go to a frame")
        item = self.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.setMouseEnabled(x=False, y=False)
        self._curve = item.plot([], [], symbol="o", symbolSize=5, connect="finite")
        self._line = pg.InfiniteLine(0, angle=90)
        item.addItem(self._line)
        self._frames, self._quantity = 1, ""
        self._measured: dict[int, tuple[FrameReview, float]] = {}
        self.values: dict[int, float] = {}

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Narrow: the dock decides how wide it is."""
        return QSize(200, HEIGHT)

    def show_frames(self, reviews: Mapping[int, FrameReview], quantity: str, frames: int) -> None:
        """Draw a quantity of the frames reviewed so far, of `frames` in all."""
        if quantity == "defect F1" and not any(review.annotated for review in reviews.values()):
            quantity = "defects found"
        if quantity != self._quantity:
            self._quantity, self._measured = quantity, {}
        # A review never changes: measured once, also while hundreds of frames come in.
        known, measure = self._measured, QUANTITIES[quantity]
        self._measured = {
            t: known[t] if t in known and known[t][0] is review else (review, measure(review))
            for t, review in reviews.items()
        }
        self.values = {t: value for t, (_, value) in self._measured.items()}
        self._frames = max(frames, 1)
        x = np.arange(self._frames)
        y = np.array([self.values.get(t, np.nan) for t in range(self._frames)])
        shown = np.isfinite(y)
        self._curve.setData(x[shown], y[shown])
        item = self.getPlotItem()
        item.setXRange(-0.5, self._frames - 0.5, padding=0.01)
        top = 1.0 if quantity in SHARES else max(1.0, float(np.nanmax(y, initial=1.0)))
        item.setYRange(0, top, padding=0.06)
        item.setLabel("left", quantity)
        item.setLabel("bottom", "frame")
        step = max(1, -(-self._frames // 8))
        item.getAxis("bottom").setTickSpacing(levels=[(step, 0)])

    def show_place(self, frame: int) -> None:
        """Mark the frame in view."""
        self._line.setValue(frame)

    def recolour(self, ground: str, ink: str, accent: str) -> None:
        """Colours of the theme."""
        self.setBackground(ground)
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(ink)
            axis.setTextPen(ink)
        self._curve.setPen(accent)
        self._curve.setSymbolPen(None)
        self._curve.setSymbolBrush(accent)
        self._line.setPen(pg.mkPen(ink, width=2))

    def frame_at(self, position: Any) -> int:
        """The frame under a position of this widget."""
        x = self.getPlotItem().vb.mapSceneToView(self.mapToScene(position)).x()
        return int(np.clip(round(x), 0, self._frames - 1))

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        self.mouseMoveEvent(event)

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.frame_chosen.emit(self.frame_at(event.position().toPoint()))
        event.accept()

    def mouseReleaseEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        event.accept()
