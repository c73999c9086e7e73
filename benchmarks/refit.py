"""Networks of folds, and the same trained on with all labels, on frames that neither has seen.

    python benchmarks/refit.py [--snr 3,5] [--areas 7] [--genomes deep_fcn,coarse_fcn] [--pixels 2,4,8] [--seed 0]

Each genome is evaluated on all folds of a labelled frame of simulated WS2, at 6 and then 12 Mpx for each fold. The mean
of its folds' networks is set beside one network that goes on from the first fold's with all labels (`Rung.all_labels`),
and beside the mean of both, all at the thresholds chosen out of fold. A cell (difficulty, area, genome, seed) is
written to ``benchmarks/results/refit/`` and skipped when it is there. Designs are chosen on these areas.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from cells import read_cell, write_cell
from judging import LATER, judge, mean_score, simulated_problem
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.predict.trained import TrainedNetwork
from napari_menndl.training.evaluate import evaluate

#: Pixels that each fold's network was shown at the end of each rung [px].
RUNGS = (6_000_000, 12_000_000)
SCOPES = ("later", "born", "fresh")
FOLDS, BOTH = "networks of the folds", "these and one of {:g} Mpx"


def measure(problem, genome, pixels, seed):
    """Scores by who predicts: F1 and average precision of each scope."""
    task, weights = problem.task, b""
    for level, shown in enumerate(RUNGS):
        evaluation, weights = evaluate(genome, task, Rung(str(level), shown), seed, weights)
    folds = Ensemble.from_evaluation(genome, task, evaluation, weights)
    found = {FOLDS: score(folds, problem)}
    half = np.full(len(task.class_names), 0.5)
    for mpx in pixels:
        rung = Rung(f"{len(RUNGS) - 1}+", round(1e6 * mpx), (0,), all_labels=True)
        _, more = evaluate(genome, task, rung, seed, weights)
        one = TrainedNetwork.from_evaluation(genome, task, more, folds.thresholds, 0)
        shares = [tuple(half / task.folds)] * task.folds + [tuple(half)]
        found[f"one of {mpx:g} Mpx with all labels"] = score(one, problem)
        found[BOTH.format(mpx)] = score(Ensemble((*folds.members, one), folds.thresholds, tuple(shares)), problem)
    return {"fitness": evaluation.fitness, "found": found}


def score(network, problem):
    def respond(planes):
        return network.predict_frame(planes, pixel_size=network.pixel_size)

    task = problem.task
    judged = judge(respond, network.thresholds, problem.tests, task.class_names, task.detectors, network.reach)
    return {s: [mean_score(judged[s]), mean_score(judged[s], "average_precision")] for s in SCOPES}


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--snr", default="3,5", help="of one single S vacancy")
    ask.add_argument("--areas", default="7", help="area seeds")
    ask.add_argument("--genomes", default="deep_fcn,coarse_fcn", help="founders")
    ask.add_argument("--pixels", default="2,4,8", help="of the training on all labels [Mpx]")
    ask.add_argument("--seed", type=int, default=0)
    given = ask.parse_args()
    pixels, cells = [float(mpx) for mpx in given.pixels.split(",")], []
    for snr in map(float, given.snr.split(",")):
        for area in map(int, given.areas.split(",")):
            for genome in given.genomes.split(","):
                name = f"refit/{genome}-snr{snr:g}-a{area}-s{given.seed}"
                if (cell := read_cell(name)) is None:
                    cell = measure(simulated_problem(snr, area, LATER), FOUNDERS[genome](), pixels, given.seed)
                    write_cell(name, given.seed, cell)
                cells.append(cell["found"])
                print(f"{name}: {cell['found']}", flush=True)
    print(f"\nMeans of {len(cells)} cells, F1 / average precision\n\n| who predicts | {' | '.join(SCOPES)} |")
    print("|---" * (len(SCOPES) + 1) + "|")
    for who in cells[0]:
        means = np.mean([[one[who][scope] for scope in SCOPES] for one in cells], axis=0)
        print(f"| {who} | {' | '.join(f'{f1:.3f} / {ap:.3f}' for f1, ap in means)} |")


if __name__ == "__main__":
    main()
