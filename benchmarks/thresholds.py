"""Does a threshold chosen out of fold hold on new frames? ``python benchmarks/thresholds.py [--quick] [--again]``.

Networks are trained on one labelled frame, each fold's on the others' pixels, calibrated as in a search. Ways of
choosing a threshold for each class are told how many defects are found and falsely found out of fold at many
thresholds. What they choose is then used on what the folds' mean says about new frames: later ones of a simulated WS2
movie and of a fresh area, or other simulated images of atoms. Told is by how much defect F1 falls short of that at the
threshold which only the truth can tell, averaged over classes.

The constants of `ranking.steady_threshold` were chosen on other simulations: WS2 of the areas 0, 3, 7, 9, 21, 33,
41, 52, 63, 74, 91 and 92, and three images of atoms.
"""

from __future__ import annotations

import argparse
import math
from functools import partial

import numpy as np
import torch

from adatoms import adatom_problem
from cells import read_cell, write_cell
from judging import simulated_problem
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.metrics.components import label_components
from napari_menndl.metrics.detection import count_defects
from napari_menndl.metrics.ranking import (
    PROBABILITY_THRESHOLDS,
    best_threshold,
    choose_thresholds,
    decode_probabilities,
    highest_expected,
    steady_threshold,
)
from napari_menndl.metrics.scores import LEAST_PRECISION, ClassScore, Counts
from napari_menndl.network.weights import from_bytes
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.training.evaluate import evaluate

PROBLEMS = {
    **{f"ws2-snr{snr}-area{area}": partial(simulated_problem, snr, area) for snr, area in ((5, 81), (3, 82), (6, 83))},
    **{f"atoms{seed}": partial(adatom_problem, seed) for seed in (21, 22, 23)},
}
GENOMES, BUDGETS = ("dilated_fcn", "bank_mlp"), (400_000, 2_000_000)
#: From few defects to many.
SIZES = {"1 to 4": (1, 4), "5 to 12": (5, 12), "13 and more": (13, 10**9)}


def silenced(chosen, levels, counts):
    """The threshold, or infinite where it is known to find falsely: one in four true counted, as it used to be."""
    return levels[chosen] if counts[chosen].precision >= LEAST_PRECISION else math.inf


def cutoff(chosen, levels, counts):
    """The threshold to predict with, as it is now."""
    at = counts[chosen]
    return ClassScore("", at.f1, 0.0, 0.0, levels[chosen], at.tp, at.fp, at.fn).cutoff


WAYS = {
    "best F1, none if precision < 1/4": lambda z, counts, believed: silenced(best_threshold(counts), z, counts),
    "best F1": lambda z, counts, believed: z[best_threshold(counts)],
    "0.5": lambda z, counts, believed: 0.5,
    "believed": lambda z, counts, believed: believed,
    "smoothed F1": lambda z, counts, believed: z[steady_threshold(z, counts, believed, doubt=0.0)],
    "steady, half the doubt": lambda z, counts, believed: z[steady_threshold(z, counts, believed, doubt=0.1)],
    "steady": lambda z, counts, believed: z[steady_threshold(z, counts, believed)],
    "steady, twice the doubt": lambda z, counts, believed: z[steady_threshold(z, counts, believed, doubt=0.4)],
    "steady, none if surely false": lambda z, counts, believed: cutoff(
        steady_threshold(z, counts, believed), z, counts
    ),
}


def believed_threshold(values, levels):
    """Return the best threshold of calibrated probabilities, estimated from the probabilities alone.

    Half the highest expected F1 of the pixels (Lipton, Elkan & Naryanaswamy 2014, 10.1007/978-3-662-44851-9_15): close
    to 0.5 for a confident network, lower for an uncertain one. It does not depend on labels, so that it is as stable
    for a class with two defects as for one with many.

    Parameters
    ----------
    values : iterable of (n,) float
        The probabilities in the scored area, frame by frame.
    levels : (k,) float64
        Ascending thresholds at which the expected F1 is computed.

    Returns
    -------
    float
    """
    number, positive, total = np.zeros(len(levels)), np.zeros(len(levels)), 0.0
    for p in values:
        total += float(p.sum(dtype=np.float64))
        above = p[p >= levels[0]]
        highest = np.searchsorted(levels, above, side="right") - 1
        number += np.bincount(highest, minlength=len(levels))
        positive += np.bincount(highest, weights=above, minlength=len(levels))
    return highest_expected(number, positive, total) / 2


