"""The one labels layer that shows a review over the frame in view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_menndl.widgets.layers import PLACE

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_menndl.widgets.palette import Colours


class Overlay:
    """A labels layer over whatever frame is in view; written in place, which takes about a millisecond.

    The layer has all axes of the movie, though there is one image only, seen in every frame: napari 0.9.2 crashes
    (segmentation fault while drawing) when the movie is removed and a labels layer of fewer axes stays.

    Parameters
    ----------
    viewer : napari.Viewer
    colours : dict
        Of its labels.

    Attributes
    ----------
    layer : napari.layers.Labels or None
    labels : (Y, X) uint8
        What it shows.
    """

    def __init__(self, viewer: Viewer, colours: Colours) -> None:
        self._viewer = viewer
        self._colours = colours
        self.layer: Labels | None = None
        self.labels = np.zeros((0, 0), np.uint8)

    def owns(self, layer: object) -> bool:
        # napari hands plugins a proxy of a layer: equal, not identical.
        return self.layer is not None and layer == self.layer

    @property
    def removed(self) -> bool:
        """Whether someone took the layer out of the viewer."""
        return self.layer is not None and self.layer not in self._viewer.layers

    def show(self, labels: np.ndarray, movie: Image) -> None:
        """Lay labels (Y, X) uint8 over a movie."""
        if self.layer is not None and self.layer.data.shape != (*movie.data.shape[:-2], *labels.shape):
            self.remove()
        if self.layer is None or self.removed:
            self._add(labels, movie)
            return
        self.labels[...] = labels
        for name in ("scale", "translate"):
            if not np.array_equal(getattr(self.layer, name), getattr(movie, name)):
                setattr(self.layer, name, getattr(movie, name))
        self.layer.refresh()

    def _add(self, labels: np.ndarray, movie: Image) -> None:
        layers = self._viewer.layers
        selected = set(layers.selection)
        self.labels = labels.copy()
        everywhere = np.broadcast_to(self.labels, (*movie.data.shape[:-2], *labels.shape))
        place = {name: getattr(movie, name) for name in PLACE}
        self.layer = Labels(everywhere, name="review", opacity=0.9, colormap=self._colormap(), **place)
        layers.append(self.layer)
        self.layer.editable = False
        layers.selection = selected  # a brush in someone's hand stays on their layer

    def clear(self) -> None:
        """Show nothing."""
        self.labels[...] = 0
        if self.layer is not None:
            self.layer.refresh()

    def remove(self) -> None:
        """Take the layer out of the viewer."""
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def recolour(self, colours: Colours) -> None:
        self._colours = colours
        if self.layer is not None:
            self.layer.colormap = self._colormap()

    def _colormap(self) -> DirectLabelColormap:
        return DirectLabelColormap(color_dict=self._colours)
