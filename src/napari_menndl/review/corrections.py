"""An expert's word on single defects, taken into the annotation of their frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.segmentation import flood

from napari_menndl.annotation.classes import FrameStatus, Region
from napari_menndl.metrics.components import label_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_menndl.annotation.annotation import Annotation

#: What a decision about a defect is taken to cover beside its own pixels [px].
MARGIN = 2


def defect_at(labels: NDArray[np.integer], y: int, x: int) -> NDArray[np.bool_]:
    """The defect under a pixel.

    Parameters
    ----------
    labels : (Y, X) int
        0 = no defect.
    y, x : int

    Returns
    -------
    (Y, X) bool
        False throughout where there is none.
    """
    inside = 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]
    if not inside or not labels[y, x]:
        return np.zeros(labels.shape, dtype=bool)
    return np.asarray(flood(labels, (y, x), connectivity=2), dtype=bool)


def accepted(labels: NDArray[np.uint8], pixels: NDArray[np.bool_], label: int) -> NDArray[np.uint8]:
    """Labels (Y, X) of a frame in which these pixels (Y, X) are one defect; it replaces those that it touches."""
    after = rejected(labels, pixels)
    after[pixels] = label
    return after


def rejected(labels: NDArray[np.uint8], pixels: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Labels (Y, X) of a frame without the defects that touch these pixels (Y, X)."""
    after = labels.copy()
    for value in np.unique(labels[pixels & (labels > 0)]):
        components = label_components(labels == value, 1).labels
        after[np.isin(components, np.unique(components[pixels & (components > 0)]))] = 0
    return after


def accept(annotation: Annotation, t: int, pixels: NDArray[np.bool_], name: str) -> None:
    """Say that there is a defect: it is annotated, in place of those that it touches.

    Parameters
    ----------
    annotation : Annotation
    t : int
    pixels : (Y, X) bool
    name : str
        Its class.

    Raises
    ------
    InputError
        No such frame or class, or an annotation that cannot be written.
    """
    label = annotation.class_index(name) + 1
    _decide(annotation, t, accepted(annotation.frame(t), pixels, label), pixels)


def reject(annotation: Annotation, t: int, pixels: NDArray[np.bool_]) -> None:
    """Say that there is no defect, be it predicted or annotated; see `accept`."""
    _decide(annotation, t, rejected(annotation.frame(t), pixels), pixels)


def complete(annotation: Annotation, t: int, predicted: NDArray[np.uint8] | None = None) -> None:
    """Say that all of a frame has been looked at.

    Parameters
    ----------
    annotation : Annotation
    t : int
    predicted : (Y, X) uint8, optional
        In the annotation's classes: its defects are taken over where nothing was known so far.

    Raises
    ------
    InputError
        No such frame or class, or an annotation that cannot be written.
    """
    after, known = annotation.frame(t).copy(), annotation.known(t)
    for value in () if predicted is None else np.unique(predicted[predicted > 0]):
        components = label_components(predicted == value, 1)
        new = np.concatenate([[False], ~components.lie_inside(known)])[components.labels]
        after[new & (after == 0)] = value
    annotation.paint(t, after)
    annotation.set_regions(t, [])
    annotation.set_status(t, FrameStatus.COMPLETE)


def begin(annotation: Annotation, t: int) -> None:
    """A frame that was painted is no longer untouched."""
    if annotation.status[t] is FrameStatus.UNTOUCHED and annotation.frame(t).any():
        annotation.set_status(t, FrameStatus.IN_PROGRESS)


def _decide(annotation: Annotation, t: int, after: NDArray[np.uint8], pixels: NDArray[np.bool_]) -> None:
    """Write, and see to it that the decision is known: in a frame that is not complete only a region says "none"."""
    before, regions = annotation.frame(t), annotation.regions.get(t, ())
    annotation.paint(t, after)
    if annotation.status[t] is FrameStatus.COMPLETE and not regions:
        return
    covered = ndimage.binary_dilation(pixels, iterations=MARGIN)
    if regions and annotation.known(t)[covered].all():
        return
    # Once there is a region nothing is known outside of them: what was marked by hand gets one each.
    marked = () if regions else ndimage.find_objects(label_components(before > 0, 1).labels)
    boxes = [Region(y.start, x.start, y.stop, x.stop) for y, x in (*marked, *ndimage.find_objects(covered.view("u1")))]
    annotation.set_regions(t, [*regions, *boxes])
