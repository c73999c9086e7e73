"""Which windows of the labelled frames to train on: all defects, and of the lattice no more than differs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_menndl.errors import InputError
from napari_menndl.metrics.components import label_components

#: Smaller tiles hold no defect with its surroundings [px].
SMALLEST_TILE = 16
#: Windows of a usable size together reach at least this share of the area.
_REACH = 0.9
#: Tiles per defect, each with the defect at another place in it.
_PLACES = 3
#: Windows without a defect that are compared with each other.
_CANDIDATES = 192


@dataclass(frozen=True, eq=False)
class Tiles:
    """Windows to train on.

    Attributes
    ----------
    origins : (n, 3) int64
        (frame, y, x) of the upper left pixel; distinct.
    size : int
        Edge of the square windows [px].
    weights : (n,) float64
        How often to draw each; they add up to 1.
    defects : int
        The first so many are chosen for a defect, the others for their background.
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
    frames: npt.NDArray[np.floating],
    labels: npt.NDArray[np.uint8],
    train: npt.NDArray[np.bool_],
    area: npt.NDArray[np.bool_],
    size: int,
    rng: np.random.Generator,
) -> Tiles:
    """Windows that hold every defect a window reaches, and background without repeats.

    Each defect is in up to three windows, at different places. Of windows without a defect those are taken that differ
    most from all taken before (farthest-point sampling, Gonzalez 1985, 10.1016/0304-3975(85)90224-5, on grey values,
    contrast and a radial power spectrum), about as many as there are defects; drawn by weight, both kinds come equally
    often, and rare classes more often than their number.

    Parameters
    ----------
    frames : (N, Y, X) float
        Normalised or raw; only differences within them count.
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
    permitted = np.broadcast_to(permitted, (len(frames), *permitted.shape[1:]))
    marked = np.where(train, labels, 0)
    origins, weights = _around_defects(marked, permitted, size, rng)
    known = _window_sums(train, size)
    empty = permitted & (known >= max(1, size * size // 4)) & (_window_sums(marked > 0, size) == 0)
    if not empty.any() and not len(origins):
        empty = permitted & (known > 0)
    if not empty.any() and not len(origins):
        raise InputError(
            f"known pixels that tiles of {size} px reach",
            "none",
            "Annotate more of the frame, or take smaller tiles.",
        )
    background = _background(frames, empty, size, max(8, len(origins) // _PLACES), rng)
    chosen = np.concatenate([origins, background]).astype(np.int64)
    shares = [weights / weights.sum()] if len(origins) else []
    if len(background):
        shares.append(np.full(len(background), 1 / len(background)))
    return Tiles(chosen, size, np.concatenate(shares) / len(shares), len(origins))


def _around_defects(
    marked: npt.NDArray[np.uint8], permitted: npt.NDArray[np.bool_], size: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Up to `_PLACES` permitted windows around each defect, and a weight for each."""
    weight: dict[tuple[int, int, int], float] = {}
    for value in np.unique(marked[marked > 0]):
        anchors = [
            (n, *anchor) for n, plane in enumerate(marked == value) for anchor in label_components(plane, 1).anchors()
        ]
        for n, y, x in anchors:
            y0, x0 = max(0, y - size + 1), max(0, x - size + 1)
            around = np.argwhere(permitted[n, y0 : y + 1, x0 : x + 1]) + np.array([y0, x0])
            for oy, ox in rng.permutation(around)[:_PLACES]:
                key = (n, int(oy), int(ox))
                # By the root of the class's number: rare classes are not drowned, single defects not learned by heart.
                weight[key] = weight.get(key, 0.0) + 1 / np.sqrt(len(anchors))
    return np.array(list(weight), np.int64).reshape(-1, 3), np.array(list(weight.values()), np.float64)


def _background(
    frames: npt.NDArray[np.floating], empty: npt.NDArray[np.bool_], size: int, count: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """At most `count` of the origins (frame, y, x) in `empty`, as different as can be."""
    step = max(1, size // 2)
    y, x = (int(rng.integers(step)) for _ in range(2))
    places = np.argwhere(empty[:, y::step, x::step]) * (1, step, step) + (0, y, x)
    if len(places) < count:
        places = np.argwhere(empty)
    places = rng.permutation(places)[: max(count, _CANDIDATES)]
    if len(places) <= 1:
        return places
    described = _describe(frames, places, size)
    taken = [0]
    distance = np.linalg.norm(described - described[0], axis=1)
    while len(taken) < count and distance.max() > 0:
        taken.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(described - described[taken[-1]], axis=1))
    return places[taken]


def _describe(frames: npt.NDArray[np.floating], places: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.float64]:
    """(n, d): mean and contrast of 3 x 3 parts, and the radial power spectrum of the middle; each of unit spread."""
    part = size // 3
    middle = min(size, 48)
    offset = (size - middle) // 2
    ring = np.hypot(np.fft.fftfreq(middle)[:, None], np.fft.rfftfreq(middle)[None])
    ring = np.minimum((ring * 16).astype(int), 7)
    rows = []
    for n, y, x in places:
        tile = np.asarray(frames[n, y : y + size, x : x + size], np.float64)
        parts = tile[: 3 * part, : 3 * part].reshape(3, part, 3, part).transpose(0, 2, 1, 3).reshape(9, -1)
        centre = tile[offset : offset + middle, offset : offset + middle]
        power = np.abs(np.fft.rfft2(centre - centre.mean())) ** 2
        radial = np.bincount(ring.ravel(), power.ravel(), 8) / np.bincount(ring.ravel(), minlength=8)
        rows.append(np.concatenate([parts.mean(axis=1), parts.std(axis=1), np.log(radial + 1e-12)]))
    described = np.array(rows)
    spread = described.std(axis=0)
    return (described - described.mean(axis=0)) / np.where(spread > 0, spread, 1)


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
