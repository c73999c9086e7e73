"""Strokes on a labels layer, recorded in the annotation that it shows, with undo and redo."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.notifications import show_error

from napari_menndl.annotation.frame_cache import FrameCache
from napari_menndl.annotation.history import Stroke, claim
from napari_menndl.errors import InputError
from napari_menndl.widgets.layers import annotation_layer
from napari_menndl.widgets.shortcuts import bind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Labels

    from napari_menndl.annotation.annotation import Annotation

#: Bindings that record strokes, by the annotation's path: with two docks or windows there must be one only.
_recording: WeakValueDictionary[str, AnnotationBinding] = WeakValueDictionary()


class AnnotationBinding:
    """Recorder of the strokes on an annotation, with undo and redo, until it is released.

    napari's own undo history is lost when the window closes; `undo` and `redo` of the layer are therefore replaced by
    those of the annotation, whatever key, menu or button calls them.

    Parameters
    ----------
    layer : napari.layers.Labels
        Its data are the annotation's labels.
    annotation : Annotation
    show_frame : callable
        Brings a frame into view, so that what is undone is seen.

    Raises
    ------
    InputError
        If another napari process paints this annotation.
    """

    def __init__(self, layer: Labels, annotation: Annotation, show_frame: Callable[[int], None]) -> None:
        self.layer = layer
        self.annotation = annotation
        self._show_frame = show_frame
        self._painting = False
        self._key = str(annotation.path or id(annotation))
        if earlier := _recording.get(self._key):
            earlier.release()
            # Of two layers of one annotation, in two windows, the one that was bound last is painted.
            earlier.layer.editable = earlier.layer == layer
        self._lock = claim(annotation.path) if annotation.path else None
        _recording[self._key] = self
        self._hold()
        layer.events.paint.connect(self._painted)
        annotation.changes.labels.connect(self._labels_changed)
        annotation.changes.classes.connect(self._classes_changed)
        if annotation.path is not None:
            for name in ("undo", "redo"):
                setattr(layer, name, getattr(self, name))
        self._unbind = [bind(layer, f"class-{n}", partial(self.select, n)) for n in range(1, 10)]

    def release(self) -> None:
        """Unbind layer and annotation; later strokes are still saved, but cannot be undone after napari is closed."""
        if _recording.get(self._key) is not self:
            return
        del _recording[self._key]
        self._release()
        if self._lock is not None:
            self._lock.release()
        self.layer.events.paint.disconnect(self._painted)
        self.annotation.changes.labels.disconnect(self._labels_changed)
        self.annotation.changes.classes.disconnect(self._classes_changed)
        for name in ("undo", "redo"):
            vars(self.layer).pop(name, None)
        for unbind in self._unbind:
            unbind()

    def _hold(self) -> None:
        """Delay saving until the end of a stroke, as napari's own history does, which then calls `_painted`."""
        if isinstance(self.annotation.labels, FrameCache):
            self.annotation.labels.under_way = lambda: getattr(self.layer, "_block_history", False)

    def _release(self) -> None:
        if isinstance(self.annotation.labels, FrameCache):
            self.annotation.labels.under_way = lambda: False
        try:
            self.annotation.flush()
        except InputError as error:
            show_error(str(error))

    def select(self, value: int) -> None:
        """Select the brush of a class, 1 … C."""
        if value <= len(self.annotation.classes):
            self.layer.selected_label = value
            if self.layer.mode not in ("paint", "fill", "polygon"):
                self.layer.mode = "paint"

    def undo(self) -> None:
        self._step(self.annotation.undo)

    def redo(self) -> None:
        self._step(self.annotation.redo)

    def _step(self, step: Callable[[], int | None]) -> None:
        try:
            frame = step()
        except InputError as error:
            show_error(str(error))
            return
        if frame is not None:
            self._show_frame(frame)

    def _painted(self, event: Any) -> None:
        self._painting = True
        try:
            for stroke in strokes_of(event.value, self.annotation.labels):
                self.annotation.record(stroke)
        except InputError as error:
            show_error(str(error))
        finally:
            self._painting = False

    def _labels_changed(self, frame: int) -> None:
        if not self._painting:
            self.layer.refresh()

    def _classes_changed(self) -> None:
        layer, annotation = self.layer, self.annotation
        if layer.data is not annotation.labels:
            layer.data = annotation.labels
            self._hold()
        layer.colormap = DirectLabelColormap(color_dict=annotation_layer(annotation)[1]["colormap"])
        layer.selected_label = int(np.clip(layer.selected_label, 1, len(annotation.classes)))


def strokes_of(atoms: Sequence[Any], labels: Any) -> list[Stroke]:
    """Return the strokes of a paint event, one per frame.

    Parameters
    ----------
    atoms : sequence
        Value of the event ``paint`` of a labels layer, in the order in which they were painted; each a tuple of
        indices, old and new values (``data_setitem``) or, from napari 0.9 on, a rectangle with a mask.
    labels : (T, Y, X) uint8
        The labels now; numpy or zarr. A bucket sends its event before it fills, a brush after the last pixel: values
        under the stroke do not matter.
    """
    changes = [_pixels(atom) for atom in atoms]
    strokes = []
    for t in np.unique(np.concatenate([where[0] for where, *_ in changes])):
        here = [(y[at], x[at], old[at], new[at]) for (frames, y, x), old, new in changes if (at := frames == t).any()]
        y0, x0 = (min(int(part[axis].min()) for part in here) for axis in (0, 1))
        y1, x1 = (max(int(part[axis].max()) for part in here) + 1 for axis in (0, 1))
        before = np.array(labels[int(t), y0:y1, x0:x1], np.uint8)
        for y, x, old, _ in reversed(here):
            before[y - y0, x - x0] = old
        after = before.copy()
        for y, x, _, new in here:
            after[y - y0, x - x0] = new
        strokes.append(Stroke(int(t), (y0, x0), before, after))
    return strokes


def _pixels(atom: Any) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
    """Return the pixels (t, y, x) that change, and their values before and after."""
    if not hasattr(atom, "slice_key"):
        indices, old, new = atom
        where = tuple(np.atleast_1d(np.asarray(axis)) for axis in indices)
    else:
        sides = [range(side.stop)[side] for side in atom.slice_key]
        mask = np.ones([len(side) for side in sides], bool) if atom.mask is None else np.asarray(atom.mask)
        where = tuple(np.asarray(side)[axis] for side, axis in zip(sides, np.nonzero(mask), strict=True))
        old, new = np.asarray(atom.old_values).ravel(), atom.new_value
    return where, np.broadcast_to(old, where[0].shape), np.broadcast_to(new, where[0].shape)
