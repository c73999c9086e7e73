"""Column intensity: what a crystallographer would do where the lattice is known to be a honeycomb of two kinds of site.

The lattice is found in every frame by itself, from its Fourier transform: two spots of the first order, refined to
fractions of a bin, give the cell; the frame folded onto one cell shows where the two sites are. Nothing is taken from
the simulation. Each site has an intensity, in a small Gaussian window, less that of the sites of its kind around it or
of all of its kind, in robust standard deviations. A class takes the sites of one kind or of both that are brighter than
a threshold, darker, or near a value, whichever does best on the labelled frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, maximum_filter
from scipy.optimize import minimize
from scipy.spatial import KDTree

from napari_menndl.metrics.detection import score_class
from napari_menndl.movie.normalisation import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_menndl.metrics.detection import MatchRule

    Labels = NDArray[np.uint8]

#: Window over a column and radius of the flattening, in multiples of the distance between neighbouring columns.
WINDOW, FLATTEN = 0.2, 4.0
#: Sites of the same kind that an intensity is compared with; bins per axis of the folded cell; thresholds tried.
AROUND, BINS, LEVELS = 18, 36, 40
KINDS = {"bright sites": (0,), "dark sites": (1,), "both": (0, 1)}


@dataclass(frozen=True)
class Sites:
    """The columns of a frame, n of them; values are in robust standard deviations, by what they are compared with.

    Kind 0 is the brighter one; `spacing` [px] lies between neighbours of different kinds, `positions` are (n, 2) [px].
    """

    positions: NDArray[np.float64]
    kind: NDArray[np.intp]
    spacing: float
    values: dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Choice:
    """How one class is read off the sites; `sign`: +1 brighter, -1 darker, 0 near `centre`."""

    sites: str
    values: str
    sign: int
    centre: float
    radius: float | None
    threshold: float = float("inf")

    def respond(self, sites: Sites, shape: tuple[int, int]) -> NDArray[np.float32]:
        """(Y, X) float32: the value of each site, painted as a disc, or to half way to its neighbours."""
        taken = np.isin(sites.kind, KINDS[self.sites])
        reach = 1.1 * sites.spacing if self.radius is None else self.radius
        distance, nearest = KDTree(sites.positions).query(np.indices(shape).reshape(2, -1).T)
        painted = np.where((distance <= reach) & taken[nearest], self.score(sites)[nearest], -1e3)
        return painted.reshape(shape).astype(np.float32)

    def score(self, sites: Sites) -> NDArray[np.float64]:
        """(n,) float64: the higher, the more like the class."""
        value = sites.values[self.values]
        return self.sign * value if self.sign else -np.abs(value - self.centre)


class ColumnMethod:
    """A fitted method: `respond(frame)` is (C, Y, X) float32, to be read off at `thresholds`."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        self.choices = tuple(choices)
        self.thresholds = tuple(choice.threshold for choice in choices)

    def respond(self, frame: NDArray[np.floating]) -> NDArray[np.float32]:
        sites = find_sites(frame)
        return np.stack([choice.respond(sites, frame.shape) for choice in self.choices])


def fit_columns(
    frame: NDArray[np.floating], labels: Labels, known: NDArray[np.bool_], match_rules: Sequence[MatchRule]
) -> ColumnMethod:
    """Choose for each class on the labelled frame, by (defect F1 + average precision) / 2."""
    sites = find_sites(frame)
    at = np.clip(np.rint(sites.positions).astype(int), 0, np.array(frame.shape) - 1)
    said = labels[at[:, 0], at[:, 1]]
    return ColumnMethod([_choose(sites, labels, said, c + 1, known, d) for c, d in enumerate(match_rules)])


def _choose(sites: Sites, labels: Labels, said: Labels, label: int, known: NDArray[np.bool_], how: MatchRule) -> Choice:
    """`said` (n,): the label at each site."""
    truth = labels == label
    of_class = said == label
    # A point defect is drawn as large as it was labelled; one with an area of its own takes the sites' cells.
    radius = None if how.extended else 0.45 * sites.spacing
    best, reached = Choice("both", "local", 1, 0.0, radius), -1.0
    for kinds, values, sign in product(KINDS, sites.values, (1, -1, 0)):
        taken = np.isin(sites.kind, KINDS[kinds])
        if not (taken & of_class).any():
            continue
        centre = float(np.median(sites.values[values][taken & of_class]))
        tried = Choice(kinds, values, sign, centre, radius)
        if sign:
            ranked = np.sort(tried.score(sites)[taken])[::-1]
            most = min(len(ranked) - 1, 4 * np.count_nonzero(of_class) + 10)
            ranks = np.unique(np.geomspace(1, most, LEVELS).astype(int))
            levels = (ranked[ranks - 1] + ranked[ranks]) / 2
        else:
            # About half way to the next level: few defects do not tell how they scatter.
            others = [sites.values[values][taken & (said == k)] for k in np.unique(said) if k not in (0, label)]
            half = min(abs(centre - level) for level in (0.0, *(np.median(v) for v in others if len(v))))
            levels = -half / 2 * np.linspace(0.5, 2, 16)
        score = score_class("", [(tried.respond(sites, truth.shape), truth, known)], how, levels)
        if score is not None and (score.f1 + score.average_precision) / 2 > reached:
            reached = (score.f1 + score.average_precision) / 2
            best = Choice(kinds, values, sign, centre, radius, score.threshold)
    return best


