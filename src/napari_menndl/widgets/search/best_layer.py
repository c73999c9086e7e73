"""Layer with the best network's prediction of the frame in view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_menndl.movie.neighbours import read_frame
from napari_menndl.widgets.frame_layer import FrameLayer
from napari_menndl.widgets.frames_layer import outlined

if TYPE_CHECKING:
    from collections.abc import Sequence

    import napari.viewer
    import numpy as np
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_menndl.movie.movie import Movie

NAME = "best network"


@dataclass(frozen=True)
class PredictionRequest:
    """Request to predict one frame.

    Attributes
    ----------
    run : str
        Path of the run folder.
    version : str
        `RunSnapshot.version`, which changes when another network is the run's best.
    movie : Movie
    frame : int
    """

    run: str
    version: str
    movie: Movie
    frame: int


class BestPredictor:
    """Prediction of frames with the best network of a run; for one thread at a time."""

    def __init__(self) -> None:
        self._run: Any = None
        self._opened: tuple[str, str] | None = None
        self._network: Any = None

    def answer(self, wish: PredictionRequest) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
        """Return labels (Y, X) uint8 of the frame, and the names of the classes.

        Raises
        ------
        InputError
            If the run has no network, or it does not fit the movie.
        """
        from napari_menndl.api import open_run  # slow, with torch: imported in this thread
        from napari_menndl.predict.labelling import label_pixels
        from napari_menndl.predict.prediction_spec import PredictionSpec

        if self._opened is None or self._opened[0] != wish.run:
            self._run = open_run(wish.run)  # kept: it reads only what is new in the journal
        if self._opened != (wish.run, wish.version):
            self._network = self._run.best
            self._opened = wish.run, wish.version
        planes = read_frame(wish.movie, wish.frame, self._network.reach)
        probabilities = self._network.predict_frame(planes, wish.movie.pixel_size)
        areas = PredictionSpec.of(self._network, wish.movie).min_areas
        return label_pixels(probabilities, tuple(self._network.thresholds), areas), self._network.class_names


class BestLayer(FrameLayer):
    """Layer with outlines, so that what lies below stays visible."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._colours: dict[int | None, Any] = {}

    def make(self, data: np.ndarray, place: dict[str, Any]) -> Labels:
        nothing: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
        colormap = DirectLabelColormap(color_dict=nothing | self._colours)
        layer = Labels(data, name=NAME, opacity=1.0, colormap=colormap, **place)
        layer.editable = False
        return layer

    def show_labels(self, labels: NDArray[np.uint8], movie: Image, colours: Sequence[str]) -> None:
        """Show labels (Y, X) over a movie, whatever its frame."""
        self._colours = dict(enumerate(colours, start=1))
        self.show(outlined(labels), movie)
