"""The annotation makes room for its review, and comes back when that is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer


class Cover(QObject):
    """Hides the annotation under a review, whose colours one could take its own for.

    Whoever selects the annotation, to paint on it, sees it again; so does everyone once the review is over.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._covered: Labels | None = None
        self._hidden = False
        self._active: Any = None
        # A layer that is added is selected for a moment, and then again what was selected before.
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.timeout.connect(self._look)

    def lay(self, annotation: Labels | None) -> None:
        """Hide it, once for each review, unless someone has a tool for it in hand."""
        if annotation is self._covered:
            return
        self.lift()
        self._covered = annotation
        if annotation is None or not annotation.visible or str(annotation.mode) != "pan_zoom":
            return
        known = annotation.metadata.get("annotation")
        if known is None or known.labels is not annotation.data:
            annotation.contour = annotation.contour or 1  # hidden, such a layer would not tell of an undo
        else:
            self._active = self._viewer.layers.selection.active
            self._viewer.layers.selection.events.active.connect(self._selected)
            self._hidden, annotation.visible = True, False

    def lift(self) -> None:
        """Show it again."""
        self._show()
        self._covered = None

    def _show(self) -> None:
        if self._hidden and self._covered is not None:
            self._viewer.layers.selection.events.active.disconnect(self._selected)
            self._hidden, self._covered.visible = False, True

    def _selected(self) -> None:
        self._settled.start(0)

    def _look(self) -> None:
        before, self._active = self._active, self._viewer.layers.selection.active
        if self._active is not None and self._active == self._covered and before != self._active:
            self._show()
