"""Reader behind File › Open, for the formats of `open_movie` and for our annotations."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
import zarr
from napari.layers import Image
from napari.utils.notifications import show_warning

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.storage import FORM
from napari_menndl.movie.axes import ManyAxesError
from napari_menndl.movie.formats import PICTURES, by_suffix
from napari_menndl.movie.hyperstack import find_many_axes
from napari_menndl.movie.reading import open_movie
from napari_menndl.predict.prediction_export import exported_layers, is_exported
from napari_menndl.widgets.asking import DeclinedError, user_is_present
from napari_menndl.widgets.axes_dialog import ask_for_axes
from napari_menndl.widgets.layers import PLACE, annotation_layer, movie_layer
from napari_menndl.widgets.signal_dialog import ask_for_signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_menndl.movie.movie import Movie
    from napari_menndl.movie.signals import Ask, Question
    from napari_menndl.widgets.layers import LayerData


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Return the function that opens this path, or None for other kinds of files; several paths are one movie.

    A folder of pictures is a movie as well; a single picture is left to napari.
    """
    first = Path(path if isinstance(path, str) else path[0])
    series = first.is_dir() and any(by_suffix(file) for file in first.iterdir())
    return _read_or_nothing if series or by_suffix(first) not in (None, *PICTURES) else None


def _read_or_nothing(path: str | list[str]) -> list[Any]:
    """Call `read` for napari; return no layer at all if Cancel was pressed."""
    try:
        return list(read(path))
    except DeclinedError:
        return [(None,)]


def read(path: str | list[str]) -> list[LayerData]:
    """Open a movie as an image layer, an annotation as a labels layer, an exported prediction as layers of both.

    A writable annotation is painted on disk: each stroke is saved at once. For a file with several images a person is
    asked which one is the movie, for one with more axes than time, height and width which one is time. A script is not
    asked about images: it gets the likely one, and a notification says which.

    Raises
    ------
    InputError
        If there is neither a movie nor an annotation, or no axis is chosen as time.
    DeclinedError
        If Cancel is pressed.
    """
    if isinstance(path, str) and is_exported(path):
        return exported_layers(path)
    if not (isinstance(path, str) and is_annotation(path)):
        return [movie_layer(_open_movie(path))]
    writable = os.access(path, os.W_OK)
    annotation = Annotation.open(path, mode="r+" if writable else "r")
    if not writable:
        annotation.labels = np.asarray(annotation.labels)
    data, about, kind = annotation_layer(annotation, name=Path(path).stem)
    return [(data, about | place_of_movie(annotation.shape), kind)]


def _open_movie(path: str | list[str]) -> Movie:
    chosen: list[int] = []

    def ask(question: Question) -> int:
        chosen.append(ask_for_signal(question))
        return chosen[-1]

    try:
        return _open_aloud(path, ask if user_is_present() else None)
    except ManyAxesError:
        many = find_many_axes(path, chosen[-1] if chosen else None) if isinstance(path, str) else None
        if many is None:
            raise
        return ask_for_axes(many)


def _open_aloud(path: str | list[str], ask: Ask | None) -> Movie:
    """Open a movie and show its warnings as notifications, also in a window that a script opened."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        movie = open_movie(path, signal=ask)
    for one in said:
        if issubclass(one.category, UserWarning):
            show_warning(str(one.message))
    return movie


def is_annotation(path: str) -> bool:
    """Whether the path is an annotation, a zarr group written by napari-menndl."""
    try:
        return bool(zarr.open_group(path, mode="r").attrs.get("format") == FORM)
    except Exception:  # whatever zarr raises for files that are not its own
        return False


def place_of_movie(shape: tuple[int, int, int]) -> dict[str, Any]:
    """Return place and scale of an open movie with frames of this shape: an annotation has no frame time."""
    viewer = napari.current_viewer()
    for layer in viewer.layers if viewer is not None else ():
        if isinstance(layer, Image) and layer.ndim == 3 and layer.data.shape[-2:] == shape[-2:]:
            return {name: getattr(layer, name) for name in PLACE}
    return {}
