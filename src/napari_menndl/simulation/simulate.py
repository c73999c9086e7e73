"""`simulate_movie`: a HAADF-STEM movie of Mo-doped WS2 with every defect known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from napari_menndl.errors import InputError
from napari_menndl.movie.metadata import Metadata
from napari_menndl.movie.movie import Movie, lazy_frames
from napari_menndl.simulation.acquisition import Acquisition
from napari_menndl.simulation.imaging import Scan, columns_signal, detect, strengths
from napari_menndl.simulation.lattice import Lattice, SampleFrame, evolve, make_lattice
from napari_menndl.simulation.sample import CLASS_NAMES, Kind, Sample
from napari_menndl.simulation.snr import acquisition_for_snr, vacancy_snr

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Radius of a point defect's label [nm]: less than half of the projected W–S distance, 0.184 nm.
LABEL_RADIUS = 0.08
#: Random streams of an area: lattice, changes, drift, dirt; of a recording: focus, and one per frame.
_LATTICE, _CHANGES, _DRIFT, _DIRT = range(4)
_FOCUS = 0
_MARGIN, _MARGIN_STEP = 0.8, 2.0  # [nm] beyond the area that drift brings into view
_DIRT_WIDTH = 1.5  # [nm]


@dataclass(frozen=True, eq=False)
class SimulatedMovie:
    """A simulated movie with its ground truth.

    Attributes
    ----------
    movie : Movie
        uint16 frames, rendered on access and bit-identical each time.
    labels : (T, Y, X) uint8
        0 = lattice, c + 1 = class c: discs of `LABEL_RADIUS` for point defects; for holes every pixel nearer to a lost
        column than to any other.
    class_names : tuple of str
    events : DataFrame
        One row per defect and frame, for all defects whose centre is in the frame: ``defect`` (number), ``frame``,
        ``class`` (name), ``y``, ``x`` [px], ``event``, ``born`` (first frame; 0 also for defects present from the
        start). An event is ``"present"``, ``"born"``, ``"moved"``, ``"grew"``, or ``"vanished"`` with the last known
        position, in the first frame without the defect.
    sample : Sample
    acquisition : Acquisition
    snr : float
        Signal-to-noise ratio of a single S vacancy, see `vacancy_snr`.
    """

    movie: Movie
    labels: NDArray[np.uint8]
    class_names: tuple[str, ...]
    events: pd.DataFrame
    sample: Sample
    acquisition: Acquisition
    snr: float


def simulate_movie(
    frames: int = 20,
    shape: tuple[int, int] = (256, 256),
    *,
    snr: float | None = None,
    area_seed: int = 0,
    noise_seed: int = 0,
    sample: Sample | None = None,
    acquisition: Acquisition | None = None,
) -> SimulatedMovie:
    """Simulate a movie of a WS2 monolayer with Mo on W sites, vacancies, and holes that grow under the beam.

    Imaging is assumed to be linear and incoherent (columns convolved with the probe), as is usual for HAADF of a
    monolayer; Poisson noise is that of the detected electrons.

    Parameters
    ----------
    frames : int
        Number of frames, T.
    shape : (Y, X) int [px]
    snr : float, optional
        Signal-to-noise ratio of a single S vacancy, reached by adjusting the dose; 1.5 is very difficult, 3, 5 and 10
        increasingly easy. By default that of the acquisition's own dose, which gives 5.
    area_seed : int
        Seed of the area: its defects, drift and dirt.
    noise_seed : int
        Seed of the recording: noise, scan and focus errors; labels and events do not depend on it.
    sample : Sample, optional
    acquisition : Acquisition, optional

    Returns
    -------
    SimulatedMovie

    Raises
    ------
    InputError
        If there are no frames, frames are smaller than 16 px, or a parameter is outside its range.
    """
    _check(frames, shape, area_seed, noise_seed)
    sample = sample or Sample()
    acquisition = acquisition or Acquisition()
    if snr is not None:
        acquisition = acquisition_for_snr(snr, sample, acquisition)
    area = _Area(frames, shape, sample, acquisition, area_seed)
    labels = np.stack([area.labels(t) for t in range(frames)])
    movie = Movie(
        lazy_frames(_Recording(area, noise_seed), (frames, *shape), np.uint16),
        (acquisition.pixel_size, acquisition.pixel_size),
        acquisition.frame_time(*shape),
        f"WS2 area {area_seed}",
        "simulation",
        metadata=Metadata(dwell_time=acquisition.dwell_time * 1e-6, dose=acquisition.dose * 100),
    )
    events = _events(area)
    return SimulatedMovie(movie, labels, CLASS_NAMES, events, sample, acquisition, vacancy_snr(sample, acquisition))


def _check(frames: int, shape: tuple[int, int], *seeds: int) -> None:
    if not (isinstance(frames, int | np.integer) and frames >= 1):
        raise InputError("at least one frame", repr(frames), "Give for example frames=20.")
    if np.shape(shape) != (2,) or not all(isinstance(n, int | np.integer) and n >= 16 for n in shape):
        raise InputError("a shape (Y, X) of at least 16 px", repr(shape), "Give for example shape=(256, 256).")
    if not all(isinstance(seed, int | np.integer) and seed >= 0 for seed in seeds):
        raise InputError("seeds that are whole numbers from 0", repr(seeds), "Give for example area_seed=1.")


class _Area:
    """Everything that is independent of the recording: sample, defects, drift and dirt."""

    def __init__(
        self, frames: int, shape: tuple[int, int], sample: Sample, acquisition: Acquisition, area_seed: int
    ) -> None:
        self.shape, self.acquisition = shape, acquisition
        self.bond = sample.lattice_constant / np.sqrt(3)
        pixel = acquisition.pixel_size
        self.drift = _drift(frames, shape, acquisition, np.random.default_rng([area_seed, _DRIFT]))
        needed = _MARGIN + float(np.abs(self.drift).max()) * pixel
        # In large steps, so that a longer movie begins like a shorter one of the same area.
        margin = _MARGIN_STEP * np.ceil(needed / _MARGIN_STEP)
        rng = np.random.default_rng([area_seed, _LATTICE])
        self.lattice: Lattice = make_lattice(sample, shape[0] * pixel, shape[1] * pixel, margin, rng)
        static = rng.normal(0, sample.displacement, self.lattice.positions.shape)
        self.positions = (self.lattice.positions + static) / pixel
        self.states: list[SampleFrame] = evolve(
            sample, self.lattice, frames, np.random.default_rng([area_seed, _CHANGES])
        )
        rng = np.random.default_rng([area_seed, _DIRT])
        dirty = (shape[0] + 2 * round(margin / pixel), shape[1] + 2 * round(margin / pixel))
        self.margin = round(margin / pixel)
        self.background = np.maximum(1 + acquisition.background_variation * _smooth(shape, pixel, rng), 0)
        # The square of a smooth field, mean 1: contamination forms islands.
        self.dirt = _smooth(dirty, pixel, rng) ** 2

    def seen(self, t: int, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return positions (y, x) [px] of sample points in frame `t`, which is sheared by drift during the scan."""
        rows = np.arange(self.shape[0])
        drift = self.drift[t]
        image = points.copy()
        for _ in range(3):  # fixed-point iteration: the drift depends on the row in which the point is scanned
            shift = np.stack([np.interp(image[:, 0], rows, drift[:, axis]) for axis in (0, 1)], axis=1)
            image = points + shift
        return image

    def holes(self, t: int, positions: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return (Y, X) bool: pixels nearer to a lost column than to any other."""
        lost = self.states[t].kind == Kind.HOLE
        mask = np.zeros(self.shape, bool)
        if lost.any():
            height, width = self.shape
            pixels = np.mgrid[:height, :width].reshape(2, -1).T
            # Every pixel of the layer is within this distance of its nearest column.
            reach = 1.1 * self.bond / self.acquisition.pixel_size
            near = np.isfinite(cKDTree(positions[lost]).query(pixels, distance_upper_bound=reach)[0])
            mask.ravel()[near] = lost[cKDTree(positions).query(pixels[near])[1]]
        return mask

    def labels(self, t: int) -> NDArray[np.uint8]:
        """Return the label image of frame `t`, (Y, X) uint8."""
        positions = self.seen(t, self.positions)
        state = self.states[t]
        labels = np.zeros(self.shape, np.uint8)
        radius = LABEL_RADIUS / self.acquisition.pixel_size
        reach = int(radius) + 1
        window = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2, indexing="ij"), -1).reshape(-1, 2)
        for site in np.flatnonzero((state.kind != Kind.PERFECT) & (state.kind != Kind.HOLE)):
            pixels = np.round(positions[site]).astype(int) + window
            disc = np.hypot(*(pixels - positions[site]).T) <= radius
            pixels = pixels[disc & ((pixels >= 0) & (pixels < self.shape)).all(axis=1)]
            labels[tuple(pixels.T)] = state.kind[site]
        labels[self.holes(t, positions)] = Kind.HOLE
        return labels


class _Recording:
    """Renders frame `t` of an area, bit-identical for the same seed in any order."""

    def __init__(self, area: _Area, noise_seed: int) -> None:
        self.area, self.noise_seed = area, noise_seed
        rng = np.random.default_rng([noise_seed, _FOCUS])
        steps = rng.normal(size=len(area.states))
        for t in range(1, len(steps)):
            steps[t] = 0.5 * steps[t - 1] + np.sqrt(0.75) * steps[t]
        self.defocus = area.acquisition.defocus * steps

    def __call__(self, t: int) -> NDArray[np.uint16]:
        area, acquisition = self.area, self.area.acquisition
        rng = np.random.default_rng([self.noise_seed, 1, t])
        positions = area.seen(t, area.positions)
        columns = strengths(area.lattice.metal, area.states[t].kind, acquisition.z_exponent)
        fraction = columns_signal(positions, columns, acquisition, self._scan(t, rng))
        return detect(fraction + self._dirt(t, positions), acquisition, rng)

    def _scan(self, t: int, rng: np.random.Generator) -> Scan:
        acquisition, (height, width) = self.area.acquisition, self.area.shape
        jitter = rng.normal(0, acquisition.jitter / acquisition.pixel_size, (2, height, 1))
        time = np.arange(width) * acquisition.dwell_time
        settling = acquisition.flyback / acquisition.pixel_size * np.exp(-time / acquisition.flyback_settling)
        return Scan(jitter[0], jitter[1] + settling, float(self.defocus[t]))

    def _dirt(self, t: int, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share detected from background and contamination; no contamination where the layer is gone."""
        area, acquisition = self.area, self.area.acquisition
        rows, cols = np.indices(area.shape, float)
        shift = area.drift[t][:, :, None]
        at = [rows - shift[:, 0] + area.margin, cols - shift[:, 1] + area.margin]
        islands = map_coordinates(area.dirt, at, order=1, mode="nearest")
        layer = 1 - gaussian_filter(area.holes(t, positions).astype(float), 0.06 / acquisition.pixel_size)
        amount = acquisition.contamination + t * acquisition.contamination_growth
        dirt = acquisition.background * area.background + amount * islands * layer
        return np.asarray(acquisition.scattered_fraction * dirt)


def _smooth(shape: tuple[int, int], pixel: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a smooth Gaussian random field of zero mean and unit variance over many areas."""
    sigma = _DIRT_WIDTH / pixel
    # Blurred white noise on a coarse grid; its variance is 1 / (4 π σ²).
    step = max(sigma / 4, 1.0)
    coarse = tuple(int(n / step) + 8 for n in shape)
    field = gaussian_filter(rng.normal(size=coarse), sigma / step, mode="wrap") * np.sqrt(4 * np.pi) * sigma / step
    at = np.meshgrid(*[np.arange(n) / step + 2 for n in shape], indexing="ij")
    return np.asarray(map_coordinates(field, at, order=3, mode="wrap"))


def _drift(
    frames: int, shape: tuple[int, int], acquisition: Acquisition, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return (T, Y, 2) float64 (y, x) [px]: displacement of the sample during each line, relative to the start."""
    lines, dt = frames * shape[0], acquisition.line_time(shape[1])
    angle = rng.uniform(0, 2 * np.pi)
    speed = acquisition.drift * np.array([np.sin(angle), np.cos(angle)])
    steady = np.arange(lines)[:, None] * dt * speed
    walk = np.cumsum(rng.normal(0, acquisition.wander * np.sqrt(dt), (lines, 2)), axis=0)
    return ((steady + walk - walk[0]) / acquisition.pixel_size).reshape(frames, shape[0], 2)


def _events(area: _Area) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    born: dict[int, int] = {}
    before: dict[int, dict[str, Any]] = {}
    for t, state in enumerate(area.states):
        sites = np.flatnonzero(state.defect)
        points = area.seen(t, area.positions)[sites]
        table = pd.DataFrame(points, columns=["y", "x"]).assign(kind=state.kind[sites], defect=state.defect[sites])
        now: dict[int, dict[str, Any]] = {}
        for defect, y, x, kind in table.groupby("defect").mean().itertuples():
            born.setdefault(int(defect), t)
            event = state.changes.get(int(defect), "present")
            now[int(defect)] = _row(int(defect), t, CLASS_NAMES[int(kind) - 1], y, x, event, born[int(defect)])
        gone = [row | {"frame": t, "event": "vanished"} for defect, row in before.items() if defect not in now]
        rows += [
            row
            for row in [*now.values(), *gone]
            if all(0 <= row[c] <= n - 1 for c, n in zip("yx", area.shape, strict=True))
        ]
        before = now
    columns = ["defect", "frame", "class", "y", "x", "event", "born"]
    return pd.DataFrame(rows, columns=columns)


def _row(defect: int, frame: int, name: str, y: float, x: float, event: str, born: int) -> dict[str, Any]:
    return {"defect": defect, "frame": frame, "class": name, "y": y, "x": x, "event": event, "born": born}
