"""Line of text with what is known of the chosen movie."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_menndl.errors import InputError
from napari_menndl.widgets.layers import movie_of
from napari_menndl.widgets.section import WrappedLabel

if TYPE_CHECKING:
    from napari.layers import Image


class MovieLine(WrappedLabel):
    """Line with detector, beam energy, dwell time and pixel size of a movie; the tooltip has all of its metadata."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.setTextFormat(Qt.TextFormat.PlainText)  # the text comes from a file
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.show_movie(None)

    def show_movie(self, layer: Image | None) -> None:
        """Show what is known of the movie of a layer; nothing if it shows none."""
        try:
            movie = None if layer is None else movie_of(layer)
        except InputError:  # shown in the hint of the dock
            movie = None
        # Lines break between two facts, not between a number and its unit, nor within a unit.
        facts = [] if movie is None else movie.line.split(", ")
        self.setText(", ".join(fact.replace(" ", "\u00a0").replace("/", "\u2060/\u2060") for fact in facts))
        self.setToolTip("" if movie is None else f"<qt>{'<br>'.join(map(escape, movie.lines))}</qt>")
        self.setVisible(movie is not None)
