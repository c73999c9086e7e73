"""Live prediction of frames as they arrive, by the best network available at the time."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.metrics.components import label_components
from napari_menndl.movie.neighbours import REACH, read_frame
from napari_menndl.movie.preparation import describe, looks
from napari_menndl.movie.reading import open_movie
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.predict.labelling import label_pixels
from napari_menndl.predict.prediction_spec import PredictionSpec
from napari_menndl.predict.range import RangeCheck

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_menndl.predict.prediction_spec import Predictor
    from napari_menndl.predict.resample import PixelSize

#: Shortest interval at which a running search is checked for a better network [s].
RENEWAL = 10.0


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """A predicted frame.

    Attributes
    ----------
    number : int
    labels : (Y, X) uint8
        0 = no defect, c + 1 = class c.
    counts : dict of str to int
        Defects by class.
    seconds : float [s]
        Duration of the prediction.
    network : str
        Digest of the network or ensemble.
    members : (int, int)
        Number of networks that predicted, and of those in the complete answer.
    """

    number: int
    labels: NDArray[np.uint8]
    counts: dict[str, int]
    seconds: float
    network: str
    members: tuple[int, int]


class LivePredictor:
    """Predicts frame by frame; for use by one thread at a time.

    Parameters
    ----------
    open_network : callable
        Returns the network.
    changed : callable, optional
        Returns a value that changes when a better network may be available.
    share : float
        Share of the prediction time of the whole ensemble to which it is reduced after the first frame
        (`Ensemble.reduced`).

    Raises
    ------
    InputError
        If the network was trained on averaged or binned frames.
    """

    def __init__(
        self,
        open_network: Callable[[], Predictor],
        changed: Callable[[], object] = lambda: None,
        share: float = 1.0,
    ) -> None:
        self._open, self._changed, self._share = open_network, changed, share
        self._mark = changed()
        self.network: Predictor = _of_single_frames(open_network())
        self._all, self._whole = _members(self.network), True
        self._range = RangeCheck(self.network)
        # Preceding frames, by number; later ones do not exist yet in a live movie.
        self._before: deque[tuple[int, NDArray[np.generic]]] = deque(maxlen=REACH)
        self._looked = time.monotonic()

    def predict(self, number: int, frame: NDArray[np.generic], pixel_size: PixelSize | None = None) -> LiveFrame:
        """Predict a frame.

        Parameters
        ----------
        number : int
        frame : (Y, X) real
        pixel_size : (y, x) float [nm], optional

        Returns
        -------
        LiveFrame

        Raises
        ------
        InputError
            If the frame is not finite, or if only one of frame and network knows its pixel size.
        """
        self._renew()
        started = time.perf_counter()
        raw = np.asarray(frame)
        if self._before and (self._before[-1][0] != number - 1 or self._before[-1][1].shape != raw.shape):
            self._before.clear()
        # A Movie checks the frame, and its pixel size gives the smallest areas of defects.
        movie = open_movie(np.stack([*(earlier for _, earlier in self._before), raw]), pixel_size=pixel_size)
        outline = PredictionSpec.of(self.network, movie)
        shown = read_frame(movie, -1, self.network.reach)
        self._range.look(number, shown, movie.pixel_size)
        probabilities = self.network.predict_frame(shown, pixel_size)
        self._before.append((number, raw))
        labels = label_pixels(probabilities, outline.thresholds, outline.min_areas)
        counts = {
            name: len(label_components(labels == c, min_area=1)) for c, name in enumerate(outline.class_names, start=1)
        }
        members = _members(self.network), self._all
        done = LiveFrame(number, labels, counts, time.perf_counter() - started, outline.network, members)
        if self._whole and self._share < 1 and isinstance(self.network, Ensemble):
            self.network = self.network.reduced(shown, self._share, pixel_size)
        self._whole = False
        return done

    def _renew(self) -> None:
        if time.monotonic() - self._looked < RENEWAL:
            return
        mark = self._changed()
        if mark != self._mark:
            self._mark = mark
            self._take(_of_single_frames(self._open()))
        self._looked = time.monotonic()

    def _take(self, network: Predictor) -> None:
        self.network, self._all, self._whole = network, _members(network), True


def _members(network: Predictor) -> int:
    return len(network.members) if isinstance(network, Ensemble) else 1


def _of_single_frames(network: Predictor) -> Predictor:
    """Return the network if trained on unprocessed frames; InputError if on averaged or binned ones."""
    if steps := looks(getattr(network, "steps", ())):
        raise InputError(
            "a network of frames as they are recorded, since live frames are predicted one by one",
            f"one that was trained on {describe(steps)}",
            "Search on the recorded frames, or predict the movie when it is complete.",
        )
    return network
