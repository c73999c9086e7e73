"""Whether a threshold chosen out of fold holds on new frames.

    python benchmarks/thresholds.py [--only ws2-snr3-area94 …] [--quick] [--again] [--seed 0]

Networks are trained on one labelled frame, each fold's on the others' pixels, calibrated as in a search; two of them go
on with all labels, as an answer's do, and predict new frames: later ones of a simulated WS2 movie and of a fresh area,
or other simulated images of atoms. Ways of choosing a threshold for each class are told how many defects are found and
falsely found out of fold at many thresholds. Told is by how much defect F1 on the new frames falls short of that at the
threshold which only the truth can tell, averaged over classes.

The constants of `metrics.ranking` were chosen on other simulations: WS2 of the areas 0, 3, 5, 7, 9, 12 and 84 to 89,
and atoms 41 to 48.
"""

from __future__ import annotations

import argparse
import math
from functools import partial

import numpy as np
import torch
from scipy.special import expit, logit

from adatoms import adatom_problem
from cells import read_cell, write_cell
from judging import simulated_problem
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.metrics.components import label_components
from napari_menndl.metrics.detection import count_defects
from napari_menndl.metrics.ranking import (
    DOUBT,
    PROBABILITY_THRESHOLDS,
    best_threshold,
    choose_thresholds,
    decode_probabilities,
    steady_threshold,
)
from napari_menndl.metrics.scores import LEAST_PRECISION, ClassScore, Counts
from napari_menndl.network.weights import from_bytes
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.predict.trained import TrainedNetwork
from napari_menndl.search.candidate import Candidate
from napari_menndl.training.evaluate import evaluate

PROBLEMS = {
    **{f"ws2-snr{snr}-area{area}": partial(simulated_problem, snr, area) for snr, area in ((5, 93), (3, 94), (4, 95))},
    **{f"atoms{seed}": partial(adatom_problem, seed) for seed in (31, 32, 33)},
}
GENOMES, BUDGETS = ("deep_fcn", "coarse_fcn"), (2_000_000, 6_000_000)
#: Networks that go on with all labels, for half as many pixels again.
REFIT = 2
#: From few defects to many.
SIZES = {"1 to 4": (1, 4), "5 to 12": (5, 12), "13 and more": (13, 10**9)}


def silenced(chosen, levels, counts):
    """The threshold, or infinite where it is known to find falsely: one in four true counted, as it used to be."""
    return levels[chosen] if counts[chosen].precision >= LEAST_PRECISION else math.inf


def cutoff(chosen, levels, counts):
    """The threshold to predict with, as it is now."""
    at = counts[chosen]
    return ClassScore("", at.f1, 0.0, 0.0, levels[chosen], at.tp, at.fp, at.fn).cutoff


#: The best threshold for defects is taken to be higher than that for pixels by this [logit]: most uncertain pixels are
#: at the borders of defects, which are found without them.
DEFECTS_ABOVE_PIXELS = 0.75


def towards(expected, levels, counts):
    """The threshold of `steady_threshold` where few defects pull towards another than one half."""
    moved = expit(logit(np.clip(levels, 1e-7, 1 - 1e-7)) - logit(expected))
    return cutoff(steady_threshold(moved, counts), levels, counts)


#: By name: levels, their counts out of fold, and the thresholds expected from the probabilities, for pixels and for
#: defects.
WAYS = {
    "best F1": lambda z, counts, pixels, expected: z[best_threshold(counts)],
    "best F1, none if precision < 1/4": lambda z, counts, pixels, expected: silenced(best_threshold(counts), z, counts),
    "0.5": lambda z, counts, pixels, expected: 0.5,
    "expected for pixels": lambda z, counts, pixels, expected: pixels,
    "expected for defects": lambda z, counts, pixels, expected: expected,
    "smoothed F1": lambda z, counts, pixels, expected: z[steady_threshold(z, counts, doubt=0.0)],
    "steady, towards expected for pixels": lambda z, counts, pixels, expected: towards(pixels, z, counts),
    "steady, towards expected for defects (before)": lambda z, counts, pixels, expected: towards(expected, z, counts),
    "steady, half the doubt": lambda z, counts, pixels, expected: cutoff(
        steady_threshold(z, counts, doubt=DOUBT / 2), z, counts
    ),
    "steady": lambda z, counts, pixels, expected: cutoff(steady_threshold(z, counts), z, counts),
    "steady, twice the doubt": lambda z, counts, pixels, expected: cutoff(
        steady_threshold(z, counts, doubt=2 * DOUBT), z, counts
    ),
}


