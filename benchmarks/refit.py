"""The networks of an answer's folds, and the same trained on with all labels, on frames that nobody has labelled.

    python benchmarks/refit.py [--tasks 3/5,3/7,5/7,5/9] [--genomes deep_fcn,coarse_fcn,bank_fcn] [--mpx 3] [--seed 0]

On each task (SNR / area of a simulated WS2 movie, one frame labelled) the genomes are evaluated on all folds, at 6 and
then 12 Mpx for each fold, and an answer is chosen from them as a search does. Beside the networks of its folds stand
those that go on with all labels for 3 Mpx each (`Rung.all_labels`): of the first fold, of two and of all four folds of
each member. All are read off at the thresholds chosen out of fold. A cell is written to ``benchmarks/results/refit/``
and skipped when it is there. Designs are chosen on these areas.
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
from napari_menndl.search.answer import Entry, Judge, choose, read_oof, thresholds_of
from napari_menndl.search.candidate import Candidate
from napari_menndl.training.evaluate import evaluate

#: Pixels that each fold's network was shown at the end of each rung [px].
RUNGS = (6_000_000, 12_000_000)
SCOPES = ("later", "born", "fresh")
KEYS = ("f1", "average_precision", "best_f1")


def measure(problem, names, pixels, seed):
    """Scores by who predicts: F1, average precision and F1 at the best thresholds, for each scope."""
    task, entries, weights = problem.task, [], {}
    for number, name in enumerate(names):
        genome, kept = FOUNDERS[name](), b""
        for level, shown in enumerate(RUNGS):
            rung = Rung(str(level), shown)
            evaluation, kept = evaluate(genome, task, rung, seed, kept)
        candidate = Candidate(number, genome, rung)
        thresholds = thresholds_of(evaluation.scores, task.class_names)
        entries.append(Entry(candidate, evaluation.fitness, thresholds))
        weights[candidate.key] = kept
    answer = choose(entries, {key: read_oof(kept) for key, kept in weights.items()}, Judge(task, seed), len(names))
    thresholds = tuple(thresholds_of(answer.fitness.scores, task.class_names).values())
    refits = {}
    for one in answer.members:
        refit = one.candidate.refit(pixels, task.folds)
        refits[one.key] = evaluate(refit.genome, task, refit.rung, seed, weights[one.key])[1]

    def mean(*kinds):
        """The mean of so many networks of each member, of one kind or of several."""
        networks, shares = [], []
        for one, votes in zip(answer.members, answer.votes, strict=True):
            for blobs, number in kinds:
                for fold in range(number):
                    genome = one.candidate.genome
                    networks.append(TrainedNetwork.from_evaluation(genome, task, blobs[one.key], thresholds, fold))
                    shares.append([float(name in votes) for name in task.class_names])
        shares = np.array(shares) / np.sum(shares, axis=0)
        return Ensemble(tuple(networks), thresholds, tuple(map(tuple, shares.tolist())))

    folds = task.folds
    found = {
        "folds' networks, all": mean((weights, folds)),
        "folds' networks, one": mean((weights, 1)),
        **{f"with all labels, {n} of each": mean((refits, n)) for n in (1, 2, folds)},
        "both, all": mean((weights, folds), (refits, folds)),
    }
    return {
        "members": [names[one.candidate.id] for one in answer.members],
        "fitness": answer.fitness.value,
        "found": {who: score(network, problem) for who, network in found.items()},
    }


def score(network, problem):
    def respond(planes):
        return network.predict_frame(planes, pixel_size=network.pixel_size)

    task = problem.task
    judged = judge(respond, network.thresholds, problem.tests, task.class_names, task.match_rules, network.reach)
    return {scope: [mean_score(judged[scope], key) for key in KEYS] for scope in SCOPES}


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--tasks", default="3/5,3/7,5/7,5/9", help="SNR of a single S vacancy / area seed")
    ask.add_argument("--genomes", default="deep_fcn,coarse_fcn,bank_fcn", help="founders")
    ask.add_argument("--mpx", type=float, default=3, help="that each network is shown with all labels [Mpx]")
    ask.add_argument("--seed", type=int, default=0)
    given = ask.parse_args()
    cells = []
    for task in given.tasks.split(","):
        snr, area = task.split("/")
        name = f"refit/snr{snr}-a{area}-s{given.seed}-{given.mpx:g}Mpx"
        if (cell := read_cell(name)) is None:
            problem = simulated_problem(float(snr), int(area), LATER)
            cell = measure(problem, given.genomes.split(","), round(1e6 * given.mpx), given.seed)
            write_cell(name, given.seed, cell)
        cells.append(cell["found"])
        print(f"{name}: {', '.join(cell['members'])}; fitness {cell['fitness']:.3f}", flush=True)
    print(f"\nMeans of {len(cells)} tasks: F1 / average precision / F1 at the best thresholds\n")
    print(f"| who predicts | {' | '.join(SCOPES)} |")
    print("|---" * (len(SCOPES) + 1) + "|")
    for who in cells[0]:
        means = np.mean([[one[who][scope] for scope in SCOPES] for one in cells], axis=0)
        print(f"| {who} | {' | '.join(' / '.join(f'{value:.3f}' for value in scope) for scope in means)} |")


if __name__ == "__main__":
    main()
