"""Taking an automatic proposal over into an annotation, and what of an annotation a method may be tuned on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.metrics.components import label_components

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_menndl.annotation.statement import AnnotationData

#: Smaller proposals are noise [px].
SMALLEST = 3


def merge_proposals(
    labels: npt.NDArray[np.uint8], proposed: npt.NDArray[np.bool_], value: int
) -> tuple[npt.NDArray[np.uint8], int]:
    """Add what was proposed; where something is marked already, that stays and the proposal is left out.

    Parameters
    ----------
    labels : (Y, X) uint8
    proposed : (Y, X) bool
    value : int
        Label of the class that it is proposed for.

    Returns
    -------
    labels : (Y, X) uint8
    added : int
        How many defects.
    """
    components = label_components(proposed, SMALLEST)
    touching = np.unique(components.labels[ndimage.binary_dilation(labels > 0, np.ones((3, 3), bool))])
    new = np.setdiff1d(np.arange(1, len(components) + 1), touching)
    return np.where(np.isin(components.labels, new), np.uint8(value), labels), len(new)


def surroundings(annotation: AnnotationData, t: int) -> npt.NDArray[np.bool_]:
    """Where a frame may be learned from by a method that needs to see what is no defect, too.

    Parameters
    ----------
    annotation : AnnotationData
    t : int

    Returns
    -------
    (Y, X) bool
        Where the annotation is known. In a frame in progress without regions that is only what is marked: then its
        surroundings count as well, to twice the radius of the largest defect.
    """
    if annotation.status[t] is FrameStatus.COMPLETE or annotation.regions.get(t):
        return annotation.known(t)
    marked = annotation.frame(t) > 0
    if not marked.any():
        return marked
    largest = float(np.sqrt(label_components(marked, min_area=1).areas.max() / np.pi))
    return np.asarray(ndimage.distance_transform_edt(~marked) <= max(2 * largest, 3.0))
