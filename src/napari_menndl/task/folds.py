"""Cutting of a frame into rectangular folds with an even share of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Split:
    """Training and validation pixels of one fold of one split.

    Attributes
    ----------
    train : (N, Y, X) bool
        Known pixels to train on.
    validate : (N, Y, X) bool
        Known pixels to validate on; none when training on all labels.
    area : (Y, X) bool
        Area for tiles, known or not: everything except the validation block and the guard band around it.
    """

    train: npt.NDArray[np.bool_]
    validate: npt.NDArray[np.bool_]
    area: npt.NDArray[np.bool_]

    def repeated(self, times: int) -> Split:
        """Return the split of the frames followed by copies of all of them, `times` in all."""
        train, validate = (np.tile(one, (times, 1, 1)) for one in (self.train, self.validate))
        return Split(train, validate, self.area)


#: Each side of a cut gets at least this fraction of its even share of the known pixels: 0.35 to 0.65 for two halves.
_LEAST = 0.7


def cut_folds(
    weight: npt.NDArray[np.floating],
    points: npt.NDArray[np.float64],
    kinds: npt.NDArray[np.int_],
    folds: int,
    split: int,
) -> npt.NDArray[np.uint8]:
    """Bisect a frame recursively into as many rectangles as folds (a k-d tree of labelled pixels).

    Each cut is where it divides the defects of each class most evenly, among the positions that also divide the known
    pixels evenly enough. The first cut is between rows for even splits and between columns for odd ones, and each split
    aims at different positions, so that pixels next to a border in one split are not in another.

    Parameters
    ----------
    weight : (Y, X) float
        Number of frames in which each pixel is known.
    points : (n, 2) float64
        Centres (y, x) of the defects of all frames [px].
    kinds : (n,) int
        Class of each defect.
    folds : int
        Number of folds.
    split : int
        Number of the split, from 0.

    Returns
    -------
    (Y, X) uint8
        The fold that validates each pixel.
    """
    fold_map = np.zeros(weight.shape, np.uint8)
    rng = np.random.default_rng([split, folds])
    # The first split aims at even cuts, the others are shifted, so that their folds differ.
    shift = (0.0, 0.09)[split] if split < 2 else rng.uniform(0.06, 0.12)

    def bisect(y0: int, x0: int, y1: int, x1: int, inside: npt.NDArray[np.intp], first: int, count: int) -> None:
        if count == 1:
            fold_map[y0:y1, x0:x1] = first
            return
        known = weight[y0:y1, x0:x1]
        left = count // 2
        aim = left / count + shift * rng.choice([-1, 1])
        if count == folds:
            # The other axis only if this one would leave a fold without a class.
            extra = np.array([1.0, 0.0] if split % 2 else [0.0, 1.0])
        else:
            # Across the longer side of the known area, unless the other axis divides the classes much more evenly.
            sides = np.array([np.count_nonzero(known.sum(axis=1 - axis)) for axis in (0, 1)], float)
            extra = 0.3 * (sides.max() - sides) / sides.max() if sides.max() else np.zeros(2)
        options = []
        for axis, start in enumerate((y0, x0)):
            places = points[inside, axis] - start
            cost, at = _best_cut(known.sum(axis=1 - axis), places, kinds[inside], left, count - left, aim)
            options.append((cost + extra[axis], axis, start + at))
        _, axis, cut = min(options)
        before = points[inside, axis] < cut - 0.5
        if axis == 0:
            bisect(y0, x0, cut, x1, inside[before], first, left)
            bisect(cut, x0, y1, x1, inside[~before], first + left, count - left)
        else:
            bisect(y0, x0, y1, cut, inside[before], first, left)
            bisect(y0, cut, y1, x1, inside[~before], first + left, count - left)

    height, width = weight.shape
    bisect(0, 0, height, width, np.arange(len(points)), 0, folds)
    return fold_map


def _best_cut(
    profile: npt.NDArray[np.floating],
    places: npt.NDArray[np.float64],
    kinds: npt.NDArray[np.int_],
    left: int,
    right: int,
    aim: float,
) -> tuple[float, int]:
    """Return cost and position of the best cut along one axis.

    Parameters
    ----------
    profile : (L,) float
        Number of known pixels per line.
    places, kinds : (n,)
        Positions of the defects along the axis [px], and their classes.
    left, right : int
        Number of folds on either side.
    aim : float
        Target fraction of the known pixels, and of each class, before the cut.

    Returns
    -------
    cost : float
    cut : int
        The first line of the second part, counted from the start of the profile.
    """
    total = profile.sum()
    if total <= 0 or len(profile) < 2:
        return float("inf"), max(1, round(len(profile) * aim))
    cuts = np.arange(1, len(profile))
    share = np.cumsum(profile)[:-1] / total
    even = left / (left + right)
    fair = (share >= _LEAST * even) & (1 - share >= _LEAST * (1 - even))
    if not fair.any():
        fair = np.abs(share - aim) == np.abs(share - aim).min()
    cuts, share = cuts[fair], share[fair]
    cost = 0.5 * np.abs(share - aim)
    for kind in np.unique(kinds):
        of_kind = np.sort(places[kinds == kind])
        before = np.searchsorted(of_kind, cuts - 0.5)
        n = len(of_kind)
        # First that each fold can have a defect of the class, if there are enough; then that they are divided evenly.
        if n >= left + right:
            cost += 10.0 * ((before < left).astype(float) + (n - before < right))
        cost += np.abs(before / n - aim)
    best = int(np.argmin(cost))
    return float(cost[best]), int(cuts[best])