def expected_thresholds(p, levels):
    """The thresholds to be expected from probabilities alone, for pixels and for defects.

    For pixels it is half the highest expected F1 (Lipton, Elkan & Naryanaswamy 2014, 10.1007/978-3-662-44851-9_15).
    """
    highest = np.searchsorted(levels, p[p >= levels[0]], side="right") - 1
    number = np.bincount(highest, minlength=len(levels))[::-1].cumsum()
    positive = np.bincount(highest, weights=p[p >= levels[0]], minlength=len(levels))[::-1].cumsum()
    half = float(np.max(positive / (number + p.sum(dtype=np.float64))))
    return [float(expit(logit(half) + above)) for above in (0.0, DEFECTS_ABOVE_PIXELS)]


def read_off(oof, task, new, tests):
    """Number of labelled defects, best F1 on the new frames, and F1 and precision at each way's threshold, by class."""
    rows = {}
    for c, (name, match_rule) in enumerate(zip(task.class_names, task.match_rules, strict=True)):
        true, everywhere = task.labels[0] == c + 1, np.ones(oof.shape[2:], bool)
        if not true.any() or not any(len(test.true[c]) for test in tests):
            continue
        levels = choose_thresholds([oof[0, c]], float(true.mean()))
        counts = count_defects(oof[0, c], label_components(true, 1), everywhere, match_rule, levels)
        pixels, expected = expected_thresholds(oof[0, c].ravel(), levels)
        asked = [float(way(levels, counts, pixels, expected)) for way in WAYS.values()]
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
    rung, task = Rung("0", pixels), problem.task
    evaluation, weights = evaluate(genome, task, rung, seed, device="cpu")
    if evaluation.failure is not None:
        return {}
    refit = Candidate(0, genome, rung).refit(pixels // 2, REFIT)
    _, whole = evaluate(genome, task, refit.rung, seed, weights, device="cpu")
    networks = [
        TrainedNetwork.from_evaluation(genome, task, whole, (0.5,) * len(task.class_names), n) for n in range(REFIT)
    ]
    mean = Ensemble(tuple(networks), networks[0].thresholds)
    shown = [test.planes if mean.reach else test.frame for test in problem.tests]
    new = [mean.predict_frame(frame, problem.movie.pixel_size) for frame in shown]
    return read_off(decode_probabilities(from_bytes(weights)[0]["oof"].numpy()), task, new, problem.tests)


def tell(cells):
    """The table: what each way loses, by the number of labelled defects and by training, and how often it floods."""
    rows = [row for _, cell in cells for row in cell.values()]
    number = np.array([row["defects"] for row in rows])
    shown = np.array([pixels for pixels, cell in cells for _ in cell])
    parts = {"all": number > 0}
    parts |= {name: (number >= low) & (number <= high) for name, (low, high) in SIZES.items()}
    parts |= {f"{pixels / 1e6:g} Mpx": shown == pixels for pixels in np.unique(shown)}
    parts = {name: chosen for name, chosen in parts.items() if chosen.any()}
    print(f"\n{len(rows)} classes; mean F1 at the best threshold {np.mean([row['best'] for row in rows]):.3f}\n")
    print(f"| F1 lost | {' | '.join(parts)} | more than 3 of 4 false |\n|{'---|' * (len(parts) + 2)}")
    for way in WAYS:
        lost = np.array([row["best"] - row["ways"][way][0] for row in rows])
        precisions = [row["ways"][way][1] for row in rows]
        flooded = np.mean([p is not None and p < LEAST_PRECISION for p in precisions])
        told = " | ".join(f"{lost[chosen].mean():.3f}" for chosen in parts.values())
        print(f"| {way} | {told} | {100 * flooded:.0f} % |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one movie, one network, the shortest training")
    parser.add_argument("--only", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS), help="these problems")
    parser.add_argument("--again", action="store_true", help="measure finished cells anew")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cells = []
    for problem in asked.only[: 1 if asked.quick else None]:
        for pixels in BUDGETS[: 1 if asked.quick else None]:
            for genome in GENOMES[: 1 if asked.quick else None]:
                name = f"thresholds/{problem}-{genome}-{pixels}px-s{asked.seed}"
                cell = None if asked.again else read_cell(name)
                if cell is None:
                    cell = run_cell(PROBLEMS[problem](), FOUNDERS[genome](), pixels, asked.seed)
                    write_cell(name, asked.seed, cell)
                    print(name, flush=True)
                cells.append((pixels, cell))
    tell(cells)


if __name__ == "__main__":
    main()
