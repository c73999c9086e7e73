"""Which found defect is which true one: one to one, as many pairs as possible, then the closest ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


#: Smallest intersection over union of a found and a true extended defect that are the same one.
LEAST_OVERLAP = 0.3


def match_points(found: ArrayLike, true: ArrayLike, tolerance: float) -> NDArray[np.intp]:
    """Pair found with true points.

    Parameters
    ----------
    found : (n, 2) float [px]
    true : (m, 2) float [px]
    tolerance : float [px]
        Largest distance of a pair, itself allowed.

    Returns
    -------
    (k, 2) intp
        Index into `found`, index into `true`; no index occurs twice. Of all ways to form the largest possible number
        of pairs, one with the smallest sum of distances (the assignment problem: Kuhn 1955, 10.1002/nav.3800020109).
    """
    found = np.asarray(found, dtype=float).reshape(-1, 2)
    true = np.asarray(true, dtype=float).reshape(-1, 2)
    return assign(*near_points(found, true, tolerance))


def near_points(
    found: NDArray[np.float64], true: NDArray[np.float64], tolerance: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Pairs of points (n, 2), (m, 2) float [px] that are no farther apart: i, j (e,) intp, distance (e,) float64."""
    if not len(found) or not len(true):
        return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0)
    near = KDTree(found).sparse_distance_matrix(KDTree(true), tolerance, output_type="ndarray")
    return near["i"], near["j"], near["v"]


def match_overlap(
    found: NDArray[np.integer], true: NDArray[np.integer], iou: float = LEAST_OVERLAP
) -> NDArray[np.intp]:
    """Pair found with true components by their overlap.

    Parameters
    ----------
    found, true : (Y, X) int
        Component numbers from 1, as in `Components.labels`.
    iou : float
        Smallest intersection over union of a pair, itself allowed.

    Returns
    -------
    (k, 2) intp
        Component indices from 0: into `found`, into `true`; one to one, as many pairs as possible,
        then with the largest sum of intersection over union.
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
    """Choose among candidate pairs, one to one: as many as possible, then those that cost least.

    Parameters
    ----------
    i, j : (e,) int
        Candidates, each but once.
    cost : (e,) float64

    Returns
    -------
    (k, 2) intp
    """
    if not len(i):
        return np.empty((0, 2), dtype=np.intp)
    # Assigned within each connected group of candidates: the groups are small, the whole need not be.
    n, m = int(i.max()) + 1, int(j.max()) + 1
    graph = coo_array((np.ones(len(i)), (i, j + n)), shape=(n + m, n + m))
    group = connected_components(graph, directed=False)[1][i]
    alone = np.bincount(group)[group] == 1
    pairs = [np.stack([i[alone], j[alone]], axis=1)]
    rest = np.flatnonzero(~alone)
    order = rest[np.argsort(group[rest], kind="stable")]
    for edges in np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else ():
        rows, row = np.unique(i[edges], return_inverse=True)
        columns, column = np.unique(j[edges], return_inverse=True)
        # Dearer than all real pairs of the group together, so that one more pair always pays.
        forbidden = (1.0 + cost[edges].max()) * (min(len(rows), len(columns)) + 1)
        table = np.full((len(rows), len(columns)), forbidden)
        table[row, column] = cost[edges]
        a, b = linear_sum_assignment(table)
        real = table[a, b] < forbidden
        pairs.append(np.stack([rows[a[real]], columns[b[real]]], axis=1))
    return np.concatenate(pairs).astype(np.intp)
