"""Label images as others write them -> labels 0 … C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_menndl.annotation.classes import MOST_CLASSES, DefectClass, as_classes
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence


def as_labels(
    array: npt.ArrayLike, classes: Sequence[DefectClass | str] | None = None
) -> tuple[npt.NDArray[np.uint8], tuple[DefectClass, ...]]:
    """Labels and their classes from an array of label values.

    With `classes`, value c + 1 is class c; one class takes any one value (0/255 masks). Without, the different values,
    in ascending order, become the classes; they are named after their values unless there is only one.

    Parameters
    ----------
    array : (T, Y, X) or (Y, X) bool, int or float
        0 is "no defect".
    classes : sequence of DefectClass or str, optional

    Returns
    -------
    labels : (T, Y, X) uint8
    classes : tuple of DefectClass

    Raises
    ------
    InputError
        Not an image, not numbers, negative or fractional values, more values than classes.
    """
    values = np.asarray(array)
    if values.dtype.kind not in "biuf":
        raise InputError(
            "label images of whole numbers",
            f"values of type {values.dtype}",
            "Save the labels as uint8, one number per class.",
        )
    if values.ndim not in (2, 3) or values.size == 0:
        raise InputError(
            "labels of (T, Y, X) or (Y, X)", f"an array of shape {values.shape}", "Give one label image per frame."
        )
    if values.ndim == 2:
        values = values[np.newaxis]
    if values.dtype.kind == "f" and (not np.isfinite(values).all() or (values != np.rint(values)).any()):
        raise InputError(
            "whole numbers as labels",
            "fractions or NaN",
            "Give labels (0, 1, 2, …), not probabilities or intensities.",
        )
    different = np.unique(values)
    if different[0] < 0:
        raise InputError(
            "labels from 0 up", f"the value {different[0]}", "Use 0 for 'no defect' and 1, 2, … for the classes."
        )
    different = different[different > 0]
    if different.size > MOST_CLASSES:
        raise InputError(
            f"at most {MOST_CLASSES} different labels, one per class",
            f"{different.size} different labels",
            "Number the kinds of defects, not the single objects; a mask (image > 0) makes one class of them.",
        )
    if classes is None:
        names = ["defect"] if different.size <= 1 else [f"class {int(v)}" for v in different]
        return _ranks(values, different), as_classes(names)
    named = as_classes(classes)
    if len(named) == 1 and different.size <= 1:
        return _ranks(values, different), named
    if different.size and different[-1] > len(named):
        raise InputError(
            f"labels 0 to {len(named)} for the classes {', '.join(c.name for c in named)}",
            f"the value {int(different[-1])}",
            "Name a class for every label, or correct the label image.",
        )
    return values.astype(np.uint8), named


def place_frames(labels: npt.NDArray[np.uint8], frames: Sequence[int] | None) -> tuple[npt.NDArray[np.uint8], set[int]]:
    """Put labelled frames where they belong in the movie.

    Parameters
    ----------
    labels : (T, Y, X) uint8
    frames : sequence of int or None
        The movie's frames that are labelled; None for all. Labels of just as many frames hold just those, in this
        order; any other number is the whole movie, and only these frames of it are taken.

    Returns
    -------
    labels : (T', Y, X) uint8
    done : set of int
        The frames that were given.

    Raises
    ------
    InputError
        `frames` that the labels do not have, or one twice.
    """
    if frames is None:
        return labels, set(range(len(labels)))
    wanted = [int(t) for t in frames]
    whole = len(wanted) != len(labels)
    if not wanted or min(wanted) < 0 or len(set(wanted)) < len(wanted) or (whole and max(wanted) >= len(labels)):
        raise InputError(
            f"frames of the {len(labels)} in the label array, each once", f"{wanted}", "Count frames from 0."
        )
    placed = np.zeros((len(labels) if whole else max(wanted) + 1, *labels.shape[1:]), np.uint8)
    placed[wanted] = labels[wanted] if whole else labels
    return placed, set(wanted)


def _ranks(values: npt.NDArray[Any], different: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The place of each value among the `different` ones, from 1; 0 stays 0."""
    ranks: npt.NDArray[np.uint8] = np.where(values > 0, np.searchsorted(different, values) + 1, 0).astype(np.uint8)
    return ranks
