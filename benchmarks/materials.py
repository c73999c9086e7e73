"""Simulated images of other materials than those that the search was designed on, with their true defects.

Five kinds, each with its own contrast, distractors and spread from image to image: defects of graphene, doped and
vacant columns of a perovskite, metal particles on carbon, dislocation cores seen along dumbbells, bubbles in bright
field. None shares code with `napari_menndl.simulation`. Intensities of columns follow Z**1.7 (Krivanek et al., Nature
464, 571, 2010: 1.64 to 1.7).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from judging import Problem, TestFrame
from napari_menndl import Annotation, DefectClass, open_movie
from napari_menndl.metrics.components import label_components
from napari_menndl.task.task import TrainingTask

EDGE = 384
_Y, _X = np.indices((EDGE, EDGE)).astype(float)


def graphene(rng):
    """Vacancies and Si atoms in graphene, patches of contamination; ADF at a low dose."""
    step = 0.246 / 0.025  # px
    places, _ = _lattice(rng, step, np.array([[1, 0], [0.5, np.sqrt(3) / 2]]), [[0, 0], [1 / 3, 1 / 3]])
    heights = np.ones(len(places))
    inside = _inside(places, 6)
    chosen = _apart(rng, places, inside, int(rng.integers(20, 34)), 22)
    half = len(chosen) // 2
    vacant, silicon = chosen[:half], chosen[half:]
    heights[vacant] = 0
    heights[silicon] = (14 / 6) ** 1.7
    clean = _columns(places, heights, 2.1 * rng.uniform(0.9, 1.15), tail=0.15)
    dirt = _waves(rng, 25)
    clean += 3.0 * np.clip(dirt - 1.3, 0, None) * (1 + 0.4 * _waves(rng, 2.5))
    labels = _discs({1: places[vacant], 2: places[silicon]}, 4.5)
    return _record(rng, clean, dose=rng.uniform(12, 25)), labels


def perovskite(rng):
    """La on Sr columns and Sr-poor columns of SrTiO3 along [001], a wedge of thickness, a damaged surface layer."""
    step = 0.3905 / 0.026
    places, site = _lattice(rng, step, np.eye(2), [[0, 0], [0.5, 0.5]])
    heights = np.where(site == 0, 38**1.7, 22**1.7 + 8**1.7) / 38**1.7
    slope = rng.normal(size=2) * 0.35
    thick = 1 + (slope[0] * (_Y - EDGE / 2) + slope[1] * (_X - EDGE / 2)) / EDGE + 0.08 * _waves(rng, 50)
    strontium = (site == 0) & _inside(places, 6)
    chosen = _apart(rng, places, strontium, int(rng.integers(26, 44)), 20)
    half = len(chosen) // 2
    doped, poor = chosen[:half], chosen[half:]
    heights = heights * rng.normal(1, 0.03, len(heights))
    heights[doped] *= 1 + rng.uniform(0.2, 0.4, len(doped))
    heights[poor] *= 1 - rng.uniform(0.25, 0.45, len(poor))
    clean = _columns(places, heights, 2.7 * rng.uniform(0.9, 1.1), tail=0.2) * np.clip(thick, 0.3, None)
    clean += 0.25 + 0.1 * _waves(rng, 8)
    labels = _discs({1: places[doped], 2: places[poor]}, 5)
    return _record(rng, np.clip(clean, 0.02, None), dose=rng.uniform(60, 140)), labels


def particles(rng):
    """Metal particles of 4 to 24 px radius on a carbon film, some touching, some faint."""
    clean = 1 + 0.2 * _waves(rng, 40) + 0.12 * _waves(rng, 3)
    labels = np.zeros((EDGE, EDGE), np.uint8)
    thickness = np.zeros((EDGE, EDGE))
    for _ in range(int(rng.integers(22, 45))):
        centre, radius = rng.uniform(0, EDGE, 2), float(np.clip(rng.lognormal(np.log(9), 0.4), 4, 24))
        angle = np.arctan2(_Y - centre[0], _X - centre[1])
        phases = rng.uniform(0, 2 * np.pi, 3)
        edge = radius * (1 + sum(0.08 * np.cos((k + 2) * angle + p) for k, p in enumerate(phases)))
        depth = 1 - (np.hypot(_Y - centre[0], _X - centre[1]) / edge) ** 2
        thickness = np.maximum(thickness, np.sqrt(np.clip(depth, 0, None)) * radius * rng.uniform(0.5, 1.2))
        labels[depth > 0] = 1
    clean += 0.09 * gaussian_filter(thickness, 1.2)
    return _record(rng, np.clip(clean, 0.05, None), dose=rng.uniform(10, 25)), labels


def dislocations(rng):
    """Cores of edge dislocations in a lattice of dumbbells, whose columns are displaced as isotropic elasticity has it.

    Anderson, Hirth & Lothe, Theory of Dislocations, 3rd ed. 2017, section 3.4.
    """
    step = 13.0
    places, _ = _lattice(rng, step, np.array([[1, 0], [0.5, np.sqrt(3) / 2]]), [[0, 0], [0.28, 0.0]], turn=False)
    number = int(rng.integers(9, 16))
    anywhere = rng.uniform(14, EDGE - 14, (400, 2))
    cores = anywhere[_apart(rng, anywhere, np.ones(len(anywhere), bool), number, 45)]
    shift = np.zeros_like(places)
    for core in cores:
        sign = rng.choice([-1, 1])
        # The Burgers vector lies along rows of atoms, which run along the first axis.
        along, across = (places - core).T + 1e-6
        square, nu = along**2 + across**2, 0.28
        glide = np.arctan2(across, along) + along * across / (2 * (1 - nu) * square)
        climb = -((1 - 2 * nu) / (4 * (1 - nu)) * np.log(square / step**2))
        climb -= (along**2 - across**2) / (4 * (1 - nu) * square)
        shift += sign * step / (2 * np.pi) * np.stack([glide, climb], axis=1)
    places = places + shift
    heights = rng.normal(1, 0.05, len(places))
    clean = _columns(places, heights, 2.2 * rng.uniform(0.9, 1.1), tail=0.2)
    clean = clean * (1 + 0.2 * _waves(rng, 60)) + 0.3 + 0.12 * _waves(rng, 6)
    labels = _discs({1: cores}, 9)
    return _record(rng, np.clip(clean, 0.02, None), dose=rng.uniform(30, 80)), labels


def bubbles(rng):
    """Gas bubbles in an irradiated metal, bright with a dark Fresnel rim, bend contours; bright field."""
    clean = 1 + 0.12 * _waves(rng, 45) + 0.03 * _waves(rng, 4)
    for _ in range(2):
        turn, place, width = rng.uniform(0, np.pi), rng.uniform(-0.4, 0.4) * EDGE, rng.uniform(10, 30)
        across = (_Y - EDGE / 2) * np.cos(turn) + (_X - EDGE / 2) * np.sin(turn) - place + 12 * _waves(rng, 40)
        clean -= 0.35 * np.exp(-((across / width) ** 2) / 2)
    labels = np.zeros((EDGE, EDGE), np.uint8)
    for _ in range(int(rng.integers(25, 50))):
        centre, radius = rng.uniform(0, EDGE, 2), float(np.clip(rng.lognormal(np.log(6), 0.45), 3, 18))
        far = np.hypot(_Y - centre[0], (_X - centre[1]) * rng.uniform(0.9, 1.1)) - radius
        strength = rng.uniform(0.06, 0.14)
        clean += strength * (1 / (1 + np.exp(far / 0.8)) - 0.9 * np.exp(-((far - 1.5) ** 2) / 3))
        labels[far <= 0] = 1
    return _record(rng, np.clip(clean, 0.05, None), dose=rng.uniform(150, 300)), labels


#: Name: simulation, classes.
MATERIALS = {
    "graphene": (graphene, (DefectClass("vacancy", tolerance=6.0), DefectClass("Si atom", "#e69f00", tolerance=6.0))),
    "perovskite": (perovskite, (DefectClass("La", tolerance=6.0), DefectClass("Sr-poor", "#e69f00", tolerance=6.0))),
    "particles": (particles, (DefectClass("particle", extended=True),)),
    "dislocations": (dislocations, (DefectClass("core", tolerance=12.0),)),
    "bubbles": (bubbles, (DefectClass("bubble", extended=True),)),
}


def material_problem(name: str, seed: int, others: int) -> Problem:
    """Simulate one labelled image to learn from, and others of the same material to be tested on."""
    simulate, classes = MATERIALS[name]
    number = list(MATERIALS).index(name)
    frame, labels = simulate(np.random.default_rng([seed, number, 0]))
    movie = open_movie(frame)
    annotation = Annotation.from_labels(labels, classes, axes="YX", background=0)
    tests = []
    for other in range(1, others + 1):
        image, truth = simulate(np.random.default_rng([seed, number, other]))
        masks = [truth == c + 1 for c in range(len(classes))]
        true = tuple(label_components(mask, 1) for mask in masks)
        tests.append(TestFrame("others", image, true, tuple(float(mask.mean()) for mask in masks)))
    return Problem(movie, annotation, TrainingTask.from_movie(movie, annotation), tuple(tests))


def _lattice(rng, step, vectors, basis, turn=True):
    """Columns (n, 2) [px] and the number of each's site."""
    angle = rng.uniform(0, np.pi) if turn else rng.normal(0, 0.03)
    cosine, sine = np.cos(angle), np.sin(angle)
    vectors = step * vectors @ np.array([[cosine, sine], [-sine, cosine]]) * rng.uniform(0.97, 1.03)
    reach = int(2.5 * EDGE / step)
    cells = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2, indexing="ij"), -1).reshape(-1, 2)
    places = np.concatenate([(cells + b) @ vectors for b in np.array(basis)]) + EDGE / 2 + rng.uniform(0, step, 2)
    site = np.repeat(np.arange(len(basis)), len(cells))
    near = ((places > -15) & (places < EDGE + 15)).all(axis=1)
    return places[near], site[near]


