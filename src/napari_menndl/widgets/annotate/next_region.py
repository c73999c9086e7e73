"""Section of the dock: the region on whose defects the networks of a search disagree most, brought into view."""

from __future__ import annotations

from operator import is_
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from napari.layers import Shapes
from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_menndl.annotation.classes import Region
from napari_menndl.errors import InputError
from napari_menndl.widgets.annotate.settings import NextRegionSettings
from napari_menndl.widgets.background import LatestTask, in_window
from napari_menndl.widgets.form import fill_form, lay_out, make_form, remember_form
from napari_menndl.widgets.frame_layer import add_unselected
from napari_menndl.widgets.layers import PLACE
from napari_menndl.widgets.paths import choose_by_menu
from napari_menndl.widgets.pixel_size import answer_for, with_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.suggest import Suggestion

NAME, YELLOW = "look here", "#ffe14d"
#: Regions that are looked for at a time.
MOST = 10


class _Question(NamedTuple):
    network: Path
    movie: Movie
    annotation: Annotation


class NextRegion(QWidget):
    """Network, button and message.

    Parameters
    ----------
    viewer : napari.Viewer
    movie : callable
        Returns the chosen movie and its layer; raises InputError if there is none.

    Attributes
    ----------
    annotation : Annotation or None
        The annotation in view; what it says already is not suggested.
    frame_chosen : Signal(int)
        The frame to bring into view.
    """

    frame_chosen = Signal(int)

    def __init__(self, viewer: Viewer, movie: Callable[[], tuple[Movie, Image]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._movie = viewer, movie
        self.annotation: Annotation | None = None
        self._left: list[Suggestion] = []
        self._asked: Any = ()
        self.shown: Suggestion | None = None
        self.layer: Shapes | None = None
        self.form = make_form(NextRegionSettings)
        self.menu = choose_by_menu(self.form["network"], "network", "run or saved network")
        fill_form(self.form, {"network": Path()})
        remember_form(self.form, "annotate/next", ("network",))
        self.button, self.done = QPushButton("Where to look next"), QPushButton("All annotated in it")
        self.button.setToolTip("Go to the region on whose defects the networks disagree most; press again for another")
        self.done.setToolTip("Everything in the rectangle is annotated: add it to the regions that were looked at")
        self.bar, self.said = QProgressBar(), QLabel()
        self.bar.setFormat("frame %v of %m looked at")
        self.said.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (lay_out(self.form), self.button, self.bar, self.said, self.done):
            layout.addWidget(widget)
        self._work = LatestTask(self._suggest, self)
        self._work.answered.connect(self._found)
        self._work.failed.connect(self._failed)
        self._work.warned.connect(show_warning)
        self._say_looked = in_window(self._show_progress)
        self.button.clicked.connect(self.show_next)
        self.done.clicked.connect(self.mark)
        self._show_message("")

    def show_next(self) -> None:
        """Show the next region; look for some first if none is left, or something else is chosen."""
        try:
            movie, _ = self._movie()
            if self.annotation is None:
                raise InputError("an annotation", "none", "Make a new annotation first.")
            if not self.form["network"].line_edit.value:
                raise InputError("a network", "an empty field", "Choose the folder of a search or a saved network.")
        except InputError as error:
            show_error(str(error))
            return
        question = _Question(self.form["network"].value.expanduser(), movie, self.annotation)
        same = self._asked and self._asked[0] == question[0] and all(map(is_, self._asked[1:], question[1:]))
        if self._left and same:
            self._show(self._left.pop(0))
            return
        self._asked = question
        self.button.setEnabled(False)
        self._show_message("Opening the network …")
        self._work.ask(question)

    def _suggest(self, question: _Question) -> list[Suggestion]:
        # Imported here, in a thread: it takes a moment that a person would notice in the window.
        from napari_menndl.opening import open_network
        from napari_menndl.predict.suggest import suggest_regions

        network, movie = with_answer(open_network(question.network), question.movie, answer_for(question.movie))
        return suggest_regions(
            network,  # type: ignore[arg-type]
            movie,
            annotation=question.annotation,
            count=MOST,
            progress=self._say_looked,
        )

    def _found(self, question: _Question, found: list[Suggestion]) -> None:
        self.button.setEnabled(True)
        self._left = list(found)
        if question.annotation is not self.annotation:
            self._show_message("")
        elif found:
            self._show(self._left.pop(0))
        else:
            self._show_message("The networks agree on all defects that are not annotated yet.")

    def _failed(self, _: _Question, error: Exception) -> None:
        self.button.setEnabled(True)
        self._asked = ()
        self._show_message("")
        if not isinstance(error, InputError):
            raise error
        show_error(str(error))

    def _show(self, suggestion: Suggestion) -> None:
        """Bring a region into view, with a rectangle around it."""
        _, image = self._movie()
        self.shown = suggestion
        self.frame_chosen.emit(suggestion.frame)
        self.hide_rectangle()
        y0, x0, y1, x1 = np.array(suggestion.region) - 0.5
        corners = np.array([(suggestion.frame, y, x) for y, x in ((y0, x0), (y0, x1), (y1, x1), (y1, x0))])
        self.layer = Shapes(
            [corners[:, -image.ndim :]],
            name=NAME,
            edge_color=YELLOW,
            face_color="transparent",
            edge_width=max(1.0, (y1 - y0) / 100),
            **{name: getattr(image, name) for name in PLACE},
        )
        add_unselected(self._viewer, self.layer, len(self._viewer.layers))
        self.layer.editable = False
        low, high = (np.asarray(image.data_to_world(corner[-image.ndim :])) for corner in (corners[0], corners[2]))
        camera = self._viewer.scene.camera
        camera.center = (0.0, *map(float, ((low + high) / 2)[-2:]))
        camera.zoom = 0.8 * float(min(np.array(self._viewer.canvas.size) / np.abs(high - low)[-2:]))
        doubtful = ", ".join(f"{n} {name}" for name, n in suggestion.doubtful.items()) or "none alone"
        count = suggestion.defects
        self._show_message(
            f"Frame {suggestion.frame}: the networks find {count} defect{'s' * (count != 1)} here and disagree on "
            f"{doubtful}. Annotate all defects in the rectangle, then press '{self.done.text()}'."
        )

    def hide_rectangle(self) -> None:
        """Remove the rectangle."""
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def mark(self) -> None:
        """Add the region that is shown to those that were looked at."""
        if self.shown is None or self.annotation is None:
            return
        t, region = self.shown.frame, Region(*self.shown.region)
        try:
            self.annotation.set_regions(t, [*self.annotation.regions.get(t, ()), region])
        except InputError as error:
            show_error(str(error))
            return
        self.hide_rectangle()
        self._show_message(f"Added to the regions of frame {t}. Search again on it, or look where to go on.")

    def follow(self, annotation: Annotation | None) -> None:
        """Suggest for another annotation."""
        if annotation is not self.annotation:
            self.annotation = annotation
            self._left, self._asked = [], ()
            self.hide_rectangle()
            self._show_message("")

    def _show_progress(self, done: int, total: int) -> None:
        self.bar.setMaximum(total)
        self.bar.setValue(done)
        self.bar.setVisible(self._work.busy)
        self.said.setVisible(not self._work.busy)

    def _show_message(self, words: str) -> None:
        self.bar.hide()
        self.said.setText(words)
        self.said.setVisible(bool(words))
        self.done.setVisible(self.layer is not None)
