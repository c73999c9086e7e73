"""Layers that show a review over the frame in view, and the annotations hidden under them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Points
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import QObject, QTimer

from napari_menndl.widgets.frame_layer import FrameLayer, add_unselected
from napari_menndl.widgets.frames_layer import FramesLayer, outlined
from napari_menndl.widgets.layers import PLACE, annotation_of

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


class HideAnnotation(QObject):
    """Hiding of annotations under a review, whose colours could be confused with theirs.

    Selecting one of them, to paint on it, shows it again; so does the end of the review.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._laid = False
        self._covered: Labels | None = None
        self._hidden: list[Labels] = []
        self._active: Any = None
        # An added layer is selected for a moment, and then the previous selection is restored.
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.timeout.connect(self._on_selection)
        selected, act = viewer.layers.selection.events.active, self._selected
        selected.connect(act)

        def leave() -> None:
            with suppress(AttributeError, ValueError):  # the viewer is partly deleted when its window closes
                selected.disconnect(act)

        self.destroyed.connect(leave)

    def lay(self, annotation: Labels | None) -> None:
        """Hide all annotations, once for each that is compared, except those with an active tool."""
        if self._laid and annotation is self._covered:
            return
        self.show_annotations()
        self._laid, self._covered = True, annotation
        if annotation is not None and annotation_of(annotation) is None and _can_hide(annotation):
            annotation.contour = annotation.contour or 1  # hidden layers announce undo only with a contour
        labels = [one for one in self._viewer.layers if isinstance(one, Labels)]
        self._hidden = [one for one in labels if annotation_of(one) is not None and _can_hide(one)]
        self._active = self._viewer.layers.selection.active
        for one in self._hidden:
            one.visible = False

    def show_annotations(self) -> None:
        """Show the annotations again."""
        self._laid, self._covered = False, None
        hidden, self._hidden = self._hidden, []
        for one in hidden:
            one.visible = True

    def _selected(self) -> None:
        self._settled.start(0)

    def _on_selection(self) -> None:
        before, self._active = self._active, self._viewer.layers.selection.active
        if self._active is not None and before != self._active and self._active in self._hidden:
            self._hidden.remove(self._active)
            self._active.visible = True


def _can_hide(layer: Labels) -> bool:
    return bool(layer.visible) and str(layer.mode) == "pan_zoom"
