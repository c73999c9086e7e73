"""Fitting an annotation to a prepared movie: used unchanged, transferred to the prepared frames, or refused."""

from __future__ import annotations

import warnings
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.errors import InputError
from napari_menndl.movie.absent import spans
from napari_menndl.movie.movie import Step, lazy_frames
from napari_menndl.movie.preparation import AS_RECORDED, Average, Bin, describe, same_frames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_menndl.movie.movie import Movie

#: At most this many averages are listed in the warning.
_MOST_TOLD = 6


def fitted(
    annotation: Annotation, steps: Sequence[Step], shape: tuple[int, ...], recorded: tuple[int, ...]
) -> Annotation:
    """Return the annotation fitted to a movie, which may be prepared (`Movie.prepared`).

    An annotation drawn on the recorded frames is shifted and cropped like them; an average gets the labels of its
    annotated frame. If an annotation does not record which frames it was drawn on, its size decides; if the size is
    ambiguous, it is taken as drawn on the recorded frames, but on averages if it has no more frames than these.

    Parameters
    ----------
    annotation : Annotation
    steps : sequence of Step
        Preparation steps of the movie.
    shape, recorded : (T, Y, X)
        Shape of the movie after and before these steps.

    Returns
    -------
    Annotation

    Raises
    ------
    InputError
        If it belongs to a movie of another size or length, or to frames that were prepared differently; if it was drawn
        on recorded frames and these are binned, or annotated differently within one average.

    Warns
    -----
    UserWarning
        If labels are transferred or left out, or it is assumed which frames the annotation was drawn on.
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
            f"numbers count: {now}. If it was drawn on the recorded frames, say so in Python: annotation.steps = ().",
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
        + (carried.sources_text if averaged else "")
        + (
            ""
            if said is not None
            else " If it was drawn on the prepared movie, say so in Python: annotation.steps = …."
        ),
        stacklevel=3,
    )
    return carried.annotation()


def drawn_on(annotation: Annotation, steps: Sequence[Step]) -> bool:
    """Whether an annotation was drawn on frames with these steps; if it has none noted, on the recorded frames."""
    return same_frames(annotation.steps or (), steps)


def check_drawn_on(annotation: Annotation, movie: Movie) -> None:
    """Check that an annotation was drawn on the frames of a movie as they are prepared now.

    Raises
    ------
    InputError
        If it was drawn on frames with other preparation steps.
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
    """Transfer of an annotation of recorded frames to frames that are shifted, cropped and averaged.

    Parameters
    ----------
    annotation : Annotation
    steps : sequence of Step
    shape : (T, Y, X)
        Shape of the movie after these steps.

    Attributes
    ----------
    sources : dict of int to int
        By prepared frame, the recorded frame whose labels it gets: the first annotated one, or the first if none is.

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
    def sources_text(self) -> str:
        """Sentence that lists the recorded frame from which each average gets its labels; "" if there is none."""
        pairs = [(t, k) for t, k in self.sources.items() if self._of.status[k] is not FrameStatus.UNTOUCHED]
        first = ", ".join(f"{t} those of frame {k}" for t, k in pairs[:_MOST_TOLD])
        return f" Labels: average {first}{' …' if len(pairs) > _MOST_TOLD else ''}." if pairs else ""

    def annotation(self) -> Annotation:
        """Return the annotation of the prepared frames."""
        of, (_, height, width) = self._of, self._shape
        status, regions = [], {}
        for t, k in sorted(self.sources.items()):
            status.append(of.status[k])
            if k in of.regions:
                regions[t] = self._regions(k)
                if not regions[t]:  # all regions lie outside the prepared frame
                    status[t] = FrameStatus.UNTOUCHED
        labels = lazy_frames(partial(_labels, of, self._steps, self.sources), (len(status), height, width), np.uint8)
        known = {t: rectangles for t, rectangles in regions.items() if rectangles}
        return Annotation(labels, of.classes, status, known, of.pixel_size, self._steps)

    def _alike(self, one: int, other: int) -> bool:
        """Whether two recorded frames have the same annotation after their transfer to the average."""
        same = self._of.status[one] == self._of.status[other] and self._regions(one) == self._regions(other)
        return same and np.array_equal(_plane(self._of, self._steps, one), _plane(self._of, self._steps, other))

    def _regions(self, k: int) -> list[list[int]]:
        """Return the regions (y0, x0, y1, x1) of a recorded frame, shifted and cropped [px]."""
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
    """Return the labels (Y, X) of a recorded frame, shifted and cropped."""
    plane: Any = annotation.frame(k)
    t = k
    for step in steps:
        plane = step.carried(plane, t)
        t = step.frame_after(t)
    return plane
