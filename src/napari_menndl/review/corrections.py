"""An expert's decisions about single defects, written to the annotation of their frame."""

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

#: Margin around a defect that a decision about it also covers [px].
MARGIN = 2


def defect_at(labels: NDArray[np.integer], y: int, x: int) -> NDArray[np.bool_]:
    """Return the defect under a pixel.

    Parameters
    ----------
    labels : (Y, X) int
        0 = no defect.
    y, x : int

    Returns
    -------
    (Y, X) bool
        All False if there is none.
    """
    inside = 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]
    if not inside or not labels[y, x]:
        return np.zeros(labels.shape, dtype=bool)
    return np.asarray(flood(labels, (y, x), connectivity=2), dtype=bool)


def accepted(labels: NDArray[np.uint8], pixels: NDArray[np.bool_], label: int) -> NDArray[np.uint8]:
    """Return labels (Y, X) in which these pixels (Y, X) are one defect; it replaces those that it touches."""
    after = rejected(labels, pixels)
    after[pixels] = label
    return after


def rejected(labels: NDArray[np.uint8], pixels: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return labels (Y, X) without the defects that touch these pixels (Y, X)."""
    after = labels.copy()
    for value in np.unique(labels[pixels & (labels > 0)]):
        components = label_components(labels == value, 1).labels
        after[np.isin(components, np.unique(components[pixels & (components > 0)]))] = 0
    return after


def accept(annotation: Annotation, t: int, pixels: NDArray[np.bool_], name: str) -> None:
    """Annotate a defect, in place of those that it touches.

    Parameters
    ----------
    annotation : Annotation
    t : int
    pixels : (Y, X) bool
    name : str
        Name of its class.

    Raises
    ------
    InputError
        If there is no such frame or class, or the annotation cannot be written.
    """
    label = annotation.class_index(name) + 1
    _decide(annotation, t, accepted(annotation.frame(t), pixels, label), pixels)


def reject(annotation: Annotation, t: int, pixels: NDArray[np.bool_]) -> None:
    """Record that there is no defect, whether it is predicted or annotated; see `accept`."""
    _decide(annotation, t, rejected(annotation.frame(t), pixels), pixels)


def complete(annotation: Annotation, t: int, predicted: NDArray[np.uint8] | None = None) -> None:
    """Mark a frame as complete.

    Parameters
    ----------
    annotation : Annotation
    t : int
    predicted : (Y, X) uint8, optional
        In the annotation's classes; its defects are added where the annotation was unknown so far.

    Raises
    ------
    InputError
        If there is no such frame or class, or the annotation cannot be written.
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
    """Set the status of an untouched frame to in progress if it has labels."""
    if annotation.status[t] is FrameStatus.UNTOUCHED and annotation.frame(t).any():
        annotation.set_status(t, FrameStatus.IN_PROGRESS)


def _decide(annotation: Annotation, t: int, after: NDArray[np.uint8], pixels: NDArray[np.bool_]) -> None:
    """Write labels and make the decision known: in an incomplete frame only a region says that there is no defect."""
    before, regions = annotation.frame(t), annotation.regions.get(t, ())
    annotation.paint(t, after)
    if annotation.status[t] is FrameStatus.COMPLETE and not regions:
        return
    covered = ndimage.binary_dilation(pixels, iterations=MARGIN)
    if regions and annotation.known(t)[covered].all():
        return
    # As soon as there is a region, nothing is known outside of regions: each defect marked so far gets one.
    marked = () if regions else ndimage.find_objects(label_components(before > 0, 1).labels)
    boxes = [Region(y.start, x.start, y.stop, x.stop) for y, x in (*marked, *ndimage.find_objects(covered.view("u1")))]
    annotation.set_regions(t, [*regions, *boxes])
