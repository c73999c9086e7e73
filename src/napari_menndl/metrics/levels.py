"""Connected components of responses at many thresholds at once, without label images.

A mask is represented by its runs: the contiguous pixels of its rows (He, Chao & Suzuki 2008, 10.1109/TIP.2008.919369).
A run begins at exactly those thresholds that a pixel reaches and its left neighbour does not, so that one pass over the
pixels above the lowest threshold finds the runs of all masks; the cost of the rest depends on their number, not on that
of the pixels. The responses of several classes and frames are processed together, to save the overhead of array
operations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from napari_menndl.metrics.matching import expand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl.metrics.components import Components

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class ReachedPixels:
    """The pixels of P responses that reach the lowest of their thresholds.

    There is one mask for each threshold of each response; masks are numbered consecutively, response by response.

    Attributes
    ----------
    shape : (Y, X) int [px]
    plane : (n,) intp
        The response of each pixel; ascending.
    pixel : (n,) intp
        ``y * X + x``; ascending in each response.
    rank : (n,) intp
        Number of thresholds that the pixel reaches.
    masks : (P + 1,) intp
        Index of the first mask of each response, and the number of all masks.
    """

    shape: tuple[int, int]
    plane: Indices
    pixel: Indices
    rank: Indices
    masks: Indices

    @property
    def plane_of(self) -> Indices:
        """(k,) intp: the response of each mask."""
        return np.repeat(np.arange(len(self.masks) - 1), np.diff(self.masks))


def rank_pixels(responses: NDArray[np.floating], thresholds: Sequence[NDArray[np.float64]]) -> ReachedPixels:
    """Rank the pixels of responses (P, Y, X) float by their thresholds, P arrays (k,) float64, ascending."""
    planes, _, width = responses.shape
    flat = responses.reshape(planes, -1)
    lowest = np.array([levels[0] if len(levels) else np.inf for levels in thresholds])
    # Rounded up to the dtype of the responses: a comparison in float64 would copy all pixels.
    least = lowest.astype(flat.dtype)
    least = np.where(least < lowest, np.nextafter(least, np.inf, dtype=flat.dtype), least)
    reached = np.flatnonzero(flat >= least[:, None])
    plane, pixel = _divided(reached, flat.shape[1])
    values = flat.ravel()[reached].astype(np.float64)
    ends = np.searchsorted(plane, np.arange(planes + 1))
    rank = np.empty(len(reached), np.intp)
    for levels, first, last in zip(thresholds, ends[:-1], ends[1:], strict=True):
        rank[first:last] = np.searchsorted(levels, values[first:last], side="right")
    known = rank > 0  # False for an infinite response without thresholds
    if not known.all():
        plane, pixel, rank = plane[known], pixel[known], rank[known]
    masks = np.concatenate([[0], np.cumsum([len(levels) for levels in thresholds])]).astype(np.intp)
    return ReachedPixels((responses.shape[1], width), plane, pixel, rank, masks)


@dataclass(frozen=True)
class LevelComponents:
    """Components of k masks, numbered consecutively from 0 to n - 1.

    The positions of runs are in a flat array of all masks, row by row, in which each row is followed by an empty pixel
    and each mask by an empty row. The pixel (y, x) of mask l has the index ``(l (Y + 1) + y) (X + 1) + x``.

    Attributes
    ----------
    shape : (Y, X) int [px]
    plane_of : (k,) intp
        The response of each mask.
    level : (n,) intp
        The mask of each component.
    centres : (n, 2) float64 [px]
        Centroids (y, x).
    areas : (n,) int64 [px]
    first, last : (r,) intp
        Flat index of the first and last pixel of each run, ascending.
    owner : (r,) intp
        The component of each run.
    """

    shape: tuple[int, int]
    plane_of: Indices
    level: Indices
    centres: NDArray[np.float64]
    areas: NDArray[np.int64]
    first: Indices
    last: Indices
    owner: Indices

    def __len__(self) -> int:
        return len(self.areas)

    @property
    def plane(self) -> Indices:
        """(n,) intp: the response of each component."""
        return self.plane_of[self.level]

    def keep(self, chosen: NDArray[np.bool_]) -> LevelComponents:
        """Return the chosen components (n,) bool, renumbered."""
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
        """Return whether each component's anchor lies in an area, (Y, X) bool, or (P, Y, X) for each response.

        Returns
        -------
        (n,) bool
        """
        if inside.all() or not len(self):
            return np.ones(len(self), dtype=bool)
        y, x = self.anchors().T
        return np.asarray(inside[y, x] if inside.ndim == 2 else inside[self.plane, y, x], dtype=bool)

    def anchors(self) -> Indices:
        """(n, 2) intp: one pixel (y, x) of each component at or nearest to its centroid, see `Components.anchors`."""
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

    def overlaps(
        self, true: LevelComponents, planes: NDArray[np.bool_]
    ) -> tuple[Indices, Indices, NDArray[np.float64]]:
        """Return the pairs of components and true components of the same response that share pixels.

        Parameters
        ----------
        true : LevelComponents
            With one mask for each response.
        planes : (P,) bool
            The responses to consider.

        Returns
        -------
        i, j : (e,) intp
            Index of the component, index into `true`.
        overlap : (e,) float64
            Intersection over union.
        """
        size = (self.shape[0] + 1) * (self.shape[1] + 1)
        runs = np.flatnonzero(planes[self.plane][self.owner])
        owner = self.owner[runs]
        moved = (self.plane - self.level)[owner] * size
        first, last = self.first[runs] + moved, self.last[runs] + moved
        begin, end = np.searchsorted(true.last, first), np.searchsorted(true.first, last, side="right")
        run, other = expand(begin, end)
        shared = np.minimum(last[run], true.last[other]) - np.maximum(first[run], true.first[other]) + 1.0
        pairs, which = np.unique(owner[run] * len(true) + true.owner[other], return_inverse=True)
        pixels = np.bincount(which, weights=shared, minlength=len(pairs))
        i, j = np.divmod(pairs, max(len(true), 1))
        return i, j, pixels / (self.areas[i] + true.areas[j] - pixels)


def components_of(masks: NDArray[np.bool_]) -> LevelComponents:
    """Return all components, of any size, of P masks (P, Y, X) bool."""
    planes, height, width = masks.shape
    plane, pixel = _divided(np.flatnonzero(masks), height * width)
    once = np.ones(len(pixel), np.intp)
    return find_components(ReachedPixels((height, width), plane, pixel, once, np.arange(planes + 1)))


def as_levels(components: Components) -> LevelComponents:
    """Convert `Components` to `LevelComponents` of one mask."""
    labels = components.labels
    reached = components_of(labels[None] > 0)
    width = labels.shape[1] + 1
    owner = labels[reached.first // width, reached.first % width].astype(np.intp) - 1
    level = np.zeros(len(components), np.intp)
    return replace(reached, level=level, centres=components.centres, areas=components.areas, owner=owner)


def find_components(reached: ReachedPixels) -> LevelComponents:
    """Find the components of all masks, each as from `label_components`, in the same order."""
    height, width = reached.shape[0] + 1, reached.shape[1] + 1
    first, last = _find_runs(reached)
    # A run touches those runs of the next row that end no earlier than the pixel before its first and begin no later
    # than the pixel after its last. The empty pixels and rows separate rows and masks.
    begin, end = np.searchsorted(last, first + width - 1), np.searchsorted(first, last + width + 1, side="right")
    number = np.maximum(end - begin, 0)
    _, lower = expand(begin, end)
    # scipy uses int32 without conversion.
    pointers = np.concatenate([[0], np.cumsum(number)]).astype(np.int32)
    links = csr_array(
        (np.ones(len(lower), dtype=np.int8), lower.astype(np.int32), pointers), shape=(len(first), len(first))
    )
    n, owner = connected_components(links, directed=False) if len(first) else (0, np.empty(0, np.intp))
    row, x = _divided(first, width)
    mask, y = _divided(row, height)
    length = last - first + 1
    areas = np.bincount(owner, weights=length, minlength=n)
    centre = x + (last - first) / 2
    centres = np.stack([np.bincount(owner, weights=length * axis, minlength=n) / areas for axis in (y, centre)], axis=1)
    level = np.zeros(n, dtype=np.intp)
    level[owner] = mask
    return LevelComponents(
        reached.shape, reached.plane_of, level, centres, areas.astype(np.int64), first, last, owner.astype(np.intp)
    )


def _divided(number: Indices, divisor: int) -> tuple[Indices, Indices]:
    """Return quotient and remainder, faster than np.divmod."""
    quotient = number // divisor
    return quotient, number - quotient * divisor


def _find_runs(reached: ReachedPixels) -> tuple[Indices, Indices]:
    """Return the flat indices of the first and last pixel of all runs of all masks."""
    size = (reached.shape[0] + 1) * (reached.shape[1] + 1)
    rank, place = reached.rank, reached.pixel + reached.pixel // reached.shape[1]
    # Flat index of each pixel in the first mask of its response.
    start = reached.masks[reached.plane] * size + place
    joined = (np.diff(place) == 1) & (np.diff(reached.plane) == 0)
    left, right = np.zeros_like(rank), np.zeros_like(rank)
    left[1:], right[:-1] = rank[:-1] * joined, rank[1:] * joined
    dtype = np.min_scalar_type(int(reached.masks[-1]))
    ends = []
    for beside in (left, right):
        pixel, level = expand(beside, rank)
        order = np.argsort((reached.masks[reached.plane[pixel]] + level).astype(dtype), kind="stable")
        ends.append((start[pixel] + level * size)[order])
    return ends[0], ends[1]
