"""Choice of the tiles to train on: around all defects, and anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_menndl.errors import InputError
from napari_menndl.metrics.components import label_components

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Smaller tiles cannot contain a defect with its surroundings [px].
SMALLEST_TILE = 16
#: Tiles of a usable size cover together at least this fraction of the pixels to train on.
_REACH = 0.9
#: Maximum number of tiles around one defect, with the defect at different positions, and approximately around all. With
#: only a few positions, a network would learn these instead of the defect.
_PLACES, _AROUND = 256, 200_000
#: Maximum number of tiles anywhere, with a defect or without.
_ANYWHERE = 20_000


@dataclass(frozen=True, eq=False)
class Tiles:
    """Tiles to train on.

    Attributes
    ----------
    origins : (n, 3) int64
        (frame, y, x) of the upper left pixel.
    size : int
        Side of the square tiles [px].
    weights : (n,) float64
        Probability to draw each tile, with a sum of 1.
    defects : int
        Number of tiles around defects, which come first; the others are anywhere.
    """

    origins: npt.NDArray[np.int64]
    size: int
    weights: npt.NDArray[np.float64]
    defects: int

    def __len__(self) -> int:
        return len(self.origins)


def permitted_origins(area: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.bool_]:
    """Return the possible origins of tiles that lie entirely in the area.

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
    """Return the size of the largest tile that fits the area and covers nine tenths of the pixels to train on.

    Parameters
    ----------
    size : int
        The desired size [px].
    area : (Y, X) or (N, Y, X) bool
        Area for tiles.
    train : (N, Y, X) bool, optional
        Known pixels to train on; by default the area.

    Returns
    -------
    int
        At most `size`.

    Raises
    ------
    InputError
        If not even a tile of `SMALLEST_TILE` fits, or none contains a pixel to train on.
    """
    planes = _planes(area)
    # The frames of a common area have the same tiles, and are evaluated together.
    wanted = planes if train is None else train.sum(axis=0)[np.newaxis] if len(planes) == 1 else train

    def reached(edge: int) -> float:
        return float(
            sum(w[_covered(permitted_origins(p, edge), edge)].sum() for p, w in zip(planes, wanted, strict=True))
        )

    low, high = SMALLEST_TILE, min(size, *planes.shape[-2:])
    enough = _REACH * float(wanted.sum())
    if high >= low and reached(high) >= enough > 0:
        return high
    if high < low or not reached(low):
        raise InputError(
            f"room for tiles of {SMALLEST_TILE} px or more beside the validation block and its guard band",
            f"a frame of {planes.shape[-2]} x {planes.shape[-1]} px with too little left of what is annotated",
            "Take larger tiles, annotate more of the frame, or take a larger frame or a smaller guard band.",
        )
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
    """Choose tiles around each defect, with it at many positions, and tiles anywhere.

    By their weights both kinds are drawn equally often, and each class in proportion to the square root of its number
    of defects: rare classes are not neglected, and single defects not memorised.

    Parameters
    ----------
    labels : (N, Y, X) uint8
    train : (N, Y, X) bool
        Known pixels to train on.
    area : (Y, X) or (N, Y, X) bool
        Area for tiles, known or not: outside the validation block and its guard band.
    size : int
        At most `fit_tile`.
    rng : Generator

    Returns
    -------
    Tiles

    Raises
    ------
    InputError
        If no tile of this size contains a known pixel.
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
    """Return origins (n, 3) of permitted tiles around each defect, and their weights (n,)."""
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
    """(n, 2): origins of up to `places` tiles that contain a pixel, if possible not close to their edge."""
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


def _window_sums(mask: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.int32]:
    """(..., Y - size + 1, X - size + 1): number of pixels set in each window."""
    sums = np.pad(mask.astype(np.int32), [(0, 0)] * (mask.ndim - 2) + [(1, 0), (1, 0)])
    for axis in (-1, -2):
        np.cumsum(sums, axis, out=sums)
    across = sums[..., size:] - sums[..., :-size]
    return across[..., size:, :] - across[..., :-size, :]


def _covered(origins: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.bool_]:
    """(Y, X) bool: pixels in at least one window."""
    return _window_sums(np.pad(origins, size - 1), size) > 0
