"""Defects of the movie under review, followed from frame to frame: a layer of tracks, their events, tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyqtgraph as pg  # type: ignore[import-untyped]
from napari.layers import Layer
from napari.utils import Colormap
from napari.utils.notifications import show_info
from napari.utils.theme import get_theme
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_menndl.errors import InputError
from napari_menndl.metrics.defect_table import DEFECT_COLUMNS, joined, no_defects
from napari_menndl.movie.tracing import with_origin
from napari_menndl.predict.prediction_spec import dose_of
from napari_menndl.review.outcomes import MISSED
from napari_menndl.tracks.events import AT_BORDER, EVENTS
from napari_menndl.tracks.rates import TOTAL
from napari_menndl.tracks.settings import TrackSettings
from napari_menndl.tracks.tracks import Tracks, track_defects
from napari_menndl.widgets.background import LatestTask
from napari_menndl.widgets.form import lay_out, make_form, read_form
from napari_menndl.widgets.frame_plot import FramePlot
from napari_menndl.widgets.layers import place_over
from napari_menndl.widgets.review.palette import class_colours
from napari_menndl.widgets.section import WrappedLabel, section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from napari.viewer import Viewer

    from napari_menndl.movie.movie import Movie
    from napari_menndl.widgets.review.frame_review import FrameReview
    from napari_menndl.widgets.review.inputs import Inputs
    from napari_menndl.widgets.review.messages import Notifier
    from napari_menndl.widgets.review.movie_review import MovieReview

FOLLOW = "Follow the defects"
LAYER = "tracks"
#: Rows of the plot, the first on top.
ROWS = (*EVENTS, *AT_BORDER)
#: Frames that the tail of a track shows.
TAIL = 10


class EventPlot(FramePlot):
    """Plot of events over frames, a row for each kind and a dot for each frame with any: click to go there."""

    def __init__(self) -> None:
        super().__init__(200, 170)
        self.setToolTip("Events of the defects, in the colours of their classes; larger where there are several")
        self._dots = pg.ScatterPlotItem(pen=None)
        self.item.addItem(self._dots)
        self.item.setLabel("bottom", "frame")
        self._frames = 1

    def show_events(self, events: pd.DataFrame, colours: Mapping[str, str], frames: int) -> None:
        """Draw events of a movie of `frames` frames; rows of kinds that did not occur are left out."""
        self._frames = max(frames, 1)
        rows = [kind for kind in ROWS if (events["event"] == kind).any()]
        height = {kind: len(rows) - row for row, kind in enumerate(rows)}
        spots = []
        for (kind, frame), here in events.groupby(["event", "frame"]):
            names = list(dict.fromkeys(here["class"]))
            for place, name in enumerate(names):
                count = int((here["class"] == name).sum())
                # Classes one above the other, so that none is hidden.
                y = height[str(kind)] + 0.22 * (place - (len(names) - 1) / 2)
                colour = colours.get(str(name), "#999999")
                spots.append({"pos": (frame, y), "size": 5 + 2 * min(count, 5), "brush": colour})
        self._dots.setData(spots)
        self.item.getAxis("left").setTicks([[(height[kind], kind) for kind in rows]])
        self.item.setXRange(-0.5, self._frames - 0.5, padding=0.01)
        self.item.setYRange(0.4, len(rows) + 0.6, padding=0)
        self.item.getAxis("bottom").setTickSpacing(levels=[(max(1, -(-self._frames // 8)), 0)])

    def show_place(self, frame: int) -> None:
        """Mark the frame in view."""
        self._line.setValue(frame)

    def frame_of(self, x: float) -> int:
        return int(np.clip(round(x), 0, self._frames - 1))


class TracksView(QWidget):
    """Buttons, summary, plot and settings.

    Attributes
    ----------
    follow, save : QPushButton
    status : QLabel
    plot : EventPlot
    form : magicgui Container
        Of `TrackSettings`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.follow, self.save = QPushButton(FOLLOW), QPushButton("Tables …")
        self.follow.setToolTip("Link the defects of the frames reviewed to tracks; the sample's drift is removed")
        self.save.setToolTip("Trajectories, events and rates as CSV and Parquet, with a figure, in a folder")
        self.save.setEnabled(False)
        self.status, self.plot = WrappedLabel(), EventPlot()
        self.form = make_form(TrackSettings)
        buttons = QHBoxLayout()
        buttons.addWidget(self.follow)
        buttons.addWidget(self.save)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3, 0, 0, 0)
        layout.addLayout(buttons)
        for widget in (self.status, self.plot, section("How to follow", lay_out(self.form))):
            layout.addWidget(widget)
        self.status.hide()
        self.plot.hide()

    def recolour(self, theme: str) -> None:
        """Follow napari's theme."""
        colours = get_theme(theme)
        self.plot.recolour(colours.background.as_hex(), colours.text.as_hex())

    def show_message(self, text: str) -> None:
        """Show a summary or a note."""
        self.status.setText(text)
        self.status.setVisible(bool(text))


class Question(NamedTuple):
    """What is to be followed."""

    reviews: tuple[FrameReview, ...]
    movie: Movie
    settings: TrackSettings


