"""Parts of the dock and their layout: basics above, the rest folded under "More"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFrame,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_menndl.widgets.form import lay_out, make_form
from napari_menndl.widgets.pixel_size import PixelSizeRow
from napari_menndl.widgets.pool_row import PoolRow
from napari_menndl.widgets.review.error_navigator import ErrorBar
from napari_menndl.widgets.review.scores import ScoresView
from napari_menndl.widgets.review.settings import ReviewSettings, ThresholdSettings, ViewSettings
from napari_menndl.widgets.review.several import MovieList
from napari_menndl.widgets.review.tracks import TracksView
from napari_menndl.widgets.section import section

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_menndl.widgets.review.several import Movies, Order

GO, STOP = "Review movie", "Stop"


class Controls(QScrollArea):
    """Controls of the dock.

    Parameters
    ----------
    layers : callable
        ``layers(kind)`` returns the layers of a kind that can be chosen.
    shadings : callable
        Returns what can be shown as shading.
    classes : callable
        Returns the classes that the threshold can be set for.
    order : callable
        Returns the request to predict several movies.
    """

    def __init__(
        self,
        layers: Callable[[type], list[Any]],
        shadings: Callable[[], list[str]],
        classes: Callable[[], list[str]],
        order: Callable[[Path, Movies], Order],
    ) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.what = make_form(
            ReviewSettings,
            movie={"choices": lambda _: layers(Image), "nullable": True},
            annotation={"choices": lambda _: layers(Labels), "nullable": True},
        )
        self.level = make_form(ThresholdSettings, of_class={"widget_type": "ComboBox", "choices": lambda _: classes()})
        self.view = make_form(
            ViewSettings,
            second={"choices": lambda _: layers(Labels), "nullable": True},
            shading={"widget_type": "ComboBox", "choices": lambda _: shadings()},
        )
        self.pool = PoolRow()
        self.pool.kind.setItemData(0, "In the process of this window", Qt.ItemDataRole.ToolTipRole)
        self._source_menu()
        self.pixel_size = PixelSizeRow()
        self.button = QPushButton(GO)
        self.button.setToolTip("Predict the frame in view first, then the other frames; the overlay follows the view")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        self.progress.setToolTip("Frames that are reviewed")
        self.left = QLabel()
        self.left.setStyleSheet("font-size: 11px;")
        self.left.hide()
        self.status = QLabel()
        self.status.setTextFormat(Qt.TextFormat.RichText)
        self.status.setWordWrap(True)
        self.scores, self.errors = ScoresView(), ErrorBar()
        self.again = QPushButton("Search again from corrected frames")
        self.again.setToolTip("Hand the corrected frames to 'Search networks', to learn from them too")
        self.again.setEnabled(False)
        self.complete = QPushButton("Accept all and mark frame complete")
        self.complete.setToolTip("Take over what is predicted where nothing is decided yet; the frame is then complete")
        self.csv, self.png = QPushButton("Defects as a table …"), QPushButton("Frame as PNG …")
        self.csv.setToolTip(
            "Every defect of the frames reviewed, as CSV or Parquet: class, outcome, place, area, confidence"
        )
        self.png.setToolTip("The frame in view, raw and under its review, side by side")
        self.points = QPushButton("Defects as points")
        self.points.setToolTip("A layer with a point for every defect of the frames reviewed, with the table's columns")
        self.movies = MovieList(order)
        self.tracks = TracksView()
        self.network = QPushButton("Export network …")
        self.network.setToolTip("The network as one file, to predict with here and elsewhere")
        #: Buttons by the names that hints use.
        self.buttons = {
            "source": self.what["source"].native,
            "go": self.button,
            "pixel size": self.pixel_size,
            "next": self.errors.next,
            "again": self.again,
        }
        self._lay_out()

    def show_parts(self, reviewed: bool) -> None:
        """Show the parts that need a review, or hide them while there is none."""
        for part in (self.scores, self.errors, self.again, self.through_time):
            part.setVisible(reviewed)

    def _source_menu(self) -> None:
        edit = self.what["source"]
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        chooser = edit.choose_btn.native
        edit.choose_btn.text = "…"
        chooser.setMenu(self.menu)
        chooser.setMaximumWidth(40)
        chooser.setToolTip("Choose a run folder, a saved network or a stored prediction")
        edit.line_edit.value = ""
        edit.line_edit.native.setPlaceholderText("run, network or prediction")
        edit.line_edit.native.setAcceptDrops(False)  # the whole dock takes them

    def _lay_out(self) -> None:
        exports = QWidget()
        row = QVBoxLayout(exports)
        row.setContentsMargins(0, 0, 0, 0)
        for button in (self.csv, self.points, self.png):
            row.addWidget(button)
        rest = QWidget()
        rows = QVBoxLayout(rest)
        rows.setContentsMargins(3, 0, 0, 0)
        for widget in (lay_out(self.view), QLabel("Predict on"), self.pool, self.complete, exports, self.network):
            rows.addWidget(widget)
        self.more = section(
            "More", rest, tip="Colours, outlines, probabilities, a second expert, where to predict, export"
        )
        self.through_time = section(
            "Defects through time", self.tracks, tip="Tracks of the defects found; what is born, moves, grows, vanishes"
        )
        self.several = section(
            "Several movies", self.movies, tip="Predict movies one after the other, with one table of all defects"
        )
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(5)
        parts = (self.button, self.progress, self.left, self.status, self.scores.legend, lay_out(self.level))
        for widget in (lay_out(self.what), self.pixel_size, *parts, self.errors, self.scores, self.again):
            layout.addWidget(widget)
        for widget in (self.through_time, self.several, self.more):
            layout.addWidget(widget)
        layout.addStretch()
        self.setWidget(body)
