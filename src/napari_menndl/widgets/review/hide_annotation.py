"""Hiding of the annotations while a review is shown."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer

from napari_menndl.widgets.layers import annotation_of

if TYPE_CHECKING:
    from napari.viewer import Viewer


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
        self._settled.timeout.connect(self._look)
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
        self.lift()
        self._laid, self._covered = True, annotation
        if annotation is not None and annotation_of(annotation) is None and _can_hide(annotation):
            annotation.contour = annotation.contour or 1  # hidden layers announce undo only with a contour
        labels = [one for one in self._viewer.layers if isinstance(one, Labels)]
        self._hidden = [one for one in labels if annotation_of(one) is not None and _can_hide(one)]
        self._active = self._viewer.layers.selection.active
        for one in self._hidden:
            one.visible = False

    def lift(self) -> None:
        """Show the annotations again."""
        self._laid, self._covered = False, None
        hidden, self._hidden = self._hidden, []
        for one in hidden:
            one.visible = True

    def _selected(self) -> None:
        self._settled.start(0)

    def _look(self) -> None:
        before, self._active = self._active, self._viewer.layers.selection.active
        if self._active is not None and before != self._active and self._active in self._hidden:
            self._hidden.remove(self._active)
            self._active.visible = True


def _can_hide(layer: Labels) -> bool:
    return bool(layer.visible) and str(layer.mode) == "pan_zoom"
