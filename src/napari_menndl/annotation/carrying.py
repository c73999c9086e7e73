"""An annotation and a movie that was prepared: made for each other, carried over, or refused."""

from __future__ import annotations

import warnings
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.errors import InputError
from napari_menndl.movie.absent import spans
from napari_menndl.movie.movie import lazy_frames
from napari_menndl.movie.preparation import AS_RECORDED, Average, Bin, Step, describe, same_frames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_menndl.movie.movie import Movie

#: So many frames that are carried onto averages are named.
_MOST_TOLD = 6


def fitted(
    annotation: Annotation, steps: Sequence[Step], shape: tuple[int, ...], recorded: tuple[int, ...]
) -> Annotation:
    """The annotation for a movie, which may be prepared (`Movie.prepared`).

    One that was drawn on the recorded frames is moved and cut as they are; an average takes the labels of the one of
    its frames that is annotated. Where an annotation does not say what it was drawn on, its size tells; where that does
    not, it is taken as drawn on the recorded frames, or on the averages if it is not too long for that.

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
        on recorded frames and these are binned, or annotated differently within one average.

    Warns
    -----
    UserWarning
        Whatever is carried over, left out or taken on trust.
    """
    said = annotation.steps
    if not steps if said is None else same_frames(said, steps):
        annotation.check(shape)
        return annotation
    now = describe(steps) or AS_RECORDED
    binned = any(isinstance(step, Bin) for step in steps)
    averaged = any(isinstance(step, Average) for step in steps)
    if said or (said is not None and binned):
        raise _of_others(said, steps)
    fits_now = annotation.shape[1:] == tuple(shape[-2:]) and len(annotation) <= shape[0]
    fits_recorded = annotation.shape[1:] == tuple(recorded[-2:]) and len(annotation) <= recorded[0]
    if said is None and fits_now and (averaged or binned or not fits_recorded):
        warnings.warn(
            "The annotation does not say what it was drawn on: it is taken as one of the prepared movie, whose frame "
            f"numbers count: {now}. If it was drawn on the recorded frames, say so: annotation.steps = ()",
            stacklevel=3,
        )
        return annotation
    if binned or not fits_recorded:
        count, height, width = annotation.shape
        raise InputError(
            f"an annotation of {shape[0]} frames of {shape[1]} × {shape[2]} px: {now}",
            f"one of {count} frame{'' if count == 1 else 's'} of {height} × {width} px",
            "Annotate the prepared movie: binned frames have labels of their own."
            if binned
            else "Open the annotation that belongs to this movie.",
        )
    carried = _Carried(annotation, steps, shape)
    warnings.warn(
        f"The annotation is taken as one of the recorded frames, and is moved and cut as they are: {now}."
        + (carried.told if averaged else "")
        + ("" if said is not None else " If it was drawn on the prepared movie, say so: annotation.steps = …"),
        stacklevel=3,
    )
    return carried.annotation()


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


class _Carried:
    """An annotation of recorded frames as one of frames that are moved, cut and averaged.

    Parameters
    ----------
    annotation : Annotation
    steps : sequence of Step
    shape : (T, Y, X)
        Of the movie after them.

    Attributes
    ----------
    sources : dict of int to int
        The frame whose labels a prepared frame takes; where none is annotated, that is the first.

    Raises
    ------
    InputError
        Frames of one average that are annotated differently.
    """

    def __init__(self, annotation: Annotation, steps: Sequence[Step], shape: tuple[int, ...]) -> None:
        self._of, self._steps, self._shape = annotation, steps, shape
        self.sources: dict[int, int] = {}
        left_out = []
        for k, status in enumerate(annotation.status):
            t = reduce(lambda number, step: step.frame_after(number), steps, k)
            before = self.sources.setdefault(t, k)
            if status is FrameStatus.UNTOUCHED or before == k:
                continue
            if annotation.status[before] is FrameStatus.UNTOUCHED:
                self.sources[t] = k
            elif not self._alike(before, k):
                raise InputError(
                    f"one annotated frame in each average, or several that are annotated alike: {describe(steps)}",
                    f"frames {before} and {k}, both in average {t}, with different labels",
                    "Annotate the averages, or set all but one of these frames to untouched.",
                )
        for t in [t for t in self.sources if t >= shape[0]]:
            k = self.sources.pop(t)
            left_out += [] if annotation.status[k] is FrameStatus.UNTOUCHED else [k]
        if left_out:
            warnings.warn(
                f"Frame{'' if len(left_out) == 1 else 's'} {spans(left_out)} of the annotation, at the end of the "
                "movie, make no whole average: left out.",
                stacklevel=4,
            )

    @property
    def told(self) -> str:
        """Which frames of the recording stand for which averages, as a sentence."""
        pairs = [(t, k) for t, k in self.sources.items() if self._of.status[k] is not FrameStatus.UNTOUCHED]
        first = ", ".join(f"{t} those of frame {k}" for t, k in pairs[:_MOST_TOLD])
        return f" Labels: average {first}{' …' if len(pairs) > _MOST_TOLD else ''}." if pairs else ""

    def annotation(self) -> Annotation:
        """The annotation that lies over the prepared frames."""
        of, (_, height, width) = self._of, self._shape
        status, regions = [], {}
        for t, k in sorted(self.sources.items()):
            status.append(of.status[k])
            if k in of.regions:
                regions[t] = self._regions(k)
                if not regions[t]:  # nothing is left of what was looked at
                    status[t] = FrameStatus.UNTOUCHED
        labels = lazy_frames(partial(_labels, of, self._steps, self.sources), (len(status), height, width), np.uint8)
        known = {t: rectangles for t, rectangles in regions.items() if rectangles}
        return Annotation(labels, of.classes, status, known, of.pixel_size, self._steps)

    def _alike(self, one: int, other: int) -> bool:
        """Whether two recorded frames are annotated alike, where both lie in the average."""
        same = self._of.status[one] == self._of.status[other] and self._regions(one) == self._regions(other)
        return same and np.array_equal(_plane(self._of, self._steps, one), _plane(self._of, self._steps, other))

    def _regions(self, k: int) -> list[list[int]]:
        """The regions (y0, x0, y1, x1) of a recorded frame, moved and cut."""
        corners = np.reshape(self._of.regions.get(k, ()), (-1, 2)).astype(int)
        t = k
        for step in self._steps:
            corners = corners - step.points_before(np.zeros((1, 2)), t).astype(int)
            t = step.frame_after(t)
        corners = corners.clip(0, self._shape[-2:])
        return [r for r in corners.reshape(-1, 4).tolist() if r[0] < r[2] and r[1] < r[3]]


def _labels(annotation: Annotation, steps: Sequence[Step], sources: dict[int, int], t: int) -> NDArray[np.uint8]:
    return _plane(annotation, steps, sources[t])


def _plane(annotation: Annotation, steps: Sequence[Step], k: int) -> NDArray[np.uint8]:
    """The labels of a recorded frame, moved and cut."""
    plane: Any = annotation.frame(k)
    t = k
    for step in steps:
        plane = step.carried(plane, t)
        t = step.frame_after(t)
    return plane
