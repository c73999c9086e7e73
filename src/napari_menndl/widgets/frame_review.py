"""What the dock "Review frames" computes, away from any window: one frame, predicted and set against its annotation."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.api import open_run
from napari_menndl.errors import InputError
from napari_menndl.metrics.scores import Counts
from napari_menndl.predict.labelling import label_pixels
from napari_menndl.review.review import review_labels
from napari_menndl.widgets.layers import annotated_frame

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_menndl.api import Run
    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.predict.trained import TrainedNetwork

#: The overlay's value where a frame without annotation shows the prediction alone; 1 to 3 are the review's.
PREDICTED = 4


@dataclass(frozen=True)
class Question:
    """One frame to review.

    Attributes
    ----------
    run : str
        Path of the run folder.
    movie : Movie
    frame : int
    annotation : napari.layers.Labels or None
    threshold : float or None
        For every class; None for the thresholds of the run's network.
    """

    run: str
    movie: Movie
    frame: int
    annotation: Labels | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class FrameReview:
    """One frame, reviewed.

    Attributes
    ----------
    frame : int
    overlay : (Y, X) uint8
        0 = nothing, 1 = true positive, 2 = false positive, 3 = false negative, `PREDICTED` = not annotated.
    annotated : bool
        Whether the annotation says anything about this frame.
    counts : dict of str to Counts
        By class, in defects; without annotation every predicted defect counts as a false positive.
    thresholds : (C,) float
        What was applied.
    seconds : float
        What the prediction took; 0 when it was known.
    """

    frame: int
    overlay: np.ndarray
    annotated: bool
    counts: dict[str, Counts]
    thresholds: tuple[float, ...]
    seconds: float

    @property
    def total(self) -> Counts:
        return sum(self.counts.values(), Counts())


class FrameReviewer:
    """Answers questions about single frames; remembers the run's network and the latest predictions.

    It is meant for one thread at a time.

    Parameters
    ----------
    capacity : int [bytes]
        How much of predictions to remember.
    """

    def __init__(self, capacity: int = 256 * 2**20) -> None:
        self._capacity = capacity
        self._path = ""
        self._run: Run | None = None
        self._network: TrainedNetwork | Ensemble | None = None
        self._known: OrderedDict[tuple[int, int], tuple[Movie, np.ndarray]] = OrderedDict()

    def forget(self) -> None:
        """Read the run folder anew at the next question: its search may have found a better network."""
        self._path = ""

    def remembers(self, question: Question) -> bool:
        """Whether the answer needs no prediction."""
        return question.run == self._path and (id(question.movie), question.frame) in self._known

    def answer(self, question: Question) -> FrameReview:
        """Predict the frame, unless that is known, and set it against its annotation.

        Raises
        ------
        InputError
            For a run folder, movie or annotation that cannot be used.
        """
        run, network = self._open(question.run)
        started = time.perf_counter()
        known = self.remembers(question)
        probabilities = self._predict(network, question)
        seconds = 0.0 if known else time.perf_counter() - started
        thresholds = network.thresholds if question.threshold is None else (question.threshold,) * len(probabilities)
        predicted = label_pixels(probabilities.astype(np.float32), thresholds)
        true, inside = self._annotated(question, predicted.shape, network.class_names)
        counts = {
            name: detector.count(predicted == c, true == c, inside if inside.any() else None)
            for c, (name, detector) in enumerate(zip(network.class_names, run.task.detectors, strict=True), start=1)
        }
        overlay = np.where(inside, review_labels(predicted, true), np.where(predicted, PREDICTED, 0)).astype(np.uint8)
        return FrameReview(question.frame, overlay, bool(inside.any()), counts, tuple(thresholds), seconds)

    def _open(self, path: str) -> tuple[Run, TrainedNetwork | Ensemble]:
        if path != self._path or self._run is None or self._network is None:
            self._run = open_run(path)
            self._network = self._run.best
            self._known.clear()
            self._path = path
        return self._run, self._network

    def _predict(self, network: TrainedNetwork | Ensemble, question: Question) -> np.ndarray:
        key = (id(question.movie), question.frame)
        if key not in self._known:
            movie = question.movie
            found = network.predict_frame(movie.frame(question.frame), movie.pixel_size).astype(np.float16)
            self._known[key] = movie, found
            while len(self._known) > 1 and sum(p.nbytes for _, p in self._known.values()) > self._capacity:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key][1]

    @staticmethod
    def _annotated(question: Question, shape: tuple[int, ...], names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """The labels (Y, X) uint8 in the network's classes, and where they hold (Y, X) bool."""
        if question.annotation is None:
            return np.zeros(shape, np.uint8), np.zeros(shape, bool)
        labels, known = annotated_frame(question.annotation, question.frame)
        if labels.shape != shape:
            raise InputError(
                f"an annotation of {shape[0]} × {shape[1]} pixels, as the movie has",
                f"{labels.shape[0]} × {labels.shape[1]} in the layer {question.annotation.name!r}",
                "Choose the annotation of this movie, or none.",
            )
        annotation = question.annotation.metadata.get("annotation")
        given = tuple(c.name for c in annotation.classes) if annotation else names
        if not set(given) & set(names):
            given = names  # other words for the same classes: their order decides
        if labels.max(initial=0) > len(given):
            raise InputError(
                f"labels 1 … {len(given)} for the classes {', '.join(given)}",
                f"the label {labels.max()} in the layer {question.annotation.name!r}",
                "Choose the annotation that this run learned from, or one with the same classes.",
            )
        # A class that the network never met is neither right nor wrong.
        place = np.array([0, *(names.index(name) + 1 if name in names else 0 for name in given)], np.uint8)
        return place[labels], known & ((labels == 0) | (place[labels] > 0))
