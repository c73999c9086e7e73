"""On NVIDIA GPUs: networks an hour by strategy and by how many share a GPU, prediction, real faults, repeatability.

    python benchmarks/gpu.py [--only CELL] [--minutes 4] [--quick] [--again]

``strategies``: genomes of the search's own distribution, four folds of 300 steps of 8 tiles of 64 x 64 px each, with
building, recording, calibration and judging (`gpu_trainer.py`): step by step, recorded as CUDA graphs, folds side by
side, with kernels for every shape, several in a process, several processes. ``phases``: times of the parts of one
evaluation. ``prediction``: frames of 2048 x 2048 px.
``sharing``: the same search of the demo's movie with 1, 2, 4, 8 and 16 networks per GPU, and on the processor alone.
``faults``: real out-of-memory and real CUDA errors among sound jobs. ``repeat``: the same evaluations twice, in fresh
processes, and on the processor. Writes ``benchmarks/results/gpu-CELL.json``. Where there is no GPU, what is left is run
on the processor, and nothing is written.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch

import gpu_faults
import gpu_trainer
import napari_menndl.training.loop
from cells import Numbers, let_trainers_import_benchmarks, read_cell, write_cell
from napari_menndl import Annotation, run_search
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.genome.plan import make_plan
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.network.device import own_stream, wait
from napari_menndl.network.module import Network
from napari_menndl.network.weights import from_bytes
from napari_menndl.pool.open import open_pool
from napari_menndl.pool.process.hardware import visible_gpus
from napari_menndl.predict.trained import TrainedNetwork
from napari_menndl.simulation.simulate import simulate_movie
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.evaluate import evaluate
from napari_menndl.training.folds import FoldJob, FoldTrainer
from napari_menndl.training.loop import TrainingStopped

if TYPE_CHECKING:
    from collections.abc import Callable

SHARING = (1, 2, 4, 8, 16)
#: Of each founder in `repeat` [px].
PIXELS = 1_000_000


#: Name, processes, threads in each, whether steps are recorded, kernels used, folds trained together.
STRATEGIES = (
    ("plain loop, one trainer", 1, 1, False, False, False),
    ("recorded", 1, 1, True, False, False),
    ("recorded, folds together", 1, 1, True, False, True),
    ("recorded, kernels, folds together", 1, 1, True, True, True),
    ("... two in a process", 1, 2, True, True, True),
    ("... four in a process", 1, 4, True, True, True),
    ("... 8 processes", 8, 1, True, True, True),
    ("... 8 processes, two in each", 8, 2, True, True, True),
    ("... 14 processes", 14, 1, True, True, True),
    ("plain loop, 14 trainers", 14, 1, False, False, False),
)
#: On the processor, with a tenth of the steps.
ON_PROCESSOR = (
    ("one trainer", 1, 1, False, False, False),
    ("one trainer, folds together", 1, 1, False, False, True),
    ("two trainers", 2, 1, False, False, False),
)


def strategies(seconds: float, seed: int) -> Numbers:
    """Evaluate with each strategy for so many seconds."""
    device = "cuda" if visible_gpus() else "cpu"
    rows = STRATEGIES if device == "cuda" else ON_PROCESSOR
    peak = tf32_peak() if device == "cuda" else 0.0
    found: Numbers = {"device": torch.cuda.get_device_name() if device == "cuda" else "processor"}
    if peak:
        found["matrix products with TF32 [TFLOP/s]"] = round(peak / 1e12, 1)
    trainers: list[subprocess.Popen[str]] = []
    for name, processes, threads, recorded, kernels, together in rows:
        if len(trainers) != processes:
            stop_trainers(trainers)
            trainers = [start_trainer(device, seed * 100 + n) for n in range(processes)]
            for trainer in trainers:
                read_answer(trainer)
        order = {"threads": threads, "recorded": recorded, "kernels": kernels, "together": together}
        order |= {"seconds": seconds} if device == "cuda" else {"seconds": 6 * seconds, "steps": 30}
        for trainer in trainers:
            print(json.dumps(order), file=trainer.stdin, flush=True)
        busy = watch_gpu(seconds) if device == "cuda" else math.nan
        answers = [read_answer(trainer) for trainer in trainers]
        rate = sum(one["genomes"] / one["seconds"] for one in answers)
        flops = sum(one["flops"] / one["seconds"] for one in answers)
        failures = [kind for one in answers for kind in one["failures"]]
        found[name] = {
            "genomes per hour": round(3600 * rate),
            "trainings of 9.8 Mpx per hour": round(3600 * rate * 4) if device == "cuda" else round(3600 * rate * 0.4),
            "TFLOP/s": round(flops / 1e12, 3),
            "processor seconds per genome": round(
                sum(one["cpu"] for one in answers) / max(1, sum(one["genomes"] for one in answers)), 2
            ),
            "evaluated": sum(one["genomes"] for one in answers),
            "failures": {kind: failures.count(kind) for kind in sorted(set(failures))},
        }
        if device == "cuda":
            found[name] |= {"share of TF32 peak": round(flops / peak, 4), "GPU busy": busy}
        print(json.dumps({name: found[name]}), flush=True)
    stop_trainers(trainers)
    return found


def phases(number: float, seed: int) -> Numbers:
    """Time the parts of so many evaluations, one after another: of fresh topologies, with folds together or alone."""
    device = torch.device("cuda" if visible_gpus() else "cpu")
    task = gpu_trainer.make_task()
    pixels = gpu_trainer.STEPS * gpu_trainer.BATCH * gpu_trainer.TILE**2
    found: Numbers = {}
    for kernels, together in itertools.product((True, False), (True, False)):
        rows = []
        with gpu_trainer.as_told(recorded=True, kernels=kernels, together=together):
            for genome in gpu_trainer.genomes(seed, int(number)):
                plan = make_plan(genome, len(task.class_names))
                trainer = FoldTrainer(genome, plan, task, (seed,), device)
                jobs = [FoldJob(str(f), task.split(0, f), pixels) for f in range(task.folds if together else 1)]
                with contextlib.suppress(TrainingStopped):
                    rows.append(time_parts(trainer, jobs, device))
        names = ("building", "first step", "recording", "a later step", "prediction and calibration")
        name = f"{'kernels' if kernels else 'cuDNN'}, {'four folds together' if together else 'one fold'}"
        medians = np.median(rows, axis=0)
        found[name] = {f"{part} [s]": round(float(took), 5) for part, took in zip(names, medians, strict=True)}
        print(json.dumps({name: found[name]}), flush=True)
    return found


def time_parts(trainer: FoldTrainer, jobs: list[FoldJob], device: torch.device) -> tuple[float, ...]:
    """Train and predict; return the time of each part [s], of a later step the mean."""
    marks: dict[str, float] = {}

    def mark(name: str) -> None:
        wait(device)
        marks[name] = time.perf_counter()

    class Step(napari_menndl.training.loop.TrainingStep):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            mark("built")

    record = napari_menndl.training.loop._recorded

    def timed_record(step: Step) -> Callable[[], None]:
        mark("first step")
        repeat = record(step)
        mark("recorded")
        return repeat

    with (
        own_stream(device),
        mock.patch.object(napari_menndl.training.loop, "TrainingStep", Step),
        mock.patch.object(napari_menndl.training.loop, "_recorded", timed_record),
    ):
        mark("begin")
        trained = trainer.train(*jobs)
        mark("trained")
        trainer.predict(trained)
        mark("predicted")
    if "recorded" not in marks:
        # On a processor nothing is recorded.
        marks |= {"first step": marks["built"], "recorded": marks["built"]}
    order = [marks[name] for name in ("begin", "built", "first step", "recorded", "trained", "predicted")]
    parts = np.diff(order)
    parts[3] /= gpu_trainer.STEPS - 1
    return tuple(float(part) for part in parts)


def start_trainer(device: str, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).parent / "gpu_trainer.py"), device, str(seed)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def read_answer(trainer: subprocess.Popen[str]) -> Any:
    assert trainer.stdout is not None
    return json.loads(trainer.stdout.readline())


def stop_trainers(trainers: list[subprocess.Popen[str]]) -> None:
    for trainer in trainers:
        trainer.kill()
        trainer.wait()


def watch_gpu(seconds: float) -> float:
    """Return the mean of what nvidia-smi calls utilisation: the share of time in which anything runs."""
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    seen, end = [], time.monotonic() + seconds - 1
    while time.monotonic() < end:
        time.sleep(1)
        seen.append(float(subprocess.run(command, capture_output=True, text=True).stdout.split()[0]) / 100)
    return round(float(np.mean(seen)), 2) if seen else math.nan


def tf32_peak() -> float:
    """Return the rate of a large matrix product with TF32 [FLOP/s]."""
    torch.backends.cuda.matmul.allow_tf32 = True
    a, b = (torch.randn(8192, 8192, device="cuda") for _ in range(2))
    times = []
    for _ in range(8):
        torch.cuda.synchronize()
        began = time.perf_counter()
        a @ b
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return 2 * 8192**3 / float(np.median(times))


def prediction(frames: float, seed: int) -> Numbers:
    """Predict frames of 2048 x 2048 px with networks of founders, on the GPU and on the processor."""
    frame = np.random.default_rng(seed).normal(size=(2048, 2048)).astype(np.float32)
    found: Numbers = {}
    for name in ("dilated_fcn", "unet"):
        genome = FOUNDERS[name]()
        plan = make_plan(genome, 3)
        weights = Network(plan, seed).state_dict()
        rules = tuple(MatchRule(3.0) for _ in range(3))
        seen = {}
        for device in ("cuda", "cpu") if visible_gpus() else ("cpu",):
            network = TrainedNetwork(genome, weights, ("a", "b", "c"), (0.5,) * 3, rules, device=device)
            network.predict_frame(frame)
            times = []
            for _ in range(int(frames) if device == "cuda" else 1):
                began = time.perf_counter()
                seen[device] = network.predict_frame(frame)
                times.append(time.perf_counter() - began)
            found.setdefault(name, {})[f"{device}: seconds per frame, median"] = round(float(np.median(times)), 3)
        if "cuda" in seen:
            found[name]["largest difference of a probability"] = float(np.abs(seen["cuda"] - seen["cpu"]).max())
            same = (seen["cuda"] > 0.5) == (seen["cpu"] > 0.5)
            found[name]["share of pixels with the same label"] = float(same.mean())
    return found


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
    "strategies": (strategies, 8, 4),
    "phases": (phases, 16, 2),
    "prediction": (prediction, 20, 2),
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
        # What runs on the processor as well has a cell of its own there.
        kept = not options.quick and (bool(gpus) or name == "strategies")
        cell = f"gpu-{name}" if gpus else f"gpu-{name}-processor"
        found = read_cell(cell) if kept and not options.again else None
        if found is None:
            found = measure(amount, options.seed)
            if kept:
                write_cell(cell, options.seed, found)
        print(json.dumps({name: found}, indent=1), flush=True)


if __name__ == "__main__":
    main()
