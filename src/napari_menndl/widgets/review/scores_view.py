"""Scores of the frame in view and of the movie, as tables and as a plot over frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_menndl.metrics.scores import never_predicted
from napari_menndl.widgets.review.palette import found_table, legend, picture_key, pooled, score_table
from napari_menndl.widgets.review.plot import QuantityPlot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_menndl.widgets.review.frame_review import FrameReview

#: Dark in every theme, because white stands for found defects.
PANEL = "background: #14151a; color: #f0f0f0; padding: 4px; border-radius: 3px;"


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
