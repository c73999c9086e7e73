"""Conversion of movies and annotations to napari layers and back; no window is needed for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Points

from napari_menndl.annotation.label_values import IGNORED, with_ignored
from napari_menndl.errors import InputError
from napari_menndl.layer_data import annotation_layer as annotation_layer
from napari_menndl.layer_data import movie_layer as movie_layer
from napari_menndl.layer_data import points_layer
from napari_menndl.movie.identity import movie_digest
from napari_menndl.movie.metadata import UNKNOWN
from napari_menndl.movie.reading import open_movie

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd
    from napari.layers import Image, Layer

    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.layer_data import LayerData as LayerData
    from napari_menndl.movie.movie import Movie, Step

#: Attributes that define where the pixels of a layer lie.
PLACE = ("scale", "translate", "units", "axis_labels")
_OF_ANOTHER = 4


def layer_over(annotation: Annotation, image: Image, name: str) -> Labels:
    """Return a labels layer for an annotation, in the same place as its movie."""
    labels, about, _ = annotation_layer(annotation, image.metadata.get("frame_time"), name)
    about |= place_over(image)
    return Labels(labels, **about)


def points_over(image: Image, defects: pd.DataFrame, colours: Mapping[str, str]) -> Points:
    """Return a table of defects as a layer of points in the same place as their movie, in the colours of classes."""
    data, about, _ = points_layer(defects, name=f"{image.name} defects", colours=colours)
    return Points(data, **about | place_over(image))


def place_over(image: Image) -> dict[str, Any]:
    """Return where a layer of three axes lies over a movie, which may be a single image."""
    place: dict[str, Any] = {name: getattr(image, name) for name in PLACE}
    if image.ndim == 3:
        return place
    units = ("pixel", *(str(unit) for unit in place["units"]))
    return {
        "scale": (1.0, *place["scale"]),
        "translate": (0.0, *place["translate"]),
        "units": units,
        "axis_labels": ("t", *place["axis_labels"]),
    }


def movie_of(layer: Image) -> Movie:
    """Return the movie that an image layer shows, with the layer's name and the file that it came from.

    Raises
    ------
    InputError
        If the layer shows colours, or anything but frames over time.
    """
    if layer.rgb:
        raise InputError(
            "a movie of single-channel frames", f"colours in the layer {layer.name!r}", "Choose the raw detector image."
        )
    if not 2 <= layer.ndim <= 3:
        raise InputError(
            "frames of (T, Y, X)",
            f"{layer.ndim} axes in the layer {layer.name!r}",
            "Split the layer along its other axes: right-click it and choose 'Split Stack'.",
        )
    data = layer.data[0] if layer.multiscale else layer.data
    if (prepared := _prepared(layer)) is not None:
        return prepared
    source = layer.metadata.get("source", "memory")
    if source == "memory":
        source = layer.source.path or "memory"
    movie = open_movie(data, pixel_size=pixel_size_of(layer), frame_time=layer.metadata.get("frame_time"))
    recording = layer.metadata.get("recording", UNKNOWN)
    return replace(movie, name=layer.name, source=str(source), metadata=recording)


def _prepared(layer: Image) -> Movie | None:
    """Return the prepared movie that a layer was made from, if it still shows it."""
    prepared: Movie | None = layer.metadata.get("prepared")
    return prepared if prepared is not None and prepared.frames is layer.data else None


def steps_of(layer: Image) -> tuple[Step, ...]:
    """Return the preparation steps of the movie that a layer shows (`Movie.prepared`)."""
    prepared = _prepared(layer)
    return () if prepared is None else prepared.steps


def pixel_size_of(layer: Layer) -> tuple[float, float] | None:
    """Return the pixel size (y, x) [nm] from the file, or else from the layer's scale in units of length, or None."""
    known = layer.metadata.get("pixel_size")
    if known is not None:
        return float(known[0]), float(known[1])
    sizes = [
        float((abs(scale) * unit).to("nm").magnitude)
        for scale, unit in zip(layer.scale[-2:], layer.units[-2:], strict=True)
        if unit.is_compatible_with("nm")
    ]
    return (sizes[0], sizes[1]) if len(sizes) == 2 else None


