"""Request for a search as it was set up in the window, and its start, to be called in a thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import regions_of
from napari_menndl.errors import InputError
from napari_menndl.widgets.layers import annotated_frame, movie_of

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from napari.layers import Image, Labels

    from napari_menndl.movie.movie import Movie
    from napari_menndl.run import Run
    from napari_menndl.search.views.known_runs import KnownRuns


@dataclass(frozen=True)
class SearchRequest:
    """Request for a search.

    Attributes
    ----------
    movie : napari.layers.Image
    annotation : napari.layers.Labels
    frames : tuple of int
    budget, pool : str
    run : Path
    space : str
        Path of a search space; empty: the default.
    settings : dict
        Further settings of `SearchSettings`.
    """

    movie: Image
    annotation: Labels
    frames: tuple[int, ...]
    budget: str
    pool: str
    run: Path
    space: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Opened:
    """A run, with the properties of its task that a view needs.

    Attributes
    ----------
    run : Run
    classes : int
    megapixels : float
        Size of a frame.
    """

    run: Run
    classes: int
    megapixels: float


def begin(order: SearchRequest, known: KnownRuns) -> Opened:
    """Start the search process.

    Raises
    ------
    InputError
        If the request cannot be used.
    """
    from napari_menndl.api import run_search
    from napari_menndl.genome.space import SearchSpace

    movie = movie_of(order.movie)
    run = run_search(
        movie,
        annotation_of(order.annotation, movie, order.frames),
        frames=order.frames,
        budget=order.budget,
        pool=order.pool,
        run=order.run,
        space=SearchSpace.open(order.space) if order.space else None,
        wait=False,
        **order.settings,
    )
    known.remember(run.path, order.movie.name)
    return _with_task(run)


def resume(path: str | os.PathLike[str], budget: str, known: KnownRuns) -> Opened:
    """Start the search process of a run again; raises InputError if that is not possible."""
    from napari_menndl.api import resume_search

    run = resume_search(path, budget=budget, wait=False)
    known.remember(run.path)
    return _with_task(run)


def look(path: str | os.PathLike[str], known: KnownRuns) -> Opened:
    """Open a run to watch it; raises InputError if there is none."""
    from napari_menndl.api import open_run

    run = open_run(path)
    known.remember(run.path)
    return _with_task(run)


def annotation_of(layer: Labels, movie: Movie, frames: tuple[int, ...]) -> Annotation:
    """Return the annotation that a labels layer shows; a plain layer counts as annotated on the frames named."""
    annotation = layer.metadata.get("annotation")
    if annotation is not None and annotation.labels is layer.data:
        known: Annotation = annotation
        return known
    labels, limited = np.zeros(movie.shape, np.uint8), {}
    for frame in frames:
        found, inside = annotated_frame(layer, frame)
        if found.shape != movie.shape[1:]:
            raise InputError(
                f"an annotation of {movie.shape[1]} × {movie.shape[2]} px, as the movie has",
                f"{found.shape[0]} × {found.shape[1]} px in the layer {layer.name!r}",
                "Choose the annotation of this movie.",
            )
        labels[frame] = found
        if inside.any() and not inside.all():
            limited[frame] = regions_of(inside)
    made = Annotation.from_labels(labels, frames=list(frames), pixel_size=movie.pixel_size)
    made.steps = movie.steps  # the layer lies over this movie
    for frame, regions in limited.items():
        made.set_regions(frame, regions)
    return made


def _with_task(run: Run) -> Opened:
    task = run.task
    return Opened(run, len(task.class_names), task.frames.shape[-2] * task.frames.shape[-1] / 1e6)
