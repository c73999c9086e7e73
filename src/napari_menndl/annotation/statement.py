"""Data of an annotation: labels, classes, frame statuses and regions of a movie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_menndl.annotation.classes import (
    DefectClass,
    FrameStatus,
    Region,
    as_classes,
    as_pixel_size,
    as_status,
    make_match_rule,
)
from napari_menndl.errors import InputError, frame_number
from napari_menndl.html import html_table
from napari_menndl.layer_data import annotation_layer, movie_layer
from napari_menndl.metrics.components import label_components
from napari_menndl.movie.identity import few, frame_digest
from napari_menndl.movie.preparation import same_frames
from napari_menndl.views import view

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_menndl.metrics.detection import MatchRule
    from napari_menndl.movie.movie import Movie, Step

#: Number of annotated frames that a notebook shows.
_SHOWN = 6


class AnnotationData:
    """Labels, defect classes, and the annotated parts of each frame.

    Parameters
    ----------
    labels : (T, Y, X) uint8
        numpy or zarr; 0 = nothing marked, c + 1 = class c.
    classes : sequence of DefectClass or str
    status : sequence of FrameStatus, optional
        One per frame; untouched if omitted.
    regions : mapping of frame to regions (y0, x0, y1, x1), optional
        The fully annotated parts [px].
    pixel_size : (y, x) float [nm], optional
    steps : sequence of Step, optional
        Preparation steps of the annotated movie (`Movie.prepared`): empty for the movie as recorded; None if unknown.
    digests : mapping of frame to str, optional
        Digests of the movie's annotated frames (`movie.identity`), as far as they are known.

    Raises
    ------
    InputError
        Labels of another shape or type; more statuses than frames; regions outside the frame.
    """

    def __init__(
        self,
        labels: Any,
        classes: Sequence[DefectClass | str],
        status: Sequence[FrameStatus | str] | None = None,
        regions: Mapping[int, Iterable[Sequence[int]]] | None = None,
        pixel_size: tuple[float, float] | None = None,
        steps: Sequence[Step] | None = None,
        digests: Mapping[int, str] | None = None,
    ) -> None:
        if getattr(labels, "ndim", None) != 3 or labels.dtype != np.uint8 or 0 in labels.shape:
            raise InputError(
                "labels of (T, Y, X) uint8",
                f"{getattr(labels, 'dtype', type(labels).__name__)} of shape {getattr(labels, 'shape', None)}",
                "Use Annotation.from_labels(array), which converts.",
            )
        self.labels = labels
        self._classes = as_classes(classes)
        given = [FrameStatus.UNTOUCHED] * len(self) if status is None else status
        self._status = tuple(as_status(s) for s in given)
        if len(self._status) != len(self):
            raise InputError(
                f"one status per frame, {len(self)} in all", f"{len(self._status)}", "Give one for each frame."
            )
        self._regions = {self._frame_index(t): self._as_regions(r) for t, r in (regions or {}).items()}
        self.pixel_size = as_pixel_size(pixel_size)
        self.steps = None if steps is None else tuple(steps)
        self._digests = dict(digests or {})
        self._compared: WeakKeyDictionary[Movie, dict[tuple[int, str], bool]] = WeakKeyDictionary()

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    def __repr__(self) -> str:
        names = ", ".join(c.name for c in self._classes)
        touched = sum(s is not FrameStatus.UNTOUCHED for s in self._status)
        return f"Annotation({touched} of {len(self)} frames, {self.shape[1]} x {self.shape[2]} px, classes: {names})"

    def view(self, movie: Movie | None = None) -> Any:
        """Open napari with the annotation, over its movie if it is given, and return the viewer; see `views.view`.

        Strokes change the annotation.
        """
        beneath = [] if movie is None else [movie_layer(self.drawn_on(movie))]
        return view([*beneath, annotation_layer(self, movie.frame_time if movie is not None else None)])

    def _repr_html_(self) -> str:
        """Return the classes with the number of their defects on each annotated frame, for a notebook."""
        frames = [t for t, status in enumerate(self._status) if status is not FrameStatus.UNTOUCHED]
        shown = frames[:_SHOWN]
        counts = [self.counts(t) for t in shown]
        rows = [(name, *(count[name] for count in counts)) for name in self.class_names]
        titles = ["defects", *(f"frame {t}" for t in shown)]
        more = f"; {len(frames) - len(shown)} more annotated frames" if len(frames) > len(shown) else ""
        return html_table(rows, titles, f"{self!r}{more}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the labels, (T, Y, X)."""
        t, y, x = self.labels.shape
        return int(t), int(y), int(x)

    @property
    def classes(self) -> tuple[DefectClass, ...]:
        """Defect classes; class c has the label c + 1."""
        return self._classes

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self._classes)

    @property
    def status(self) -> tuple[FrameStatus, ...]:
        """Status of each frame."""
        return self._status

    @property
    def regions(self) -> dict[int, tuple[Region, ...]]:
        """Regions by frame (a copy)."""
        return dict(self._regions)

    @property
    def digests(self) -> dict[int, str]:
        """Digests of the movie's annotated frames, as far as they are known (a copy)."""
        return dict(self._digests)

    def drawn_on(self, movie: Movie) -> Movie:
        """Return the movie as it was annotated: unchanged if the preparation steps agree, else as it was recorded."""
        prepared_alike = not movie.steps or same_frames(self.steps or (), movie.steps)
        return movie if prepared_alike else movie.raw

    def is_same_frame(self, t: int, movie: Movie) -> bool | None:
        """Whether a movie's frame is the one that was annotated; None if that cannot be determined.

        The frame is read once, from the movie as it was annotated (`drawn_on`).
        """
        movie = self.drawn_on(movie)
        if (noted := self._digests.get(t)) is None:
            return None
        known = self._compared.setdefault(movie, {})
        try:
            if (t, noted) not in known:
                known[t, noted] = frame_digest(movie, t) == noted
        except InputError:
            return None
        return known[t, noted]

    def changed_frames(self, movie: Movie, most: int = 20) -> list[int]:
        """Return annotated frames that differ in the movie now; at most `most` frames are compared."""
        return [t for t in few(sorted(self._digests), most) if self.is_same_frame(t, movie) is False]

    def is_of(self, movie: Movie) -> bool | None:
        """Whether it belongs to a movie, judged by a few annotated frames; None if that cannot be determined."""
        told = [same for t in few(sorted(self._digests)) if (same := self.is_same_frame(t, movie)) is not None]
        return any(told) if told else None

    def frame(self, t: int) -> npt.NDArray[np.uint8]:
        """(Y, X) uint8: the labels of one frame; InputError if they are damaged on disk."""
        t = self._frame_index(t)
        try:
            labels: npt.NDArray[np.uint8] = np.asarray(self.labels[t])
        except Exception as error:  # for a damaged chunk each of zarr's codecs raises its own errors
            raise InputError(
                f"readable labels of frame {t}", f"{type(error).__name__}: {error}", "Restore them from a copy."
            ) from error
        return labels

    def known(self, t: int) -> npt.NDArray[np.bool_]:
        """(Y, X) bool: pixels whose label is known; there, 0 means "no defect".

        Untouched: none. With regions: those inside them. Complete without regions: all.
        In progress without regions: only the marked ones, since the rest may not have been looked at.
        """
        t = self._frame_index(t)
        status, regions = self._status[t], self._regions.get(t, ())
        known = np.zeros(self.shape[1:], bool)
        if status is FrameStatus.UNTOUCHED:
            return known
        if regions:
            for y0, x0, y1, x1 in regions:
                known[y0:y1, x0:x1] = True
            return known
        return ~known if status is FrameStatus.COMPLETE else self.frame(t) > 0

    def next_unannotated(self, t: int) -> int | None:
        """Return the next frame that is not complete: after frame t and, at the end, again from the first one.

        Returns
        -------
        int or None
            None if every other frame is complete.
        """
        around = [*range(t + 1, len(self)), *range(min(t, len(self)))]
        return next((frame for frame in around if self._status[frame] is not FrameStatus.COMPLETE), None)

    def counts(self, t: int) -> dict[str, int]:
        """Return the number of labelled defects of each class on a frame."""
        labels = self.frame(t)
        return {
            defect.name: len(label_components(labels == c + 1, min_area=1)) for c, defect in enumerate(self._classes)
        }

    def frames_with(self, name: str | int | DefectClass) -> list[int]:
        """Return the frames with labels of a class."""
        value = self.class_index(name) + 1
        return [t for t in range(len(self)) if (self.frame(t) == value).any()]

    def check(self, movie_shape: tuple[int, ...]) -> None:
        """Check that the annotation fits a movie; it may have fewer frames than the movie.

        Raises
        ------
        InputError
            Frames of another size, or more frames than the movie has.
        """
        if tuple(movie_shape[-2:]) != self.shape[1:]:
            turned = tuple(movie_shape[-2:]) == self.shape[:0:-1]
            raise InputError(
                f"an annotation of frames of {movie_shape[-2]} x {movie_shape[-1]} px, as in the movie",
                f"one of {self.shape[1]} x {self.shape[2]} px{', rows and columns exchanged' if turned else ''}",
                "Transpose the labels, (X, Y) to (Y, X), and save them again."
                if turned
                else "Open the annotation that belongs to this movie; neither may be cropped or binned alone.",
            )
        if len(movie_shape) == 3 and len(self) > movie_shape[0]:
            raise InputError(
                f"an annotation of at most {movie_shape[0]} frames, as in the movie",
                f"one of {len(self)} frames",
                "Open the annotation that belongs to this movie, or name the frames that are labelled: "
                "Annotation.from_labels(array, frames=[…]).",
            )

    def class_index(self, name: str | int | DefectClass) -> int:
        """Return the index of a class, given by name, index or as a class.

        Raises
        ------
        InputError
            No such class.
        """
        if isinstance(name, int) and 0 <= name < len(self._classes):
            return name
        wanted = name.name if isinstance(name, DefectClass) else name
        if wanted in self.class_names:
            return self.class_names.index(str(wanted))
        raise InputError(f"one of the classes {', '.join(self.class_names)}", repr(name), "Correct the class's name.")

    def match_rule(self, name: str | int | DefectClass) -> MatchRule:
        """Return the match rule of a class, with a tolerance in px from the class or from the annotated defects."""
        index = self.class_index(name)
        defect = self._classes[index]
        areas = [
            label_components(self.frame(t) == index + 1, min_area=1).areas
            for t, status in enumerate(self._status)
            if status is not FrameStatus.UNTOUCHED
        ]
        return make_match_rule(defect, np.concatenate([np.zeros(0, np.int64), *areas]), self.pixel_size)

    def to_points(self, t: int | None = None) -> pd.DataFrame:
        """Return the centres of the labelled defects.

        Parameters
        ----------
        t : int, optional
            One frame; if omitted, all frames that are not untouched.

        Returns
        -------
        DataFrame
            Columns y, x : float [px], class : str, frame : int; `from_points` reads it, also saved by ``to_csv``.
        """
        frames = [t for t, s in enumerate(self._status) if s is not FrameStatus.UNTOUCHED] if t is None else [t]
        rows = [
            (y, x, defect.name, self._frame_index(t))
            for t in frames
            for c, defect in enumerate(self._classes)
            for y, x in label_components(self.frame(t) == c + 1, min_area=1).centres
        ]
        return pd.DataFrame(rows, columns=["y", "x", "class", "frame"])

    def _as_regions(self, regions: Iterable[Sequence[int]]) -> tuple[Region, ...]:
        try:
            return tuple(Region(*region).clipped(*self.shape[1:]) for region in regions)
        except InputError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(
                "regions of four numbers each, (y0, x0, y1, x1)", f"{regions!r} ({error})", "Give one for each part."
            ) from error

    def _frame_index(self, t: int) -> int:
        return frame_number(t, len(self), "Choose a frame of the annotation.")
