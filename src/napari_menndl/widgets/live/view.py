"""View of a live movie, and the layer with the prediction of the frame in view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_menndl.layer_data import grid
from napari_menndl.widgets.frames_layer import FramesLayer, outlined
from napari_menndl.widgets.layers import frame_in_view, movie_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_menndl.movie.movie import Movie
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


class LiveView:
    """Layer that grows, and the overlay over the frame in view.

    Parameters
    ----------
    viewer : napari.Viewer
    labels : callable
        ``labels(t)`` returns the labels of a frame of the layer, or None if it is not predicted.

    Attributes
    ----------
    layer : napari.layers.Image or None
        Image layer with the frames.
    overlay : LiveOverlay
    """

    def __init__(self, viewer: Viewer, labels: Callable[[int], PackedLabels | None]) -> None:
        self._viewer = viewer
        self.layer: Image | None = None
        self.overlay = LiveOverlay(viewer, labels)

    def begin(self, layer: Image | None, colours: Sequence[str]) -> None:
        """Follow a layer, or None for one that `grow` will add."""
        self.layer = layer
        self.overlay.remove()
        self.overlay.colours = tuple(colours)

    @property
    def removed(self) -> bool:
        """Whether the layer was removed from the viewer."""
        return self.layer is not None and self.layer not in self._viewer.layers

    def grow(self, movie: Movie) -> bool:
        """Show all frames so far, at the movie's pixel size; return whether a layer had to be added."""
        layer = self.layer
        if layer is not None and layer.data.shape[1:] == movie.shape[1:]:
            if layer.data.shape != movie.shape:
                layer.data = movie.frames
            if layer.metadata.get("pixel_size") != movie.pixel_size:
                self._calibrate(layer, movie)
            return False
        data, about, _ = movie_layer(movie)
        self.layer = self._viewer.add_image(data, **about | {"name": f"live: {movie.name}"})
        return True

    def _calibrate(self, layer: Image, movie: Movie) -> None:
        """Show a layer at a pixel size that was given after its first frame."""
        layer.metadata["pixel_size"] = movie.pixel_size
        for name, value in grid(movie.pixel_size, movie.frame_time).items():
            setattr(layer, name, value)
        self.overlay.remove()
        self._viewer.reset_view()

    def frame(self, newest: int) -> int:
        """Return the frame in view; for a single image the newest."""
        layer = self.layer
        if layer is None or layer.ndim == 2:
            return newest
        return frame_in_view(layer, self._viewer.dims.point)

    def show(self) -> None:
        """Show the prediction over the frame in view."""
        if self.layer is not None and not self.removed:
            self.overlay.show(self.layer)

    def go_to(self, number: int) -> None:
        """Bring a frame into view."""
        layer = self.layer
        if layer is None or layer.ndim == 2 or self.removed:
            return
        number = int(np.clip(number, 0, layer.data.shape[0] - 1))
        self._viewer.dims.set_point(self._viewer.dims.ndim - layer.ndim, layer.data_to_world((number, 0, 0))[0])