def read_off(oof, task, new, tests):
    """Number of labelled defects, best F1 on the new frames, and F1 and precision at each way's threshold, by class."""
    rows = {}
    for c, (name, match_rule) in enumerate(zip(task.class_names, task.match_rules, strict=True)):
        true, everywhere = task.labels[0] == c + 1, np.ones(oof.shape[2:], bool)
        if not true.any() or not any(len(test.true[c]) for test in tests):
            continue
        levels = choose_thresholds([oof[0, c]], float(true.mean()))
        counts = count_defects(oof[0, c], label_components(true, 1), everywhere, match_rule, levels)
        believed = believed_threshold([oof[0, c].ravel()], levels)
        asked = [float(way(levels, counts, believed)) for way in WAYS.values()]
        fine = sorted({*PROBABILITY_THRESHOLDS, *choose_thresholds((p[c] for p in new), float(true.mean()))})
        each = (
            count_defects(p[c], test.true[c], np.ones(p[c].shape, bool), match_rule, [*asked, *fine])
            for p, test in zip(new, tests, strict=True)
        )
        pooled = [sum(at, Counts()) for at in zip(*each, strict=True)]
        rows[name] = {
            "defects": counts[0].tp + counts[0].fn,
            "best": max(at.f1 for at in pooled),
            "ways": {
                way: (at.f1, at.precision if at.tp + at.fp else None) for way, at in zip(WAYS, pooled, strict=False)
            },
        }
    return rows


def run_cell(problem, genome, pixels, seed):
    """Train the folds of a genome and read them off; empty where training failed."""
    evaluation, weights = evaluate(genome, problem.task, Rung("0", pixels), seed, device="cpu")
    if evaluation.failure is not None:
        return {}
    mean = Ensemble.from_evaluation(genome, problem.task, evaluation, weights)
    new = [mean.predict_frame(test.frame, problem.movie.pixel_size) for test in problem.tests]
    return read_off(decode_probabilities(from_bytes(weights)[0]["oof"].numpy()), problem.task, new, problem.tests)


def tell(cells):
    """The table: what each way loses, by the number of labelled defects, and how often it floods the new frames."""
    rows = [row for cell in cells for row in cell.values()]
    print(f"\n{len(rows)} classes; mean F1 at the best threshold {np.mean([row['best'] for row in rows]):.3f}\n")
    print(f"| way | F1 lost | {' | '.join(SIZES)} | more than 3 of 4 false |\n|{'---|' * (len(SIZES) + 3)}")
    for way in WAYS:
        lost = np.array([row["best"] - row["ways"][way][0] for row in rows])
        number = np.array([row["defects"] for row in rows])
        precisions = [row["ways"][way][1] for row in rows]
        flooded = np.mean([p is not None and p < LEAST_PRECISION for p in precisions])
        parts = [lost[(number >= low) & (number <= high)] for low, high in SIZES.values()]
        told = " | ".join(f"{part.mean():.3f}" if len(part) else "–" for part in parts)
        print(f"| {way} | {lost.mean():.3f} | {told} | {100 * flooded:.0f} % |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one movie, one network, the shortest training")
    parser.add_argument("--again", action="store_true", help="measure finished cells anew")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cells = []
    for problem in list(PROBLEMS)[: 1 if asked.quick else None]:
        for pixels in BUDGETS[: 1 if asked.quick else None]:
            for genome in GENOMES[: 1 if asked.quick else None]:
                name = f"thresholds/{problem}-{genome}-{pixels}px-s{asked.seed}"
                cell = None if asked.again else read_cell(name)
                if cell is None:
                    cell = run_cell(PROBLEMS[problem](), FOUNDERS[genome](), pixels, asked.seed)
                    write_cell(name, asked.seed, cell)
                    print(name, flush=True)
                cells.append(cell)
    tell(cells)


if __name__ == "__main__":
    main()
