"""Do copies of labelled defects, or of their labels, help? ``python benchmarks/few_labels.py [--only …] [--again]``.

One network is trained on a labelled frame of simulated WS2, or of simulated atoms, and on further frames made from it:

- ``pasted``: four copies into which labelled defects are pasted at other places whose surroundings look alike (masked
  cross-correlation), each class at least six times; the discs are blended into the new surroundings.
- ``neighbours``: the neighbouring frames, registered to the labelled one, with the same labels: most defects stay.

Told is by how much average precision and F1 at the best thresholds on new frames differ from those of the labelled
frame alone. These are areas on which designs are chosen.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from functools import cache, partial
from itertools import product

import numpy as np
import torch
from scipy import ndimage
from scipy.signal import fftconvolve

from adatoms import adatom_problem
from cells import read_cell, write_cell
from judging import judge, mean_score, simulated_problem
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.metrics.components import label_components
from napari_menndl.predict.trained import TrainedNetwork
from napari_menndl.search.candidate import Candidate
from napari_menndl.training.evaluate import evaluate

PROBLEMS = {
    **{
        f"ws2-snr{snr}-area{area}": partial(simulated_problem, snr, area)
        for snr, area in ((3, 3), (3, 5), (3, 9), (5, 0), (5, 12))
    },
    "atoms43": partial(adatom_problem, 43),
}
GENOMES, SEEDS = ("coarse_fcn", "deep_fcn"), (0, 1, 2, 3)
SCORES = ("average_precision", "best_f1")
#: Pixels that the folds' networks are shown, from which the network with all labels goes on, and that this is shown.
FIRST, PIXELS = 100_000, 6_000_000
COPIES, LEAST = 4, 6
#: Disc that is pasted around a defect: beyond the defect, and the rim over which it is blended [px]; width of the
#: surroundings that are compared [px]; number of places that look most alike, and their least correlation.
MARGIN, RIM, SURROUNDINGS, PLACES, ALIKE = 2, 3, 12, 40, 0.3
#: Larger defects are not pasted [px].
LARGEST = 25


def pasted(task, rng):
    """The task with copies of its frame into which labelled defects are pasted."""
    planes, labels = shown(task)[0], task.labels[0]
    defects = [(c, one) for c in np.unique(labels[labels > 0]) for one in defects_of(planes, labels, c)]
    classes = np.array([c for c, _ in defects])
    frames = [(planes, labels)]
    for _ in range(COPIES):
        kinds = [np.flatnonzero(classes == c) for c in np.unique(classes)]
        order = np.concatenate([rng.choice(own, max(LEAST, len(own))) for own in kinds])
        copy, drawn = planes.copy(), labels.copy()
        taken = labels > 0
        for number in rng.permutation(order):
            c, (centre, radius, mask, places) = defects[number]
            at = places[rng.integers(len(places))]
            size = math.ceil(radius + RIM)
            of, to = (tuple(slice(int(p) - size, int(p) + size + 1) for p in place) for place in (centre, at))
            if taken[to].any():
                continue
            distance = distances(size)
            share = np.clip((radius + RIM - distance) / RIM, 0, 1)
            rim = (distance > radius) & (share > 0)
            level = copy[:, *to][:, rim].mean(1) - planes[:, *of][:, rim].mean(1)
            copy[:, *to] += share * (planes[:, *of] + level[:, None, None] - copy[:, *to])
            drawn[to][mask[of]] = c
            taken[to] |= share > 0
        frames.append((copy, drawn))
    return with_frames(task, frames)


def defects_of(planes, labels, c):
    """Centre, radius, mask and places alike of each defect of a class that can be pasted somewhere."""
    image = planes.mean(0)
    image = ndimage.gaussian_filter((image - image.mean()) / image.std(), 1.0)
    defects = label_components(labels == c, 1)
    for number, centre in enumerate(np.rint(defects.centres).astype(int), 1):
        mask = defects.labels == number
        extent = np.hypot(*(np.argwhere(mask) - centre).T).max()
        radius = max(extent, 2) + MARGIN
        free = ~ndimage.binary_dilation(labels > 0, iterations=math.ceil(radius + RIM))
        places = places_alike(image, centre, radius, free) if extent <= LARGEST else []
        if len(places):
            yield centre, radius, mask, places


def places_alike(image, centre, radius, free):
    """Places (n, 2) whose surroundings correlate with those of a centre, in rings from `radius`."""
    size = math.ceil(radius + SURROUNDINGS)
    if (centre < size).any() or (centre + size >= image.shape).any():
        return []
    distance = distances(size)
    ring = ((distance > radius) & (distance <= radius + SURROUNDINGS)).astype(float)
    template = image[tuple(slice(p - size, p + size + 1) for p in centre)]
    template = (template - (template * ring).sum() / ring.sum()) * ring
    around = partial(fftconvolve, mode="same")
    spread = around(image**2, ring) - around(image, ring) ** 2 / ring.sum()
    alike = around(image, template[::-1, ::-1]) / np.sqrt(np.maximum(spread, 1e-9) * (template**2).sum())
    inside = np.zeros_like(free)
    inside[size:-size, size:-size] = True
    alike[~(free & inside)] = -1
    peaks = np.argwhere((ndimage.maximum_filter(alike, 9) == alike) & (alike > ALIKE))
    return peaks[np.argsort(-alike[tuple(peaks.T)])][:PLACES]


def distances(size):
    """(2 * size + 1, 2 * size + 1) from the centre [px]."""
    return np.hypot(*np.mgrid[-size : size + 1, -size : size + 1])


def neighbours(task, rng):
    """The task with each neighbour of its frame as a frame of the same labels, the others as its neighbours."""
    planes = shown(task)[0]
    frames = [(planes, task.labels[0])]
    for number in range(1, len(planes)):
        if not any((planes[number] == planes[before]).all() for before in range(number)):
            others = rng.permutation(np.delete(np.arange(len(planes)), number))
            frames.append((planes[[number, *others]], task.labels[0]))
    return with_frames(task, frames)


def shown(task):
    """(N, 1 or 5, Y, X): the frames with their neighbours."""
    return task.planes if task.neighbours is not None else task.planes[:, None]


def with_frames(task, frames):
    planes = np.stack([one for one, _ in frames])
    return replace(
        task,
        frames=planes[:, 0],
        labels=np.stack([labels for _, labels in frames]),
        known=np.repeat(task.known, len(frames), axis=0),
        neighbours=planes[:, 1:] if task.neighbours is not None else None,
        origin=None,
    )


WAYS = {"alone": lambda task, rng: task, "pasted": pasted, "neighbours": neighbours}


def run_cell(problem, genome, way, seed):
    """Average precision and best F1 on new frames, by scope."""
    task = WAYS[way](problem.task, np.random.default_rng(seed))
    rung = Rung("0", FIRST)
    _, weights = evaluate(genome, task, rung, seed, device="cpu")
    refit = Candidate(0, genome, rung).refit(PIXELS, 1)
    evaluation, weights = evaluate(genome, task, refit.rung, seed, weights, device="cpu")
    if evaluation.failure:
        raise RuntimeError(str(evaluation.failure))
    network = TrainedNetwork.from_evaluation(genome, task, weights, (0.5,) * len(task.class_names), 0)
    judged = judge(
        partial(network.predict_frame, pixel_size=problem.movie.pixel_size),
        network.thresholds,
        problem.tests,
        task.class_names,
        task.match_rules,
        network.reach,
    )
    return {scope: {key: mean_score(one, key) for key in SCORES} for scope, one in judged.items()}


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--again", action="store_true", help="measure finished cells anew")
    ask.add_argument("--only", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS), help="these problems")
    given = ask.parse_args()
    torch.set_num_threads(1)
    rows = {}
    problems = cache(lambda name: PROBLEMS[name]())
    for name, genome, seed, way in product(given.only, GENOMES, SEEDS, WAYS):
        if way == "neighbours" and not name.startswith("ws2"):  # single images
            continue
        cell = f"few-labels/{name}-{genome}-s{seed}-{way}"
        found = None if given.again else read_cell(cell)
        if found is None:
            found = run_cell(problems(name), FOUNDERS[genome](), way, seed)
            write_cell(cell, seed, found)
            print(cell, flush=True)
        for scope, score in product(found, SCORES):
            rows[scope, score, way, (name, genome, seed)] = found[scope][score]
    print(f"\n| new frames | score | way | mean | difference | trainings |\n{'|---' * 6}|")
    for scope, score, way in product(dict.fromkeys(key[0] for key in rows), SCORES, WAYS):
        own = {case: value for (*of, case), value in rows.items() if of == [scope, score, way]}
        if own:
            gained = np.array([value - rows[scope, score, "alone", case] for case, value in own.items()])
            told = f"{gained.mean():+.3f} ± {gained.std() / math.sqrt(len(gained)):.3f}"
            print(f"| {scope} | {score} | {way} | {np.mean(list(own.values())):.3f} | {told} | {len(own)} |")


if __name__ == "__main__":
    main()
