"""Preparation of a movie before it is annotated: the result is a new layer, and the recorded movie stays."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from napari.layers import Image, Layer, Shapes
from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_menndl.errors import InputError
from napari_menndl.movie.preparation import Average, Bin, Crop, Drift, describe
from napari_menndl.widgets.annotate.settings import COMMON, WHOLE, PrepareSettings
from napari_menndl.widgets.background import LatestTask, in_window
from napari_menndl.widgets.form import lay_out, make_form, read_form
from napari_menndl.widgets.layers import movie_layer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

    from napari_menndl.movie.movie import Movie, Step


class _Question(NamedTuple):
    movie: Movie
    image: Image
    steps: tuple[Step, ...]


class Prepare(QWidget):
    """Form, button and progress of the preparation.

    Parameters
    ----------
    viewer : napari.Viewer
    movie : callable
        Returns the chosen movie and its layer; raises InputError if there is none.

    Attributes
    ----------
    prepared : Signal(object)
        The layer of the prepared movie.
    """

    prepared = Signal(object)

    def __init__(self, viewer: Viewer, movie: Callable[[], tuple[Movie, Image]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._movie = viewer, movie
        self.form = make_form(PrepareSettings, crop={"widget_type": "ComboBox", "choices": lambda _: self._areas()})
        # Layers may have long names, and the dock is narrow.
        self.form["crop"].native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.button, self.stop = QPushButton("Prepare the movie"), QPushButton("Stop")
        self.button.setToolTip("As a new layer, to be annotated and searched on; the recorded movie stays as it is")
        self.stop.setToolTip("Measure no more of the drift; nothing is changed")
        self.bar, self.said = QProgressBar(), QLabel()
        self.bar.setFormat("drift of frame %v of %m")
        self.said.setWordWrap(True)
        self._cancelled = Event()
        self._work = LatestTask(self._answer, self)
        self._arrange()
        self._work.answered.connect(self._done)
        self._work.failed.connect(self._failed)
        self._work.warned.connect(show_warning)
        self._say_measured = in_window(self._show_progress)
        self.button.clicked.connect(self.begin)
        self.stop.clicked.connect(self._cancelled.set)
        self.destroyed.connect(lambda *_, cancelled=self._cancelled: cancelled.set())
        self._show_busy(False)

    def _arrange(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(lay_out(self.form))
        layout.addWidget(self.button)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.stop)
        layout.addLayout(row)
        layout.addWidget(self.said)

    def reset_choices(self) -> None:
        """Update the choices after shapes layers were added, removed or renamed."""
        self.form["crop"].reset_choices()

    def begin(self) -> None:
        """Prepare the chosen movie as set in the form, in a thread."""
        try:
            movie, image = self._movie()
            question = _Question(movie, image, self.steps(image))
        except InputError as error:
            show_error(str(error))
            return
        self._cancelled.clear()
        self._show_busy(True)
        self._work.ask(question)

    def steps(self, image: Image) -> tuple[Step, ...]:
        """Return the preparation steps chosen in the form, for the movie of a layer.

        Raises
        ------
        InputError
            If no step is chosen, or there is no rectangle to cut to.
        """
        asked: PrepareSettings = read_form(self.form, PrepareSettings)
        steps: list[Step] = [Drift()] if asked.drift else []
        if asked.crop == COMMON:
            steps.append(Crop(common=True))
        elif asked.crop != WHOLE:  # drawn in the pixels in view, before binning
            steps.append(self._rectangle(asked.crop, image))
        steps += [Average(asked.average)] if asked.average > 1 else []
        steps += [Bin(asked.binned)] if asked.binned > 1 else []
        if not steps:
            raise InputError("something to do to the movie", "nothing", "Tick or choose what is to be done.")
        return tuple(steps)

    def _areas(self) -> list[str]:
        """Return the areas that frames can be cut to."""
        return [WHOLE, COMMON, *(layer.name for layer in self._viewer.layers if isinstance(layer, Shapes))]

    def _rectangle(self, name: str, image: Image) -> Crop:
        """Return the last shape of a layer as a rectangle of whole pixels within the frame."""
        shapes = self._viewer.layers[name].data
        if not shapes:
            raise InputError("a rectangle", f"no shape in the layer {name!r}", "Draw one around what is to be kept.")
        layer = self._viewer.layers[name]
        corners = np.array([image.world_to_data(layer.data_to_world(point))[-2:] for point in shapes[-1]])
        # Centres of pixels have whole coordinates.
        low = np.ceil(corners.min(axis=0) - 1e-6).astype(int).clip(0)
        high = (np.floor(corners.max(axis=0) + 1e-6).astype(int) + 1).clip(0, image.data.shape[-2:])
        height, width = (high - low).clip(0)
        return Crop(int(low[0]), int(low[1]), int(height), int(width))

    def _answer(self, question: _Question) -> Movie:
        return question.movie.prepared(question.steps, self._say_measured, self._cancelled.is_set)

    def _done(self, question: _Question, movie: Movie) -> None:
        self._show_busy(False)
        data, about, kind = movie_layer(movie)
        layer: Any = Layer.create(data, about, kind)
        layers = self._viewer.layers
        layers.insert(layers.index(question.image) + 1 if question.image in layers else len(layers), layer)
        question.image.visible = False
        self._show_message(
            f"{describe(movie.steps).capitalize()}. The recorded movie is still there: choose its layer."
        )
        self.prepared.emit(layer)

    def _failed(self, _: _Question, error: Exception) -> None:
        self._show_busy(False)
        if self._cancelled.is_set():
            self._show_message("Stopped; nothing is changed.")
        elif isinstance(error, InputError):
            show_error(str(error))
        else:
            raise error

    def _show_progress(self, done: int, total: int) -> None:
        self.bar.setMaximum(total)
        self.bar.setValue(done)
        self.bar.setVisible(self._work.busy)

    def _show_busy(self, busy: bool) -> None:
        self.button.setEnabled(not busy)
        self.stop.setVisible(busy)
        self.bar.setVisible(False)
        self._show_message("")

    def _show_message(self, words: str) -> None:
        self.said.setText(words)
        self.said.setVisible(bool(words))
