"""Editing of an annotation: each change is written to disk before the call returns, and signalled."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal, SignalGroup

from napari_menndl.annotation.classes import COLOURS, DefectClass, FrameStatus, as_classes, as_status
from napari_menndl.annotation.clicks.discs import draw_discs
from napari_menndl.annotation.frame_cache import FrameCache, cached
from napari_menndl.annotation.history import Stroke
from napari_menndl.annotation.statement import AnnotationData
from napari_menndl.annotation.storage import renumber, to_attributes
from napari_menndl.errors import InputError
from napari_menndl.files import fsync_soon
from napari_menndl.movie.identity import frame_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from napari_menndl.annotation.history import History
    from napari_menndl.movie.movie import Movie


class Changes(SignalGroup):
    """Signals of changes, with the frame they are on."""

    labels = Signal(int)
    status = Signal(int)
    regions = Signal(int)
    classes = Signal()


class EditableAnnotation(AnnotationData):
    """An annotation that can be changed, in memory or on disk.

    Attributes
    ----------
    changes : Changes
        Signals ``labels``, ``status`` and ``regions``, each with the frame, and ``classes``.
    movie : Movie or None
        The annotated movie, if known: the digest of each frame is recorded when the frame is annotated.
    """

    def __init__(self, labels: Any, classes: Sequence[DefectClass | str], *args: Any, **kwargs: Any) -> None:
        super().__init__(labels, classes, *args, **kwargs)
        self.changes = Changes()
        self.movie: Movie | None = None
        self._group: Any = None
        self._history: History | None = None

    # Frames -----------------------------------------------------------------------------------------------------------

    def set_status(self, t: int, status: FrameStatus | str) -> None:
        """Set the status of a frame, record the frame's digest, and write both."""
        t = self._frame_index(t)
        changed = (*self._status[:t], as_status(status), *self._status[t + 1 :])
        self._write(status=changed, digests=self._noted([t]))
        self.changes.status.emit(t)

    def set_regions(self, t: int, regions: Iterable[Sequence[int]]) -> None:
        """Replace the fully annotated parts (y0, x0, y1, x1) [px] of a frame; if untouched, it becomes in progress."""
        t = self._frame_index(t)
        made = self._as_regions(regions)
        kept = {k: r for k, r in self._regions.items() if k != t}
        status = list(self._status)
        if made and status[t] is FrameStatus.UNTOUCHED:
            status[t] = FrameStatus.IN_PROGRESS
        began = tuple(status) != self._status
        noted = self._digests if t in self._digests else self._noted([t])
        self._write(regions={**kept, t: made} if made else kept, status=tuple(status), digests=noted)
        self.changes.regions.emit(t)
        if began:
            self.changes.status.emit(t)

    def note(self, movie: Movie) -> None:
        """Set the annotated movie, record the digests of its annotated frames, and write them."""
        self.movie = movie
        self._write(digests=self._noted([t for t, s in enumerate(self._status) if s is not FrameStatus.UNTOUCHED]))

    def _noted(self, frames: Iterable[int]) -> dict[int, str]:
        """Return the digests, with those of `frames` updated from the movie as far as they can be read."""
        found = dict(self._digests)
        if self.movie is None:
            return found
        movie = self.drawn_on(self.movie)
        for t in frames:
            with suppress(InputError):
                found[t] = frame_digest(movie, t)
        return found

    # Labels -----------------------------------------------------------------------------------------------------------

    def paint(self, t: int, labels: npt.NDArray[np.uint8]) -> bool:
        """Replace the labels (Y, X) uint8 of a frame, as one stroke; return False if nothing differs.

        Raises
        ------
        InputError
            Labels of another shape or above the number of classes; an annotation that cannot be written.
        """
        labels = np.asarray(labels)
        if labels.shape != self.shape[1:] or labels.max(initial=0) > len(self._classes):
            raise InputError(
                f"labels 0 to {len(self._classes)} of {self.shape[1]} x {self.shape[2]} px",
                f"0 to {labels.max(initial=0)} of shape {labels.shape}",
                "Add the class first, or take the frame whole.",
            )
        stroke = Stroke.between(self._frame_index(t), self.frame(t), labels.astype(np.uint8))
        if stroke is None:
            return False
        with _writing():
            self._put(stroke, stroke.after)
        self.record(stroke)
        return True

    def record(self, stroke: Stroke) -> None:
        """Add a stroke, already painted into `labels`, to the history; an untouched frame becomes in progress.

        Raises
        ------
        InputError
            If the annotation cannot be written.
        """
        with _writing():
            self.flush()
            if self._history is not None:
                self._history.record(stroke)
        if self._status[stroke.frame] is FrameStatus.UNTOUCHED:
            self.set_status(stroke.frame, FrameStatus.IN_PROGRESS)
        elif stroke.frame not in self._digests and self.movie is not None:
            self._write(digests=self._noted([stroke.frame]))
        self.changes.labels.emit(stroke.frame)

    def flush(self) -> None:
        """Write what is painted of the current stroke; if that fails, InputError, and it stays in memory."""
        if isinstance(self.labels, FrameCache):
            with _writing():
                self.labels.flush()

    @property
    def can_undo(self) -> bool:
        return self._history is not None and self._history.can_undo

    @property
    def can_redo(self) -> bool:
        return self._history is not None and self._history.can_redo

    def undo(self) -> int | None:
        """Undo the last stroke and return its frame, or None if there is none.

        An annotation in memory has no history. The pixels that the stroke changed get their labels from before it, even
        if something else has changed them since.
        """
        history = self._history
        stroke = history.to_undo() if history else None
        if history is None or stroke is None:
            return None
        # Labels first: after a crash in between, the stroke is undone again, with the same result.
        with _writing():
            self._put(stroke, stroke.before)
            history.undone()
        self.changes.labels.emit(stroke.frame)
        return stroke.frame

    def redo(self) -> int | None:
        """Redo the last undone stroke and return its frame, or None if there is none."""
        history = self._history
        stroke = history.to_redo() if history else None
        if history is None or stroke is None:
            return None
        with _writing():
            self._put(stroke, stroke.after)
            history.redone()
        self.changes.labels.emit(stroke.frame)
        return stroke.frame

    def draw_points(
        self,
        t: int,
        centres: npt.NDArray[np.float64],
        values: npt.NDArray[np.uint8],
        radius: float,
        *,
        instead: bool = False,
    ) -> bool:
        """Draw a disc around each point, as one stroke; return False if nothing changes.

        Parameters
        ----------
        t : int
        centres : (n, 2) float64
            (y, x) [px].
        values : (n,) uint8
            Label of each disc.
        radius : float
            [nm] if the pixel size is known, else [px].
        instead : bool
            Remove the existing point defects (those of classes that are not extended) first.

        Raises
        ------
        InputError
            As in `paint`; a radius that is not positive or not below the frame's size.
        """
        pixel = 1.0 if self.pixel_size is None else float(np.sqrt(np.prod(self.pixel_size)))
        if not 0 < radius / pixel < max(self.shape[1:]):
            raise InputError("a radius, positive and below the frame's size", f"{radius:g}", "Correct the radius.")
        labels = self.frame(t).copy()
        if instead:
            labels[np.isin(labels, [c for c, d in enumerate(self._classes, start=1) if not d.extended])] = 0
        discs = draw_discs(np.asarray(centres, float).reshape(-1, 2), values, self.shape[1:], radius / pixel)
        return self.paint(t, np.where(discs > 0, discs, labels))

    # Classes ----------------------------------------------------------------------------------------------------------

    @property
    def classes(self) -> tuple[DefectClass, ...]:
        """Defect classes; class c has the label c + 1. Assignment writes them; labels keep their numbers."""
        return self._classes

    @classes.setter
    def classes(self, classes: Sequence[DefectClass | str]) -> None:
        self._write(classes=as_classes(classes))
        self.changes.classes.emit()

    def add_class(self, name: str) -> DefectClass:
        """Add a class, in an unused colour as long as there is one.

        Raises
        ------
        InputError
            An empty name, one that exists already, or too many classes.
        """
        taken = [c.colour for c in self._classes]
        colour = next((c for c in COLOURS if c not in taken), COLOURS[len(taken) % len(COLOURS)])
        self.classes = (*self._classes, DefectClass(name, colour))
        return self._classes[-1]

    def change_class(self, which: str | int | DefectClass, **changed: Any) -> None:
        """Change fields of a class: ``name``, ``colour``, ``extended``, ``tolerance``.

        Raises
        ------
        InputError
            No such class, or an invalid value.
        """
        index = self.class_index(which)
        self.classes = [replace(c, **changed) if i == index else c for i, c in enumerate(self._classes)]

    def remove_class(self, name: str | int | DefectClass) -> None:
        """Remove a class and its labels on all frames, and clear the history.

        Raises
        ------
        InputError
            No such class, the only one, or an annotation that cannot be written.
        """
        index = self.class_index(name)
        kept = [c for i, c in enumerate(self._classes) if i != index]
        classes = as_classes(kept)
        numbers = np.arange(256, dtype=np.uint8)
        numbers[index + 1] = 0
        numbers[index + 2 :] -= 1
        if self._group is None:
            self.labels = numbers[np.asarray(self.labels)]
            self._classes = classes
        else:
            attributes = self._attributes() | {"classes": to_attributes(classes, (), {}, None)["classes"]}
            with _writing():
                self.flush()
                if self._history is not None:
                    self._history.clear()  # its strokes have the old label numbers
                stored = self.labels.stored if isinstance(self.labels, FrameCache) else self.labels
                self.labels = cached(renumber(self._group, stored, numbers, attributes))
            self._classes = classes
        self.changes.classes.emit()

    # On disk ----------------------------------------------------------------------------------------------------------

    def _put(self, stroke: Stroke, wanted: npt.NDArray[np.uint8]) -> None:
        """Set the pixels that a stroke changed to `wanted`, and write them."""
        place = (slice(stroke.frame, stroke.frame + 1), *stroke.box)
        there = np.asarray(self.labels[place])[0]
        self.labels[place] = np.where(stroke.before != stroke.after, wanted, there)[np.newaxis]
        self.flush()

    def _write(self, **changed: Any) -> None:
        before = {name: getattr(self, f"_{name}") for name in changed}
        for name, value in changed.items():
            setattr(self, f"_{name}", value)
        if self._group is None:
            return
        was = before.get("status", self._status)
        began = [t for t, status in enumerate(self._status) if status is not was[t] is FrameStatus.UNTOUCHED]
        try:
            with _writing():
                for t in began if isinstance(self.labels, FrameCache) else ():
                    self.labels.keep(t)
                self._group.attrs.update(self._attributes())
                fsync_soon(Path(self._group.store.root) / "zarr.json")
        except InputError:
            for name, value in before.items():
                setattr(self, f"_{name}", value)
            raise

    def _attributes(self) -> dict[str, Any]:
        return to_attributes(self._classes, self._status, self._regions, self.pixel_size, self.steps, self._digests)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(
            "an annotation that can be written", str(error), "Open it with mode='r+', or save a copy elsewhere."
        ) from error
