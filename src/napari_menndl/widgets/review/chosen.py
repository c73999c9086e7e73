"""Selected defect: found under the mouse or in the list of errors, then accepted or rejected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.metrics.components import label_components
from napari_menndl.review import corrections
from napari_menndl.review.frame import FALSE_NEGATIVE, OUTCOMES
from napari_menndl.widgets.review.expert import annotation_in, classes_of
from napari_menndl.widgets.review.frame_review import ALONE

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Labels

    from napari_menndl.widgets.review.frame_review import FrameReview

MISSED = OUTCOMES[FALSE_NEGATIVE]
#: Names of the outcomes of a review in the window.
WORDS = {"true positive": "found", "false positive": "false", MISSED: "missed", ALONE: "predicted"}


@dataclass(frozen=True)
class SelectedDefect:
    """One defect of one frame.

    Attributes
    ----------
    frame : int
    name : str
        Its class, as the prediction names it.
    outcome : str
    centre : (y, x) float [px]
    confidence : float
        Mean probability; NaN where unknown.
    pixels : (Y, X) bool
    """

    frame: int
    name: str
    outcome: str
    centre: tuple[float, float]
    confidence: float
    pixels: np.ndarray = field(repr=False)

    @property
    def radius(self) -> float:
        """Radius of a disc of the same area [px]."""
        return float(np.sqrt(self.pixels.sum() / np.pi))

    def describe(self) -> str:
        """Describe the defect: ``"missed: S vacancy"``, ``"false: hole, confidence 0.61"``."""
        sure = "" if np.isnan(self.confidence) else f", confidence {self.confidence:.2f}"
        return f"{WORDS[self.outcome]}: {self.name}{sure}"


def choose_at(review: FrameReview, layer: Labels | None, y: int, x: int) -> SelectedDefect | None:
    """Return the defect whose colour is visible at a pixel; None if there is none."""
    overlay = review.overlay
    if not (0 <= y < overlay.shape[0] and 0 <= x < overlay.shape[1]) or not overlay[y, x]:
        return None
    seen = OUTCOMES.get(int(overlay[y, x]), ALONE)
    labels = _side(review, layer, seen)
    if not labels[y, x]:
        return None
    pixels = corrections.defect_at(labels, y, x)
    name = review.class_names[labels[y, x] - 1]
    centre = tuple(np.argwhere(pixels).mean(axis=0).tolist())
    listed = review.defects[(review.defects["class"] == name) & (review.defects["outcome"] == seen)]
    apart = np.hypot(listed["y"].astype(float) - centre[0], listed["x"].astype(float) - centre[1])
    sure = float(listed["confidence"].iloc[int(np.argmin(apart))]) if len(listed) else float("nan")
    return SelectedDefect(review.frame, name, seen, (centre[0], centre[1]), sure, pixels)


def choose_row(review: FrameReview, layer: Labels | None, row: pd.Series) -> SelectedDefect:
    """Return the defect of a row of the review's table."""
    name, outcome, centre = str(row["class"]), str(row["outcome"]), (float(row["y"]), float(row["x"]))
    wanted = _side(review, layer, outcome) == review.class_names.index(name) + 1
    found = label_components(wanted, 1)
    pixels = np.zeros(wanted.shape, bool)
    if len(found):
        nearest = int(np.argmin(np.hypot(*(found.centres - centre).T)))
        pixels = found.labels == nearest + 1
    return SelectedDefect(review.frame, name, outcome, centre, float(row["confidence"]), pixels)


def decide(chosen: SelectedDefect, layer: Labels | None, class_names: tuple[str, ...], accept: bool) -> None:
    """Record in the annotation of its frame that there is such a defect, or that there is none.

    Parameters
    ----------
    chosen : SelectedDefect
    layer : napari.layers.Labels or None
        The layer of the annotation.
    class_names : C str
        Classes of the prediction.
    accept : bool

    Raises
    ------
    InputError
        Without an annotation, or if it does not have the class or cannot be written.
    """
    if layer is None:
        raise InputError(
            "an annotation that the correction goes into",
            "none",
            "Press 'New annotation' in the dock 'Annotate defects', and choose it under 'Annotation'.",
        )
    given, annotation = classes_of(layer, class_names), layer.metadata.get("annotation")
    if accept and chosen.name not in given:
        raise InputError(
            f"the class {chosen.name!r} in the annotation",
            ", ".join(given),
            "Add the class in the dock 'Annotate defects', then accept the defect.",
        )
    if annotation is not None and annotation.labels is layer.data:
        if accept:
            index = given.index(chosen.name)
            corrections.accept(annotation, chosen.frame, chosen.pixels, annotation.class_names[index])
        else:
            corrections.reject(annotation, chosen.frame, chosen.pixels)
        layer.refresh()
        return
    before = np.asarray(layer.data[chosen.frame] if layer.ndim > 2 else layer.data)
    label = given.index(chosen.name) + 1 if accept else 0
    after = (
        corrections.accepted(before, chosen.pixels, label) if accept else corrections.rejected(before, chosen.pixels)
    )
    where = np.nonzero(after != before)
    if len(where[0]):
        axes = (np.full(len(where[0]), chosen.frame), *where) if layer.ndim > 2 else where
        layer.data_setitem(axes, after[where])


def accept_rest(review: FrameReview, layer: Labels | None) -> None:
    """Accept what is predicted where the annotation is not known yet, and mark the frame as complete.

    Raises
    ------
    InputError
        Without an annotation that records which frames are complete, if it lacks a class that is predicted in the
        frame, or if it cannot be written.
    """
    annotation = None if layer is None else layer.metadata.get("annotation")
    if layer is None or annotation is None:
        raise InputError(
            "an annotation that knows which frames are complete",
            "none" if layer is None else f"the labels layer {layer.name!r}",
            "Press 'New annotation' in the dock 'Annotate defects', and choose it under 'Annotation'.",
        )
    given = classes_of(layer, review.class_names)
    lacking = [n for c, n in enumerate(review.class_names, start=1) if n not in given and (review.predicted == c).any()]
    if lacking:
        raise InputError(
            f"the class {' and '.join(map(repr, lacking))} in the annotation",
            ", ".join(given),
            "Add it in the dock 'Annotate defects', or raise its threshold until nothing of it is predicted here.",
        )
    place = np.array([0, *(given.index(n) + 1 if n in given else 0 for n in review.class_names)], np.uint8)
    corrections.complete(annotation, review.frame, place[review.predicted])
    layer.refresh()


def _side(review: FrameReview, layer: Labels | None, outcome: str) -> np.ndarray:
    """Return the labels (Y, X) uint8 that contain defects of this outcome, in the prediction's classes."""
    if outcome != MISSED:
        return review.predicted
    return annotation_in(review.class_names, layer, review.frame, review.predicted.shape)[0]
