"""Annotations of a movie's layer: finding, beginning and opening them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
from napari.utils.notifications import show_info

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.carrying import check_drawn_on
from napari_menndl.annotation.label_values import IGNORED, with_ignored
from napari_menndl.annotation.movie_index import SUFFIX, AnnotationIndex, stem_for
from napari_menndl.errors import InputError
from napari_menndl.files import user_data
from napari_menndl.widgets.layers import annotation_of, pixel_size_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image, Labels

    from napari_menndl.movie.movie import Movie


def default_index() -> AnnotationIndex:
    """Return the index in the user data folder."""
    return AnnotationIndex(user_data())


def begin_annotation(path: Path, movie: Movie, layer: Labels | None = None) -> Annotation:
    """Create an annotation on disk, opened for editing.

    Parameters
    ----------
    path : Path
    movie : Movie
    layer : napari.layers.Labels, optional
        Labels to begin with: an annotation in memory, or plain labels, whose labelled frames are set to in progress;
        255 beside the numbers of classes means "not looked at".

    Raises
    ------
    InputError
        If the place is taken or cannot be written, or the labels are not classes of this movie.
    """
    if layer is None:
        made = Annotation.create(path, movie.shape, pixel_size=movie.pixel_size, steps=movie.steps)
        made.movie = movie
        return made
    if path.exists():
        raise InputError("a place for a new annotation", f"{path}, which exists", "Choose another name.")
    given = annotation_of(layer)
    if given is None:
        values = np.asarray(layer.data)
        ignored = with_ignored(np.unique(values[values > 0]))
        given = Annotation.from_labels(values, pixel_size=movie.pixel_size, ignore=IGNORED if ignored else None)
        if ignored:
            show_info(f"Pixels of 255 in {layer.name!r} count as not looked at; the rest of their frames as annotated.")
        for t in range(len(given)):
            given.set_status(t, "in progress" if given.frame(t).any() else "untouched")
        _keep_colours(given, layer)
    if given.steps is None:  # it lies over this movie
        given.steps = movie.steps
    check_drawn_on(given, movie)
    given.check(movie.shape)
    _lengthened(given, len(movie)).save(path)
    made = Annotation.open(path, mode="r+")
    made.note(movie)
    return made


def _keep_colours(annotation: Annotation, layer: Labels) -> None:
    """Give the classes the colours that they have in the layer."""
    for index in range(len(annotation.classes)):
        t = next(iter(annotation.frames_with(index)), None)
        if t is not None:
            shown = np.asarray(layer.data if layer.ndim < 3 else layer.data[t])
            value = shown[annotation.frame(t) == index + 1][0]
            colour = layer.get_color(int(value))
            if colour is not None:
                annotation.change_class(index, colour="#" + bytes(np.rint(255 * colour[:3]).astype(np.uint8)).hex())


def _lengthened(annotation: Annotation, length: int) -> Annotation:
    """Return the annotation with untouched frames appended up to the end of its movie."""
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
    stated = annotation.classes, status, annotation.regions, annotation.pixel_size
    return Annotation(labels, *stated, annotation.steps, annotation.digests)


def open_annotation(path: Path, movie: Movie) -> Annotation:
    """Open an annotation of this movie for editing.

    Raises
    ------
    InputError
        If there is no annotation, or one of another movie.
    """
    annotation = Annotation.open(path, mode="r+")
    check_drawn_on(annotation, movie)
    annotation.check(movie.shape)
    return annotation


def layer_name(path: Path, movie: Movie) -> str:
    """Return a layer's name: that of the movie, not of the file, as in ``"WS2 area 0 (2) annotation"``."""
    own = path.name.removesuffix(SUFFIX)
    for stem in (stem_for(movie.name), movie.name):
        if number := re.fullmatch(re.escape(stem) + r"(?:\.(\d+))?", own):
            return f"{movie.name}{f' ({number[1]})' if number[1] else ''} annotation"
    return f"{own} annotation"


def length_unit(image: Image | None) -> str:
    """Return the unit of lengths on a movie."""
    return "px" if image is None or pixel_size_of(image) is None else "nm"
