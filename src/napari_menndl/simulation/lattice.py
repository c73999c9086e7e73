"""Sites of a WS2 monolayer, and their changes under the electron beam from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from napari_menndl.simulation.sample import Kind, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Lattice:
    """Lattice sites of an area.

    Attributes
    ----------
    positions : (n, 2) float64 (y, x) [nm]
        Ideal column positions; the area's corner is (0, 0).
    metal : (n,) bool
        W sites; the others are S2 columns.
    area : (n,) bool
        Whether in the area itself, not in the margin around it.
    bonds : (m, 2) int
        Pairs of neighbouring sites, W and S2.
    steps : (k, 2) int
        Pairs of neighbouring sites of the same kind, in both directions.
    """

    positions: NDArray[np.float64]
    metal: NDArray[np.bool_]
    area: NDArray[np.bool_]
    bonds: NDArray[np.intp]
    steps: NDArray[np.intp]


@dataclass(frozen=True)
class SampleFrame:
    """State of the sample during one frame.

    Attributes
    ----------
    kind : (n,) int8
        `Kind` of each site.
    defect : (n,) int32
        Number of the defect at each site; 0 if there is none.
    changes : dict of int to str
        Changes of defects since the previous frame: ``"born"``, ``"moved"``, ``"grew"``, ``"vanished"``.
    """

    kind: NDArray[np.int8]
    defect: NDArray[np.int32]
    changes: dict[int, str]


def make_lattice(sample: Sample, height: float, width: float, margin: float, rng: np.random.Generator) -> Lattice:
    """Return the sites of 1H-WS2 along c, over (height, width) plus a margin [nm], at a random offset."""
    a = sample.lattice_constant
    angle = np.deg2rad(sample.rotation)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    cell = a * np.array([[0.0, 1.0], [np.sqrt(3) / 2, 0.5]]) @ turn
    reach = int((np.hypot(height, width) / 2 + 2 * margin) / (a * np.sqrt(3) / 2)) + 2
    index = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2, indexing="ij"), -1).reshape(-1, 2)
    metal = (index + rng.random(2)) @ cell + np.array([height, width]) / 2
    both = np.concatenate([metal, metal + np.array([a / np.sqrt(3), 0.0]) @ turn])
    is_metal = np.arange(len(both)) < len(metal)
    inside = ((both > -margin) & (both < np.array([height, width]) + margin)).all(axis=1)
    positions, is_metal = both[inside], is_metal[inside]
    bonds = cKDTree(positions).query_pairs(1.2 * a / np.sqrt(3), output_type="ndarray")
    same = cKDTree(positions).query_pairs(1.1 * a, output_type="ndarray")
    same = same[is_metal[same[:, 0]] == is_metal[same[:, 1]]]
    area = np.asarray(((positions >= 0) & (positions < np.array([height, width]))).all(axis=1))
    return Lattice(positions, is_metal, area, bonds, np.concatenate([same, same[:, ::-1]]))


def evolve(sample: Sample, lattice: Lattice, frames: int, rng: np.random.Generator) -> list[SampleFrame]:
    """Return the sample's state in each frame, from one random stream drawn in a fixed order."""
    return list(_Evolution(sample, lattice, rng).frames(frames))