def annotation_of(layer: Labels | None) -> Annotation | None:
    """Return the annotation whose labels a layer shows; None if it is not one of ours."""
    annotation: Annotation | None = None if layer is None else layer.metadata.get("annotation")
    return annotation if annotation is not None and layer is not None and annotation.labels is layer.data else None


def annotations_for(layers: Iterable[Labels], movie: Movie) -> list[Labels]:
    """Return the labels layers that may hold the annotation of a movie, the certain ones first.

    They are recognised by the frames on which they were drawn; plain labels, which do not record these, come last.

    Parameters
    ----------
    layers : iterable of napari.layers.Labels
    movie : Movie

    Returns
    -------
    list of napari.layers.Labels
        Without layers of another frame size, or drawn on other frames.
    """
    ranks = [(_rank(layer, movie), layer) for layer in layers]
    return [layer for rank, layer in sorted(ranks, key=lambda one: one[0]) if rank < _OF_ANOTHER]


def _rank(layer: Labels, movie: Movie) -> int:
    annotation = annotation_of(layer)
    of = None if annotation is None else is_annotation_of(annotation, movie)
    if layer.data.shape[-2:] != movie.shape[1:] or of is False:
        return _OF_ANOTHER
    if annotation is None:
        return 2 if "annotation" in layer.metadata else 3
    return 0 if of else 1


def is_annotation_of(annotation: Annotation, movie: Movie) -> bool | None:
    """Whether an annotation was drawn on a movie, or begun for it; None if unknown."""
    of = annotation.is_of(movie)
    begun = annotation.movie
    if of is not None or begun is None or begun is movie:
        return of
    return movie_digest(begun) == movie_digest(movie)


def frame_in_view(layer: Layer, point: tuple[float, ...]) -> int:
    """Return the frame of a layer that a viewer shows at its world position ``viewer.dims.point``."""
    if layer.ndim < 3:
        return 0
    return int(np.clip(round(layer.world_to_data(point)[0]), 0, layer.data.shape[0] - 1))


def annotated_frame(layer: Labels, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels of one frame of a labels layer, and where they are known.

    A layer that this plugin opened records which of its pixels are annotated. In any other layer a frame with a label
    counts as annotated everywhere, except for pixels of 255 beside the numbers of classes, and a frame without labels
    as not looked at; a single image is frame 0.

    Parameters
    ----------
    layer : napari.layers.Labels
        (T, Y, X) or (Y, X)
    frame : int

    Returns
    -------
    labels : (Y, X) uint8
    known : (Y, X) bool
        Where the labels are known.

    Raises
    ------
    InputError
        If the layer holds more labels than there can be classes.
    """
    data = layer.data if layer.ndim > 2 else layer.data[np.newaxis]
    if frame >= data.shape[0]:
        nothing = np.zeros(data.shape[-2:], np.uint8)
        return nothing, nothing.astype(bool)
    annotation = layer.metadata.get("annotation")
    if annotation is not None and annotation.labels is layer.data:
        return annotation.frame(frame), annotation.known(frame)
    labels = np.asarray(data[frame])
    if labels.max(initial=0) == IGNORED and with_ignored(np.unique(labels[labels > 0])):
        known = labels != IGNORED
        return np.where(known, labels, 0).astype(np.uint8), known
    if labels.max(initial=0) > np.iinfo(np.uint8).max:
        raise InputError(
            "one label per defect class, 1 … 255",
            f"the label {labels.max()} in the layer {layer.name!r}",
            "Choose the layer that holds classes, not the one that numbers single defects.",
        )
    return labels.astype(np.uint8), np.full(labels.shape, bool(labels.any()))
