"""Windows of the labelled frames to train on: around all defects, and anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_menndl.errors import InputError
from napari_menndl.metrics.components import label_components

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Smaller tiles hold no defect with its surroundings [px].
SMALLEST_TILE = 16
#: Windows of a usable size together reach at least this share of the area.
_REACH = 0.9
#: Windows around a defect, each with it at another place; together no more than so many. A network that is shown a
#: defect at three places only learns the places.
_PLACES, _AROUND = 256, 200_000
#: Windows anywhere, with a defect or without.
_ANYWHERE = 20_000


@dataclass(frozen=True, eq=False)
class Tiles:
    """Windows to train on.

    Attributes
    ----------
    origins : (n, 3) int64
        (frame, y, x) of the upper left pixel.
    size : int
        Edge of the square windows [px].
    weights : (n,) float64
        How often to draw each; they add up to 1.
    defects : int
        The first so many are chosen around a defect, the others anywhere.
    """

    origins: npt.NDArray[np.int64]
    size: int
    weights: npt.NDArray[np.float64]
    defects: int

    def __len__(self) -> int:
        return len(self.origins)


def permitted_origins(area: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.bool_]:
    """Where a window may begin, so that it lies wholly in the area.

    Parameters
    ----------
    area : (..., Y, X) bool
    size : int

    Returns
    -------
    (..., Y - size + 1, X - size + 1) bool
    """
    sums = _window_sums(area, size)
    permitted: npt.NDArray[np.bool_] = sums == size * size
    return permitted


def fit_tile(size: int, area: npt.NDArray[np.bool_], train: npt.NDArray[np.bool_] | None = None) -> int:
    """The largest usable tile: inside the area, and such tiles reach nine tenths of what is to be learned.

    Parameters
    ----------
    size : int
        What one would like [px].
    area : (Y, X) or (N, Y, X) bool
        Where tiles may lie.
    train : (N, Y, X) bool, optional
        Known pixels to learn from; the area when left out.

    Returns
    -------
    int
        At most `size`.

    Raises
    ------
    InputError
        Not even a tile of `SMALLEST_TILE` fits, or none reaches a known pixel.
    """
    planes = _planes(area)
    # Windows do not know of frames, so the frames of one area are looked at together.
    wanted = planes if train is None else train.sum(axis=0)[np.newaxis] if len(planes) == 1 else train

    def reached(edge: int) -> float:
        return float(
            sum(w[_covered(permitted_origins(p, edge), edge)].sum() for p, w in zip(planes, wanted, strict=True))
        )

    low, high = SMALLEST_TILE, min(size, *planes.shape[-2:])
    if high < low or not reached(low):
        raise InputError(
            f"room for tiles of {SMALLEST_TILE} px or more beside the validation block and its guard band",
            f"a frame of {planes.shape[-2]} x {planes.shape[-1]} px with too little left of what is annotated",
            "Take larger tiles, annotate more of the frame, or take a larger frame or a smaller guard band.",
        )
    enough = _REACH * float(wanted.sum())
    while low < high:
        middle = (low + high + 1) // 2
        if reached(middle) >= enough:
            low = middle
        else:
            high = middle - 1
    return low


def choose_tiles(
    labels: npt.NDArray[np.uint8],
    train: npt.NDArray[np.bool_],
    area: npt.NDArray[np.bool_],
    size: int,
    rng: np.random.Generator,
) -> Tiles:
    """Windows around every defect that one reaches, at many places, and windows anywhere.

    Drawn by weight, both kinds come equally often, and the defects of a class by the root of its number: rare ones are
    not drowned, single ones not learned by heart.

    Parameters
    ----------
    labels : (N, Y, X) uint8
    train : (N, Y, X) bool
        Known pixels that may be learned from.
    area : (Y, X) or (N, Y, X) bool
        Where tiles may lie, known or not: outside the validation block and its guard band.
    size : int
        At most `fit_tile`.
    rng : Generator

    Returns
    -------
    Tiles

    Raises
    ------
    InputError
        No window of this size holds a known pixel.
    """
    permitted = np.stack([permitted_origins(a, size) for a in _planes(area)])
    permitted = np.broadcast_to(permitted, (len(labels), *permitted.shape[1:]))
    around, weights = _around_defects(np.where(train, labels, 0), permitted, size, rng)
    known = _window_sums(train, size)
    usable = np.flatnonzero(permitted & (known >= max(1, size * size // 4)))
    if not len(usable) and not len(around):
        usable = np.flatnonzero(permitted & (known > 0))
    if not len(usable) and not len(around):
        raise InputError(
            f"known pixels that tiles of {size} px reach",
            "none",
            "Annotate more of the frame, or take smaller tiles.",
        )
    drawn = rng.choice(usable, min(len(usable), _ANYWHERE), replace=False)
    anywhere = np.stack(np.unravel_index(drawn, permitted.shape), axis=1).astype(np.int64)
    shares = [weights / weights.sum()] if len(around) else []
    if len(anywhere):
        shares.append(np.full(len(anywhere), 1 / len(anywhere)))
    return Tiles(np.concatenate([around, anywhere]), size, np.concatenate(shares) / len(shares), len(around))


def _around_defects(
    marked: npt.NDArray[np.uint8], permitted: npt.NDArray[np.bool_], size: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Permitted windows around each defect, (n, 3), and a weight for each, (n,)."""
    anchors = {
        int(value): [
            (n, *anchor) for n, plane in enumerate(marked == value) for anchor in label_components(plane, 1).anchors()
        ]
        for value in np.unique(marked[marked > 0])
    }
    places = min(_PLACES, _AROUND // max(1, sum(map(len, anchors.values()))) + 1)
    origins, weights = [np.zeros((0, 3), np.int64)], [np.zeros(0)]
    for of_class in anchors.values():
        for n, *anchor in of_class:
            found = _windows_around(anchor, permitted[n], size, places, rng)
            origins.append(np.column_stack([np.full(len(found), n), found]).astype(np.int64))
            weights.append(np.full(len(found), 1 / (max(1, len(found)) * np.sqrt(len(of_class)))))
    return np.concatenate(origins), np.concatenate(weights)


def _windows_around(
    anchor: Sequence[int], permitted: npt.NDArray[np.bool_], size: int, places: int, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """(n, 2): origins of at most so many windows that hold a pixel, not at their very edge if possible."""
    edge = size // 16
    for margin in (edge, 0):
        low = [max(0, a - size + 1 + margin) for a in anchor]
        high = [min(n - 1, a - margin) for a, n in zip(anchor, permitted.shape, strict=True)]
        if low[0] <= high[0] and low[1] <= high[1]:
            there = np.argwhere(permitted[low[0] : high[0] + 1, low[1] : high[1] + 1]) + low
            if len(there):
                return there[rng.choice(len(there), min(len(there), places), replace=False)]
    return np.zeros((0, 2), np.intp)


def _planes(area: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    return area.reshape(-1, *area.shape[-2:])


def _window_sums(mask: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.int64]:
    """(..., Y - size + 1, X - size + 1): how much of each window is set."""
    sums = np.pad(mask.astype(np.int32), [(0, 0)] * (mask.ndim - 2) + [(1, 0), (1, 0)]).cumsum(-1).cumsum(-2)
    across = sums[..., size:] - sums[..., :-size]
    return across[..., size:, :] - across[..., :-size, :]


def _covered(origins: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.bool_]:
    """(Y, X) bool: pixels in at least one window."""
    return _window_sums(np.pad(origins, size - 1), size) > 0
