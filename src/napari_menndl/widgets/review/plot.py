"""Plot of a quantity over the frames of a movie; a click goes to a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.review.tables import score_rows
from napari_menndl.widgets.frame_plot import FramePlot

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


#: Quantities to plot; the first shows the defect F1 or, as long as no frame has one, the defects found.
QUANTITIES: dict[str, Callable[[FrameReview], float]] = {
    "defect F1": _score("f1"),
    "precision": _score("precision"),
    "recall": _score("recall"),
    "average precision": _score("average_precision"),
    "errors": _errors,
    "defects found": _found,
    "mean confidence": _confidence,
}
HEIGHT = 136
SHARES = ("defect F1", "precision", "recall", "average precision", "mean confidence")


class QuantityPlot(FramePlot):
    """Plot of one value per frame, with the frame in view as a line: click or drag to go to a frame."""

    def __init__(self) -> None:
        super().__init__(200, HEIGHT)
        self.setToolTip("Click or drag to go to a frame")
        self._curve = self.item.plot([], [], symbol="o", symbolSize=5, connect="finite")
        self._frames, self._quantity = 1, ""
        self._measured: dict[int, tuple[FrameReview, float]] = {}
        self.values: dict[int, float] = {}

    def show_frames(self, reviews: Mapping[int, FrameReview], quantity: str, frames: int) -> None:
        """Draw a quantity of the frames reviewed so far, of `frames` in all."""
        if quantity == "defect F1" and not any(review.annotated for review in reviews.values()):
            quantity = "defects found"
        if quantity != self._quantity:
            self._quantity, self._measured = quantity, {}
        # A review never changes: its value is computed once, also while hundreds of frames come in.
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
        item = self.item
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

    def recolour_all(self, ground: str, ink: str, accent: str) -> None:
        """Set the colours of the theme, and of the curve."""
        self.recolour(ground, ink)
        self._curve.setPen(accent)
        self._curve.setSymbolPen(None)
        self._curve.setSymbolBrush(accent)

    def frame_of(self, x: float) -> int:
        return int(np.clip(round(x), 0, self._frames - 1))
