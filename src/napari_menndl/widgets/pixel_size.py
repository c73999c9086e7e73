"""Pixel size that only the movie or only the network has: a person's answer, asked for once per movie."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_menndl.movie.identity import movie_digest
from napari_menndl.movie.movie import side_of_pixel
from napari_menndl.predict.resample import PixelSize, PixelSizeError, scale_between
from napari_menndl.widgets.preferences import recall, remember
from napari_menndl.widgets.section import WrappedLabel

if TYPE_CHECKING:
    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.predict.trained import TrainedNetwork

#: Answer of a person who does not know, or wants pixels taken for pixels: ``--pixel-size none``.
AS_IT_IS = "as it is"
Answer = PixelSize | str | None


def answer_for(movie: Movie | str) -> Answer:
    """Return a person's answer about a movie or a growing source: its pixel size [nm], `AS_IT_IS`, or None."""
    said = recall(_key(movie))
    if isinstance(said, list) and len(said) == 2 and all(isinstance(side, float) and side > 0 for side in said):
        return said[0], said[1]
    return AS_IT_IS if said == AS_IT_IS else None


def remember_answer(movie: Movie | str, answer: Answer) -> None:
    """Keep an answer, for this session of napari and later ones."""
    remember(_key(movie), answer)


def _key(movie: Movie | str) -> str:
    return f"pixel size/{movie if isinstance(movie, str) else movie_digest(movie)}"


def with_answer(
    network: TrainedNetwork | Ensemble, movie: Movie, answer: Answer
) -> tuple[TrainedNetwork | Ensemble, Movie]:
    """Return network and movie as they can be used together, by the answer if only one has a pixel size.

    Raises
    ------
    PixelSizeError
        If no answer helps.
    """
    if (movie.pixel_size is None) == (network.pixel_size is None):
        return network, movie
    if answer == AS_IT_IS:
        from napari_menndl.predict.ensemble import without_pixel_size  # here, as torch is slow to import

        return without_pixel_size(network), replace(movie, pixel_size=None)
    if movie.pixel_size is None and isinstance(answer, tuple):
        return network, replace(movie, pixel_size=answer)
    scale_between(movie.pixel_size, network.pixel_size)
    return network, movie


class PixelSizeRow(QWidget):
    """Row that asks for the pixel size of a movie, and shows the answer.

    Attributes
    ----------
    answered : Signal(answer)
        (y, x) float [nm], `AS_IT_IS`, or None to be asked again.
    """

    answered = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = WrappedLabel()
        self.field = QDoubleSpinBox()
        self.field.setDecimals(5)
        self.field.setRange(0.0, 1000.0)
        self.field.setSingleStep(0.001)
        self.field.setSuffix(" nm/px")
        self.field.setSpecialValueText("nm per pixel")
        self.field.setAccessibleName("Pixel size of the movie")
        self.use, self.as_it_is, self.change = QPushButton("Use"), QPushButton("As it is"), QPushButton("Change")
        self.use.setToolTip("Scale the movie to the pixel size of the frames that the network was trained on")
        self.as_it_is.setToolTip(
            "Predict pixel for pixel: right only at the magnification of the frames trained on; sizes stay in px"
        )
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        for part in (self.field, self.use, self.as_it_is, self.change):
            row.addWidget(part, 1 if part is self.field else 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addLayout(row)
        self.field.valueChanged.connect(lambda size: self.use.setEnabled(size > 0))
        self.use.clicked.connect(self._use)
        self.as_it_is.clicked.connect(lambda: self.answered.emit(AS_IT_IS))
        self.change.clicked.connect(lambda: self.answered.emit(None))
        self.hide()

    def ask(self, movie: str, error: PixelSizeError) -> None:
        """Ask about a movie, or several, by name."""
        unknown = error.trained is not None
        if error.trained is not None:
            said = f"was trained at {side_of_pixel(error.trained, '/px')}"
            text = f"The pixel size of <b>{escape(movie)}</b> is unknown; the network {said}. How large is a pixel?"
        else:
            text = (
                f"The network was trained on frames of unknown pixel size; that of <b>{escape(movie)}</b> is known. "
                "Do they look alike, pixel for pixel?"
            )
        self._show(text, field=unknown, use=unknown, as_it_is=True, change=False)
        self.field.setValue(0.0)
        self.use.setEnabled(False)

    def show_answer(self, answer: Answer) -> None:
        """Show an earlier answer; hide the row without one."""
        if answer is None:
            self.hide()
            return
        if isinstance(answer, tuple):
            text = f"Pixel size as you said: {side_of_pixel(answer, '/px')}"
        else:
            text = "Taken as it is, pixel for pixel, where only the movie or the network knows its pixel size"
        self._show(text, field=False, use=False, as_it_is=False, change=True)

    def _show(self, text: str, **parts: bool) -> None:
        self.text.setText(text)
        for name, shown in parts.items():
            getattr(self, name).setVisible(shown)
        self.show()

    def _use(self, *_: Any) -> None:
        size = self.field.value()
        self.answered.emit((size, size))
