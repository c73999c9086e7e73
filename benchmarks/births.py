"""What a birth costs: 20,000 of them through evolution, journal and serial pool, with a stand-in that takes no time.

    python benchmarks/births.py [--births 20000] [--quick] [--again]

Writes ``benchmarks/results/births-<births>-<seed>.json``, and leaves it as it is when it is there already. The search
must not slow down with its length: the cost per birth in the last block is to be that of the first ones.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from cells import read_cell, write_cell
from napari_menndl.genome.evaluation import Evaluation, Rung
from napari_menndl.genome.space import SearchSpace
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.pool.serial import SerialPool
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.runner import SearchRunner
from napari_menndl.search.settings import SearchSettings
from napari_menndl.task.task import TrainingTask


def evaluate(payload, attachment):
    """Return a fitness that is a function of the genome and takes no time."""
    genome, rung = payload["genome"], Rung.from_json(payload["rung"])
    if not rung.name.isdigit():
        return {"evaluation": Evaluation(rung.name).to_json()}, b""
    distance = abs(len(genome["layers"]) - 6) / 6 + abs(np.log10(genome["training"]["learning_rate"]) + 2) / 4
    noise = payload["seed"] % 997 / 997
    fitness = max(0.0, 0.8 - distance / 3 + 0.1 * noise)
    return {"evaluation": Evaluation(rung.name, fitness, 0.01, train_flops=1e6).to_json()}, b""


def task():
    frames = np.random.default_rng(0).normal(size=(1, 48, 48)).astype(np.float32)
    labels = np.zeros(frames.shape, np.uint8)
    labels[0, 4::8, 4::8] = 1
    return TrainingTask(frames, labels, np.ones(frames.shape, bool), ("defect",), (MatchRule(4.0),))


class Several(SerialPool):
    """The serial pool, of which so many jobs come back at once."""

    def __init__(self, together: int) -> None:
        super().__init__(evaluate)
        self._together = together

    @property
    def free(self):
        return self._together - len(self._waiting)

    def finished(self, timeout=None):
        return [one for _ in range(len(self._waiting)) for one in super(Several, self).finished(timeout)]


def measure(
    births: int, blocks: int, seed: int, *, together: int = 1, rungs: int = 3, resume: bool = True
) -> dict[str, object]:
    """Bear so many; return cost, memory and how long reading takes.

    Parameters
    ----------
    births, blocks : int
        In how many blocks the cost is told.
    seed : int
    together : int
        Evaluations that end at the same time, and share one fsync.
    rungs : int
    resume : bool
        Whether to measure, too, how long a resumed search takes to begin.
    """
    marks = []
    with tempfile.TemporaryDirectory() as place:
        settings = SearchSettings(budget=f"{births}networks", pool="serial", seed=seed, rungs=rungs)
        folder = RunFolder.create(Path(place) / "run", settings, SearchSpace(), task())
        runner = SearchRunner(folder, Several(together))

        def mark(key: str, evaluation: Evaluation) -> None:
            if runner.evolution.births >= len(marks) * births // blocks:
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
                marks.append((time.perf_counter(), time.process_time(), memory / 2**20))
                print(f"{runner.evolution.births:>8} births {1e3 * cost(marks):8.2f} ms/birth {marks[-1][2]:8.0f} MiB")

        def cost(marks: list[tuple[float, float, float]]) -> float:
            return (marks[-1][0] - marks[-2][0]) / (births / blocks) if len(marks) > 1 else float("nan")

        marks.append((time.perf_counter(), time.process_time(), 0.0))
        runner.events.evaluation_finished.connect(mark)
        runner.run()
        journal = folder.journal_path.stat().st_size
        evaluations = folder.status()["evaluations"]
        reading = {}
        for name, read in {
            "status": lambda: RunFolder.open(folder.path).status(),
            "monitor": lambda: RunFolder.open(folder.path).monitor().snapshot(seconds=float("inf")),
            "history": lambda: RunFolder.open(folder.path).history(),
        }.items():
            began = time.perf_counter()
            read()
            reading[name] = round(time.perf_counter() - began, 1)
        if resume:
            began = time.perf_counter()
            resumed = SearchRunner(RunFolder.open(folder.path), SerialPool(evaluate))
            resumed.run()
            reading["resume"] = round(time.perf_counter() - began, 1)
            assert resumed.evolution.births == births
    steps = list(pairwise(marks))
    return {
        "births": births,
        "evaluations": evaluations,
        "ms_per_birth": [round(1e3 * (b[0] - a[0]) * blocks / births, 3) for a, b in steps],
        "cpu_ms_per_birth": [round(1e3 * (b[1] - a[1]) * blocks / births, 3) for a, b in steps],
        "memory_mib": [round(mark[2], 1) for mark in marks[1:]],
        "journal_mib": round(journal / 2**20, 1),
        # From the middle on, past what is allocated once.
        "bytes_per_birth": round(_slope(marks[len(marks) // 2 :], births / blocks)),
        "reading_seconds": reading,
    }


def _slope(marks: list[tuple[float, float, float]], births: float) -> float:
    """Memory added per birth [byte]."""
    memory = [2**20 * mark[2] for mark in marks]
    return float(np.polyfit(births * np.arange(len(memory)), memory, 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--births", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="500 births, nothing written")
    parser.add_argument("--again", action="store_true", help="measure though the result is there")
    options = parser.parse_args()
    births = 500 if options.quick else options.births
    name = f"births-{births}-{options.seed}"
    found = None if options.again or options.quick else read_cell(name)
    if found is None:
        print(f"{births} births; about {births * 6e-3:.0f} s")
        found = measure(births, 10, options.seed)
        if not options.quick:
            write_cell(name, options.seed, found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
