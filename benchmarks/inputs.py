"""Networks by what they are shown: the frame, its average with neighbours, filters.

    python benchmarks/inputs.py [--pixels 12000000] [--snr 3,5] [--areas 3,7]

One network, `deep_fcn`, by input; trained alike on frame 0 of simulated WS2 movies and tested on later frames, on what
was born later, and on a fresh area (`judging.py`). A cell per movie is written to ``benchmarks/results/inputs/``. The
areas are not those of `ws2.py`: on such movies the default founders were chosen.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from cells import read_cell, write_cell
from judging import LATER, judge, mean_score, simulated_problem
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.genome.genes import FilterBank, FrameInput
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.training.evaluate import evaluate

SHOWN = {
    "frame": (FrameInput(),),
    "frame, mean of ±1": (FrameInput(), FrameInput(1)),
    "frame, mean of ±2": (FrameInput(), FrameInput(2)),
    "mean of ±2": (FrameInput(2),),
    "filters of the frame": (FilterBank(),),
    "filters of the mean of ±2": (FilterBank(reach=2),),
}
HARDEST = "S vacancy"


def score(inputs, problem, pixels, seed):
    """Average precision by scope: mean over classes, and of the hardest class."""
    genome, task = replace(FOUNDERS["deep_fcn"](), inputs=inputs), problem.task
    evaluation, weights = evaluate(genome, task, Rung("0", pixels), seed)
    network = Ensemble.from_evaluation(genome, task, evaluation, weights)
    respond = partial(network.predict_frame, pixel_size=network.pixel_size)
    judged = judge(respond, network.thresholds, problem.tests, task.class_names, task.match_rules, network.reach)
    return {"fitness": evaluation.fitness, "seconds": evaluation.seconds} | {
        scope: [mean_score(one), mean_score(one, "average_precision"), *hardest(one)] for scope, one in judged.items()
    }


def hardest(scope):
    """Average precision of the hardest class, if it occurs."""
    return [scope["classes"][HARDEST]["average_precision"]] if HARDEST in scope["classes"] else [float("nan")]


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--pixels", type=int, default=12_000_000, help="shown to each fold's network [px]")
    ask.add_argument("--snr", default="3,5")
    ask.add_argument("--areas", default="3,7")
    ask.add_argument("--seed", type=int, default=0)
    given = ask.parse_args()
    for snr in map(float, given.snr.split(",")):
        cells = []
        for area in map(int, given.areas.split(",")):
            name = f"inputs/snr{snr:g}-a{area}-{given.pixels}-s{given.seed}"
            cell = read_cell(name)
            if cell is None:
                problem = simulated_problem(snr, area, LATER)
                cell = {shown: score(genes, problem, given.pixels, given.seed) for shown, genes in SHOWN.items()}
                write_cell(name, given.seed, cell)
            cells.append(cell)
        print(f"\nSNR {snr:g}: F1 / AP / AP of single S vacancies, mean over {len(cells)} movies\n")
        print("| shown | later frames | born later | fresh area | s to train |\n|---|---|---|---|---|")
        for shown in SHOWN:
            means = [np.nanmean([cell[shown][scope] for cell in cells], axis=0) for scope in ("later", "born", "fresh")]
            fields = [" / ".join(f"{value:.3f}" for value in mean) for mean in means]
            seconds = np.median([cell[shown]["seconds"] for cell in cells])
            print(f"| {shown} | {' | '.join(fields)} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
