"""Predicted and annotated labels of a review, aligned to the same classes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from dask.base import compute

from napari_menndl.annotation.carrying import fitted
from napari_menndl.errors import InputError, frame_number
from napari_menndl.movie.absent import spans
from napari_menndl.review.compare import Comparison, SharedClasses
from napari_menndl.task.checks import check_pixel_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.review.compare import ComparedFrame


@dataclass(frozen=True)
class AlignedLabels:
    """Predicted and annotated labels of a movie, frame by frame in the prediction's classes.

    Attributes
    ----------
    classes : SharedClasses
    comparison : Comparison
        With the annotation's match rules, and the pixel size from whichever side has it.
    annotation : Annotation
    """

    classes: SharedClasses
    comparison: Comparison
    annotation: Annotation
    _labels: Any
    _probabilities: Any
    _second: Any
    _prediction: Any

    @classmethod
    def of(cls, predicted: Any, annotation: Annotation, probabilities: Any) -> AlignedLabels:
        """Align the two sides of a review; see `Review.of` for the parameters.

        Raises
        ------
        InputError
            If there is no common class, or frame shapes or pixel sizes differ.
        """
        named = getattr(predicted, "spec", predicted)  # of a Prediction
        steps = getattr(named, "steps", None)
        if steps is not None and (steps or annotation.steps):
            annotation = fitted(annotation, steps, named.shape, getattr(named, "recorded", None) or named.shape)
        classes = SharedClasses(tuple(getattr(named, "class_names", annotation.class_names)), annotation.class_names)
        if not classes.common:
            raise InputError(
                f"a class of the annotation: {', '.join(classes.annotated)}",
                ", ".join(classes.predicted),
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
        rules = tuple(annotation.match_rule(n) if n in classes.common else None for n in classes.predicted)
        pixel_size = check_pixel_sizes(getattr(named, "pixel_size", None), annotation.pixel_size)
        return cls(
            classes,
            Comparison(classes.predicted, rules, pixel_size, tuple(steps or ()), getattr(named, "frame_time", None)),
            annotation,
            labels,
            getattr(predicted, "probabilities", None) if probabilities is None else probabilities,
            predicted if hasattr(predicted, "known") else None,
            predicted if hasattr(predicted, "frame_image") else None,
        )

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
        if beyond := [t for t in wanted or () if not (isinstance(t, int | np.integer) and 0 <= t < shared)]:
            raise InputError(
                f"annotated frames from 0 to {shared - 1} that are predicted too",
                f"frame{'' if len(beyond) == 1 else 's'} {', '.join(map(str, beyond))}",
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

    def learned_from(self, labelled: int | Sequence[int] | None) -> tuple[int, ...]:
        """Return the frames learned from, in order.

        Raises
        ------
        InputError
            For one that neither side has.
        """
        given = () if labelled is None else (labelled,) if not isinstance(labelled, Iterable) else labelled
        count = max(len(self.annotation), int(self._labels.shape[0]))
        return tuple(sorted({frame_number(t, count, "Name the frames that were learned from.") for t in given}))

    def warn_of_blank_frames(self, frames: Sequence[int]) -> None:
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
        return self._annotated(t)[1]

    def true(self, t: int) -> NDArray[np.uint8]:
        """Return the annotated labels of a frame in the prediction's classes, (Y, X) uint8."""
        return self._annotated(t)[0]

    def compare(self, t: int) -> ComparedFrame:
        """Compare one frame; InputError if it does not exist on both sides."""
        t = frame_number(t, min(len(self.annotation), int(self._labels.shape[0])), "Choose a frame of both.")
        # Together, because a lazy prediction makes its labels from its probabilities.
        labels, chances = compute(self._labels[t], None if self._probabilities is None else self._probabilities[t])
        labels, names = np.asarray(labels), self.classes.predicted
        if labels.max(initial=0) > len(names):
            raise InputError(f"labels 0 to {len(names)}", f"the label {labels.max()}", "Compare the same classes.")
        if chances is not None:
            chances = np.asarray(chances, np.float32)
            if chances.min(initial=0) < 0 or chances.max(initial=0) > 1:
                found = f"values from {chances.min():.3g} to {chances.max():.3g} in frame {t}"
                raise InputError("probabilities from 0 to 1", found, "Scale them, as with scipy.special.expit.")
        return self.comparison.frame(t, labels, *self._annotated(t), chances)

    def image(self, t: int) -> NDArray[np.float32] | None:
        """Return a frame of the predicted movie, (Y, X) float32; None where it is not at hand."""
        return None if self._prediction is None else self._prediction.frame_image(t)

    def _annotated(self, t: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        true, known = self.classes.as_predicted(self.annotation.frame(t), self.annotation.known(t))
        return true, known if self._second is None else known & self._second.known(t)
