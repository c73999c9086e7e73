"""Merging automatic proposals into an annotation, and the pixels that a method may be tuned on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.metrics.components import label_components

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_menndl.annotation.statement import AnnotationData

#: Proposals with a smaller area are discarded as noise [px].
SMALLEST = 3


def merge_proposals(
    labels: npt.NDArray[np.uint8], proposed: npt.NDArray[np.bool_], value: int
) -> tuple[npt.NDArray[np.uint8], int]:
    """Add proposed defects to labels, except those that touch an existing label.

    Parameters
    ----------
    labels : (Y, X) uint8
    proposed : (Y, X) bool
    value : int
        Label of the proposed defects' class.

    Returns
    -------
    labels : (Y, X) uint8
    added : int
        Number of defects added.
    """
    components = label_components(proposed, SMALLEST)
    touching = np.unique(components.labels[ndimage.binary_dilation(labels > 0, np.ones((3, 3), bool))])
    new = np.setdiff1d(np.arange(1, len(components) + 1), touching)
    return np.where(np.isin(components.labels, new), np.uint8(value), labels), len(new)


def surroundings(annotation: AnnotationData, t: int) -> npt.NDArray[np.bool_]:
    """Return the pixels of a frame to tune a method on that needs background, too.

    Parameters
    ----------
    annotation : AnnotationData
    t : int

    Returns
    -------
    (Y, X) bool
        The known pixels of the annotation. In a frame in progress without regions these are only the marked pixels, so
        their surroundings are included, up to twice the radius of the largest defect and at least 3 px.
    """
    if annotation.status[t] is FrameStatus.COMPLETE or annotation.regions.get(t):
        return annotation.known(t)
    marked = annotation.frame(t) > 0
    if not marked.any():
        return marked
    largest = float(np.sqrt(label_components(marked, min_area=1).areas.max() / np.pi))
    return np.asarray(ndimage.distance_transform_edt(~marked) <= max(2 * largest, 3.0))
