"""The lattice of a frame, found in its Fourier transform, and on which of its sites a point lies.

The lattice may be strained or distorted by the scan: the phases of two Bragg spots give its local position (geometric
phase analysis: Hÿtch, Snoeck & Kilaas, Ultramicroscopy 74, 131, 1998, 10.1016/S0304-3991(98)00035-7). The frame,
averaged over all unit cells, shows the kinds of columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, signal

from napari_menndl.annotation.fourier import bragg_spots
from napari_menndl.errors import InputError
from napari_menndl.movie.character import EDGE, middle
from napari_menndl.movie.normalisation import normalise

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Vectors = npt.NDArray[np.float64]

#: Number of strongest Bragg spots that a lattice has to explain, the fraction of them that must lie near a multiple of
#: the basis spots, and the tolerance for that [length of the shorter basis spot].
_SPOTS, _EXPLAINED, _NEAR = 16, 0.93, 0.12
#: Standard deviation of the Gaussian over which the local phase is averaged [mean lattice vectors].
_PHASE = 3.0
#: Bins of the averaged cell along each lattice vector; scale of the Laplacian and smallest distance of two columns
#: [shortest lattice vector]; smallest height of a column's peak, relative to the highest peak and in standard errors;
#: effective number of bins in the smoothing, 4 pi.
_BINS, _SHARP, _APART, _PROMINENCE, _SURE, _SMOOTHED = 32, 0.08, 0.2, 0.05, 4.0, 12.6
#: Largest distance of a centre from its site [distance between neighbouring sites]: beyond it lies between sites.
_ON_SITE = 0.45
#: Smallest strength of both Bragg spots around a point, relative to their median over the frame.
_VISIBLE = 0.3
#: Points per axis at which that median is taken.
_PROBES = 8


@dataclass(frozen=True)
class Lattice:
    """The lattice of a frame, and the columns in its unit cell.

    Attributes
    ----------
    spots : (2, 2) float64
        Two Bragg spots (y, x) that span the reciprocal lattice [cycles/px].
    vectors : (2, 2) float64
        The lattice vectors (y, x) [px].
    motif : (k, 2) float64
        Positions of the columns in the mean unit cell [lattice vectors], the brightest first: kinds 1 to k.
    """

    spots: Vectors
    vectors: Vectors
    motif: Vectors

    @property
    def step(self) -> float:
        """Mean length of the lattice vectors [px]."""
        return float(np.linalg.norm(self.vectors, axis=1).mean())

    @property
    def cell_area(self) -> float:
        """Area of the unit cell [px]."""
        return float(abs(np.linalg.det(self.vectors)))

    @property
    def spacing(self) -> float:
        """Distance between neighbouring columns [px]."""
        cells = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 2, indexing="ij"), -1).reshape(-1, 1, 1, 2)
        apart = np.linalg.norm((cells + self.motif[:, None] - self.motif[None]) @ self.vectors, axis=-1)
        return float(apart[apart > 0].min())

    @classmethod
    def of(cls, flat: Vectors, spots: Vectors) -> Lattice:
        """Measure the unit cell of a flattened frame (Y, X).

        Raises
        ------
        InputError
            If no column stands out in the mean unit cell.
        """
        vectors = np.asarray(np.linalg.inv(spots).T, np.float64)
        step = float(np.linalg.norm(vectors, axis=1).mean())
        return cls(spots, vectors, _find_motif(flat, lattice_places(flat, spots, step), vectors))


def flattened(frame: npt.NDArray[np.floating], spots: Vectors) -> Vectors:
    """Return a frame (Y, X) less its background, of unit spread, float64."""
    step = float(np.linalg.norm(np.linalg.inv(spots), axis=0).mean())
    return normalise(frame, "flattened", max(8.0, 2 * step)).astype(np.float64)


def lattice_sites(
    frame: npt.ArrayLike, points: npt.NDArray[np.floating], areas: npt.ArrayLike = 0.0
) -> npt.NDArray[np.float64]:
    """Return the kind of the lattice site that each point lies on.

    The lattice is that of the frame's central part; its position is measured around each point. A site is where a
    column stands in the perfect lattice, whether or not one is there.

    Parameters
    ----------
    frame : (Y, X) float
        Raw, without NaN.
    points : (n, 2) float
        y, x [px].
    areas : (n,) float [px]
        Areas of what lies there.

    Returns
    -------
    (n,) float64
        1 for the sites of the brightest columns, 2 for the next; NaN where that cannot be told: there is no lattice
        in the frame or around the point, the point lies between sites, or the area is larger than the unit cell.
    """
    raw, places = np.asarray(frame, np.float32), np.asarray(points, np.float64).reshape(-1, 2)
    unknown = np.full(len(places), np.nan)
    if not len(places):
        return unknown
    try:
        part = middle(raw, EDGE, EDGE)
        spots = find_lattice(part)
        lattice = Lattice.of(flattened(part, spots), spots)
        flat = flattened(raw, spots)
    except InputError:
        return unknown
    flat -= flat.mean()
    position, strength = _around(flat, spots, places, _PHASE * lattice.step)
    probes = np.stack(np.meshgrid(*(np.linspace(0, n - 1, _PROBES) for n in raw.shape), indexing="ij"), -1)
    usual = np.median(_around(flat, spots, probes.reshape(-1, 2), _PHASE * lattice.step)[1], axis=0)
    off = (position[:, None] - lattice.motif + 0.5) % 1 - 0.5
    distance = np.linalg.norm(off @ lattice.vectors, axis=-1)
    told = (distance.min(axis=1) <= _ON_SITE * lattice.spacing) & (strength >= _VISIBLE * usual).all(axis=1)
    return np.where(told & (np.asarray(areas) <= lattice.cell_area), distance.argmin(axis=1) + 1.0, np.nan)


def with_sites(table: pd.DataFrame, frame: npt.ArrayLike | None) -> pd.DataFrame:
    """Fill the column site of a table of defects of one frame, see `lattice_sites`; NaN without the frame (Y, X)."""
    if frame is None:
        return table
    return table.assign(site=lattice_sites(frame, table[["y", "x"]].to_numpy(np.float64), table["area_px"]))


def _around(flat: Vectors, spots: Vectors, points: Vectors, sigma: float) -> tuple[Vectors, Vectors]:
    """(n, 2) float64 each: `lattice_places` of single points, and the strength of the two Bragg spots around them."""
    reach = int(np.ceil(2.5 * sigma))
    waves = np.zeros((len(points), 2), np.complex128)
    for number, point in enumerate(points):
        y, x = (
            np.arange(max(round(at) - reach, 0), min(round(at) + reach + 1, size))
            for at, size in zip(point, flat.shape, strict=True)
        )
        # (2, Y) and (2, X): the Gaussian and each wave are products of a part along y and one along x.
        down, across = (
            np.exp(-0.5 * ((at - centre) / sigma) ** 2 - 2j * np.pi * spots[:, axis, None] * at)
            for axis, (at, centre) in enumerate(zip((y, x), point, strict=True))
        )
        rows = np.concatenate([down.real, down.imag]) @ flat[y[0] : y[-1] + 1, x[0] : x[-1] + 1]
        waves[number] = ((rows[:2] + 1j * rows[2:]) * across).sum(axis=1) / (
            np.abs(down[0]).sum() * np.abs(across[0]).sum()
        )
    return points @ spots.T + np.angle(waves) / (2 * np.pi), np.abs(waves)


def find_lattice(frame: npt.NDArray[np.floating]) -> Vectors:
    """Find two Bragg spots that span the reciprocal lattice of a frame.

    From the strongest spots, their sums and differences, the two that span the largest reciprocal cell of which nearly
    all strong spots are integer combinations, refined to fractions of a bin.

    Parameters
    ----------
    frame : (Y, X) float
        Raw.

    Returns
    -------
    (2, 2) float64
        One spot (y, x) per row [cycles/px].

    Raises
    ------
    InputError
        If no two spots explain the others.
    """
    shape = np.array(frame.shape)
    flat = normalise(np.asarray(frame, np.float32), "local", 20.0)
    window = np.multiply.outer(*(np.hanning(n) for n in shape))
    seen = (flat - flat.mean()) * window
    strongest = bragg_spots(seen)[:_SPOTS]
    if len(strongest) < 2:
        raise no_lattice(f"{len(strongest)} Bragg spots")
    bin_size = 1 / shape.min()
    sums = (a - s * b for a, b in combinations(strongest, 2) for s in (1, -1))
    steps = np.array([one for one in [*strongest, *sums] if np.linalg.norm(one) > 3 * bin_size]).reshape(-1, 2)
    lengths = np.linalg.norm(steps, axis=1)
    a, b = np.triu_indices(len(steps), 1)
    area = np.abs(steps[a, 0] * steps[b, 1] - steps[a, 1] * steps[b, 0])
    # From the largest cell down, in parts: most often one of the first explains the spots.
    order = np.argsort(-area, kind="stable")
    order = order[area[order] >= 0.3 * lengths[a[order]] * lengths[b[order]]]
    best = None
    for some in np.array_split(order, max(1, len(order) // 1000)):
        bases = np.stack([steps[a[some]], steps[b[some]]], axis=1)
        multiples = strongest @ np.linalg.inv(bases)
        off = np.linalg.norm((multiples - np.rint(multiples)) @ bases, axis=-1)
        allowed = np.maximum(_NEAR * np.minimum(lengths[a[some]], lengths[b[some]]), 1.5 * bin_size)
        explains = (off < allowed[:, None]).mean(axis=1) >= _EXPLAINED
        if explains.any():
            best = bases[explains.argmax()]
            break
    if best is None:
        raise no_lattice("spots of more than one lattice")
    multiples = np.rint(strongest @ np.linalg.inv(best))
    off = np.linalg.norm(multiples @ best - strongest, axis=1)
    good = (off < np.maximum(_NEAR * np.linalg.norm(best, axis=1).min(), 1.5 * bin_size)) & multiples.any(axis=1)
    # A fit to all spots is more precise than the two alone.
    return _reduced(np.linalg.lstsq(multiples[good], strongest[good], rcond=None)[0])


def _reduced(basis: Vectors) -> Vectors:
    """Return the two shortest vectors (2, 2) that span the same lattice (Gauss reduction)."""
    a, b = sorted(basis, key=lambda one: float(one @ one))
    while True:
        b = b - np.rint(a @ b / (a @ a)) * a
        if b @ b >= a @ a:
            return np.array([a, b])
        a, b = b, a


def no_lattice(found: str) -> InputError:
    """Return the error for a frame in which no lattice is found."""
    return InputError(
        "a lattice: Bragg spots in the Fourier transform of the frame",
        found,
        "Use this helper on crystals in view along a zone axis; else click the defects.",
    )


def lattice_places(flat: npt.NDArray[np.float64], spots: Vectors, step: float) -> npt.NDArray[np.float64]:
    """(2, Y, X) float64: position of each pixel [lattice vectors of mean length `step`], up to whole numbers."""
    grid = np.indices(flat.shape)
    centred = flat - flat.mean()
    kernel = signal.windows.gaussian(2 * round(4 * _PHASE * step) + 1, _PHASE * step)
    places = []
    for spot in spots:
        nominal = np.tensordot(spot, grid, 1)
        wave = centred * np.exp(-2j * np.pi * nominal)
        for axis, window in enumerate((kernel[:, None], kernel[None])):
            wave = signal.fftconvolve(wave, window, mode="same", axes=axis)
        places.append(nominal + np.angle(wave) / (2 * np.pi))
    return np.stack(places)


def _find_motif(image: npt.NDArray[np.float64], place: npt.NDArray[np.float64], cell: Vectors) -> Vectors:
    """(k, 2): positions of the columns in the mean unit cell [lattice vectors], the brightest first."""
    index = np.minimum((place % 1 * _BINS).astype(int), _BINS - 1)
    flat_index = (index[0] * _BINS + index[1]).ravel()
    # A dim column next to a bright one is only a shoulder of its peak, but a peak of the negative Laplacian.
    sharp = -ndimage.gaussian_laplace(image, _SHARP * np.linalg.norm(cell, axis=1).min())
    # Smoothed before the division: if a lattice vector is a whole number of pixels, bins get uneven numbers of them.
    number, total, light = (
        ndimage.gaussian_filter(np.bincount(flat_index, one.ravel(), _BINS**2).reshape(_BINS, _BINS), 1.0, mode="wrap")
        for one in (np.ones(image.shape), sharp, image)
    )
    number = np.maximum(number, np.finfo(float).tiny)  # 0 where a frame has few cells
    folded, bright = total / number, light / number
    noise = 1.4826 * np.median(np.abs(sharp - np.median(sharp))) / np.sqrt(number.mean() * _SMOOTHED)
    least = max(_PROMINENCE * folded.max(), _SURE * noise)
    peaks = np.argwhere((folded == ndimage.maximum_filter(folded, 5, mode="wrap")) & (folded > least))
    found: list[npt.NDArray[np.float64]] = []
    for peak in peaks[np.argsort(-folded[tuple(peaks.T)])]:
        low, high = (folded[tuple((peak + s * np.eye(2, dtype=int)).T % _BINS)] for s in (-1, 1))
        bend = low + high - 2 * folded[tuple(peak)]
        within = (peak + 0.5 + 0.5 * (low - high) / np.minimum(bend, -1e-12)) / _BINS
        apart = [np.linalg.norm(((within - one + 0.5) % 1 - 0.5) @ cell) for one in found]
        if all(d > _APART * np.linalg.norm(cell, axis=1).min() for d in apart):
            found.append(within)
    if not found:
        raise no_lattice("spots, but no columns")
    motif: Vectors = np.stack(found)
    bins = np.minimum((motif % 1 * _BINS).astype(int), _BINS - 1)
    return motif[np.argsort(-bright[tuple(bins.T)])]
