"""An annotation and a movie that was prepared: made for each other, carried over, or refused."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.errors import InputError
from napari_menndl.movie.movie import lazy_frames
from napari_menndl.movie.preparation import AS_RECORDED, Average, Bin, Step, describe, same_frames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_menndl.movie.movie import Movie


def fitted(
    annotation: Annotation, steps: Sequence[Step], shape: tuple[int, ...], recorded: tuple[int, ...]
) -> Annotation:
    """The annotation for a movie, which may be prepared (`Movie.prepared`).

    One that was drawn on the recorded frames is moved and cut as they are. Where an annotation does not say what it
    was drawn on, its size tells; where that does not, it is taken as drawn on the recorded frames.

    Parameters
    ----------
    annotation : Annotation
    steps : sequence of Step
        What was done to the movie.
    shape, recorded : (T, Y, X)
        Of the movie now, and before anything was done to it.

    Returns
    -------
    Annotation

    Raises
    ------
    InputError
        If it belongs to a movie of another size or length, or to frames that were prepared otherwise; if it was drawn
        on recorded frames and these are averaged or binned.

    Warns
    -----
    UserWarning
        Whatever is carried over or taken on trust.
    """
    said = annotation.steps
    if not steps if said is None else same_frames(said, steps):
        annotation.check(shape)
        return annotation
    now = describe(steps) or AS_RECORDED
    mixed = any(isinstance(step, Average | Bin) for step in steps)
    if said or (said is not None and mixed):
        raise _of_others(said, steps)
    fits_now = annotation.shape[1:] == tuple(shape[-2:]) and len(annotation) <= shape[0]
    fits_recorded = annotation.shape[1:] == tuple(recorded[-2:]) and len(annotation) <= recorded[0]
    if said is None and fits_now and (mixed or not fits_recorded):
        warnings.warn(
            "The annotation does not say what it was drawn on: it is taken as one of the prepared movie, whose frame "
            f"numbers count: {now}.",
            stacklevel=3,
        )
        return annotation
    if mixed or not fits_recorded:
        count, height, width = annotation.shape
        raise InputError(
            f"an annotation of {shape[0]} frames of {shape[1]} × {shape[2]} px: {now}",
            f"one of {count} frame{'' if count == 1 else 's'} of {height} × {width} px",
            "Annotate the prepared movie: averages and binned frames have labels of their own."
            if mixed
            else "Open the annotation that belongs to this movie.",
        )
    warnings.warn(
        f"The annotation is taken as one of the recorded frames, and is moved and cut as they are: {now}."
        + ("" if said is not None else " If it was drawn on the prepared movie, say so: annotation.steps = …"),
        stacklevel=3,
    )
    return _carried(annotation, steps, shape)


def drawn_on(annotation: Annotation, steps: Sequence[Step]) -> bool:
    """Whether an annotation was drawn on frames prepared like this; one that does not say it, on recorded ones."""
    return same_frames(annotation.steps or (), steps)


def check_drawn_on(annotation: Annotation, movie: Movie) -> None:
    """Make sure that an annotation that lies over a movie was drawn on just these frames.

    Raises
    ------
    InputError
        If they were prepared otherwise.
    """
    if not drawn_on(annotation, movie.steps):
        raise _of_others(annotation.steps or (), movie.steps)


def _of_others(others: Sequence[Step], steps: Sequence[Step]) -> InputError:
    return InputError(
        f"an annotation of these frames: {describe(steps) or AS_RECORDED}",
        f"one of {f'frames that were {describe(others)}' if others else AS_RECORDED}",
        "Annotate the prepared movie, or prepare the movie as it was when it was annotated.",
    )


def _carried(annotation: Annotation, steps: Sequence[Step], shape: tuple[int, ...]) -> Annotation:
    """An annotation of recorded frames as one of frames that are moved and cut."""
    regions = {}
    for t, rectangles in annotation.regions.items():
        corners = np.reshape(rectangles, (-1, 2))
        for step in steps:
            corners = corners - step.points_before(np.zeros((1, 2)), t).astype(int)
        corners = corners.clip(0, shape[-2:])
        kept = [r for r in corners.reshape(-1, 4).tolist() if r[0] < r[2] and r[1] < r[3]]
        regions[t] = kept
    status = [
        "untouched" if t in regions and not regions[t] else one  # nothing is left of what was looked at
        for t, one in enumerate(annotation.status)
    ]
    labels = lazy_frames(partial(_labels, annotation, steps), (len(annotation), shape[-2], shape[-1]), np.uint8)
    known = {t: rectangles for t, rectangles in regions.items() if rectangles}
    return Annotation(labels, annotation.classes, status, known, annotation.pixel_size, steps)


def _labels(annotation: Annotation, steps: Sequence[Step], t: int) -> NDArray[np.uint8]:
    plane: Any = annotation.frame(t)
    for step in steps:
        plane = step.carried(plane, t)
    return plane
