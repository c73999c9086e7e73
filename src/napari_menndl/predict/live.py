"""Live prediction of frames as they arrive, by the best network available at the time."""

from __future__ import annotations

import json
import time
import warnings
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.movie.neighbours import FARTHEST, read_frame
from napari_menndl.movie.preparation import describe, looks
from napari_menndl.movie.reading import open_movie
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.predict.labelling import find_defects, label_pixels
from napari_menndl.predict.prediction_spec import PredictionSpec
from napari_menndl.predict.range import RangeCheck

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from napari_menndl.predict.prediction_spec import Predictor
    from napari_menndl.predict.resample import PixelSize

#: States of a frame.
PREDICTED, SKIPPED, FAILED, LEFT_OUT = "predicted", "skipped", "failed", "left out"
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
    defects : DataFrame
        As from `labelling.find_defects`.
    counts : dict of str to int
        Number of defects of each class.
    pixel_size : (y, x) float [nm] or None
    seconds : float [s]
        Duration of the prediction.
    network : str
        Digest of the network or ensemble.
    members : (int, int)
        Number of networks that predicted, and of those in the complete answer.
    """

    number: int
    labels: NDArray[np.uint8]
    defects: pd.DataFrame
    counts: dict[str, int]
    pixel_size: PixelSize | None
    seconds: float
    network: str
    members: tuple[int, int]


@dataclass(frozen=True, eq=False)
class FrameReport:
    """Outcome of one frame of a followed source.

    Attributes
    ----------
    number : int
        Number of the frame in its source, from 0.
    name : str
        Name of its file, or its place in a file.
    state : str
        ``"predicted"``; ``"skipped"``, since newer ones came first; ``"failed"``, as it cannot be predicted;
        ``"left out"``, as it cannot be read.
    time : float [s] or None
        Time since frame 0, by the source's frame time; None if unknown.
    appeared : float [s since the epoch] or None
        When it was complete.
    latency : float [s] or None
        From then until its defects were found and, where there are tables, written; None for a frame that was there
        when following began.
    prediction : LiveFrame or None
        Labels, defects and counts, if it was predicted.
    note : str
        Why it was not predicted, or what was said while it was.
    """

    number: int
    name: str
    state: str
    time: float | None = None
    appeared: float | None = None
    latency: float | None = None
    prediction: LiveFrame | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON: everything but the label image."""
        found = self.prediction
        return {
            "frame": self.number,
            "name": self.name,
            "state": self.state,
            "time": self.time,
            "appeared": self.appeared,
            "latency": self.latency,
            "seconds": found and found.seconds,
            "network": found and found.network,
            "networks": found and found.members[0],
            "pixel_size": found and found.pixel_size,
            "counts": found and found.counts,
            "defects": found and json.loads(found.defects.drop(columns="frame").to_json(orient="records")),
            "note": self.note,
        }


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
        self._before: deque[tuple[int, NDArray[np.generic]]] = deque(maxlen=FARTHEST)
        self._looked = time.monotonic()

    def predict(
        self,
        number: int,
        frame: NDArray[np.generic],
        pixel_size: float | PixelSize | None = None,
        frame_time: float | None = None,
    ) -> LiveFrame:
        """Predict a frame.

        Parameters
        ----------
        number : int
        frame : (Y, X) real
        pixel_size : float or (y, x) float [nm], optional
        frame_time : float [s], optional

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
        self._forget_unless(number, raw)
        # A Movie checks the frame, and its pixel size gives the smallest areas of defects.
        movie = open_movie(np.stack([*(earlier for _, earlier in self._before), raw]), pixel_size=pixel_size)
        spec = PredictionSpec.of(self.network, movie)
        shown = read_frame(movie, -1, self.network.reach)
        self._range.check(number, shown, movie.pixel_size)
        if isinstance(self.network, Ensemble):
            probabilities, agreement = self.network.predict_and_agree(shown, movie.pixel_size)
        else:
            probabilities, agreement = self.network.predict_frame(shown, movie.pixel_size), None
        self.remember(number, raw)
        labels = label_pixels(probabilities, spec.thresholds, spec.min_areas)
        about = spec.class_names, movie.pixel_size, number, frame_time
        defects = find_defects(labels, probabilities, *about, agreement, movie.frame(-1))
        counts = {name: int((defects["class"] == name).sum()) for name in spec.class_names}
        members = _members(self.network), self._all
        done = LiveFrame(
            *(number, labels, defects, counts, movie.pixel_size),
            *(time.perf_counter() - started, spec.network, members),
        )
        if self._whole and self._share < 1 and isinstance(self.network, Ensemble):
            self.network = self.network.reduced(shown, self._share, movie.pixel_size)
        self._whole = False
        return done

    def remember(self, number: int, frame: NDArray[np.generic]) -> None:
        """Take a frame (Y, X) that is not predicted as a neighbour of those that follow."""
        self._forget_unless(number, frame)
        self._before.append((number, frame))

    def _forget_unless(self, number: int, frame: NDArray[np.generic]) -> None:
        """Forget the frames before, unless this one follows them."""
        if self._before and (self._before[-1][0] != number - 1 or self._before[-1][1].shape != frame.shape):
            self._before.clear()

    def _renew(self) -> None:
        if time.monotonic() - self._looked < RENEWAL:
            return
        mark = self._changed()
        if mark != self._mark:
            self._mark = mark
            try:
                self._take(_of_single_frames(self._open()))
            except InputError as error:
                warnings.warn(
                    f"The network before goes on predicting, as a newer one cannot be used: {error}", stacklevel=3
                )
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
