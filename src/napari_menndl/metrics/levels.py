"""The components of a response at many thresholds at once, without drawing any of them.

A mask is kept as its runs: the unbroken pieces of its rows (He, Chao & Suzuki 2008, 10.1109/TIP.2008.919369). A run
begins at just those thresholds that a pixel reaches and its left neighbour does not, so that one pass over the
pixels above the lowest threshold finds the runs of all masks, and their number, not that of the pixels, is what the
rest costs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from napari_menndl.metrics.components import Components

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class LevelComponents:
    """Components at k thresholds, numbered 0 to n - 1 over all of them.

    Runs lie on a tape: the masks one after the other, row by row, each row ended by an empty pixel and each mask by an
    empty row. The pixel (y, x) of the mask of threshold l is ``(l (Y + 1) + y) (X + 1) + x``.

    Attributes
    ----------
    shape : (Y, X) int [px]
    level : (n,) intp
        Index of the threshold.
    centres : (n, 2) float64 [px]
        Centroids (y, x).
    areas : (n,) int64 [px]
    first, last : (r,) intp
        First and last pixel of each run on the tape, ascending.
    owner : (r,) intp
        The component of each run.
    """

    shape: tuple[int, int]
    level: Indices
    centres: NDArray[np.float64]
    areas: NDArray[np.int64]
    first: Indices
    last: Indices
    owner: Indices

    def __len__(self) -> int:
        return len(self.areas)

    def keep(self, chosen: NDArray[np.bool_]) -> LevelComponents:
        """Only some of the components (n,) bool, the others renumbered."""
        if chosen.all():
            return self
        runs, number = chosen[self.owner], np.cumsum(chosen) - 1
        return replace(
            self,
            level=self.level[chosen],
            centres=self.centres[chosen],
            areas=self.areas[chosen],
            first=self.first[runs],
            last=self.last[runs],
            owner=number[self.owner[runs]],
        )

    def lie_inside(self, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """As `Components.lie_inside`: whose anchor lies in an area (Y, X) bool.

        Returns
        -------
        (n,) bool
        """
        if inside.all() or not len(self):
            return np.ones(len(self), dtype=bool)
        y, x = self.anchors().T
        return np.asarray(inside[y, x], dtype=bool)

    def anchors(self) -> Indices:
        """As `Components.anchors`: one pixel (y, x) of each component, at its centroid or next to it; (n, 2) intp."""
        anchors = np.rint(self.centres).astype(np.intp)
        height, width = self.shape[0] + 1, self.shape[1] + 1
        place = (self.level * height + anchors[:, 0]) * width + anchors[:, 1]
        run = np.maximum(np.searchsorted(self.first, place, side="right") - 1, 0)
        own = (self.first[run] <= place) & (place <= self.last[run]) & (self.owner[run] == np.arange(len(self)))
        astray = ~own
        if astray.any():
            runs = np.flatnonzero(astray[self.owner])
            owner, y, start = self.owner[runs], self.first[runs] // width % height, self.first[runs] % width
            cy, cx = self.centres[owner].T
            x = np.clip(np.ceil(cx - 0.5), start, start + self.last[runs] - self.first[runs]).astype(np.intp)
            nearest = np.lexsort((y, (y - cy) ** 2 + (x - cx) ** 2, owner))
            component, one = np.unique(owner[nearest], return_index=True)
            anchors[component] = np.stack([y, x], axis=1)[nearest[one]]
        return anchors

    def overlaps(self, true: Components) -> tuple[Indices, Indices, NDArray[np.float64]]:
        """Which component shares pixels with which true one.

        Returns
        -------
        i, j : (e,) intp
            Index of the component, index into `true`.
        overlap : (e,) float64
            Intersection over union.
        """
        height, width = self.shape[0] + 1, self.shape[1] + 1
        first, last = self.first % (height * width), self.last % (height * width)
        true_first, true_last = _find_runs(true.labels, np.arange(1, 2))
        begin, end = np.searchsorted(true_last, first), np.searchsorted(true_first, last, side="right")
        run, other = _expand(begin, end)
        shared = np.minimum(last[run], true_last[other]) - np.maximum(first[run], true_first[other]) + 1.0
        label = true.labels[true_first[other] // width, true_first[other] % width] - 1
        pairs, which = np.unique(self.owner[run] * len(true) + label, return_inverse=True)
        pixels = np.bincount(which, weights=shared, minlength=len(pairs))
        i, j = np.divmod(pairs, max(len(true), 1))
        return i, j, pixels / (self.areas[i] + true.areas[j] - pixels)


def components_at(
    response: NDArray[np.floating], thresholds: NDArray[np.float64], min_area: int = 3
) -> LevelComponents:
    """Find the components of ``response >= threshold`` for many thresholds; diagonal neighbours are connected.

    Parameters
    ----------
    response : (Y, X) float
    thresholds : (k,) float64
        Ascending.
    min_area : int [px]
        Smaller components are dropped.

    Returns
    -------
    LevelComponents
        At each threshold those of `label_components`, in the same order.
    """
    height, width = response.shape[0] + 1, response.shape[1] + 1
    first, last = _find_runs(response, thresholds)
    # A run touches those of the next row that end no earlier than the pixel before its first and begin no later than
    # the pixel after its last. What ends rows and masks keeps them apart.
    begin, end = np.searchsorted(last, first + width - 1), np.searchsorted(first, last + width + 1, side="right")
    upper, lower = _expand(begin, end)
    links = coo_array((np.ones(len(upper), dtype=np.int8), (upper, lower)), shape=(len(first), len(first)))
    n, owner = connected_components(links, directed=False) if len(first) else (0, np.empty(0, np.intp))
    length, y, x = last - first + 1, first // width % height, (first % width) + (last - first) / 2
    areas = np.bincount(owner, weights=length, minlength=n)
    centres = np.stack([np.bincount(owner, weights=length * axis, minlength=n) / areas for axis in (y, x)], axis=1)
    level = np.zeros(n, dtype=np.intp)
    level[owner] = first // (height * width)
    shape = (response.shape[0], response.shape[1])
    found = LevelComponents(shape, level, centres, areas.astype(np.int64), first, last, owner.astype(np.intp))
    return found.keep(found.areas >= min_area)


def _find_runs(response: NDArray[np.number], thresholds: NDArray[np.number]) -> tuple[Indices, Indices]:
    """First and last pixel on the tape of every run at ascending thresholds."""
    if not len(thresholds):
        return np.empty(0, np.intp), np.empty(0, np.intp)
    height, width = response.shape[0] + 1, response.shape[1] + 1
    reached = response.ravel() >= thresholds[0]
    pixels = np.flatnonzero(reached)
    place = pixels + pixels // (width - 1)
    rank = np.searchsorted(thresholds, response.ravel()[pixels].astype(thresholds.dtype), side="right")
    joined = np.diff(place) == 1
    left, right = np.zeros_like(rank), np.zeros_like(rank)
    left[1:], right[:-1] = rank[:-1] * joined, rank[1:] * joined
    ends = []
    for beside in (left, right):
        pixel, level = _expand(beside, rank)
        order = np.argsort(level.astype(np.uint16), kind="stable")
        ends.append((level * (height * width) + place[pixel])[order])
    return ends[0], ends[1]


def _expand(begin: Indices, end: Indices) -> tuple[Indices, Indices]:
    """All pairs (i, j) with ``begin[i] <= j < end[i]``, in order of i, then j."""
    number = np.maximum(end - begin, 0)
    i = np.repeat(np.arange(len(number)), number)
    return i, np.arange(len(i)) + (begin - np.cumsum(number) + number)[i]
