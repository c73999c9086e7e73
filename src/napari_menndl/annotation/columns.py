"""Atomic columns of a lattice and the deviation of their intensities, to annotate point defects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from napari_menndl.annotation.fourier import SIGNS
from napari_menndl.annotation.lattice import Lattice, find_lattice, flattened, lattice_places, no_lattice
from napari_menndl.metrics.detection import score_class
from napari_menndl.serialization import check_types
from napari_menndl.settings import setting

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_menndl.metrics.detection import MatchRule

    Vectors = npt.NDArray[np.float64]

#: The columns that an intensity is compared with: those of its kind around it, or all of its kind.
COMPARISONS = ("around", "all")
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
    flat = flattened(raw, spots)
    lattice = Lattice.of(flat, spots)
    cell, place = lattice.vectors, lattice_places(flat, spots, lattice.step)
    reach = int(np.ceil(np.abs(shape @ np.abs(spots).T).max())) + 2
    cells = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2, indexing="ij"), -1).reshape(-1, 2)
    positions: list[Vectors] = []
    kind: list[npt.NDArray[np.intp]] = []
    for number, within in enumerate(lattice.motif, start=1):
        there = _settle((cells + within) @ cell, cells + within, place, cell, shape)
        positions.append(there)
        kind.append(np.full(len(there), number))
    both, kinds = np.concatenate(positions), np.concatenate(kind)
    if len(both) < 2 * _AROUND:
        raise no_lattice(f"{len(both)} columns")
    spacing = float(np.median(np.asarray(KDTree(both).query(both, 2)[0])[:, 1]))
    intensity = ndimage.map_coordinates(ndimage.gaussian_filter(flat, _WINDOW * spacing), both.T, order=1)
    return Columns(both, kinds, spacing, {name: _deviation(both, kinds, intensity, name) for name in COMPARISONS})


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
