"""Predicted and annotated labels of a review, aligned to the same classes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from dask.base import compute

from napari_menndl.annotation.carrying import fitted
from napari_menndl.errors import InputError
from napari_menndl.movie.absent import spans
from napari_menndl.review.frame import ReviewedFrame, review_labels
from napari_menndl.task.checks import check_pixel_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.metrics.detection import MatchRule
    from napari_menndl.movie.preparation import Step


@dataclass(frozen=True)
class AlignedLabels:
    """Predicted and annotated labels, numbered by their common classes.

    Attributes
    ----------
    names : C str
        The common classes, in the annotation's order.
    not_compared : tuple of str
        Classes that only one side has.
    detectors : C MatchRule
    annotation : Annotation
    steps : tuple of Step
        Preparation steps of the movie.
    pixel_size : (y, x) float [nm] or None
        From whichever side has it.
    frame_time : float [s] or None
        Of a prediction.
    """

    names: tuple[str, ...]
    not_compared: tuple[str, ...]
    detectors: tuple[MatchRule, ...]
    annotation: Annotation
    steps: tuple[Step, ...]
    pixel_size: tuple[float, float] | None
    frame_time: float | None
    _labels: Any
    _probabilities: Any
    _second: Any
    _from_predicted: NDArray[np.uint8]
    _from_true: NDArray[np.uint8]
    _channels: tuple[int, ...]

    @classmethod
    def of(cls, predicted: Any, annotation: Annotation, probabilities: Any) -> AlignedLabels:
        """Align the two sides of a review; see `Review.of` for the parameters.

        Raises
        ------
        InputError
            If there is no common class, or frame shapes or pixel sizes differ.
        """
        named = getattr(predicted, "outline", predicted)  # of a Prediction
        steps = getattr(named, "steps", None)
        if steps is not None and (steps or annotation.steps):
            annotation = fitted(annotation, steps, named.shape, getattr(named, "recorded", None) or named.shape)
        true_names = annotation.class_names
        names = tuple(getattr(named, "class_names", true_names))
        common = tuple(n for n in true_names if n in names)
        if not common:
            raise InputError(
                f"a class of the annotation: {', '.join(true_names)}",
                ", ".join(names),
                "Give the classes the same names on both sides.",
            )
        labels = getattr(predicted, "labels", predicted)
        if not hasattr(labels, "shape"):
            labels = np.asarray(labels)
        if labels.ndim == 2:
            labels = labels[np.newaxis]
        if labels.ndim != 3 or labels.shape[1:] != annotation.shape[1:]:
            raise InputError(
                f"labels of (T, {annotation.shape[1]}, {annotation.shape[2]}), as annotated",
                f"an array of shape {tuple(labels.shape)}",
                "Compare a prediction and an annotation of the same movie.",
            )
        channels = tuple(names.index(n) for n in common)
        return cls(
            common,
            tuple(n for n in (*true_names, *names) if n not in common),
            tuple(annotation.detector(n) for n in common),
            annotation,
            tuple(steps or ()),
            check_pixel_sizes(getattr(named, "pixel_size", None), annotation.pixel_size),
            getattr(named, "frame_time", None),
            labels,
            getattr(predicted, "probabilities", None) if probabilities is None else probabilities,
            predicted if hasattr(predicted, "known") else None,
            _numbers(channels, len(names)),
            _numbers([true_names.index(n) for n in common], len(true_names)),
            channels,
        )

    @property
    def numbers(self) -> range:
        """Labels of the common classes, 1 to C."""
        return range(1, len(self.names) + 1)

    def frames(self, wanted: Sequence[int] | None) -> tuple[int, ...]:
        """Return the frames that are annotated, predicted and wanted.

        Raises
        ------
        InputError
            If there is none, or if a wanted one does not exist on both sides.

        Warns
        -----
        UserWarning
            For frames that are wanted but not annotated.
        """
        shared = min(len(self.annotation), int(self._labels.shape[0]))
        if beyond := sorted(t for t in wanted or () if not 0 <= t < shared):
            raise InputError(
                f"annotated frames from 0 to {shared - 1} that are predicted too",
                f"frame{'' if len(beyond) == 1 else 's'} {spans(beyond)}",
                "Name frames that are predicted and annotated.",
            )
        frames = tuple(t for t in range(shared) if (wanted is None or t in wanted) and self.known(t).any())
        if not frames:
            raise InputError(
                "at least one annotated frame that is predicted too",
                f"{self.annotation!r} and {self._labels.shape[0]} predicted frames"
                + ("" if wanted is None else f", of which {sorted(wanted)} are wanted"),
                "Mark the annotated frames as complete, or in progress with a region.",
            )
        if unknown := set(wanted or ()) - set(frames):
            warnings.warn(f"Not annotated, and so not compared: frame {spans(unknown)}.", stacklevel=4)
        return frames

    def say_blank(self, frames: Sequence[int]) -> None:
        """Warn of frames of a label file that have no label while others have: perhaps they were not looked at."""
        for side, name in ((self.annotation, "annotation"), (self._second, "second annotation")):
            if not getattr(side, "background", ""):
                continue  # our own format records for each frame whether it was looked at
            blank = [t for t in frames if not side.frame(t).any()]
            if 0 < len(blank) < len(frames):
                one = len(blank) == 1
                warnings.warn(
                    f"Frame{'' if one else 's'} {spans(blank)} of the {name} {'has' if one else 'have'} no label: "
                    f"compared as {'a frame' if one else 'frames'} without defects. Leave out what was not looked at "
                    "with --frames (frames=…), or mark it with a value of its own and name that with --ignore "
                    "(ignore=…).",
                    stacklevel=4,
                )

    def known(self, t: int) -> NDArray[np.bool_]:
        """Return where both sides are known, (Y, X) bool."""
        known = self.annotation.known(t)
        return known if self._second is None else known & self._second.known(t)

    def true(self, t: int) -> NDArray[np.uint8]:
        """Return the annotated labels of a frame, (Y, X) uint8."""
        return self._from_true[self.annotation.frame(t)]

    def predicted(self, t: int) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
        """Return the predicted labels, (Y, X) uint8, and the probabilities, (C, Y, X) float32 or None."""
        # Together, because a lazy prediction makes its labels from its probabilities.
        labels, chances = compute(self._labels[t], None if self._probabilities is None else self._probabilities[t])
        labels = np.asarray(labels)
        if labels.max(initial=0) >= len(self._from_predicted):
            raise InputError(
                f"labels 0 to {len(self._from_predicted) - 1}", f"the label {labels.max()}", "Compare the same classes."
            )
        if chances is not None:
            chances = np.asarray(chances, np.float32)[list(self._channels)]
        return self._from_predicted[labels], chances

    def look(self, t: int) -> ReviewedFrame:
        """Review one frame."""
        return review_labels(self.predicted(t)[0], self.true(t), self.known(t), self.detectors)


def _numbers(classes: Sequence[int], total: int) -> NDArray[np.uint8]:
    """Return the table from a side's labels to common ones: the k-th of `classes` becomes k + 1, others 0."""
    table = np.zeros(total + 1, np.uint8)
    for number, c in enumerate(classes, start=1):
        table[c + 1] = number
    return table
