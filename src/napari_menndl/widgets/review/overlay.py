"""Layers that show a review over the frame in view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Points
from napari.utils.colormaps import DirectLabelColormap

from napari_menndl.widgets.frame_layer import FrameLayer, add_unselected
from napari_menndl.widgets.frames_layer import FramesLayer, outlined
from napari_menndl.widgets.layers import PLACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

    from napari_menndl.widgets.frames_layer import FrameArray
    from napari_menndl.widgets.review.frame_review import FrameReview, PartialFrame
    from napari_menndl.widgets.review.palette import Colours


YELLOW = "#ffe14d"


class Overlay(FramesLayer):
    """Overlay of the reviews in their colours: labels (Y, X) uint8 of each frame.

    Parameters
    ----------
    viewer : napari.Viewer
    colours : dict
        Colours of its labels.
    review : callable
        ``review(t)`` returns the review of a frame, the parts predicted so far, or None.
    """

    def __init__(
        self, viewer: Viewer, colours: Colours, review: Callable[[int], FrameReview | PartialFrame | None]
    ) -> None:
        super().__init__(viewer, review)
        self._colours = colours
        self._outlines = False

    def make(self, data: FrameArray, place: dict[str, Any]) -> Labels:
        layer = Labels(data, name="review", opacity=0.9, colormap=self._colormap(), **place)
        layer.editable = False
        return layer

    def draw(self, source: FrameReview | PartialFrame) -> np.ndarray:
        return outlined(source.overlay) if self._outlines else source.overlay

    def recolour(self, colours: Colours) -> None:
        self._colours = colours
        if self.layer is not None:
            self.layer.colormap = self._colormap()

    def outline(self, outlines: bool) -> None:
        """Draw defects as outlines, or filled."""
        self._outlines = outlines
        self.redraw()

    def _colormap(self) -> DirectLabelColormap:
        return DirectLabelColormap(color_dict=self._colours)


class Shading(FrameLayer):
    """Layer of probabilities or agreement, from 0 to 1: (Y, X) float32.

    Attributes
    ----------
    frame : int or None
        The frame that is shown.
    """

    frame: int | None = None

    def make(self, data: np.ndarray, place: dict[str, Any]) -> Image:
        about = {"colormap": "inferno", "blending": "additive", "opacity": 0.7, "contrast_limits": (0.0, 1.0)}
        return Image(data, name="probability", **about, **place)

    def clear(self) -> None:
        if self.frame is not None:
            self.frame = None
            super().clear()

    def place(self, movie: Image) -> int:
        """Return the position among the layers: below the review."""
        return self._viewer.layers.index(movie) + 1 if movie in self._viewer.layers else len(self._viewer.layers)


class Ring:
    """Ring around the selected defect.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.layer: Points | None = None

    def show(self, frame: int, place: tuple[float, float], radius: float, movie: Image) -> None:
        """Show the ring around a place (y, x) [px] of a frame, on that frame only."""
        self.hide()
        self.layer = Points(
            np.array([(frame, *place)[-movie.ndim :]]),
            name="defect",
            size=max(6.0 * radius, 15.0),
            face_color="transparent",
            border_color=YELLOW,
            border_width=0.06,
            **{name: getattr(movie, name) for name in PLACE},
        )
        add_unselected(self._viewer, self.layer, len(self._viewer.layers))
        self.layer.editable = False

    def hide(self) -> None:
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
