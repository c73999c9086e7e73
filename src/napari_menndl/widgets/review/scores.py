"""Scores of the frame in view and of the movie: tables, and a plot over the frames."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_menndl.metrics.scores import never_predicted
from napari_menndl.review.outcomes import ALONE, MISSED, PALETTES
from napari_menndl.review.tables import SCORE_COLUMNS, ScoreCounts, score_rows
from napari_menndl.widgets.frame_plot import FramePlot
from napari_menndl.widgets.review.palette import legend, picture_key, square

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd

    from napari_menndl.widgets.review.frame_review import FrameReview


#: Dark in every theme, because white stands for found defects.
PANEL = "background: #14151a; color: #f0f0f0; padding: 4px; border-radius: 3px;"
#: Height of the plot [px].
HEIGHT = 136


def _score(column: str) -> Callable[[FrameReview], float]:
    def value(review: FrameReview) -> float:
        return _rows(review.tallies)[0][column] if review.annotated else math.nan

    return value


def _found(review: FrameReview) -> pd.DataFrame:
    return review.defects[review.defects["outcome"] != MISSED]


def _errors(review: FrameReview) -> float:
    return float(review.total.fp + review.total.fn) if review.annotated else math.nan


def _confidence(review: FrameReview) -> float:
    found = _found(review)["confidence"]
    return float(found.mean()) if len(found) else math.nan


#: Quantities to plot; the first shows the defect F1 or, as long as no frame has one, the defects found.
QUANTITIES: dict[str, Callable[[FrameReview], float]] = {
    "defect F1": _score("f1"),
    "precision": _score("precision"),
    "recall": _score("recall"),
    "average precision": _score("average_precision"),
    "errors": _errors,
    "defects found": lambda review: float(len(_found(review))),
    "mean confidence": _confidence,
}
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


class ScoresView(QWidget):
    """Two tables and the plot, and a legend to be placed where it is always visible.

    Attributes
    ----------
    silent : QLabel
        Classes that are never predicted, and why.
    frame_table, movie_table : QLabel
    plot : QuantityPlot
    """

    def __init__(self) -> None:
        super().__init__()
        self.legend, self.frame_table, self.movie_table = QLabel(), QLabel(), QLabel()
        self.silent = QLabel()
        self.silent.setWordWrap(True)
        self.silent.setToolTip("Classes that the network finds too often where there are none")
        self.plot = QuantityPlot()
        self.legend.setToolTip("What the colours of the overlay mean")
        self.frame_table.setToolTip("Defects of the frame in view; AP: average precision")
        self.movie_table.setToolTip("Defects of all annotated frames that were reviewed so far")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for label in (self.legend, self.frame_table, self.movie_table):
            label.setTextFormat(Qt.TextFormat.RichText)
            label.setWordWrap(True)
            label.setStyleSheet(PANEL if label is self.legend else PANEL + "font-size: 11px;")
            if label is not self.legend:
                layout.addWidget(label)
        layout.insertWidget(0, self.silent)
        self.frame_table.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.movie_table.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout.addWidget(self.plot)

    def show_key(self, key: Iterable[tuple[str, str]]) -> None:
        """Show the meaning of the colours in view."""
        self.legend.setText(legend(key))

    def show_frame(self, review: FrameReview | None, palette: str, classes: Mapping[str, str]) -> None:
        """Show the scores of the frame in view, or None if unknown; `classes` are the colours of predicted classes."""
        self.frame_table.setVisible(review is not None)
        silent = never_predicted(review.class_names, review.thresholds) if review and review.thresholds else ""
        self.silent.setText(silent)
        self.silent.setVisible(bool(silent))
        if review is not None:
            self.show_key(picture_key(palette, review, classes).values())
            title = f"frame {review.frame}"
            judged = review.annotated and review.tallies
            table = score_table(title, review.tallies, palette) if judged else found_table(title, review, classes)
            self.frame_table.setText(table)
            self.plot.show_place(review.frame)

    def show_movie(self, reviews: Mapping[int, FrameReview], palette: str, quantity: str, frames: int) -> None:
        """Show the scores of all frames reviewed so far, of `frames` in all."""
        judged = [review for review in reviews.values() if review.tallies]
        self.movie_table.setVisible(len(judged) > 1)
        if len(judged) > 1:
            self.movie_table.setText(score_table(f"{len(judged)} frames", pooled(judged), palette))
        self.plot.setVisible(frames > 1 and bool(reviews))
        self.plot.show_frames(reviews, quantity, frames)

    def recolour(self, theme: str) -> None:
        """Follow napari's theme."""
        colours = get_theme(theme)
        self.plot.recolour_all(
            colours.background.as_hex(), colours.text.as_hex(), "#56b4e9" if colours.type != "light" else "#0072b2"
        )


def score_table(title: str, tallies: Mapping[str, ScoreCounts], palette: str) -> str:
    """Format the scores by class and together, in defects."""
    rows = _rows(tallies)
    rows = rows[1:] + (rows[:1] if len(rows) > 2 else [])
    shares, counts = ("f1", "precision", "recall", "average_precision"), ("tp", "fp", "fn")
    lines = [
        [escape(str(row["class"])), *(share(row[name]) for name in shares), *(row[name] for name in counts)]
        for row in rows
    ]
    return _table(title, ["F1", "prec.", "recall", "AP", *map(square, PALETTES[palette])], lines)


def found_table(title: str, review: FrameReview, classes: Mapping[str, str]) -> str:
    """Format what is predicted where nothing is annotated: number, confidence, agreement of the networks."""
    found = review.defects[review.defects["outcome"] == ALONE]
    lines: list[list[Any]] = []
    for name in review.class_names:
        own = found[found["class"] == name]
        confidence = float(own["confidence"].mean()) if len(own) else math.nan
        lines.append([f"{square(classes[name])} {escape(name)}", len(own), share(confidence)])
        if review.agreement:
            lines[-1].append(share(review.agreement[name]))
    head = ["predicted", "confidence", *(["agreement"] if review.agreement else [])]
    return _table(title, head, lines)


def pooled(reviews: Iterable[FrameReview]) -> dict[str, ScoreCounts]:
    """Return the counts of many frames added up, by class."""
    by_class: dict[str, list[ScoreCounts]] = {}
    for review in reviews:
        for name, tally in review.tallies.items():
            by_class.setdefault(name, []).append(tally)
    return {name: ScoreCounts.sum(tallies) for name, tallies in by_class.items()}


def _rows(tallies: Mapping[str, ScoreCounts]) -> list[dict[str, Any]]:
    """Return the scores of all classes together, then of each, with `SCORE_COLUMNS`."""
    return [dict(zip(SCORE_COLUMNS, row, strict=True)) for row in score_rows(tallies)]


def share(value: Any) -> str:
    """Format a ratio: ``"0.53"``; a dash if it is undefined."""
    return "–" if value is None or math.isnan(value) else f"{value:.2f}"


def _table(title: str, head: list[str], rows: list[list[Any]]) -> str:
    titles = "".join(f'<th align="right">{word}</th>' for word in head)
    lines = (
        f'<tr><td>{name}</td>{"".join(f"""<td align="right">{cell}</td>""" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    first = f'<th align="left">{title}</th>'
    return f'<table width="100%" cellpadding="1"><tr>{first}{titles}</tr>{"".join(lines)}</table>'
