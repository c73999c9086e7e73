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
    """A layer of two axes over whatever frame is in view; written in place, which takes about a millisecond.

    Parameters
    ----------
    viewer : napari.Viewer
    colours : dict
        Of its labels.
    """

    def __init__(self, viewer: Viewer, colours: Colours) -> None:
        self._viewer = viewer
        self._colours = colours
        self.layer: Labels | None = None

    def owns(self, layer: object) -> bool:
        # napari hands plugins a proxy of a layer: equal, not identical.
        return self.layer is not None and layer == self.layer

    @property
    def removed(self) -> bool:
        """Whether someone took the layer out of the viewer."""
        return self.layer is not None and self.layer not in self._viewer.layers

    def show(self, labels: np.ndarray, movie: Image) -> None:
        """Lay labels (Y, X) uint8 over a movie."""
        place = {name: getattr(movie, name)[-2:] for name in PLACE}
        if self.layer is not None and self.layer.data.shape != labels.shape:
            self.remove()
        if self.layer is None or self.removed:
            self._add(labels, place)
            return
        self.layer.data[...] = labels
        for name in ("scale", "translate"):
            if not np.array_equal(getattr(self.layer, name), place[name]):
                setattr(self.layer, name, place[name])
        self.layer.refresh()

    def _add(self, labels: np.ndarray, place: dict[str, object]) -> None:
        layers = self._viewer.layers
        selected = set(layers.selection)
        self.layer = Labels(labels.copy(), name="review", opacity=0.9, colormap=self._colormap(), **place)
        layers.append(self.layer)
        self.layer.editable = False
        layers.selection = selected  # a brush in someone's hand stays on their layer

    def clear(self) -> None:
        """Show nothing."""
        if self.layer is not None:
            self.layer.data[...] = 0
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
