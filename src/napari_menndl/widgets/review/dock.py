"""The dock "Review frames": a movie's prediction, laid over its annotation in three colours, and corrected."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QVBoxLayout, QWidget
from superqt.utils import QSignalThrottler

from napari_menndl.errors import InputError
from napari_menndl.widgets.preferences import preference
from napari_menndl.widgets.review.binding import bind_viewer
from napari_menndl.widgets.review.chosen import accept_rest
from napari_menndl.widgets.review.controls import Controls
from napari_menndl.widgets.review.display import Display
from napari_menndl.widgets.review.files import Files
from napari_menndl.widgets.review.frame_review import NOTHING
from napari_menndl.widgets.review.hints import next_step
from napari_menndl.widgets.review.inputs import EVERY_FRAME, Inputs
from napari_menndl.widgets.review.movie_review import MovieReview
from napari_menndl.widgets.review.telling import Teller
from napari_menndl.widgets.review.walk import ErrorWalk

if TYPE_CHECKING:
    import os

    import napari.viewer

    from napari_menndl.widgets.review.frame_review import FrameReview


class ReviewFrames(QWidget):
    """The dock.

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    movie : MovieReview
        The reviews of all frames so far.
    corrected : set of int
        Frames whose annotation was changed during the review.
    search_again : Signal(list of int)
        The corrected frames, to learn from.
    hint_changed : Signal(str)
    """

    search_again = Signal(list)
    hint_changed = Signal(str)

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.controls = Controls(self._layers, self._shadings)
        self.inputs = Inputs(viewer, self.controls, self)
        self.movie = MovieReview(self)
        self.display = Display(viewer, self.controls, self.inputs, self.movie, self)
        self.files = Files(self.controls, self.inputs, self.movie, self.display, self)
        self.walk = ErrorWalk(viewer, self.movie, self.inputs, self.go_to, self)
        self.corrected: set[int] = set()
        self._following = self._whole = False
        self.teller = Teller(self)
        self._hinted = self._note = ""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.controls)
        self.setMinimumWidth(352)
        self.setAcceptDrops(True)
        self._connect()
        self.controls.view["colours"].value = preference("colours")
        self.display.retheme()
        self.reset_choices()
        self._rest()

    def _connect(self) -> None:
        controls, walk, inputs = self.controls, self.walk, self.inputs
        self._asking, self._drawing = (QSignalThrottler(parent=self) for _ in range(2))
        for throttle, pause, act in ((self._asking, 60, self._ask), (self._drawing, 200, self.display.show_movie)):
            throttle.setTimeout(pause)
            throttle.triggered.connect(act)
        controls.button.clicked.connect(self._go_or_stop)
        controls.again.clicked.connect(self._search_again)
        controls.complete.clicked.connect(self._complete)
        controls.scores.plot.frame_chosen.connect(self.go_to)
        errors = controls.errors
        errors.next.clicked.connect(self.next_error)
        errors.previous.clicked.connect(self.previous_error)
        errors.accept.clicked.connect(walk.accept)
        errors.reject.clicked.connect(walk.reject)
        errors.repaint_button.clicked.connect(walk.repaint)
        inputs.changed.connect(self._follow)
        inputs.replaced.connect(self._replaced)
        inputs.painted.connect(self._painted)
        self.movie.reviewed.connect(self._reviewed)
        self.movie.failed.connect(self._fail)
        self.movie.warned.connect(self.teller.warn)
        walk.changed.connect(self._chosen)
        walk.decided.connect(self._painted)
        for part in (walk, self.display, self.files):
            part.failed.connect(self.teller.error)
        self._bind_viewer()

    def _bind_viewer(self) -> None:
        keys = {
            "next-error": self.next_error,
            "previous-error": self.previous_error,
            "accept-defect": self.walk.accept,
            "reject-defect": self.walk.reject,
            "outline": self._flip_outlines,
        }
        walk = self.walk
        bind_viewer(self, self.viewer, keys, moved=self._view_moved, themed=self._retheme, clicked=walk.clicked)

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        self.controls.what["source"].value = event.mimeData().urls()[0].toLocalFile()

    @property
    def shown(self) -> FrameReview | None:
        """What the overlay shows."""
        return self.display.shown

    # For other docks --------------------------------------------------------------------------------------------------

    def open_run(self, path: str | os.PathLike[str]) -> None:
        """Take the run, saved network or stored prediction at `path`, and review if there is a movie."""
        self.controls.what["source"].value = path
        if self.inputs.image is not None:
            self.predict()

    @property
    def hint(self) -> str:
        """What to do next."""
        inputs = self.inputs
        return next_step(
            movie=inputs.image is not None,
            named=inputs.named,
            following=self._following,
            corrected=bool(self.corrected),
        )

    # What changes -----------------------------------------------------------------------------------------------------

    def _layers(self, kind: type) -> list[Any]:
        display = getattr(self, "display", None)
        chosen = [layer for layer in self.viewer.layers if isinstance(layer, kind)]
        return [layer for layer in chosen if display is None or not display.owns(layer)]

    def _shadings(self) -> list[str]:
        return self.display.shadings() if hasattr(self, "display") else [NOTHING]

    def reset_choices(self, event: Any = None) -> None:
        """Take up that layers came, went or changed their names; napari calls this."""
        self.inputs.reset_choices()
        if self.display.forget_removed():
            self._rest("The overlay was removed. Review again to show it.")
        self._say_hint()

    def _replaced(self) -> None:
        self.corrected = set()
        self._rest()

    def _painted(self, frame: int) -> None:
        self.inputs.note()
        if self._following:
            self.corrected |= {frame} - {EVERY_FRAME}
            self.movie.touch(self.movie.reviews if frame == EVERY_FRAME else [frame])
            self._say_hint()
            self._follow()

    def _view_moved(self) -> None:
        if self.walk.chosen is not None and self.walk.chosen.frame != self.inputs.frame:
            self.walk.let_go()
        self._follow()

    def _follow(self) -> None:
        """Something changed that the overlay depends on."""
        if not self._following:
            return
        frame = self.inputs.frame
        self.controls.scores.plot.show_place(frame)
        if self.shown is not None and self.shown.frame != frame:
            self.display.clear()  # never the defects of one frame over another
            if (known := self.movie.now(frame)) is not None:
                self.display.show(known)
        self._asking.throttle()

    def _retheme(self, event: Any = None) -> None:
        self.display.retheme()

    def _flip_outlines(self) -> None:
        self.controls.view["outlines"].value = not self.controls.view["outlines"].value

    # Asking -----------------------------------------------------------------------------------------------------------

    def predict(self) -> None:
        """Review the frame in view, follow the view from now on, and go on with the other frames."""
        self.inputs.reading += 1
        self._following = self._whole = True
        self.teller.begin()
        self._ask()

    def _go_or_stop(self) -> None:
        if self.movie.going:
            self._whole = False
            self.movie.stop()
            self.display.show_movie()
        else:
            self.predict()

    def _ask(self) -> None:
        if not self._following:
            return
        try:
            setting, frame = self.inputs.setting(), self.inputs.frame
        except InputError as error:
            self._fail(error)
            return
        if setting != self.movie.setting:
            self.movie.begin(setting)
        review = self.movie.look(frame)
        if review is not None:
            self.display.show(review)
        else:
            self.controls.status.setText(f"Reviewing frame {frame} …")
        # When the rest was stopped, what is known already still follows the threshold.
        frames = self._order() if self._whole else [t for t in self._order() if t in self.movie.reviews]
        self.movie.review_rest(frames)
        self._drawing.throttle()
        self._say_hint()

    def _order(self) -> list[int]:
        """All frames, the annotated first, from the one in view on."""
        count, here = len(self.inputs.movie), self.inputs.frame
        return sorted(range(count), key=lambda t: (not self.movie.speaks_of(t), (t - here) % count))

    def go_to(self, frame: int) -> None:
        """Bring a frame of the movie into view."""
        layer = self.inputs.image
        if layer is not None and layer.ndim > 2:
            place = layer.data_to_world((frame, *(0,) * (layer.ndim - 1)))[0]
            self.viewer.dims.set_point(self.viewer.dims.ndim - layer.ndim, place)

    def next_error(self) -> None:
        """Go to the next false or missed defect, across frames."""
        self.walk.step(1)

    def previous_error(self) -> None:
        """Go to the false or missed defect before."""
        self.walk.step(-1)

    # Showing ----------------------------------------------------------------------------------------------------------

    def _reviewed(self, frame: int) -> None:
        if self._following and frame == self.inputs.frame:
            self.display.show(self.movie.reviews[frame])
        self._drawing.throttle()

    def _rest(self, text: str = "") -> None:
        """Stop following the view."""
        self._following = False
        self.movie.forget()
        self.walk.let_go()
        self.display.clear()
        self.display.show_movie()
        self._note = text
        self.controls.status.setText(escape(text or self.hint))
        self._say_hint()

    def _say_hint(self) -> None:
        self.controls.again.setEnabled(bool(self.corrected))
        if self.hint != self._hinted:
            self._hinted = self.hint
            if not self._following and not self._note:
                self.controls.status.setText(escape(self._hinted))
            self.hint_changed.emit(self._hinted)

    # Correcting -------------------------------------------------------------------------------------------------------

    def _chosen(self, place: str) -> None:
        self.controls.errors.show_chosen(self.walk.chosen, place)

    def _complete(self) -> None:
        if self.shown is None:
            return
        try:
            accept_rest(self.shown, self.inputs.annotation)
        except InputError as error:
            self.teller.error(error)
            return
        self._painted(self.shown.frame)

    def _search_again(self) -> None:
        self.search_again.emit(sorted(self.corrected))
        show_info(f"Search again from {len(self.corrected)} corrected frame(s): see the dock 'Search networks'.")

    def _fail(self, error: Exception) -> None:
        self.display.clear()
        self.display.show_movie()
        self.controls.status.setText(escape(self.teller.error(error)))