class MovieTracks(QObject):
    """Tracks of the defects that a review has found so far.

    Parameters
    ----------
    viewer, view, inputs, reviews
        Of the dock.
    colours : callable
        Returns the colours of the predicted classes in view.
    teller : Notifier
        Shows errors.

    Attributes
    ----------
    found : Tracks or None
    """

    def __init__(
        self,
        viewer: Viewer,
        view: TracksView,
        inputs: Inputs,
        reviews: MovieReview,
        colours: Callable[[], Mapping[str, str]],
        teller: Notifier,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._colours, self._complain = colours, teller.error
        self._viewer, self._view, self._inputs, self._reviews = viewer, view, inputs, reviews
        self.found: Tracks | None = None
        self._layer: Any = None
        self._work = LatestTask(follow_defects, self)
        self._work.answered.connect(self._show)
        self._work.failed.connect(self._fail)
        self._followed: dict[int, FrameReview] = {}
        reviews.reviewed.connect(self._compare)
        view.follow.clicked.connect(self.follow)
        view.save.clicked.connect(self._save)

    def follow(self) -> None:
        """Follow the defects of all frames that are reviewed."""
        reviews = self._reviews.reviews
        try:
            movie = self._inputs.movie
            if len(reviews) < 2:
                raise InputError(
                    "at least two frames that are reviewed", f"{len(reviews)}", "Press 'Review movie' first."
                )
            settings: TrackSettings = read_form(self._view.form, TrackSettings)
        except InputError as error:
            self._complain(error)
            return
        self._view.show_message("Following …")
        self._work.ask(Question(tuple(reviews[t] for t in sorted(reviews)), movie, settings))

    def forget(self) -> None:
        """Drop tracks that are of another movie or prediction."""
        self.found = None
        self._view.save.setEnabled(False)
        self._view.plot.hide()
        self._view.show_message("")
        if self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = None

    def owns(self, layer: object) -> bool:
        """Whether a layer is that of the tracks."""
        return layer is not None and layer is self._layer

    def _show(self, question: Question, found: Tracks) -> None:
        image = self._inputs.image
        if image is None or question.movie is not self._inputs.movie:
            return  # another movie was chosen meanwhile
        self.found, self._followed = found, {review.frame: review for review in question.reviews}
        names = question.reviews[0].class_names
        colours = self._colours() or class_colours(names, self._inputs.annotation)
        self._view.plot.show_events(found.events, colours, len(question.movie))
        self._view.plot.setVisible(len(found.events) > 0)
        self._view.save.setEnabled(True)
        self._view.show_message(summary(found, len(question.movie)))
        if self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        if not len(found):
            return
        data, about, kind = found.as_layer(LAYER)
        # The colours of the classes lie evenly between 0 and 1.
        place = {name: number / max(len(names) - 1, 1) for number, name in enumerate(names)}
        about["features"]["colour"] = about["features"]["class"].map(place)
        ramp = Colormap([colours[name] for name in names] * (2 if len(names) == 1 else 1))
        shown = {"tail_length": TAIL, "color_by": "colour", "colormaps_dict": {"colour": ramp}}
        self._layer = Layer.create(data, about | place_over(image) | shown, kind)
        chosen = self._viewer.layers.selection.active
        self._viewer.add_layer(self._layer)
        self._viewer.layers.selection.active = chosen

    def _compare(self, frame: int) -> None:
        """Say so when a frame has other defects now than those followed."""
        if self.found is None:
            return
        before, now = self._followed.get(frame), self._reviews.reviews.get(frame)
        # The agreement comes later than the defects, and changes none of them.
        found = [None if one is None else _found(one).drop(columns="agreement") for one in (before, now)]
        if found[0] is None or found[1] is None or not found[0].equals(found[1]):
            self._view.show_message("The review has changed since: follow the defects again.")
            self._view.save.setEnabled(False)

    def _fail(self, _: Question, error: Exception) -> None:
        self._view.show_message("")
        self._complain(error)

    def _save(self) -> None:
        if self.found is None:
            return
        folder = QFileDialog.getExistingDirectory(self._view, "A folder for the tables of the tracks")
        if folder:
            try:
                self.found.save(folder)
            except InputError as error:
                self._complain(error)
            else:
                show_info(f"Wrote trajectories, events and rates to {folder}")


def follow_defects(question: Question) -> Tracks:
    """Follow the defects that a network found in the frames reviewed; missed ones are left out."""
    movie = question.movie
    found = (with_origin(_found(review), movie.steps, movie.pixel_size) for review in question.reviews)
    return track_defects(
        joined(found, no_defects),
        question.settings,
        shape=movie.shape[1:],
        frames=[review.frame for review in question.reviews],
        pixel_size=movie.pixel_size,
        frame_time=movie.frame_time,
        dose=dose_of(movie),
        recorded=movie.raw.shape[1:] if movie.steps else None,
    )


def _found(review: FrameReview) -> pd.DataFrame:
    """Return the defects that a network found in a frame, with `DEFECT_COLUMNS`."""
    table = review.defects[review.defects["outcome"] != MISSED]
    return table[list(DEFECT_COLUMNS)].sort_values(["class", "y", "x"], ignore_index=True)


def summary(found: Tracks, frames: int) -> str:
    """Return the numbers of tracks and events, the rate of births, and what had to be assumed, in sentences."""
    events = found.events["event"].value_counts()
    told = ", ".join(f"{events[kind]} {kind}" for kind in ROWS if kind in events)
    lines = [f"{len(found)} tracks in {len(found.observed)} of {frames} frames: {told or 'no events'}."]
    rates = found.rates[(found.rates["interval"] == TOTAL) & (found.rates["class"] != TOTAL)]
    born = rates[(rates["event"] == "born") & (rates["count"] > 0)].to_dict("records")
    lines += [
        f"{r['class']} born: {r['rate']:.2g} ({r['rate_low']:.2g} to {r['rate_high']:.2g}) {r['unit']}" for r in born
    ]
    return "\n".join([*lines, *found.notes])