def _inside(places, margin):
    """(n,) bool: whether places lie at least so far [px] inside the image."""
    return ((places > margin) & (places < EDGE - margin)).all(axis=1)


def _apart(rng, places, allowed, number, distance):
    """Indices of as many of the allowed places, at such a distance [px] from one another."""
    chosen = []
    for one in rng.permutation(np.flatnonzero(allowed)):
        if all(np.hypot(*(places[one] - places[other])) > distance for other in chosen):
            chosen.append(one)
        if len(chosen) == number:
            break
    return np.array(chosen)


def _columns(places, heights, sigma, tail):
    """Sum of Gaussian columns, with a wide tail of the probe that takes a share of the intensity."""
    clean = np.zeros((EDGE, EDGE))
    half = int(np.ceil(4 * sigma))
    for (y, x), height in zip(places, heights, strict=True):
        top, left = max(int(y) - half, 0), max(int(x) - half, 0)
        rows, columns = np.arange(top, min(int(y) + half + 1, EDGE)), np.arange(left, min(int(x) + half + 1, EDGE))
        if rows.size and columns.size:
            profiles = (np.exp(-((a - c) ** 2) / (2 * sigma**2)) for a, c in ((rows, y), (columns, x)))
            clean[np.ix_(rows, columns)] += height * np.outer(*profiles)
    return (1 - tail) * clean + tail * gaussian_filter(clean, 4 * sigma)


def _waves(rng, scale):
    """Smooth random field of unit variance, by its length scale [px]."""
    wave = gaussian_filter(rng.normal(size=(EDGE, EDGE)), scale, mode="wrap")
    return wave / wave.std()


def _discs(centres, radius):
    """Labels (Y, X) uint8 of discs around places, by class."""
    labels = np.zeros((EDGE, EDGE), np.uint8)
    for value, places in centres.items():
        for y, x in places:
            labels[np.hypot(_Y - y, _X - x) <= radius] = value
    return labels


def _record(rng, clean, dose):
    """Rows displaced by the scan, counts at `dose` per unit of intensity, smear, readout noise, offset; uint16."""
    rows = _Y + 0.15 * rng.normal(size=(EDGE, 1))
    columns = _X + gaussian_filter(rng.normal(size=(EDGE, 1)), (1.0, 0)) * 0.6
    moved = map_coordinates(clean, [rows, columns], order=1, mode="nearest")
    counts = rng.poisson(dose * np.clip(moved, 0, None)) + rng.normal(0, 0.8, clean.shape)
    gain = rng.uniform(40, 120)
    return np.clip(gain * gaussian_filter(counts, 0.5) + rng.uniform(500, 3000), 0, 65535).astype(np.uint16)
