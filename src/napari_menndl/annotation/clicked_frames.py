"""Clicked points and their discs: changes of a frame's labels when points are added, removed or moved."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_menndl.annotation.clicks.discs import draw_discs

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari_menndl.annotation.annotation import Annotation

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Click:
    """A clicked point in an annotation.

    Attributes
    ----------
    frame : int
    y, x : float [px]
    value : int
        Label of its class.
    radius : float [px]
        Radius of its disc.
    pixels : (n,) int, or None
        Its pixels if it is not a disc but an existing defect: indices into the flattened frame.
    """

    frame: int
    y: float
    x: float
    value: int
    radius: float
    pixels: npt.NDArray[np.intp] | None = field(default=None, repr=False)

    def marks(self, shape: tuple[int, int]) -> Labels:
        """(Y, X) uint8: the labels of this click alone."""
        return draw(shape, [self])


def draw(shape: tuple[int, int], clicks: Collection[Click]) -> Labels:
    """(Y, X) uint8: the labels of several clicks, one defect each."""
    discs = [click for click in clicks if click.pixels is None]
    centres = np.array([(click.y, click.x) for click in discs], float).reshape(-1, 2)
    values = np.array([click.value for click in discs], np.uint8)
    image = draw_discs(centres, values, shape, np.array([click.radius for click in discs]))
    for click in clicks:
        if click.pixels is not None:
            image.flat[click.pixels] = click.value
    return image


class ClickedFrames:
    """The clicks on each frame of an annotation, and their discs in its labels.

    Labels made otherwise are kept: those under a disc are stored, and restored when it is removed. When the labels of
    a frame return to an earlier state (by undo or redo), so do its clicks.

    Parameters
    ----------
    annotation : Annotation
    """

    def __init__(self, annotation: Annotation) -> None:
        self._annotation = annotation
        self._clicks: dict[int, tuple[Click, ...]] = {}
        self._below: dict[int, dict[int, int]] = {}
        self._seen: dict[tuple[int, bytes], tuple[tuple[Click, ...], dict[int, int]]] = {}

    @property
    def clicks(self) -> list[Click]:
        """All clicks, in the order of frames."""
        return [click for t in sorted(self._clicks) for click in self._clicks[t]]

    def on(self, t: int) -> tuple[Click, ...]:
        """Return the clicks on a frame."""
        return self._clicks.get(t, ())

    def adopt(self, t: int, clicks: Collection[Click]) -> None:
        """Register clicks for defects that are labelled on a frame already; the labels do not change."""
        self._clicks[t] = tuple(clicks)
        self._note(t, self._annotation.frame(t))

    def change(self, t: int, clicks: Collection[Click]) -> bool:
        """Replace the clicks on a frame and update its labels; return whether these changed.

        Raises
        ------
        InputError
            If the labels cannot be written.
        """
        before, after = self.on(t), tuple(clicks)
        labels, shape = self._annotation.frame(t), self._annotation.shape[1:]
        self._note(t, labels)
        old, new = draw(shape, before), draw(shape, after)
        below, result = dict(self._below.get(t, {})), labels.copy()
        gone = np.flatnonzero((old != new) & (old > 0) & (labels == old))
        result.flat[gone] = [below.pop(int(i), 0) for i in gone]
        drawn = (old != new) & (new > 0)
        below |= {int(i): int(result.flat[i]) for i in np.flatnonzero(drawn & (result > 0))}
        for value in np.unique(new[drawn]):
            # A line of other pixels separates a new disc from an existing defect of its class.
            others = (result == value) & (old != value)
            drawn &= ~((new == value) & ndimage.binary_dilation(others, np.ones((3, 3), bool)))
        result[drawn] = new[drawn]
        changed = self._annotation.paint(t, result)
        self._clicks[t], self._below[t] = after, below
        self._note(t, result)
        return changed

    def follow(self, t: int) -> bool:
        """Update a frame's clicks after its labels were changed elsewhere; return whether the clicks changed."""
        if t not in self._clicks:
            return False
        labels, before = self._annotation.frame(t), self.on(t)
        known = self._seen.get((t, _digest(labels)))
        if known is not None:
            self._clicks[t], self._below[t] = known
        else:
            marks = [click.marks(labels.shape) for click in before]
            kept = [bool((labels[mark > 0] == click.value).any()) for click, mark in zip(before, marks, strict=True)]
            self._clicks[t] = tuple(click for click, there in zip(before, kept, strict=True) if there)
            self._note(t, labels)
        return self.on(t) != before

    def _note(self, t: int, labels: Labels) -> None:
        self._seen[t, _digest(labels)] = self.on(t), dict(self._below.get(t, {}))


def _digest(labels: Labels) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(labels).data, digest_size=16).digest()
