"""Conversion of napari's paint events to the strokes of an annotation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.annotation.history import Stroke

if TYPE_CHECKING:
    from collections.abc import Sequence


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
