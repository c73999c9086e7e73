"""What the dock "Review frames" computes, away from any window: one frame, predicted and set against its annotation."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.metrics.scores import Counts
from napari_menndl.predict.labelling import label_pixels
from napari_menndl.predict.outline import Outline
from napari_menndl.predict.scale import scale_between
from napari_menndl.review.frame import FALSE_POSITIVE, review_labels
from napari_menndl.widgets.layers import annotated_frame

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_menndl.metrics.detection import Detector
    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.prediction import Predictor

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
    reading : int
        At another number the run folder is read anew: its search may have found a better network.
    """

    run: str
    movie: Movie
    frame: int
    annotation: Labels | None = None
    threshold: float | None = None
    reading: int = 0


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
        In defects, by class that both sides know; without annotation every predicted defect is a false positive.
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

    def __init__(self, capacity: int = 512 * 2**20) -> None:
        self._capacity = capacity
        self._opened: tuple[str, int] | None = None
        self._network: Predictor | None = None
        self._known: OrderedDict[tuple[int, int], tuple[Movie, np.ndarray]] = OrderedDict()

    def remembers(self, question: Question) -> bool:
        """Whether the answer needs no prediction."""
        same_run = self._opened == (question.run, question.reading)
        return same_run and (id(question.movie), question.frame) in self._known

    def answer(self, question: Question) -> FrameReview:
        """Predict the frame, unless that is known, and set it against its annotation.

        Raises
        ------
        InputError
            For a run folder, movie or annotation that cannot be used.
        """
        network = self._open(question)
        names, detectors = tuple(network.class_names), detectors_for(network, question.movie)
        known, started = self.remembers(question), time.perf_counter()
        probabilities = self._predict(network, question)
        seconds = 0.0 if known else time.perf_counter() - started
        thresholds = tuple(network.thresholds if question.threshold is None else [question.threshold] * len(names))
        predicted = label_pixels(probabilities, thresholds, [d.min_area for d in detectors])
        true, inside, compared = annotation_in(names, question, predicted.shape)
        annotated = bool(inside.any())
        judged = np.where(np.array([False, *compared])[predicted], predicted, 0)
        reviewed = review_labels(judged, true, inside if annotated else None, detectors)
        overlay = reviewed.colours
        alone = (predicted > 0) & (overlay == 0) & ~(inside & (judged > 0))
        overlay[alone if annotated else overlay == FALSE_POSITIVE] = PREDICTED
        counts = {n: c for n, c, both in zip(names, reviewed.counts, compared, strict=True) if both}
        return FrameReview(question.frame, overlay, annotated, counts, thresholds, seconds)

    def _open(self, question: Question) -> Predictor:
        from napari_menndl.api import open_run  # here, in the worker: it takes a moment that a window would notice

        wanted = question.run, question.reading
        if self._network is None or self._opened != wanted:
            self._network = open_run(question.run).best
            self._known.clear()
            self._opened = wanted
        return self._network

    def _predict(self, network: Predictor, question: Question) -> np.ndarray:
        key, movie = (id(question.movie), question.frame), question.movie
        if key not in self._known:
            self._known[key] = movie, network.predict_frame(movie.frame(question.frame), movie.pixel_size)
            while len(self._known) > 1 and sum(p.nbytes for _, p in self._known.values()) > self._capacity:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key][1]


def detectors_for(network: Predictor, movie: Movie) -> list[Detector]:
    """How the network's classes are counted, in pixels of this movie."""
    factors = scale_between(movie.pixel_size, network.pixel_size) or (1.0, 1.0)
    areas = Outline.of(network, movie).min_areas
    return [
        replace(detector, tolerance=detector.tolerance / float(np.sqrt(factors[0] * factors[1])), min_area=area)
        for detector, area in zip(network.detectors, areas, strict=True)
    ]


def annotation_in(
    names: tuple[str, ...], question: Question, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, list[bool]]:
    """The annotation in a network's classes.

    Parameters
    ----------
    names : C str
    question : Question
    shape : (Y, X)
        Of the movie's frames.

    Returns
    -------
    labels : (Y, X) uint8
    known : (Y, X) bool
        Where they hold; nowhere without annotation.
    compared : C bool
        Whether the annotation knows the class.

    Raises
    ------
    InputError
        If the layer is not the annotation of such a movie in such classes.
    """
    layer, everything = question.annotation, [True] * len(names)
    if layer is None:
        return np.zeros(shape, np.uint8), np.zeros(shape, bool), everything
    labels, known = annotated_frame(layer, question.frame)
    if labels.shape != shape:
        raise InputError(
            f"an annotation of {shape[0]} × {shape[1]} px, as the movie has",
            f"{labels.shape[0]} × {labels.shape[1]} px in the layer {layer.name!r}",
            "Choose the annotation of this movie, or none.",
        )
    annotation = layer.metadata.get("annotation")
    given = annotation.class_names if annotation else names
    if not set(given) & set(names):
        given = names  # other words for the same classes: their order decides
    if labels.max(initial=0) > len(given):
        raise InputError(
            f"labels 1 … {len(given)} for the classes {', '.join(given)}",
            f"the label {labels.max()} in the layer {layer.name!r}",
            "Choose the annotation that this run learned from, or one with the same classes.",
        )
    # A class that the network never met is neither right nor wrong.
    place = np.array([0, *(names.index(name) + 1 if name in names else 0 for name in given)], np.uint8)
    return place[labels], known & ((labels == 0) | (place[labels] > 0)), [name in given for name in names]
