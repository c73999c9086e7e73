"""Layers that docks put over a movie, and one with a single image over whatever frame is in view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.widgets.layers import PLACE

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer


class OwnLayer:
    """Layer of a dock over a movie; it has all axes of the movie.

    napari 0.9.2 crashes (segmentation fault while drawing) when the movie is removed and a labels layer of fewer axes
    stays.

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    layer : napari.layers.Layer or None
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.layer: Any = None

    def make(self, data: Any, place: dict[str, Any]) -> Layer:
        """Return a new layer."""
        raise NotImplementedError

    def place(self, movie: Image) -> int:
        """Return the position among the layers: on top."""
        return len(self._viewer.layers)

    def owns(self, layer: object) -> bool:
        # napari hands plugins a proxy of a layer: equal, not identical.
        return self.layer is not None and layer == self.layer

    @property
    def removed(self) -> bool:
        """Whether the layer was removed from the viewer."""
        return self.layer is not None and self.layer not in self._viewer.layers

    def remove(self) -> None:
        """Remove the layer from the viewer."""
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _lay(self, data: Any, movie: Image) -> None:
        """Add the layer over a movie, or move the existing one to where the movie is."""
        if self.layer is None or self.removed:
            self.layer = self.make(data, {name: getattr(movie, name) for name in PLACE})
            add_unselected(self._viewer, self.layer, self.place(movie))
            return
        for name in ("scale", "translate"):
            if not np.array_equal(getattr(self.layer, name), getattr(movie, name)):
                setattr(self.layer, name, getattr(movie, name))


class FrameLayer(OwnLayer):
    """Layer of one image over whatever frame is in view; changed in place, which takes about a millisecond.

    Attributes
    ----------
    image : (Y, X)
        The image that is shown.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer)
        self.image = np.zeros((0, 0), np.uint8)

    def show(self, image: np.ndarray, movie: Image) -> None:
        """Show an image (Y, X) over a movie."""
        shape = (*movie.data.shape[:-2], *image.shape)
        if self.layer is not None and self.layer.data.shape != shape:
            self.remove()
        if self.layer is None or self.removed:
            self.image = image.copy()
        else:
            self.image[...] = image
        there = self.layer
        self._lay(np.broadcast_to(self.image, shape), movie)
        if self.layer is there:
            self.layer.refresh()

    def clear(self) -> None:
        """Show nothing."""
        self.image[...] = 0
        if self.layer is not None:
            self.layer.refresh()


def add_unselected(viewer: Viewer, layer: Layer, place: int) -> None:
    """Add a layer without selecting it, so that a brush in use stays on its layer."""
    selected, active = set(viewer.layers.selection), viewer.layers.selection.active
    viewer.layers.insert(place, layer)
    viewer.layers.selection = selected
    if active in viewer.layers:
        viewer.layers.selection.active = active
