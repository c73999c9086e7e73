"""Annotations of a movie's layer: found again, begun, and put over it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from napari.layers import Labels

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.association import SUFFIX, AnnotationIndex, stem_for
from napari_menndl.errors import InputError
from napari_menndl.user_data import user_data
from napari_menndl.widgets.layers import PLACE, annotation_layer, movie_of, pixel_size_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image

    from napari_menndl.movie.movie import Movie


def default_index() -> AnnotationIndex:
    """The index in the folder of user data."""
    return AnnotationIndex(user_data())


def movie_in(layer: Image) -> Movie:
    """The movie of an image layer, with its name and file.

    Raises
    ------
    InputError
        If it shows colours, or anything but frames over time.
    """
    source = layer.metadata.get("source") or layer.source.path or "memory"
    if source == "memory" and layer.source.path:
        source = layer.source.path
    return replace(movie_of(layer), name=layer.name, source=str(source))


def annotation_of(layer: Labels | None) -> Annotation | None:
    """The annotation whose labels a layer paints, if it is one of ours."""
    annotation = None if layer is None else layer.metadata.get("annotation")
    return annotation if annotation is not None and annotation.labels is layer.data else None  # type: ignore[union-attr]


def begin_annotation(path: Path, movie: Movie, layer: Labels | None = None) -> Annotation:
    """A new annotation on disk, opened to be edited.

    Parameters
    ----------
    path : Path
    movie : Movie
    layer : napari.layers.Labels, optional
        To begin with what it says: an annotation in memory, or plain labels, whose labelled frames are in progress.

    Raises
    ------
    InputError
        The place is taken or cannot be written; labels that are none of this movie's classes.
    """
    if layer is None:
        return Annotation.create(path, movie.shape, pixel_size=movie.pixel_size)
    if path.exists():
        raise InputError("a place for a new annotation", f"{path}, which exists", "Choose another name.")
    given = annotation_of(layer)
    if given is None:
        given = Annotation.from_labels(np.asarray(layer.data), pixel_size=movie.pixel_size)
        for t in range(len(given)):
            given.set_status(t, "in progress" if given.frame(t).any() else "untouched")
        _keep_colours(given, layer)
    given.check(movie.shape)
    _lengthened(given, len(movie)).save(path)
    return Annotation.open(path, mode="r+")


def _keep_colours(annotation: Annotation, layer: Labels) -> None:
    """Give the classes the colours in which a person knows them from the layer."""
    for index in range(len(annotation.classes)):
        t = next(iter(annotation.frames_with(index)), None)
        if t is not None:
            shown = np.asarray(layer.data if layer.ndim < 3 else layer.data[t])
            value = shown[annotation.frame(t) == index + 1][0]
            colour = layer.get_color(int(value))
            if colour is not None:
                annotation.change_class(index, colour="#" + bytes(np.rint(255 * colour[:3]).astype(np.uint8)).hex())


def _lengthened(annotation: Annotation, length: int) -> Annotation:
    """The same, with untouched frames up to the end of its movie."""
    missing = length - len(annotation)
    if not missing:
        return annotation
    _, height, width = annotation.shape
    labels = da.concatenate(
        [
            da.from_array(annotation.labels, chunks=(1, height, width)),
            da.zeros((missing, height, width), dtype=np.uint8, chunks=(1, height, width)),
        ]
    )
    status = [*annotation.status, *["untouched"] * missing]
    return Annotation(labels, annotation.classes, status, annotation.regions, annotation.pixel_size)


def open_annotation(path: Path, movie: Movie) -> Annotation:
    """An annotation of this movie from disk, opened to be edited.

    Raises
    ------
    InputError
        Not an annotation, or one of another movie.
    """
    annotation = Annotation.open(path, mode="r+")
    annotation.check(movie.shape)
    return annotation


def layer_over(annotation: Annotation, image: Image, name: str) -> Labels:
    """A labels layer for an annotation, in the same place as its movie."""
    labels, about, _ = annotation_layer(annotation, image.metadata.get("frame_time"), name)
    about |= place_over(image)
    return Labels(labels, **about)


def layer_name(path: Path, movie: Movie) -> str:
    """``"WS2 area 0 annotation"``, ``"WS2 area 0 (2) annotation"``: by the movie, however its file had to be called."""
    own = path.name.removesuffix(SUFFIX)
    for stem in (stem_for(movie.name), movie.name):
        if number := re.fullmatch(re.escape(stem) + r"(?:\.(\d+))?", own):
            return f"{movie.name}{f' ({number[1]})' if number[1] else ''} annotation"
    return f"{own} annotation"


def place_over(image: Image) -> dict[str, Any]:
    """Where a layer of three axes lies over a movie, which may be a single image."""
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


def length_unit(image: Image | None) -> str:
    """In what lengths on a movie are given."""
    return "px" if image is None or pixel_size_of(image) is None else "nm"
