"""Simulated images of single heavy atoms on a support of uneven thickness, one labelled by a hasty person's clicks.

Image contrast adds up (Z-contrast, single scattering): a support with slopes and waves, Gaussian atoms, some of them in
clusters, Poisson counts of a low dose, readout noise, and a detector that smears and offsets rows.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from judging import Problem, TestFrame
from napari_menndl import Annotation, DefectClass, open_movie
from napari_menndl.metrics.components import label_components
from napari_menndl.task.task import TrainingTask

EDGE, RADIUS, TOLERANCE = 512, 4.0, 6.0
#: Of the clicks: missing ones, and scatter [px].
MISSED, SCATTER = 0.12, 1.8
#: Waves of the support: length scale [px] and relative amplitude.
_WAVES = ((60, 0.25), (20, 0.10), (6, 0.03))
_SPACING, _MARGIN = 7.0, 4.0


def simulate(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One image (Y, X) float32 [counts] and its clicks (n, 2) float64 (y, x) [px]."""
    y, x = np.indices((EDGE, EDGE)) / EDGE - 0.5
    slope = rng.normal(size=2)
    support = 1 + 0.25 * (slope[0] * y + slope[1] * x)
    for scale, amplitude in _WAVES:
        wave = gaussian_filter(rng.normal(size=support.shape), scale)
        support += amplitude * wave / wave.std()
    atoms = _places(rng, int(rng.integers(25, 80)))
    width, contrast = rng.uniform(1.8, 2.6), rng.uniform(0.45, 0.8)
    shine = np.zeros_like(support)
    rows = np.arange(EDGE)
    for centre in atoms:
        sigma, height = width * rng.uniform(0.9, 1.25), contrast * rng.uniform(0.5, 1.2)
        profiles = (np.exp(-((rows - c) ** 2) / (2 * sigma**2)) for c in centre)
        shine += height * np.outer(*profiles)
    electrons = rng.poisson(rng.uniform(14, 26) * (np.clip(support, 0.15, None) + shine))
    counts = electrons + rng.normal(0, 0.6, shine.shape) + rng.normal(0, 0.3, (EDGE, 1))
    clicked = atoms[rng.random(len(atoms)) > MISSED]
    clicked = np.clip(clicked + rng.normal(0, SCATTER, clicked.shape), 0, EDGE - 1)
    return (400 * gaussian_filter(counts, 0.7) + 3000).astype(np.float32), clicked


def _places(rng: np.random.Generator, number: int) -> np.ndarray:
    """Most atoms anywhere, the others around a few centres, none close to another or to the edge."""
    clusters = rng.uniform(10, EDGE - 10, (max(1, number // 6), 2))
    places: list[np.ndarray] = []
    for _ in range(50 * number):
        if rng.random() < 0.6:
            place = rng.uniform(_MARGIN, EDGE - _MARGIN, 2)
        else:
            place = clusters[rng.integers(len(clusters))] + rng.normal(0, 18, 2)
        inside = (place > _MARGIN).all() and (place < EDGE - _MARGIN).all()
        if inside and all(np.hypot(*(place - other)) > _SPACING for other in places):
            places.append(place)
        if len(places) == number:
            break
    return np.array(places)


def adatom_problem(seed: int, others: int = 5) -> Problem:
    """One clicked image to learn from, and others, clicked as hastily, to be tested on."""
    frame, clicks = simulate(np.random.default_rng([seed, 0]))
    movie = open_movie(frame)
    annotation = Annotation.from_points(clicks, frame.shape, RADIUS, classes=[DefectClass("atom", tolerance=TOLERANCE)])
    tests = []
    for number in range(1, others + 1):
        frame, clicks = simulate(np.random.default_rng([seed, number]))
        far = np.ones(frame.shape, bool)
        far[tuple(np.rint(clicks).astype(int).T)] = False
        discs = distance_transform_edt(far) <= RADIUS
        tests.append(TestFrame("others", frame, (label_components(discs, 1),), (float(discs.mean()),)))
    return Problem(movie, annotation, TrainingTask.from_movie(movie, annotation), tuple(tests))
