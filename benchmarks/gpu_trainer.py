"""A trainer for `gpu.py`, which evaluates genomes of the search's own distribution in one of several ways.

Reads a line of JSON per measurement, writes one with what it evaluated.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import numpy as np
import torch

import napari_menndl.cuda
import napari_menndl.training.loop
from napari_menndl import Annotation
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.space import SearchSpace
from napari_menndl.genome.variation import sample_genome
from napari_menndl.simulation.simulate import simulate_movie
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.evaluate import evaluate
from napari_menndl.training.folds import FoldTrainer

if TYPE_CHECKING:
    from napari_menndl.genome.genome import Genome

#: A network's training: 300 steps of 8 tiles of 64 x 64 px.
STEPS, BATCH, TILE = 300, 8, 64


def make_task() -> TrainingTask:
    movie = simulate_movie(2)
    return TrainingTask.from_movie(movie.movie, Annotation.from_simulation(movie, frames=[0]))


def genomes(seed: int, count: int) -> list[Genome]:
    rng, space = np.random.default_rng([14, seed]), SearchSpace()
    drawn = [sample_genome(space, rng) for _ in range(count)]
    return [replace(g, training=replace(g.training, batch=BATCH, tile=TILE)) for g in drawn]


@contextlib.contextmanager
def as_told(recorded: bool, kernels: bool, together: bool):
    """Switch off what a strategy does without."""
    with contextlib.ExitStack() as stack:
        if not recorded:
            stack.enter_context(mock.patch.object(napari_menndl.training.loop, "_recorded", lambda step: step))
        if not kernels:
            stack.enter_context(mock.patch.object(napari_menndl.cuda, "_has_triton", return_value=False))
        if not together:
            stack.enter_context(mock.patch.object(FoldTrainer, "side_by_side", 1))
        elif not torch.cuda.is_available():
            stack.enter_context(mock.patch.object(FoldTrainer, "side_by_side", 4))
        yield


def measure(task: TrainingTask, order: dict[str, Any], device: str, seed: int) -> dict[str, Any]:
    """Evaluate for so many seconds in so many threads; count what was finished in time."""
    rung = Rung("0", order.get("steps", STEPS) * BATCH * TILE**2)
    finished: list[tuple[float, float, str]] = []
    stop = time.time() + order["seconds"]

    def run(thread: int) -> None:
        for number, genome in enumerate(genomes(1000 * seed + thread, 400)):
            if time.time() >= stop:
                return
            try:
                evaluation, _ = evaluate(genome, task, rung, number, device=device)
            except RuntimeError as problem:
                # After a CUDA error the process is lost.
                finished.append((time.time(), 0.0, f"{type(problem).__name__}: {str(problem).splitlines()[0]}"))
                return
            failure = "" if evaluation.failure is None else evaluation.failure.kind
            finished.append((time.time(), evaluation.train_flops, failure))

    cpu = time.process_time()
    with as_told(order["recorded"], order["kernels"], order["together"]):
        threads = [threading.Thread(target=run, args=(n,)) for n in range(order["threads"])]
        began = time.time()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # To the end of the last one, so that a network that began is neither lost nor free.
    return {
        "genomes": sum(flops > 0 for _, flops, _ in finished),
        "seconds": time.time() - began,
        "flops": sum(flops for _, flops, _ in finished),
        "failures": [failure for _, _, failure in finished if failure],
        "cpu": time.process_time() - cpu,
    }


def main() -> None:
    device, seed = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(1)
    task = make_task()
    if device == "cuda":
        for genome in genomes(7, 8):
            evaluate(genome, task, Rung("0", 8 * BATCH * TILE**2), 0, device=device)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(task, json.loads(line), device, seed)), flush=True)


if __name__ == "__main__":
    main()
