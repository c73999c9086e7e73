"""Layer with the live prediction of the frame in view, over a movie that grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_menndl.widgets.frames_layer import FramesLayer, outlined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from napari.viewer import Viewer

    from napari_menndl.widgets.frames_layer import FrameArray
    from napari_menndl.widgets.live.frames import PackedLabels


class LiveOverlay(FramesLayer):
    """Outlines of the predicted labels (Y, X) uint8 of each frame, in the colours of their classes.

    Parameters
    ----------
    viewer : napari.Viewer
    labels : callable
        ``labels(t)`` returns the packed labels of a frame, or None if it is not predicted.
    """

    def __init__(self, viewer: Viewer, labels: Callable[[int], PackedLabels | None]) -> None:
        super().__init__(viewer, labels)
        self.colours: Sequence[str] = ()

    def make(self, data: FrameArray, place: dict[str, Any]) -> Labels:
        colours: dict[int | None, str] = {None: "transparent", 0: "transparent", **dict(enumerate(self.colours, 1))}
        layer = Labels(
            data, name="live prediction", opacity=1.0, colormap=DirectLabelColormap(color_dict=colours), **place
        )
        layer.editable = False
        return layer

    def draw(self, source: PackedLabels) -> np.ndarray:
        return outlined(source.unpack())
