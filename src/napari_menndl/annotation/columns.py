"""Atomic columns of a lattice and the deviation of their intensities, to annotate point defects.

The lattice is found in the Fourier transform of the frame. It may be strained or distorted by the scan: the phases of
two Bragg spots give its local position (geometric phase analysis: Hÿtch, Snoeck & Kilaas, Ultramicroscopy 74, 131,
1998, 10.1016/S0304-3991(98)00035-7). The frame, averaged over all unit cells, shows the kinds of columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from napari_menndl.annotation.fourier import SIGNS, bragg_spots
from napari_menndl.errors import InputError
from napari_menndl.metrics.detection import score_class
from napari_menndl.movie.normalisation import normalise
from napari_menndl.serialization import check_types
from napari_menndl.settings import setting

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_menndl.metrics.detection import MatchRule

    Vectors = npt.NDArray[np.float64]

#: The columns that an intensity is compared with: those of its kind around it, or all of its kind.
COMPARISONS = ("around", "all")
#: Number of strongest Bragg spots that a lattice has to explain, the fraction of them that must lie near a multiple of
#: the basis spots, and the tolerance for that [length of the shorter basis spot].
_SPOTS, _EXPLAINED, _NEAR = 16, 0.93, 0.12
#: Standard deviation of the Gaussian over which the local phase is averaged [mean lattice vectors].
_PHASE = 3.0
#: Bins of the averaged cell along each lattice vector; scale of the Laplacian and smallest distance of two columns
#: [shortest lattice vector]; smallest height of a column's peak, relative to the highest peak and in standard errors;
#: effective number of bins in the smoothing, 4 pi.
_BINS, _SHARP, _APART, _PROMINENCE, _SURE, _SMOOTHED = 32, 0.08, 0.2, 0.05, 4.0, 12.6
#: Number of surrounding columns of the same kind that a column is compared with.
_AROUND = 18
#: Standard deviation of the Gaussian window over a column, and radius of its disc [distance to the nearest column].
_WINDOW, _DISC = 0.2, 0.45
#: Response outside of columns.
_NOWHERE = -1e3
#: Number of thresholds to try.
_LEVELS = 40


@dataclass(frozen=True)
class ColumnSettings:
    """Settings of the column helper.

    Raises
    ------
    InputError
        For a value of the wrong type or outside its range.
    """

    sign: str = setting("both", "Sign", note="Columns darker or brighter than their kind, or both.", options=SIGNS)
    comparison: str = setting(
        "around", "Compared with", note="Columns of the same kind around, or in the whole frame.", options=COMPARISONS
    )
    kind: int = setting(0, "Kind of column", note="1: the brightest, 2: the next; 0: all kinds.", min=0, max=999)
    threshold: float = setting(4.0, "Threshold", note="In standard deviations of the kind; infinite: finds nothing.")
    ceiling: float = setting(
        100.0, "At most", note="Columns further off belong to another class. In standard deviations."
    )

    def __post_init__(self) -> None:
        check_types(self)


@dataclass(frozen=True)
class Columns:
    """The atomic columns of a frame.

    Attributes
    ----------
    positions : (n, 2) float64
        y, x [px].
    kind : (n,) int
        From 1, the brightest kind.
    spacing : float
        Median distance to the nearest column [px].
    deviations : dict of str to (n,) float64
        By comparison: intensity minus the median of the compared columns [robust standard deviations of the kind].
    """

    positions: Vectors
    kind: npt.NDArray[np.intp]
    spacing: float
    deviations: dict[str, npt.NDArray[np.float64]]


class FrameColumns:
    """A frame and its columns, found on first use and kept while settings are adjusted.

    Parameters
    ----------
    frame : (Y, X) float
        Raw.
    """

    def __init__(self, frame: npt.ArrayLike) -> None:
        self._frame = np.asarray(frame, np.float32)

    @cached_property
    def columns(self) -> Columns:
        """The columns from `find_columns`."""
        return find_columns(self._frame)

    def response(self, settings: ColumnSettings) -> npt.NDArray[np.float32]:
        """Return at each pixel the deviation of its column's intensity from those of its kind.

        Returns
        -------
        (Y, X) float32
            A disc for each selected column; far below any threshold elsewhere.

        Raises
        ------
        InputError
            If no lattice is found.
        """
        columns = self.columns
        taken = (columns.kind == settings.kind) | (settings.kind == 0)
        deviation = columns.deviations[settings.comparison]
        value = {"dark": -deviation, "bright": deviation, "both": np.abs(deviation)}[settings.sign]
        distance, nearest = self._nearest
        taken &= value <= settings.ceiling
        painted = np.where((distance <= _DISC * columns.spacing) & taken[nearest], value[nearest], _NOWHERE)
        return painted.astype(np.float32)

    @cached_property
    def _nearest(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
        """(Y, X) each: the distance to the nearest column [px], and its index."""
        at = np.rint(self.columns.positions).astype(np.intp)
        which = np.zeros(self._frame.shape, np.intp)
        empty = np.ones(self._frame.shape, bool)
        which[tuple(at.T)], empty[tuple(at.T)] = np.arange(len(at)), False
        distance, (y, x) = ndimage.distance_transform_edt(empty, return_indices=True)
        return distance, which[y, x]


def tune_columns(
    frame: npt.ArrayLike, truth: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_], match_rule: MatchRule
) -> ColumnSettings:
    """Choose the settings with the highest (defect F1 + average precision) / 2 on a labelled frame.

    Parameters
    ----------
    frame : (Y, X) float
        Raw.
    truth, known : (Y, X) bool
        The pixels of the class; the pixels whose labels are known.
    match_rule : MatchRule
        Match rule of the class.

    Returns
    -------
    ColumnSettings
        With an infinite threshold if no setting finds a defect.

    Raises
    ------
    InputError
        If no lattice is found.
    """
    found = FrameColumns(frame)
    kinds = range(int(found.columns.kind.max()) + 1)
    best, reached = ColumnSettings(threshold=np.inf), 0.0

    def attempt(settings: ColumnSettings) -> None:
        nonlocal best, reached
        response = found.response(settings)
        score = score_class("", [(response, truth, known)], match_rule, _levels(response))
        if score is not None and (score.f1 + score.average_precision) / 2 > reached:
            reached = (score.f1 + score.average_precision) / 2
            best = replace(settings, threshold=float(score.threshold))

    for sign, comparison, kind in product(SIGNS, COMPARISONS, kinds):
        attempt(ColumnSettings(sign, comparison, kind))
    if reached:
        chosen = best
        for ceiling in _levels(found.response(chosen)):
            if ceiling > chosen.threshold:
                attempt(replace(chosen, ceiling=ceiling))
    return best


def _levels(response: npt.NDArray[np.float32]) -> list[float]:
    """Return thresholds between the values of the columns, more closely spaced at the highest."""
    values = np.unique(response[response > _NOWHERE])[::-1].astype(np.float64)
    ranks = np.unique(np.geomspace(1, max(1, len(values) - 1), _LEVELS).astype(int))
    return [float(v) for v in (values[ranks - 1] + values[ranks]) / 2] if len(values) > 1 else []


def find_columns(frame: npt.ArrayLike) -> Columns:
    """Find the lattice of a frame and measure its columns.

    Parameters
    ----------
    frame : (Y, X) float
        Raw.

    Raises
    ------
    InputError
        If no lattice is found.
    """
    raw = np.asarray(frame, np.float32)
    shape = np.array(raw.shape)
    spots = find_lattice(raw)
    cell = np.asarray(np.linalg.inv(spots).T, np.float64)  # rows: the lattice vectors [px]
    step = float(np.linalg.norm(cell, axis=1).mean())
    flat = normalise(raw, "flattened", max(8.0, 2 * step)).astype(np.float64)
    place = _lattice_places(flat, spots, _PHASE * step)
    motif = _find_motif(flat, place, cell)
    reach = int(np.ceil(np.abs(shape @ np.abs(spots).T).max())) + 2
    cells = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2, indexing="ij"), -1).reshape(-1, 2)
    positions: list[Vectors] = []
    kind: list[npt.NDArray[np.intp]] = []
    for number, within in enumerate(motif, start=1):
        there = _settle((cells + within) @ cell, cells + within, place, cell, shape)
        positions.append(there)
        kind.append(np.full(len(there), number))
    both, kinds = np.concatenate(positions), np.concatenate(kind)
    if len(both) < 2 * _AROUND:
        raise _no_lattice(f"{len(both)} columns")
    spacing = float(np.median(np.asarray(KDTree(both).query(both, 2)[0])[:, 1]))
    intensity = ndimage.map_coordinates(ndimage.gaussian_filter(flat, _WINDOW * spacing), both.T, order=1)
    return Columns(both, kinds, spacing, {name: _deviation(both, kinds, intensity, name) for name in COMPARISONS})


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
        raise _no_lattice(f"{len(strongest)} Bragg spots")
    bin_size = 1 / shape.min()
    steps = [*strongest, *(a - s * b for a, b in combinations(strongest, 2) for s in (1, -1))]
    steps = [one for one in steps if np.linalg.norm(one) > 3 * bin_size]
    best, largest = None, 0.0
    for a, b in combinations(steps, 2):
        area = abs(a[0] * b[1] - a[1] * b[0])
        if area <= largest * 1.05 or area < 0.3 * np.linalg.norm(a) * np.linalg.norm(b):
            continue
        multiples = strongest @ np.linalg.inv(np.array([a, b]))
        off = np.linalg.norm((multiples - np.rint(multiples)) @ np.array([a, b]), axis=1)
        allowed = np.maximum(_NEAR * min(np.linalg.norm(a), np.linalg.norm(b)), 1.5 * bin_size)
        if np.mean(off < allowed) >= _EXPLAINED:
            best, largest = np.array([a, b]), area
    if best is None:
        raise _no_lattice("spots of more than one lattice")
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


def _no_lattice(found: str) -> InputError:
    return InputError(
        "a lattice: Bragg spots in the Fourier transform of the frame",
        found,
        "Use this helper on crystals in view along a zone axis; else click the defects.",
    )


def _lattice_places(flat: npt.NDArray[np.float64], spots: Vectors, sigma: float) -> npt.NDArray[np.float64]:
    """(2, Y, X) float64: position of each pixel [lattice vectors], up to whole numbers."""
    grid = np.indices(flat.shape)
    centred = flat - flat.mean()
    weight = ndimage.gaussian_filter(np.ones_like(flat), sigma, mode="constant")
    places = []
    for spot in spots:
        nominal = np.tensordot(spot, grid, 1)
        wave = centred * np.exp(-2j * np.pi * nominal)
        smooth = ndimage.gaussian_filter(wave.real, sigma, mode="constant") + 1j * ndimage.gaussian_filter(
            wave.imag, sigma, mode="constant"
        )
        places.append(nominal + np.angle(smooth / weight) / (2 * np.pi))
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
        raise _no_lattice("spots, but no columns")
    motif: Vectors = np.stack(found)
    bins = np.minimum((motif % 1 * _BINS).astype(int), _BINS - 1)
    return motif[np.argsort(-bright[tuple(bins.T)])]


def _settle(
    start: Vectors, wanted: Vectors, place: npt.NDArray[np.float64], cell: Vectors, shape: npt.NDArray[np.intp]
) -> Vectors:
    """(n, 2): columns inside the frame [px], moved from positions in the ideal lattice to those in the real one."""
    at, margin = start, np.abs(cell).sum(axis=0)
    for _ in range(3):
        inside = ((at >= -margin) & (at <= shape - 1 + margin)).all(axis=1)
        at, wanted = at[inside], wanted[inside]
        here = np.clip(np.rint(at).astype(int), 0, shape - 1)
        now = place[:, here[:, 0], here[:, 1]].T + (at - here) @ np.linalg.inv(cell)
        off = now - wanted
        at = at - (off - np.rint(off)) @ cell
    return at[((at >= 0) & (at <= shape - 1)).all(axis=1)]


def _deviation(
    positions: Vectors, kind: npt.NDArray[np.intp], intensity: npt.NDArray[np.float64], how: str
) -> npt.NDArray[np.float64]:
    """(n,) float64: intensity minus the median of the compared columns [robust standard deviations]."""
    result = np.zeros(len(kind))
    for one in np.unique(kind):
        of_kind = kind == one
        values = intensity[of_kind]
        level: npt.NDArray[np.float64] | np.floating = np.median(values)
        if how == "around" and len(values) > 2:
            around = KDTree(positions[of_kind]).query(positions[of_kind], min(_AROUND + 1, len(values)))[1]
            level = np.median(values[np.asarray(around)[:, 1:]], axis=1)
        off = values - level
        result[of_kind] = off / max(1.4826 * float(np.median(np.abs(off - np.median(off)))), 1e-9)
    return result