class _Evolution:
    def __init__(self, sample: Sample, lattice: Lattice, rng: np.random.Generator) -> None:
        self.sample, self.lattice, self.rng = sample, lattice, rng
        n = len(lattice.positions)
        self.kind = np.zeros(n, np.int8)
        self.defect = np.zeros(n, np.int32)
        self.changes: dict[int, str] = {}
        self.last = 0
        both = np.concatenate([lattice.bonds, lattice.bonds[:, ::-1]])
        order = np.argsort(both[:, 0], kind="stable")
        ends = np.searchsorted(both[order, 0], np.arange(n + 1))
        self.neighbours = [both[order[i:j], 1] for i, j in pairwise(ends)]
        steps = np.argsort(lattice.steps[:, 0], kind="stable")
        ends = np.searchsorted(lattice.steps[steps, 0], np.arange(n + 1))
        self.steps = [lattice.steps[steps[i:j], 1] for i, j in pairwise(ends)]

    def frames(self, count: int) -> Iterator[SampleFrame]:
        self._start()
        for t in range(count):
            self.changes = {}
            if t:
                self._step()
            yield SampleFrame(self.kind.copy(), self.defect.copy(), self.changes)

    def _start(self) -> None:
        sample, metal = self.sample, self.lattice.metal
        draw = self.rng.random(len(metal))
        mo, w = sample.mo_fraction, sample.mo_fraction + sample.w_vacancies
        s2, s = sample.s2_vacancies, sample.s2_vacancies + sample.s_vacancies
        self._make(np.flatnonzero(metal & (draw < mo)), Kind.MO)
        self._make(np.flatnonzero(metal & (draw >= mo) & (draw < w)), Kind.W_VACANCY)
        self._make(np.flatnonzero(~metal & (draw < s2)), Kind.S2_VACANCY)
        self._make(np.flatnonzero(~metal & (draw >= s2) & (draw < s)), Kind.S_VACANCY)
        sites = np.flatnonzero(metal & self.lattice.area)
        holes = round(sample.hole_density * len(sites) * sample.lattice_constant**2 * np.sqrt(3) / 2)
        for site in self.rng.choice(sites, min(holes, len(sites)), replace=False):
            self._open(int(site))
            for probability in (0.5, 0.5, 0):  # the last removes columns left with a single bond at its edge
                self._grow(probability, int(self.defect[site]))

    def _step(self) -> None:
        sample, kind = self.sample, self.kind
        draw = self.rng.random(len(kind))
        sulphur = ~self.lattice.metal
        first = np.flatnonzero(sulphur & (kind == Kind.PERFECT) & (draw < 1 - (1 - sample.s_loss) ** 2))
        second = np.flatnonzero(sulphur & (kind == Kind.S_VACANCY) & (draw < sample.s_loss))
        self._make(first, Kind.S_VACANCY)
        self._make(second, Kind.S2_VACANCY)
        self._hop(Kind.S_VACANCY, sample.s_hop)
        self._hop(Kind.MO, sample.mo_hop)
        draw = self.rng.random(len(kind))
        empty = (kind == Kind.S2_VACANCY) | (kind == Kind.W_VACANCY)
        for site in np.flatnonzero(empty & (draw < sample.hole_nucleation)):
            self._open(int(site))
        self._grow(sample.hole_growth)

    def _make(self, sites: NDArray[np.intp], kind: Kind) -> None:
        """Create a new defect at each site, replacing any that is there."""
        for site in sites:
            self._end(self.defect[site])
            self.last += 1
            self.kind[site], self.defect[site] = kind, self.last
            self.changes[self.last] = "born"

    def _end(self, defect: np.int32) -> None:
        if defect:
            self.changes[int(defect)] = "vanished"

    def _hop(self, kind: Kind, probability: float) -> None:
        sites = np.flatnonzero(self.kind == kind)
        for site in sites[self.rng.random(len(sites)) < probability]:
            free = [s for s in self.steps[site] if self.kind[s] == Kind.PERFECT]
            # A defect born in this frame does not move, so that each defect has one change per frame.
            if free and int(self.defect[site]) not in self.changes:
                to = free[self.rng.integers(len(free))]
                self.kind[[site, to]] = self.kind[[to, site]]
                self.defect[[site, to]] = self.defect[[to, site]]
                self.changes[int(self.defect[to])] = "moved"

    def _open(self, site: int) -> None:
        """Open a hole by removing a column and its bonded neighbours."""
        self._make(np.array([site]), Kind.HOLE)
        self._widen(self.neighbours[site], int(self.defect[site]))
        self._merge()

    def _widen(self, sites: NDArray[np.intp], hole: int) -> None:
        for site in sites:
            if self.kind[site] != Kind.HOLE:
                self._end(self.defect[site])
                self.kind[site], self.defect[site] = Kind.HOLE, hole
                self.changes.setdefault(hole, "grew")

    def _grow(self, probability: float, only: int | None = None) -> None:
        """Remove columns with one lost neighbour with a probability, those with more at once; of one hole or of all."""
        bonds = self.lattice.bonds
        hole = self.kind == Kind.HOLE if only is None else self.defect == only
        lost = np.bincount(bonds[:, 0][hole[bonds[:, 1]]], minlength=len(hole))
        lost += np.bincount(bonds[:, 1][hole[bonds[:, 0]]], minlength=len(hole))
        draw = self.rng.random(len(hole))
        for site in np.flatnonzero((self.kind != Kind.HOLE) & (lost > 0) & ((draw < probability) | (lost > 1))):
            beside = self.neighbours[site]
            self._widen(np.array([site]), int(self.defect[beside[hole[beside]]].min()))
        self._merge()

    def _merge(self) -> None:
        """Merge touching holes into the oldest of them."""
        bonds = self.lattice.bonds
        hole = self.kind == Kind.HOLE
        joined = bonds[hole[bonds].all(axis=1)]
        n = len(hole)
        graph = coo_array((np.ones(len(joined)), (joined[:, 0], joined[:, 1])), shape=(n, n))
        parts = connected_components(graph, directed=False)[1]
        oldest = np.full(n, np.iinfo(np.int32).max, np.int32)
        np.minimum.at(oldest, parts[hole], self.defect[hole])
        for gone in np.unique(self.defect[hole][self.defect[hole] != oldest[parts[hole]]]):
            self._end(gone)
            self.changes.setdefault(int(oldest[parts[hole & (self.defect == gone)][0]]), "grew")
        self.defect[hole] = oldest[parts[hole]]
