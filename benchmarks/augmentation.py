"""Does a network see more on new frames if its tiles are changed? ``python benchmarks/augmentation.py [--only …]``.

`dilated_fcn` is trained on the folds of one labelled frame, 6 Mpx for each, on tiles that are flipped and turned only,
and on tiles that are changed in one further way. Printed is by how much this changes the score on new frames of the
mean of its folds: on the problems on which the founders' augmentation was chosen, and on others.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import cache, partial
from itertools import product
from statistics import mean

import torch

from cells import read_cell, write_cell
from judging import judge, mean_score, simulated_problem
from materials import material_problem
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.genome.genes import TrainingGenes
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.training.evaluate import evaluate

PIXELS = 6_000_000
SCORES = ("average_precision", "best_f1")
WAYS = {
    "flips only": {},
    "zoom 0.2": {"zoom": 0.2},
    "contrast and gamma 0.3": {"contrast": 0.3, "gamma": 0.3},
    "noise and blur 0.2": {"noise": 0.2, "blur": 0.2},
}


def materials(seed):
    names = ("dislocations", "particles", "perovskite")
    return {f"{name}{seed}": partial(material_problem, name, seed, 8) for name in names}


def movies(*areas):
    return {f"ws2-snr{snr}-area{area}": partial(simulated_problem, snr, area) for snr, area in areas}


#: By group: problem by name.
GROUPS = {
    "images, chosen on": materials(1),
    "images, others": materials(3),
    "WS2, chosen on": movies((3, 84), (5, 87)),
    "WS2, others": movies((3, 86), (5, 85)),
}


def run_cell(problem, augmentation):
    """Fitness, and average precision and best F1 on new frames, by scope."""
    task = problem.task
    genome = replace(FOUNDERS["dilated_fcn"](), training=TrainingGenes(**augmentation))
    evaluation, weights = evaluate(genome, task, Rung("0", PIXELS), 0, device="cpu")
    if evaluation.failure:
        raise RuntimeError(str(evaluation.failure))
    network = Ensemble.from_evaluation(genome, task, evaluation, weights)
    predict = partial(network.predict_frame, pixel_size=problem.movie.pixel_size)
    judged = judge(predict, network.thresholds, problem.tests, task.class_names, task.match_rules)
    scopes = {scope: {key: mean_score(one, key) for key in SCORES} for scope, one in judged.items()}
    return {"fitness": evaluation.fitness, "scopes": scopes}


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--again", action="store_true", help="measure finished cells anew")
    ask.add_argument("--only", nargs="+", default=list(GROUPS), choices=list(GROUPS), help="these groups")
    given = ask.parse_args()
    torch.set_num_threads(1)
    for group in given.only:
        found = {}
        for name, problem in GROUPS[group].items():
            problem = cache(problem)
            for way, augmentation in WAYS.items():
                cell = f"augmentation/{name}-{way.replace(' ', '-')}"
                one = None if given.again else read_cell(cell)
                if one is None:
                    one = run_cell(problem(), augmentation)
                    write_cell(cell, 0, one)
                    print(cell, flush=True)
                found[name, way] = one
        _show(group, found)


def _show(group, found):
    problems = list(dict.fromkeys(name for name, _ in found))
    scopes = list(found[problems[0], "flips only"]["scopes"])
    print(f"\n{group}\n\n| tiles | fitness | {' | '.join(f'{s}: {k}' for s, k in product(scopes, SCORES))} |")
    print("|---" * (2 + len(scopes) * len(SCORES)) + "|")
    plain = {name: found[name, "flips only"] for name in problems}
    for way in WAYS:
        gains = [mean(found[name, way]["fitness"] - plain[name]["fitness"] for name in problems)]
        for scope, key in product(scopes, SCORES):
            each = (found[name, way]["scopes"][scope][key] - plain[name]["scopes"][scope][key] for name in problems)
            gains.append(mean(each))
        print(f"| {way} | {' | '.join(f'{gain:+.3f}' for gain in gains)} |")


if __name__ == "__main__":
    main()
