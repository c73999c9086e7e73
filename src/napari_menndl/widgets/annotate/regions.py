"""Regions of an annotation, as rectangles in a shapes layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Shapes
from napari.utils.notifications import show_error

from napari_menndl.annotation.classes import Region
from napari_menndl.errors import InputError
from napari_menndl.widgets.layers import PLACE

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

    from napari_menndl.annotation.annotation import Annotation

NAME = "regions"


class RegionLayer:
    """Shapes layer with the regions of an annotation; follows what is drawn, moved or deleted.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._annotation: Annotation | None = None
        self._over: Labels | None = None
        self._shapes: Shapes | None = None
        self._busy = False

    @property
    def layer(self) -> Shapes | None:
        """The layer, if it is in the viewer."""
        if self._shapes is not None and self._shapes not in self._viewer.layers:
            self._shapes.events.data.disconnect(self._drawn)
            self._shapes = None
        return self._shapes

    def follow(self, annotation: Annotation | None, over: Labels | None) -> None:
        """Show the regions of another annotation over its layer; None for none."""
        if annotation is self._annotation:
            return
        if self._annotation is not None:
            self._annotation.changes.regions.disconnect(self._show)
        self._annotation, self._over = annotation, over
        if layer := self.layer:
            layer.events.data.disconnect(self._drawn)
            self._shapes = None
            self._viewer.layers.remove(layer)
        if annotation is not None:
            annotation.changes.regions.connect(self._show)
            if annotation.regions:
                self._show()

    def draw(self) -> None:
        """Activate the tool that draws rectangles."""
        layer = self._get()
        self._viewer.layers.selection.active = layer
        layer.mode = "add_rectangle"

    def _get(self) -> Shapes:
        if self.layer is None:
            over = self._over
            if over is None:
                raise InputError("an annotation", "none", "Make a new annotation first.")
            active = self._viewer.layers.selection.active
            self._shapes = Shapes(
                ndim=over.ndim,
                name=NAME,
                edge_color="#ffffff",
                face_color="transparent",
                edge_width=2,
                **{name: getattr(over, name) for name in PLACE},
            )
            self._viewer.layers.append(self._shapes)
            self._shapes.events.data.connect(self._drawn)
            if active is not None:
                self._viewer.layers.selection.active = active
        return self._shapes

    def _show(self, frame: int = 0) -> None:
        """Draw the regions of the annotation."""
        if self._busy or self._annotation is None:
            return
        layer, regions = self._get(), self._annotation.regions
        self._busy = True
        try:
            layer.data = [_corners(t, region) for t in sorted(regions) for region in regions[t]]
        finally:
            self._busy = False

    def _drawn(self, event: Any) -> None:
        annotation, layer = self._annotation, self.layer
        if self._busy or annotation is None or layer is None or str(event.action) in ("adding", "changing", "removing"):
            return
        drawn: dict[int, list[Region]] = {}
        for corners in layer.data:
            drawn.setdefault(int(np.rint(corners[0][0])), []).append(_region(corners))
        self._busy = True
        try:
            for t in sorted(drawn.keys() | annotation.regions.keys()):
                if list(annotation.regions.get(t, ())) != drawn.get(t, []):
                    annotation.set_regions(t, drawn.get(t, []))
        except InputError as error:
            show_error(str(error))
        finally:
            self._busy = False


def _corners(t: int, region: Region) -> np.ndarray:
    """Return the corners of a region, (4, 3); pixels extend half a pixel around their centre."""
    y0, x0, y1, x1 = np.array(region) - 0.5
    return np.array([(t, y0, x0), (t, y0, x1), (t, y1, x1), (t, y1, x0)])


def _region(corners: np.ndarray) -> Region:
    low, high = corners[:, -2:].min(axis=0), corners[:, -2:].max(axis=0)
    (y0, x0), (y1, x1) = (np.rint(edge + 0.5).astype(int).tolist() for edge in (low, high))
    return Region(y0, x0, y1, x1)
