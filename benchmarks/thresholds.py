"""Does a threshold chosen on the folds hold for what predicts? ``python benchmarks/thresholds.py [--quick]``.

Hand-designed and random networks are trained as in a search's last step on frame 0 of simulated movies, and read off on
later frames and on a fresh area at the threshold that was chosen out of fold: the network trained on everything as it
is, the same after calibration, and the average of all calibrated networks, those of the folds included. Beside them the
threshold that only the truth can tell.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch

from cells import read_cell, write_cell
from napari_menndl import simulate_movie
from napari_menndl.annotation.annotation import Annotation
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.genome.plan import make_plan
from napari_menndl.genome.space import SearchSpace
from napari_menndl.metrics.components import label_components
from napari_menndl.metrics.detection import count_defects, score_class
from napari_menndl.metrics.scores import Counts
from napari_menndl.movie.normalisation import normalise
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.folds import FoldTrainer
from napari_menndl.training.inference import predict_tiled
from napari_menndl.training.loop import TrainingStopped

AREAS, BUDGETS, SPLIT, EDGE = (0, 5), (1_200_000, 4_800_000), 10, 256
LATER = (2, 5, 8)
WAYS = ("whole, as trained", "whole, calibrated", "folds and whole, calibrated", "folds and whole, best threshold")


@dataclass(frozen=True)
class Said:
    """What one network says: on the labelled frame and on the new ones, both (T, C, Y, X) float32."""

    labelled: np.ndarray
    new: np.ndarray


def say(trainer, network, frames):
    options = {"stride": trainer.plan.stride, "radius": trainer.plan.receptive_radius}
    return Said(*(np.stack([predict_tiled(network, f, **options) for f in fs]) for fs in (trainer.frames, frames)))


def train(genome, task, frames, pixels, seed):
    """Networks of all folds, then the whole one: what each says before and after calibration."""
    trainer = FoldTrainer(genome, make_plan(genome, len(task.class_names)), task, (seed, pixels), torch.device("cpu"))
    genes, splits = genome.training, [*(task.split(SPLIT, fold) for fold in range(task.folds)), task.everything()]
    normalised = [normalise(frame, genes.normalisation, genes.radius) for frame in frames]
    pairs = []
    for number, split in enumerate(splits):
        network = trainer.train(str(number), split, pixels).network
        before = say(trainer, network, normalised)
        trainer.calibrate(network, split)
        pairs.append((before, say(trainer, network, normalised)))
    return [one for one, _ in pairs], [one for _, one in pairs], splits[:-1]


def read_off(said, splits, task, truth):
    """Defect F1 by class on the new frames: of the whole network, and of all together, at the folds' thresholds."""
    inside = np.logical_or.reduce([split.validate for split in splits])
    oof = np.sum([s.labelled * split.validate[:, None] for s, split in zip(said, splits, strict=False)], axis=0)
    everywhere, together = np.ones(truth.shape, bool), np.mean([one.new for one in said], axis=0)
    rows = []
    for c, detector in enumerate(task.detectors):
        frames = [(p[c], label == c + 1, area) for p, label, area in zip(oof, task.labels, inside, strict=True)]
        score = score_class("", frames, detector)
        if score is None or not (truth == c + 1).any():
            continue
        true = [label_components(t == c + 1, 1) for t in truth]

        def f1(probabilities, c=c, detector=detector, true=true, cutoff=score.cutoff):
            pairs = zip(probabilities, true, everywhere, strict=True)
            counts = (count_defects(p[c], t, e, detector, [cutoff])[0] for p, t, e in pairs)
            return sum(counts, Counts()).f1

        best = [(p[c], t == c + 1, e) for p, t, e in zip(together, truth, everywhere, strict=True)]
        rows.append((f1(said[-1].new), f1(together), score_class("", best, detector).f1))
    return np.mean(rows, axis=0)


def run_cell(area, pixels, seed):
    """Mean over classes and networks of defect F1, by way; networks whose training was stopped are left out."""
    movie = simulate_movie(max(LATER) + 1, (EDGE, EDGE), area_seed=area)
    fresh = simulate_movie(2, (EDGE, EDGE), area_seed=area + 1)
    task = TrainingTask.from_movie(movie.movie, Annotation.from_simulation(movie, frames=[0]), [0])
    frames = [*(movie.movie.frame(t) for t in LATER), *(fresh.movie.frame(t) for t in range(2))]
    truth = np.concatenate([np.asarray(movie.labels)[list(LATER)], np.asarray(fresh.labels)])
    rng, space = np.random.default_rng(seed), SearchSpace()
    genomes = {n: make() for n, make in FOUNDERS.items()} | {f"random {i}": space.sample(rng) for i in range(2)}
    found = {}
    for name, genome in genomes.items():
        try:
            raw, calibrated, splits = train(genome, task, frames, pixels, seed)
        except TrainingStopped as stopped:
            print(f"  {name}: {stopped}")
            continue
        as_trained, _, _ = read_off(raw, splits, task, truth)
        found[name] = dict(zip(WAYS, (as_trained, *read_off(calibrated, splits, task, truth)), strict=True))
        print(f"  {name}: {', '.join(f'{way} {value:.3f}' for way, value in found[name].items())}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one movie, the shortest trainings")
    parser.add_argument("--again", action="store_true", help="measure finished cells anew")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    areas, budgets = (AREAS[:1], BUDGETS[:1]) if asked.quick else (AREAS, BUDGETS)
    print("About 12 minutes on 2 cores for all four cells, 2 with --quick.")
    torch.set_num_threads(2)
    print(f"\n| pixels per training | networks | {' | '.join(WAYS)} |\n|{'---|' * (len(WAYS) + 2)}")
    for pixels in budgets:
        values = []
        for area in areas:
            name = f"thresholds/area{area}-{pixels}px-s{asked.seed}"
            cell = None if asked.again else read_cell(name)
            if cell is None:
                cell = run_cell(area, pixels, asked.seed)
                write_cell(name, asked.seed, cell)
            values += [[one[way] for way in WAYS] for one in cell.values()]
        means = " | ".join(f"{mean:.3f}" for mean in np.mean(values, axis=0))
        print(f"| {pixels:,} | {len(values)} | {means} |", flush=True)


if __name__ == "__main__":
    main()
