"""The layer that shows a live prediction over the frame in view, while the movie grows under it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_menndl.widgets.frame_layer import FrameLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image
    from napari.viewer import Viewer


class LiveOverlay(FrameLayer):
    """Predicted labels (Y, X) uint8 in the colours of their classes, as outlines.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer)
        self.colours: Sequence[str] = ()

    def make(self, data: np.ndarray, place: dict[str, Any]) -> Labels:
        colours: dict[int | None, str] = {None: "transparent", 0: "transparent", **dict(enumerate(self.colours, 1))}
        layer = Labels(
            data, name="live prediction", opacity=1.0, colormap=DirectLabelColormap(color_dict=colours), **place
        )
        layer.contour = 1
        layer.editable = False
        return layer

    def show(self, image: np.ndarray, movie: Image) -> None:
        layer = self.layer
        if layer is not None and not self.removed and layer.data.shape[-2:] == image.shape:
            shape = (*movie.data.shape[:-2], *image.shape)
            if layer.data.shape != shape and layer.ndim == len(shape):
                layer.data = np.broadcast_to(self.image, shape)  # a frame more: the layer stays
        super().show(image, movie)
