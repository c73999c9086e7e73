"""Synchronization of a review with the view: cheap work at once, the rest when the view rests."""

from __future__ import annotations

from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]
from superqt.utils import QSignalDebouncer, QSignalThrottler

from napari_menndl.errors import InputError
from napari_menndl.predict.resample import PixelSizeError

if TYPE_CHECKING:
    from napari_menndl.widgets.review.controls import Controls
    from napari_menndl.widgets.review.display import Display
    from napari_menndl.widgets.review.inputs import Inputs
    from napari_menndl.widgets.review.messages import Notifier
    from napari_menndl.widgets.review.movie_review import MovieReview


class Following(QObject):
    """Follower of the view: requests the frame in view first, then the others, and shows the results.

    The overlay of a known frame is drawn with the frame itself; while frames go by, nothing more is done for them.

    Attributes
    ----------
    on : bool
        Whether the overlay follows the view.
    failed : bool
        Whether the latest request could not be reviewed.
    waits : bool
        Whether a person has been asked for the pixel size.
    asked : Signal
        The display has been updated.
    """

    asked = Signal()

    def __init__(
        self,
        controls: Controls,
        inputs: Inputs,
        movie: MovieReview,
        display: Display,
        teller: Notifier,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._controls, self._inputs, self._movie, self._display = controls, inputs, movie, display
        self._teller = teller
        self.on = self._whole = self.failed = self.waits = False
        self._asking, self._drawing, self._placing = (QSignalThrottler(parent=self) for _ in range(3))
        self._resting = QSignalDebouncer(parent=self)
        for throttle, pause, act in (
            (self._asking, 60, self._ask),
            (self._resting, 100, self._ask),
            (self._placing, 100, self._place),
            (self._drawing, 200, display.show_movie),
        ):
            throttle.setTimeout(pause)
            throttle.triggered.connect(act)
        movie.reviewed.connect(self._reviewed)
        movie.predicting.connect(display.show_part)
        movie.failed.connect(self.fail)

    def begin(self) -> None:
        """Review the frame in view, follow the view from now on, and continue with the other frames."""
        self._inputs.reading += 1
        self.on, self._whole, self.failed = True, True, False
        self._teller.begin()
        self.show_answer()
        try:
            if said := self._inputs.take_learned():
                self._teller.warn(said)
        except InputError:  # no movie: `_ask` says so
            pass
        self._ask()

    def go_or_stop(self) -> None:
        """Start the review of the movie, or stop it if it is running."""
        if self._movie.going:
            self._whole = False
            self._movie.stop()
            self._display.show_movie()
        else:
            self.begin()

    def end(self) -> None:
        """Stop following and drop the reviews."""
        self.on = self.failed = self.waits = False
        self._controls.pixel_size.hide()
        self._movie.forget()
        self._display.clear()
        self._display.cover.show_annotations()
        self._display.show_movie()

    def fail(self, error: Exception) -> None:
        """Show why there is no review."""
        self.failed = True
        self._display.clear()
        self._display.show_movie()
        if isinstance(error, PixelSizeError):
            self.waits = True
            self._controls.pixel_size.ask(self._inputs.movie.name, error)
            self._controls.status.setText("The review waits for the pixel size of the movie.")
        else:
            self._controls.status.setText(escape(self._teller.error(error)))

    def take_answer(self) -> None:
        """Go on at once by a new answer about the movie's pixel size, so that no earlier failure asks for it again."""
        self.show_answer()
        self._ask()

    def show_answer(self) -> None:
        """Show the answer about the movie's pixel size; without one it is asked for again."""
        self.waits = False
        with suppress(InputError):  # no movie: `_ask` says so
            self._controls.pixel_size.show_answer(self._inputs.answer)

    def move(self) -> None:
        """Follow the view to another frame."""
        if not self.on:
            return
        self._display.move(self._inputs.frame)
        self._placing.throttle()
        (self._asking if self._display.shown is None else self._resting).throttle()

    def renew(self) -> None:
        """Update the review after a change that it depends on."""
        if self.on:
            self._asking.throttle()

    def _place(self) -> None:
        self._controls.scores.plot.show_place(self._inputs.frame)

    def _ask(self) -> None:
        if not self.on:
            return
        try:
            setting, frame = self._inputs.setting(), self._inputs.frame
        except InputError as error:
            self.fail(error)
            self.asked.emit()
            return
        movie = self._movie
        movie.centre = self._display.centre
        if setting != movie.setting and not movie.begin(setting):
            self._display.overlay.redraw()  # never results of another network or movie
        review = movie.review_first(frame)
        if review is not None:
            self._display.show(review)
        else:
            self._controls.status.setText(f"Reviewing frame {frame} …")
        # After the rest was stopped, frames that are known still follow the threshold.
        frames = self._order() if self._whole else [t for t in self._order() if t in movie.reviews]
        movie.review_rest(frames)
        self._drawing.throttle()
        self.asked.emit()

    def _order(self) -> list[int]:
        """Return all frames, the annotated ones first, from the one in view on."""
        count, here = len(self._inputs.movie), self._inputs.frame
        return sorted(range(count), key=lambda t: (not self._movie.is_annotated(t), (t - here) % count))

    def _reviewed(self, frame: int) -> None:
        self.failed = False
        if self.on and frame == self._inputs.frame:
            self._display.show(self._movie.reviews[frame])
        self._drawing.throttle()
