"""Annotation layer in the classes of a prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.annotation.classes import DefectClass, make_detector
from napari_menndl.errors import InputError
from napari_menndl.metrics.components import label_components
from napari_menndl.widgets.layers import annotated_frame

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_menndl.metrics.detection import MatchRule


def annotation_in(
    names: tuple[str, ...], layer: Labels | None, frame: int, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, list[bool]]:
    """Return the annotation in a prediction's classes.

    Parameters
    ----------
    names : C str
    layer : napari.layers.Labels, optional
    frame : int
    shape : (Y, X)
        Shape of the movie's frames.

    Returns
    -------
    labels : (Y, X) uint8
    known : (Y, X) bool
        Where the labels are known; nowhere without an annotation.
    compared : C bool
        Whether the annotation has the class.

    Raises
    ------
    InputError
        If the layer is not an annotation of such a movie in such classes.
    """
    if layer is None:
        return np.zeros(shape, np.uint8), np.zeros(shape, bool), [True] * len(names)
    labels, known = annotated_frame(layer, frame)
    if labels.shape != shape:
        raise InputError(
            f"an annotation of {shape[0]} × {shape[1]} px, as the movie has",
            f"{labels.shape[0]} × {labels.shape[1]} px in the layer {layer.name!r}",
            "Choose the annotation of this movie, or none.",
        )
    given = classes_of(layer, names)
    if labels.max(initial=0) > len(given):
        raise InputError(
            f"labels 1 … {len(given)} for the classes {', '.join(given)}",
            f"the label {labels.max()} in the layer {layer.name!r}",
            "Choose the annotation that this run learned from, or one with the same classes.",
        )
    # A class that the network was not trained on is neither right nor wrong.
    place = np.array([0, *(names.index(name) + 1 if name in names else 0 for name in given)], np.uint8)
    return place[labels], known & ((labels == 0) | (place[labels] > 0)), [name in given for name in names]


def classes_of(layer: Labels, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes of a layer's labels 1, 2, …, as a prediction with classes `names` calls them."""
    annotation = layer.metadata.get("annotation")
    given: tuple[str, ...] = annotation.class_names if annotation else names
    # Different names for the same classes: their order decides.
    return given if set(given) & set(names) else names


def annotated_detectors(
    names: tuple[str, ...], layer: Labels | None, frame: int, pixel_size: tuple[float, float] | None
) -> list[MatchRule]:
    """Return the match rule of each class, in pixels of the movie, derived from what is annotated."""
    annotation = None if layer is None else layer.metadata.get("annotation")
    given = names if layer is None else classes_of(layer, names)
    if annotation is not None and set(given) & set(names):
        common = [given.index(name) if name in given else 0 for name in names]
        return [annotation.detector(min(c, len(annotation.classes) - 1)) for c in common]
    labels = np.zeros((1, 1), np.uint8) if layer is None else annotated_frame(layer, frame)[0]
    areas = [label_components(labels == c, 1).areas for c in range(1, len(names) + 1)]
    return [make_detector(DefectClass(name), area, pixel_size) for name, area in zip(names, areas, strict=True)]
