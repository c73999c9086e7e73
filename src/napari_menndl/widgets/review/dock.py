"""Dock "Review frames": a movie's prediction, laid over its annotation in three colours, and corrected."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.notifications import show_info
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_menndl.errors import InputError
from napari_menndl.widgets.docking import NARROW, Docking
from napari_menndl.widgets.preferences import preference
from napari_menndl.widgets.review.controls import Controls
from napari_menndl.widgets.review.display import Display
from napari_menndl.widgets.review.error_navigator import ErrorNavigator, accept_rest
from napari_menndl.widgets.review.files import Files
from napari_menndl.widgets.review.following import Following
from napari_menndl.widgets.review.frame_review import NOTHING
from napari_menndl.widgets.review.inputs import EVERY_FRAME, Inputs
from napari_menndl.widgets.review.messages import Notifier, next_step
from napari_menndl.widgets.review.movie_review import MovieReview
from napari_menndl.widgets.review.settings import EVERY_CLASS
from napari_menndl.widgets.review.tracks import MovieTracks
from napari_menndl.widgets.shortcuts import bind

if TYPE_CHECKING:
    import os
    from pathlib import Path

    import napari.viewer

    from napari_menndl.widgets.pixel_size import Answer
    from napari_menndl.widgets.review.frame_review import FrameReview
    from napari_menndl.widgets.review.several import Movies, Order


class ReviewFrames(QWidget):
    """Dock "Review frames".

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
    #: Whether the hint is shown above the dock already.
    hint_above = False

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.controls = Controls(self._layers, self._shadings, self._classes, self._order)
        forms = self.controls.what, self.controls.level, self.controls.view
        self.inputs = Inputs(viewer, *forms, self.controls.pool, self)
        self.movie = MovieReview(self)
        self.teller = Notifier(self)
        self.display = Display(viewer, self.controls, self.inputs, self.movie, self.teller, self)
        self.files = Files(viewer, self.controls, self.inputs, self.movie, self.display, self.teller, self)
        self.walk = ErrorNavigator(viewer, self.movie, self.inputs, self.go_to, self.teller, self)
        self.tracks = MovieTracks(
            viewer, self.controls.tracks, self.inputs, self.movie, lambda: self.display.classes, self.teller, self
        )
        self.corrected: set[int] = set()
        self.following = Following(self.controls, self.inputs, self.movie, self.display, self.teller, self)
        self._hinted = self._note = ""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.controls)
        self.setMinimumWidth(NARROW)
        self.setAcceptDrops(True)
        self.docking = Docking(self, viewer)
        self._connect()
        self.controls.view["colours"].value = preference("colours")
        self.display.retheme()
        self.reset_choices()
        self._rest()

    def _connect(self) -> None:
        controls, walk, inputs = self.controls, self.walk, self.inputs
        controls.button.clicked.connect(self.following.go_or_stop)
        controls.again.clicked.connect(self._search_again)
        controls.complete.clicked.connect(self._complete)
        controls.scores.plot.frame_chosen.connect(self.go_to)
        controls.tracks.plot.frame_chosen.connect(self.go_to)
        controls.pixel_size.answered.connect(self._on_pixel_size)
        errors = controls.errors
        errors.next.clicked.connect(self.next_error)
        errors.previous.clicked.connect(self.previous_error)
        errors.accept.clicked.connect(walk.accept)
        errors.reject.clicked.connect(walk.reject)
        errors.repaint_button.clicked.connect(walk.repaint)
        controls.what["annotation"].changed.connect(walk.clear_selection)  # the selected error is of another one
        inputs.changed.connect(self.following.renew)
        inputs.replaced.connect(self._replaced)
        inputs.painted.connect(self._painted)
        self.following.asked.connect(self._update_hint)
        self.movie.warned.connect(self.teller.warn)
        for told in (self.movie.reviewed, self.movie.failed):
            told.connect(self._update_hint)
        walk.changed.connect(self._chosen)
        walk.decided.connect(self._painted)
        controls.movies.failed.connect(self.teller.error)
        self._bind_viewer()

    def _bind_viewer(self) -> None:
        """Bind shortcuts and events of the viewer until the dock is destroyed."""
        keys = {
            "next-error": self.next_error,
            "previous-error": self.previous_error,
            "accept-defect": self.walk.accept,
            "reject-defect": self.walk.reject,
            "outline": self._flip_outlines,
        }
        viewer, clicked = self.viewer, self.walk.clicked
        unbind = [bind(viewer, name, act) for name, act in keys.items()]
        events = [
            (viewer.dims.events.current_step, self._view_moved),
            (viewer.events.theme, self.display.retheme),
        ]
        for event, act in events:
            event.connect(act)
        viewer.mouse_drag_callbacks.append(clicked)

        def release() -> None:
            for event, act in events:
                event.disconnect(act)
            if clicked in viewer.mouse_drag_callbacks:
                viewer.mouse_drag_callbacks.remove(clicked)
            for act in unbind:
                act()

        self.destroyed.connect(release)

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        self.controls.what["source"].value = event.mimeData().urls()[0].toLocalFile()

    @property
    def shown(self) -> FrameReview | None:
        """The review that the overlay shows."""
        return self.display.shown

    # For other docks --------------------------------------------------------------------------------------------------

    def open_run(self, path: str | os.PathLike[str]) -> None:
        """Choose the run, saved network or stored prediction at `path`, and review if there is a movie."""
        self.controls.what["source"].value = path
        if self.inputs.image is not None:
            self.predict()

    @property
    def hint(self) -> str:
        """The next step."""
        return self._next_step()[0]

    def _next_step(self) -> tuple[str, str]:
        inputs = self.inputs
        return next_step(
            movie=inputs.image is not None,
            named=inputs.named,
            following=self.following.on,
            asked=self.following.waits,
            failed=self.following.failed,
            reviews=self.movie.reviews.values(),
            corrected=bool(self.corrected),
        )

    # Changes ----------------------------------------------------------------------------------------------------------

    def _layers(self, kind: type) -> list[Any]:
        display = getattr(self, "display", None)
        chosen = [layer for layer in self.viewer.layers if isinstance(layer, kind)]
        return [layer for layer in chosen if display is None or not display.owns(layer)]

    def _shadings(self) -> list[str]:
        return self.display.shadings() if hasattr(self, "display") else [NOTHING]

    def _classes(self) -> list[str]:
        return self.inputs.classes if hasattr(self, "inputs") else [EVERY_CLASS]

    def _order(self, folder: Path, movies: Movies) -> Order:
        return self.inputs.order(folder, movies)

    def reset_choices(self, event: Any = None) -> None:
        """Update the choices after layers were added, removed or renamed; called by napari."""
        self.inputs.reset_choices()
        self.controls.movies.show_layers([one for one in self._layers(Image) if not one.rgb and one.ndim in (2, 3)])
        if self.display.forget_removed():
            self._rest("The overlay was removed. Review again to show it.")
        self._update_hint()

    def _replaced(self) -> None:
        self.corrected = set()
        self.tracks.forget()
        self._rest()

    def _on_pixel_size(self, answer: Answer) -> None:
        self.inputs.take_answer(answer)
        self.following.take_answer()
        self._update_hint()

    def _painted(self, frame: int) -> None:
        self.inputs.note()
        if self.following.on:
            self.corrected |= {frame} - {EVERY_FRAME}
            self.movie.touch(self.movie.reviews if frame == EVERY_FRAME else [frame])
            self._update_hint()
            self.following.renew()

    def _view_moved(self) -> None:
        if self.walk.chosen is not None and self.walk.chosen.frame != self.inputs.frame:
            self.walk.clear_selection()
        self.following.move()
        self.controls.tracks.plot.show_place(self.inputs.frame)

    def hideEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        super().hideEvent(event)
        if not event.spontaneous():
            self.display.cover.show_annotations()

    def showEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        super().showEvent(event)
        self.following.renew()

    def _flip_outlines(self) -> None:
        self.controls.view["outlines"].value = not self.controls.view["outlines"].value

    # Reviewing --------------------------------------------------------------------------------------------------------

    def predict(self) -> None:
        """Review the frame in view, follow the view from now on, and continue with the other frames."""
        self.following.begin()

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
        """Go to the previous false or missed defect."""
        self.walk.step(-1)

    # Showing ----------------------------------------------------------------------------------------------------------

    def _rest(self, text: str = "") -> None:
        """Stop following the view."""
        self.following.end()
        self.walk.clear_selection()
        self._note = text
        self._update_hint()

    def _update_hint(self, _: object = None) -> None:
        self.controls.again.setEnabled(bool(self.corrected))
        hint, button = self._next_step()
        if not self.following.on:
            self.controls.status.setText(escape(self._note or ("" if self.hint_above else hint)))
        if hint != self._hinted:
            self._hinted = hint
            self.docking.point_to(self.controls.buttons.get(button))
            self.hint_changed.emit(hint)

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
