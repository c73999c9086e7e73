"""Layer with the best network's prediction of the frame in view, updated while the search finds better ones."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]
from superqt.utils import QSignalThrottler

from napari_menndl.errors import InputError
from napari_menndl.movie.neighbours import read_frame
from napari_menndl.widgets.background import LatestTask
from napari_menndl.widgets.frame_layer import FrameLayer
from napari_menndl.widgets.frames_layer import outlined
from napari_menndl.widgets.layers import frame_in_view, movie_of
from napari_menndl.widgets.review.palette import class_colours, legend

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


class BestView(QObject):
    """Follower of the frame in view and of the best network.

    Attributes
    ----------
    shown : PredictionRequest or None
        The request that the layer shows.
    told : Signal(text)
        Text about what it is doing.
    failed : Signal(exception)
    removed : Signal()
        The layer was removed from the viewer.
    """

    told = Signal(str)
    failed = Signal(object)
    removed = Signal()

    def __init__(self, viewer: napari.viewer.Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.layer = BestLayer(viewer)
        self.shown: PredictionRequest | None = None
        self._wanted = False
        self._run = self._version = ""
        self._movie_layer: Image | None = None
        self._annotation: Labels | None = None
        self._movie: tuple[Any, Movie] | None = None
        self._failed: PredictionRequest | None = None
        # Somebody waits for it: it comes before the trainers of the search.
        self._latest = LatestTask(BestPredictor().answer, self, niceness=5)
        self._latest.answered.connect(self._on_answer)
        self._latest.failed.connect(self._on_failure)
        self._throttle = QSignalThrottler(parent=self)
        self._throttle.setTimeout(100)
        self._throttle.triggered.connect(self._ask)
        step, follow = viewer.dims.events.current_step, self._on_step
        step.connect(follow)

        def leave() -> None:
            with suppress(AttributeError):  # the viewer is partly deleted when its window closes
                step.disconnect(follow)

        self.destroyed.connect(leave)

    def want(self, wanted: bool) -> None:
        """Show the prediction, or remove it."""
        self._wanted = wanted
        self._failed = None
        if not wanted:
            self._latest.forget()
            self.shown = None
            self.layer.remove()
        self._throttle.throttle()

    def follow(self, run: str, version: str, movie: Image | None, annotation: Labels | None) -> None:
        """Set the run whose best is to be shown, and the movie; may be called at any rate."""
        if movie != self._movie_layer:
            self._clear()
        changed = (run, version, movie) != (self._run, self._version, self._movie_layer)
        self._run, self._version, self._movie_layer, self._annotation = run, version, movie, annotation
        if changed:
            self._failed = None
            self._throttle.throttle()

    def check_layers(self) -> None:
        """Check whether the layer was removed."""
        if self.layer.removed:
            self.layer.layer, self.shown, self._wanted = None, None, False
            self.removed.emit()

    def _on_step(self) -> None:
        if not self._wanted:
            return
        if self.shown is not None and self._movie_layer is not None and self.shown.frame != self._frame():
            self._clear()  # never the defects of one frame over another
        self._throttle.throttle()

    def _frame(self) -> int:
        return frame_in_view(self._movie_layer, self.viewer.dims.point) if self._movie_layer is not None else 0

    def _clear(self) -> None:
        self.shown = None
        self.layer.clear()

    def _wish(self) -> PredictionRequest | None:
        layer = self._movie_layer
        if not (self._wanted and self._run and self._version) or layer is None or layer not in self.viewer.layers:
            return None
        if self._movie is None or self._movie[0] is not layer.data:
            self._movie = layer.data, movie_of(layer)
        return PredictionRequest(self._run, self._version, self._movie[1], self._frame())

    def _ask(self) -> None:
        try:
            wish = self._wish()
        except InputError as error:
            self.failed.emit(error)
            return
        if wish is None:
            return
        if wish not in (self.shown, self._failed):
            self.told.emit(f"Predicting frame {wish.frame} with the best network …")
            self._latest.ask(wish)

    def _on_answer(self, wish: PredictionRequest, answer: tuple[Any, tuple[str, ...]]) -> None:
        now, layer = self._wish(), self._movie_layer
        if now is None or layer is None or (now.run, now.movie, now.frame) != (wish.run, wish.movie, wish.frame):
            return
        labels, names = answer
        colours = class_colours(names, self._annotation)
        self.layer.show_labels(labels, layer, tuple(colours.values()))
        self.shown = wish
        key = legend((colour, name) for name, colour in colours.items())
        self.told.emit(f"The best so far on frame {wish.frame}:<br>{key}")

    def _on_failure(self, wish: PredictionRequest, error: Exception) -> None:
        self._failed = wish
        # During a search a better network may have replaced it, and its weights may be deleted.
        if wish == self._wish():
            self.failed.emit(error)
