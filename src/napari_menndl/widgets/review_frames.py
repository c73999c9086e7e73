"""The dock "Review frames": the frame in view, predicted and laid over its annotation in the colours of a review."""

from __future__ import annotations

import logging
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget
from superqt.utils import QSignalThrottler

from napari_menndl.errors import InputError
from napari_menndl.widgets.background import Latest
from napari_menndl.widgets.form import lay_out, make_form, read_form
from napari_menndl.widgets.frame_review import FrameReview, FrameReviewer, Question
from napari_menndl.widgets.layers import PLACE, frame_in_view, movie_of
from napari_menndl.widgets.overlay import Overlay
from napari_menndl.widgets.palette import PALETTES, legend, overlay_colours, score_table
from napari_menndl.widgets.review_settings import ReviewSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari.viewer

    from napari_menndl.movie.movie import Movie

HINT = "Choose the folder of a run, or drop it here, then predict. The overlay follows the frame in view."

#: Dark in every theme: white stands for what was found.
PANEL = "background: #14151a; color: #f0f0f0; padding: 4px; border-radius: 3px;"


class ReviewFrames(QWidget):
    """The dock.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.reviewer = FrameReviewer()
        self.latest = Latest(self.reviewer.answer, self)
        self.overlay = Overlay(viewer, overlay_colours(next(iter(PALETTES))))
        self.shown: FrameReview | None = None
        self._following = False
        self._readings = 0
        self._movie: tuple[Any, Movie] | None = None
        self._watched: Labels | None = None
        self._said = ""
        self._build()
        self._connect()
        self.reset_choices()

    # The window -------------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.form = make_form(
            ReviewSettings,
            movie={"choices": lambda _: self._layers(Image), "nullable": True},
            annotation={"choices": lambda _: self._layers(Labels), "nullable": True},
        )
        self.form["run"].choose_btn.text = "…"
        self.form["run"].choose_btn.native.setMaximumWidth(32)
        self.form["run"].line_edit.native.setPlaceholderText("my-search.menndl")
        self.form["run"].line_edit.native.setAcceptDrops(False)  # the whole dock takes them
        self.setAcceptDrops(True)
        self.button = QPushButton("Predict frame in view")
        self.button.setToolTip("Read the run's best network and predict; from then on the overlay follows the frame")
        self.status = QLabel(HINT)
        self.legend = QLabel(legend(self.form["colours"].value))
        self.scores = QLabel()
        self.scores.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.scores.hide()
        self.legend.setStyleSheet(PANEL)
        self.scores.setStyleSheet(PANEL + "font-size: 11px;")
        for label in (self.status, self.legend, self.scores):
            label.setTextFormat(Qt.TextFormat.RichText)
            label.setWordWrap(True)
        layout = QVBoxLayout(self)
        for widget in (lay_out(self.form), self.button, self.status, self.legend, self.scores):
            layout.addWidget(widget)
        layout.addStretch()
        self.setMinimumWidth(320)

    def _connect(self) -> None:
        self._throttle = QSignalThrottler(parent=self)
        self._throttle.setTimeout(100)
        self._throttle.triggered.connect(self._ask)
        self.button.clicked.connect(self.predict)
        self.latest.answered.connect(self._show)
        self.latest.failed.connect(lambda _, error: self._fail(error))
        self.latest.warned.connect(lambda text: self._tell(text, show_warning))
        self.form["run"].changed.connect(lambda: self._rest(HINT))
        self.form["movie"].changed.connect(self._movie_chosen)
        self.form["annotation"].changed.connect(self._annotation_chosen)
        self.form["threshold"].changed.connect(self._threshold_moved)
        self.form["own_threshold"].changed.connect(self._follow)
        self.form["colours"].changed.connect(self._recolour)
        step, follow = self.viewer.dims.events.current_step, self._follow
        step.connect(follow)
        self.destroyed.connect(lambda: step.disconnect(follow))

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        self.form["run"].value = event.mimeData().urls()[0].toLocalFile()

    # What changes -----------------------------------------------------------------------------------------------------

    def _layers(self, kind: type) -> list[Any]:
        return [layer for layer in self.viewer.layers if isinstance(layer, kind) and not self.overlay.owns(layer)]

    def reset_choices(self, event: Any = None) -> None:
        """Take up that layers came, went or changed their names; napari calls this."""
        chosen = {name: (self.form[name], self.form[name].value) for name in ("movie", "annotation")}
        # A drop-down lets go of its choice while it is filled anew: only the outcome is a change.
        with self.form["movie"].changed.blocked(), self.form["annotation"].changed.blocked():
            self.form.reset_choices()
            for row, layer in chosen.values():
                if layer in row.choices:
                    row.value = layer
        for row, layer in chosen.values():
            if row.value != layer:
                row.changed.emit(row.value)
        if self.overlay.removed:
            self.overlay.layer = None
            self._rest("The overlay was removed. Predict to show it again.")
        if self.form["movie"].value is None and (movies := self._layers(Image)):
            self.form["movie"].value = movies[0]
        self._suggest_annotation()

    def _suggest_annotation(self) -> None:
        movie = self.form["movie"].value
        if movie is not None and self.form["annotation"].value is None:
            fitting = [layer for layer in self._layers(Labels) if layer.data.shape[-2:] == movie.data.shape[-2:]]
            self.form["annotation"].value = fitting[0] if fitting else None

    def _movie_chosen(self, layer: Image | None) -> None:
        self._clear()
        self._suggest_annotation()
        if layer is None:
            self._rest(HINT)
        self._follow()

    def _annotation_chosen(self, layer: Labels | None) -> None:
        # Undo and redo tell of themselves by set_data alone.
        for watched, act in ((self._watched, "disconnect"), (layer, "connect")):
            if watched is not None:
                getattr(watched.events.paint, act)(self._follow)
                getattr(watched.events.set_data, act)(self._follow)
        self._watched = layer
        movie = self.form["movie"].value
        if layer is not None and "annotation" in layer.metadata and movie is not None and movie.ndim == layer.ndim:
            for name in PLACE:
                setattr(layer, name, getattr(movie, name))  # an annotation does not know the time of a frame
        self._follow()

    def _threshold_moved(self) -> None:
        with self.form["own_threshold"].changed.blocked():
            self.form["own_threshold"].value = False
        self._follow()

    def _recolour(self, palette: str) -> None:
        self.overlay.recolour(overlay_colours(palette))
        self._write_scores()

    # Asking -----------------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> ReviewSettings:
        """What the form says."""
        settings: ReviewSettings = read_form(self.form, ReviewSettings)
        return settings

    def predict(self) -> None:
        """Predict the frame in view, and follow the view from now on."""
        self._readings += 1
        self._following = True
        self._said = ""
        self._ask()

    def _question(self) -> Question:
        settings, layer = self.settings, self.form["movie"].value
        if layer is None:
            raise InputError("a movie", "no image layer", "Open a movie, or File › Open Sample › MENNDL.")
        if not self.form["run"].line_edit.value:
            raise InputError("the folder of a run", "an empty field", "Choose the folder that a search wrote.")
        if self._movie is None or self._movie[0] is not layer.data:
            self._movie = layer.data, movie_of(layer)
        return Question(
            run=str(settings.run.expanduser()),
            movie=self._movie[1],
            frame=frame_in_view(layer, self.viewer.dims.point),
            annotation=settings.annotation,
            threshold=None if settings.own_threshold else settings.threshold,
            reading=self._readings,
        )

    def _follow(self) -> None:
        """Something changed that the overlay depends on."""
        if not self._following:
            return
        movie = self.form["movie"].value
        shown = None if self.shown is None else self.shown.frame
        if movie is not None and shown is not None and shown != frame_in_view(movie, self.viewer.dims.point):
            self._clear()  # never the defects of one frame over another
        self._throttle.throttle()

    def _ask(self) -> None:
        if not self._following:
            return
        try:
            question = self._question()
        except InputError as error:
            self._fail(error)
            return
        if not self.reviewer.remembers(question):
            self.status.setText(f"Predicting frame {question.frame} …")
        self.latest.ask(question)

    # Showing ----------------------------------------------------------------------------------------------------------

    def _show(self, question: Question, review: FrameReview) -> None:
        try:
            now = self._question()
        except InputError:
            return  # the layer went while its frame was at work
        if not self._following or (now.run, now.movie, now.frame) != (question.run, question.movie, question.frame):
            return
        self.shown = review
        annotation = question.annotation
        if self.overlay.layer is None and annotation is not None and annotation.contour == 0:
            annotation.contour = 1  # as outlines: filled, its colours would be taken for those of the review
        self.overlay.show(review.overlay, self.form["movie"].value)
        if question.threshold is None and (reachable := [t for t in review.thresholds if t <= 1]):
            with self.form["threshold"].changed.blocked():
                self.form["threshold"].value = float(np.clip(np.mean(reachable), 0.01, 0.99))
        took = f", predicted in {1000 * review.seconds:.0f} ms" if review.seconds else ""
        alone = "" if review.annotated else " It has no annotation: the prediction is shown alone."
        self.status.setText(f"Frame {review.frame}{took}.{alone}")
        self._write_scores()

    def _write_scores(self) -> None:
        palette, shown = self.form["colours"].value, self.shown
        self.legend.setText(legend(palette, shown is None or shown.annotated))
        self.scores.setText("" if shown is None else score_table(shown, palette))
        self.scores.setVisible(shown is not None)

    def _clear(self) -> None:
        self.shown = None
        self._write_scores()
        self.overlay.clear()

    def _rest(self, text: str) -> None:
        """Stop following the view."""
        self._following = False
        self.latest.forget()
        self._clear()
        self.status.setText(text)

    def _fail(self, error: Exception) -> None:
        self._clear()
        if not isinstance(error, InputError):
            logging.getLogger(__name__).error("Reviewing a frame failed", exc_info=error)
        text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        self.status.setText(escape(text))
        self._tell(text, show_error)

    def _tell(self, text: str, notify: Callable[[str], None]) -> None:
        if text != self._said:  # once, not for every frame passed while scrubbing
            self._said = text
            notify(text)
