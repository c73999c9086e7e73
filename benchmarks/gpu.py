"""On NVIDIA GPUs: networks an hour by how many share a GPU, real faults and what they cost, and whether runs repeat.

    python benchmarks/gpu.py [--only sharing|faults|repeat] [--minutes 4] [--quick] [--again]

``sharing``: the same search of the demo's movie with 1, 2, 4, 8 and 16 networks per GPU, and on the processor alone.
``faults``: real out-of-memory and real CUDA errors among sound jobs. ``repeat``: the same evaluations twice, in fresh
processes, and on the processor. Writes ``benchmarks/results/gpu-CELL.json``. Where there is no GPU, what is left is run
on the processor, and nothing is written.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch

import gpu_faults
from cells import Numbers, let_trainers_import_benchmarks, read_cell, write_cell
from napari_menndl import Annotation, run_search
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.network.weights import from_bytes
from napari_menndl.pool.open import open_pool
from napari_menndl.pool.process.hardware import visible_gpus
from napari_menndl.simulation.simulate import simulate_movie
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.evaluate import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable

SHARING = (1, 2, 4, 8, 16)
#: Of each founder in `repeat` [px].
PIXELS = 1_000_000


def sharing(minutes: float, seed: int) -> Numbers:
    """Search for so long with each number of networks per GPU, and on the processor."""
    movie = simulate_movie(2)
    annotation = Annotation.from_simulation(movie, frames=[0])
    found = {}
    for number in (0, *(SHARING if visible_gpus() else ())):
        with tempfile.TemporaryDirectory() as place:
            options = {"budget": f"{60 * minutes:.0f}s", "networks_per_gpu": number, "seed": seed}
            run = run_search(movie.movie, annotation, run=Path(place) / "run", **options)
            status, history = run.status(), run.history
        found["processor" if number == 0 else f"{number} per GPU"] = {
            "slots": status["slots"],
            "networks": status["networks"],
            "evaluations": status["evaluations"],
            "networks per GPU-hour": status["pool"]["networks_per_gpu_hour"],
            "networks per hour": round(status["networks_per_hour"], 1),
            "slots busy": round(status["slots_busy"], 4),
            "GFLOP/s": round(status["flops_per_second"] / 1e9, 1),
            "most memory of a network [MiB]": round(float(history["peak_memory"].max()) / 2**20),
            "failures": status["failures"],
            "lost": status["lost"],
        }
        print(json.dumps(found, indent=1), flush=True)
    return found


def faults(number: float, seed: int) -> Numbers:
    """So many of each fault among sound jobs: what it comes back as, and how long until the next sound one."""
    kinds = ["out of memory", *(["CUDA error"] if visible_gpus() else [])]
    told: dict[str, list[str]] = {kind: [] for kind in kinds}
    recovery: dict[str, list[float]] = {kind: [] for kind in kinds}
    unsound = 0
    pool = open_pool("local", gpu_faults.ENTRY, slots=1, timeout=120)
    try:

        def do(what: str) -> Any:
            pool.submit(what, {"do": what})
            while not (outcomes := pool.finished(timeout=1.0)):
                pass
            return outcomes[0]

        do("nothing")
        for _ in range(int(number)):
            for kind in kinds:
                failed = do(kind)
                told[kind].append(failed.failure.kind if failed.failure else "nothing")
                began = time.monotonic()
                sound = do("nothing")
                recovery[kind].append(time.monotonic() - began)
                unsound += sound.failure is not None or sound.payload["sum"] != 256.0**3
    finally:
        pool.close()
    return {
        kind: {
            "times": len(told[kind]),
            "came back as": {one: told[kind].count(one) for one in set(told[kind])},
            "seconds to the next sound job, median and longest": [
                round(float(np.median(recovery[kind])), 2),
                round(max(recovery[kind]), 2),
            ],
        }
        for kind in kinds
    } | {"sound jobs that failed": unsound}


def repeat(times: float, seed: int) -> Numbers:
    """Evaluate each founder so often in fresh processes on the first GPU, and once on the processor."""
    places = [*(["cuda"] * int(times) if visible_gpus() else ["cpu"] * int(times)), "cpu"]
    command = [sys.executable, __file__, "--evaluate"]
    with tempfile.TemporaryDirectory() as place:
        runs = []
        for n, device in enumerate(places):
            ran = subprocess.run(
                [*command, device, f"{place}/{n}", "--seed", str(seed)], check=True, stdout=subprocess.PIPE, text=True
            )
            runs.append(json.loads(ran.stdout.splitlines()[-1]))
        found: Numbers = {"devices": [one["device"] for one in runs]}
        for name in FOUNDERS:
            weights = [from_bytes(Path(f"{place}/{n}-{name}").read_bytes())[0] for n in range(len(places))]
            differences = [max(float((one[k] - weights[0][k]).abs().max()) for k in one) for one in weights[1:]]
            found[name] = {
                "largest difference of a weight, to the first": differences,
                "fitness": [one[name]["fitness"] for one in runs],
                "seconds": [one[name]["seconds"] for one in runs],
            }
    return found


def evaluate_founders(device: str, beside: str, seed: int) -> None:
    """Train each founder on one fold; write its weights, print the rest."""
    movie = simulate_movie(2)
    task = TrainingTask.from_movie(movie.movie, Annotation.from_simulation(movie, frames=[0]))
    told: Numbers = {}
    for name, make in FOUNDERS.items():
        evaluation, weights = evaluate(make(), task, Rung("0", PIXELS, (0,)), seed, device=device)
        Path(f"{beside}-{name}").write_bytes(weights)
        told |= {"device": evaluation.device, name: {"fitness": evaluation.fitness, "seconds": evaluation.seconds}}
    print(json.dumps(told))


CELLS: dict[str, tuple[Callable[[float, int], Numbers], float, float]] = {
    "sharing": (sharing, 4.0, 0.5),
    "faults": (faults, 20, 2),
    "repeat": (repeat, 3, 2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CELLS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="of each search in `sharing`")
    parser.add_argument("--quick", action="store_true", help="a little of each, nothing written")
    parser.add_argument("--again", action="store_true", help="measure though the result is there")
    parser.add_argument("--evaluate", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.evaluate:
        evaluate_founders(*options.evaluate, options.seed)
        return
    let_trainers_import_benchmarks()
    gpus = visible_gpus()
    print(f"{len(gpus)} GPUs; {torch.cuda.get_device_name() if torch.cuda.is_available() else 'torch sees none'}")
    for name in [options.only] if options.only else CELLS:
        measure, amount, little = CELLS[name]
        amount = options.minutes if options.minutes and name == "sharing" else little if options.quick else amount
        kept = not options.quick and bool(gpus)
        found = read_cell(f"gpu-{name}") if kept and not options.again else None
        if found is None:
            found = measure(amount, options.seed)
            if kept:
                write_cell(f"gpu-{name}", options.seed, found)
        print(json.dumps({name: found}, indent=1), flush=True)


if __name__ == "__main__":
    main()
