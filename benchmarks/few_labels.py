"""Do copies of labelled defects, or of their labels, help? ``python benchmarks/few_labels.py [--only …] [--again]``.

One network is trained on a labelled frame of simulated WS2, or of simulated atoms:

- ``alone``: on tiles of this frame.
- ``pasted``: on those of its copies with pasted defects as well, as a search does it (`task.pasting`).
- ``neighbours``: on those of the neighbouring frames as well, registered to the labelled one, with the same labels:
  most defects stay.

Told is by how much average precision and F1 at the best thresholds on new frames differ from those of the labelled
frame alone: on the areas on which the number of copies was chosen, and on others.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from functools import cache, partial
from itertools import product
from unittest.mock import patch

import numpy as np
import torch

from adatoms import adatom_problem
from cells import read_cell, write_cell
from judging import judge, mean_score, simulated_problem
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.predict.trained import TrainedNetwork
from napari_menndl.search.candidate import Candidate
from napari_menndl.task import task as task_module
from napari_menndl.training.evaluate import evaluate

CHOSEN_ON = ((3, 3), (3, 5), (3, 9), (5, 0), (5, 12))
OTHERS = ((3, 84), (3, 86), (3, 88), (5, 85), (5, 87))
PROBLEMS = {
    f"ws2-snr{snr}-area{area}": partial(simulated_problem, snr, area) for snr, area in (*CHOSEN_ON, *OTHERS)
} | {f"atoms{seed}": partial(adatom_problem, seed) for seed in (43, 44)}
GENOMES, SEEDS = ("coarse_fcn", "deep_fcn"), (0, 1, 2, 3)
SCORES = ("average_precision", "best_f1")
#: Pixels that the folds' networks are shown, from which the network with all labels goes on, and that this is shown.
FIRST, PIXELS = 100_000, 6_000_000


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


WAYS = ("alone", "pasted", "neighbours")


def run_cell(problem, genome, way, seed):
    """Average precision and best F1 on new frames, by scope."""
    task = neighbours(problem.task, np.random.default_rng(seed)) if way == "neighbours" else problem.task
    rung = Rung("0", FIRST)
    with patch.object(task_module, "COPIES", task_module.COPIES if way == "pasted" else 0):
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
        if way == "neighbours" and group_of(name) != "ws2":  # single images; on WS2 five areas settled it
            continue
        cell = f"few-labels/{name}-{genome}-s{seed}-{way}"
        found = None if given.again else read_cell(cell)
        if found is None:
            found = run_cell(problems(name), FOUNDERS[genome](), way, seed)
            write_cell(cell, seed, found)
            print(cell, flush=True)
        for scope, score in product(found, SCORES):
            rows[group_of(name), scope, score, way, (name, genome, seed)] = found[scope][score]
    print(f"\n| frames of | new frames | score | way | mean | difference | trainings |\n{'|---' * 7}|")
    for group, scope, score, way in dict.fromkeys(key[:4] for key in rows):
        own = {case: value for (*of, case), value in rows.items() if of == [group, scope, score, way]}
        gained = np.array([value - rows[group, scope, score, "alone", case] for case, value in own.items()])
        told = f"{gained.mean():+.3f} ± {gained.std() / math.sqrt(len(gained)):.3f}"
        print(f"| {group} | {scope} | {score} | {way} | {np.mean(list(own.values())):.3f} | {told} | {len(own)} |")


def group_of(name):
    """The table's rows that a problem belongs to."""
    if not name.startswith("ws2"):
        return "atoms"
    return "ws2, others" if int(name.rpartition("area")[2]) in dict(map(reversed, OTHERS)) else "ws2"


if __name__ == "__main__":
    main()