def find_sites(frame: NDArray[np.floating]) -> Sites:
    """Find the honeycomb of a frame (Y, X) and measure its columns."""
    shape = np.array(frame.shape)
    spots = _find_spots(normalise(np.asarray(frame, np.float32), "flattened", 20.0))
    cell = np.linalg.inv(spots).T  # rows: the steps of the lattice [px]
    spacing = float(np.linalg.norm(cell, axis=1).mean() / np.sqrt(3))
    flat = normalise(np.asarray(frame, np.float32), "flattened", FLATTEN * spacing).astype(float)
    blurred = gaussian_filter(flat, WINDOW * spacing)
    folded = _fold(blurred, spots)
    origin = np.unravel_index(folded.argmax(), folded.shape)
    # The spots stand at 120°, hence the steps at 60°: the other two threefold places lie at thirds of the diagonal.
    thirds = [(np.array(origin) + BINS * k // 3) % BINS for k in (1, 2)]
    other = max(thirds, key=lambda place: folded[tuple(place)])
    reach = int(2 * shape.max() / spacing)
    steps = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2, indexing="ij"), -1).reshape(-1, 2)
    both = [(steps + (np.array(place) + 0.5) / BINS) @ cell for place in (origin, other)]
    inside = [p[((p >= -0.5) & (p <= shape - 0.5)).all(axis=1)] for p in both]
    positions = np.concatenate(inside)
    kind = np.repeat([0, 1], [len(p) for p in inside])
    intensity = map_coordinates(blurred, positions.T, order=3, mode="nearest")
    return Sites(positions, kind, spacing, _compare(positions, kind, intensity))


def _compare(
    positions: NDArray[np.float64], kind: NDArray[np.intp], intensity: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Values by what an intensity is compared with; "with neighbours": averaged over a site and its three bonds."""
    local, overall = np.zeros(len(kind)), np.zeros(len(kind))
    for one in (0, 1):
        of_kind = kind == one
        around = KDTree(positions[of_kind]).query(positions[of_kind], AROUND + 1)[1][:, 1:]
        values = intensity[of_kind]
        for target, level in ((local, np.median(values[around], axis=1)), (overall, np.median(values))):
            difference = values - level
            spread = 1.4826 * np.median(np.abs(difference - np.median(difference)))
            target[of_kind] = difference / max(spread, 1e-9)
    nearest = KDTree(positions).query(positions, 4)[1]
    return {"local": local, "overall": overall, "overall, with neighbours": overall[nearest].mean(axis=1)}


def _find_spots(flat: NDArray[np.floating]) -> NDArray[np.float64]:
    """(2, 2) float64 [cycles/px]: two spots (y, x) of the first order at about 120°."""
    window = np.multiply.outer(*(np.hanning(n) for n in flat.shape))
    seen = (flat - flat.mean()) * window
    amplitude = np.abs(np.fft.fft2(seen))
    grid = np.stack(np.meshgrid(*(np.fft.fftfreq(n) for n in flat.shape), indexing="ij"), -1)
    length = np.linalg.norm(grid, axis=-1)
    peaks = (amplitude == maximum_filter(amplitude, 5, mode="wrap")) & (length > 0.03) & (length < 0.35)
    first = grid[np.unravel_index(np.where(peaks, amplitude, 0).argmax(), amplitude.shape)]
    cosine = grid @ first / np.maximum(length * np.linalg.norm(first), 1e-12)
    ring = np.abs(length / np.linalg.norm(first) - 1) < 0.15
    there = peaks & ring & (np.abs(cosine + 0.5) < 0.2)
    second = grid[np.unravel_index(np.where(there, amplitude, 0).argmax(), length.shape)]
    rows, columns = (np.arange(n) for n in flat.shape)

    def less(spot: NDArray[np.float64]) -> float:
        wave = np.exp(-2j * np.pi * spot[0] * rows) @ seen @ np.exp(-2j * np.pi * spot[1] * columns)
        return -float(np.abs(wave))

    step = np.vstack([np.zeros(2), np.diag(0.5 / np.array(flat.shape))])
    options = [{"xatol": 1e-6, "fatol": 1e-9, "initial_simplex": spot + step} for spot in (first, second)]
    return np.array([minimize(less, o["initial_simplex"][0], method="Nelder-Mead", options=o).x for o in options])


def _fold(image: NDArray[np.floating], spots: NDArray[np.float64]) -> NDArray[np.float64]:
    """(BINS, BINS) float64: the mean of an image over one cell."""
    fraction = np.indices(image.shape).reshape(2, -1).T @ spots.T % 1
    index = np.minimum((fraction * BINS).astype(int), BINS - 1) @ [BINS, 1]
    total, number = (np.bincount(index, w, BINS**2) for w in (image.ravel(), None))
    return gaussian_filter((total / np.maximum(number, 1)).reshape(BINS, BINS), 1, mode="wrap")
