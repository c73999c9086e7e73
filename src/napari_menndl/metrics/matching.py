"""One-to-one matching of found with true defects: as many pairs as possible, then those with the least cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


#: Smallest intersection over union of a matching pair of extended defects.
LEAST_OVERLAP = 0.3


def match_points(found: ArrayLike, true: ArrayLike, tolerance: float) -> NDArray[np.intp]:
    """Match found with true points by distance.

    Parameters
    ----------
    found : (n, 2) float [px]
    true : (m, 2) float [px]
    tolerance : float [px]
        Largest distance of a pair (inclusive).

    Returns
    -------
    (k, 2) intp
        Index into `found`, index into `true`; no index occurs twice. Among the assignments with the largest number of
        pairs, one with the smallest sum of distances (assignment problem: Kuhn 1955, 10.1002/nav.3800020109).
    """
    found = np.asarray(found, dtype=float).reshape(-1, 2)
    true = np.asarray(true, dtype=float).reshape(-1, 2)
    return assign(*near_points(found, true, tolerance))


def near_points(
    found: NDArray[np.float64],
    true: NDArray[np.float64],
    tolerance: ArrayLike,
    group: ArrayLike = 0,
    true_group: ArrayLike = 0,
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return all pairs of points within a tolerance of each other.

    Parameters
    ----------
    found, true : (n, 2), (m, 2) float64 [px]
    tolerance : float or (n,) float [px]
    group, true_group : int or (n,), (m,) int
        Only points of the same group are paired.

    Returns
    -------
    i, j : (e,) intp
        Index into `found`, index into `true`.
    distance : (e,) float64 [px]
    """
    if not len(found) or not len(true):
        return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0)
    low = min(found[:, 0].min(), true[:, 0].min())
    extent = float(max(found[:, 0].max(), true[:, 0].max()) - low) + 1.0
    # Groups are shifted along y, farther apart than any two points of one; candidates are then near along y.
    largest = np.broadcast_to(np.asarray(tolerance, np.float64), len(found))
    y = found[:, 0] - low + np.asarray(group) * 3 * extent
    true_y = true[:, 0] - low + np.asarray(true_group) * 3 * extent
    order = np.argsort(true_y, kind="stable")
    reach = np.minimum(largest, extent) * (1 + 1e-9) + 1e-6
    begin = np.searchsorted(true_y[order], y - reach)
    end = np.searchsorted(true_y[order], y + reach, side="right")
    i, place = expand(begin, end)
    j = order[place]
    squared = ((found[i] - true[j]) ** 2).sum(axis=1)
    near = squared <= largest[i] ** 2
    return i[near], j[near], np.sqrt(squared[near])


def expand(begin: NDArray[np.intp], end: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return all pairs (i, j) with ``begin[i] <= j < end[i]``, in order of i, then j."""
    number = np.maximum(end - begin, 0)
    i = np.repeat(np.arange(len(number)), number)
    return i, np.arange(len(i)) + (begin - np.cumsum(number) + number)[i]


def match_overlap(
    found: NDArray[np.integer], true: NDArray[np.integer], iou: float = LEAST_OVERLAP
) -> NDArray[np.intp]:
    """Match found with true components by overlap.

    Parameters
    ----------
    found, true : (Y, X) int
        Component numbers from 1, as in `Components.labels`.
    iou : float
        Smallest intersection over union of a pair (inclusive).

    Returns
    -------
    (k, 2) intp
        Component indices from 0, of `found` and of `true`; one to one, as many pairs as possible, then with the largest
        sum of intersection over union.
    """
    n, m = int(found.max(initial=0)), int(true.max(initial=0))
    if not n or not m:
        return np.empty((0, 2), dtype=np.intp)
    both = (found > 0) & (true > 0)
    pairs, shared = np.unique(np.stack([found[both], true[both]]), axis=1, return_counts=True)
    i, j = pairs[0] - 1, pairs[1] - 1
    found_areas = np.bincount(found.ravel(), minlength=n + 1)[1:]
    true_areas = np.bincount(true.ravel(), minlength=m + 1)[1:]
    overlap = shared / (found_areas[i] + true_areas[j] - shared)
    enough = overlap >= iou
    return assign(i[enough], j[enough], 1.0 - overlap[enough])


def assign(i: NDArray[np.integer], j: NDArray[np.integer], cost: NDArray[np.float64]) -> NDArray[np.intp]:
    """Choose a one-to-one assignment among candidate pairs: as many as possible, then with the least total cost.

    Parameters
    ----------
    i, j : (e,) int
        Candidate pairs, without duplicates.
    cost : (e,) float64

    Returns
    -------
    (k, 2) intp
    """
    if not len(i):
        return np.empty((0, 2), dtype=np.intp)
    # Each connected group of candidates is solved separately, since groups are small.
    n, m = int(i.max()) + 1, int(j.max()) + 1
    ends = i.astype(np.int32), (j + n).astype(np.int32)
    graph = coo_array((np.ones(len(i), np.int8), ends), shape=(n + m, n + m))
    group = connected_components(graph, directed=False)[1][i]
    # In most groups all candidates share one defect, and the cheapest pair is the solution.
    order = np.lexsort((j, i, cost, group))
    group = group[order]
    begins = np.flatnonzero(np.diff(group, prepend=-1))
    sizes = np.diff(begins, append=len(group))
    found, true = i[order], j[order]
    star = np.zeros(len(begins), bool)
    for one in (found, true):
        star |= np.minimum.reduceat(one, begins) == np.maximum.reduceat(one, begins)
    best = begins[star]
    pairs = [np.stack([found[best], true[best]], axis=1)]
    for begin, size in zip(begins[~star], sizes[~star], strict=True):
        edges = order[begin : begin + size]
        rows, row = np.unique(i[edges], return_inverse=True)
        columns, column = np.unique(j[edges], return_inverse=True)
        # More expensive than all real pairs of the group together, so that an additional pair is always preferred.
        forbidden = (1.0 + cost[edges].max()) * (min(len(rows), len(columns)) + 1)
        table = np.full((len(rows), len(columns)), forbidden)
        table[row, column] = cost[edges]
        a, b = linear_sum_assignment(table)
        real = table[a, b] < forbidden
        pairs.append(np.stack([rows[a[real]], columns[b[real]]], axis=1))
    return np.concatenate(pairs).astype(np.intp)
