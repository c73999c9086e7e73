"""Evaluation of a genome at a rung: training and out-of-fold scoring."""

from __future__ import annotations

import json
import math
import time
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_menndl.errors import Failure
from napari_menndl.genome.evaluation import Evaluation
from napari_menndl.genome.genes import GenomeError
from napari_menndl.genome.plan import make_plan
from napari_menndl.metrics.detection import fitness
from napari_menndl.metrics.ranking import decode_probabilities, encode_probabilities
from napari_menndl.network import device as devices
from napari_menndl.network.module import Network, states
from napari_menndl.network.weights import from_bytes, of_fold, to_bytes
from napari_menndl.training.folds import FoldJob, FoldTrainer
from napari_menndl.training.inheritance import inherit
from napari_menndl.training.loop import CONSTANT, OutOfTimeError, TrainingStopped

if TYPE_CHECKING:
    from torch import Tensor

    from napari_menndl.genome.evaluation import Rung
    from napari_menndl.genome.genome import Genome
    from napari_menndl.genome.plan import Plan
    from napari_menndl.task.task import TrainingTask

#: Memory of a GPU that a process keeps for its next evaluation, since asking for it anew stops the GPU [byte].
KEPT = 2**31
#: Share of an evaluation's time for training, where it is limited: the rest is for judging, and for a slower pace.
#: Of the time that is left after a fold, the folds to come may take more, so that a little is made up for by the rest.
_TRAINING, _TRAINING_LATER = 0.85, 0.9


def evaluate(
    genome: Genome,
    task: TrainingTask,
    rung: Rung,
    seed: int,
    weights: bytes = b"",
    device: str | torch.device | None = None,
    seconds: float = math.inf,
) -> tuple[Evaluation, bytes]:
    """Train a genome's networks, one per fold of a rung, and score them together.

    They are trained on the task's frames and on copies of these with pasted defects (`TrainingTask.with_copies`).
    Every known pixel is predicted by the network of the fold that validates it, so that every labelled defect counts
    once. At a rung with all labels, the networks of its folds are trained further on everything known, and nothing is
    validated. The same arguments give the same weights on the same device. Failures of a genome are returned in the
    evaluation, not raised.

    Parameters
    ----------
    genome : Genome
    task : TrainingTask
    rung : Rung
    seed : int
    weights : bytes
        From an evaluation on the same split: of the same genome at a lower rung, to continue training, or of a parent,
        whose layers the networks start with (`inheritance.inherit`). Weights of another split are ignored: a network
        might have seen what it is now validated on.
    device : str or torch.device, optional
        By default a GPU if there is one.
    seconds : float [s]
        Time that it should take at most. Where this is too short for the rung, by the pace of the first steps and of
        each fold that is trained, those to come are trained on fewer pixels (`Evaluation.share`).

    Returns
    -------
    evaluation : Evaluation
    weights : bytes
        As written by `network.weights`: the networks' tensors, named ``"<fold>/<parameter>"``, with their logits on one
        scale (`FoldTrainer.predict`), and ``"oof"``, (N, C, Y, X) uint8: the out-of-fold probabilities that were
        scored, as written by `metrics.ranking.encode_probabilities` (none at a rung with all labels). The metadata are
        ``"genome"``, its digest, ``"described"``, the genome as JSON, ``"split"`` and, for each fold,
        ``"seen/<fold>"`` [px], ``"scale/<fold>"`` and, if its inputs were fitted, ``"resolved/<fold>"``, the fold's
        genome as JSON. Empty on failure.
    """
    started = time.perf_counter()
    on = devices.choose_device(device)
    devices.reset_peak_memory(on)
    found: dict[str, Any] = {}
    blob = b""
    try:
        with devices.out_of_memory_as(OutOfMemory), devices.own_stream(on):
            blob = _evaluate(genome, task, rung, seed, weights, on, started + seconds, found)
    except GenomeError as problem:
        found["failure"] = Failure("unbuildable", problem.reason)
    except TrainingStopped as stopped:
        found["failure"] = stopped.failure
    if on.type == "cuda" and torch.cuda.memory_reserved(on) > KEPT:
        # Released for the other trainers that share this GPU.
        torch.cuda.empty_cache()
    found["seconds"] = time.perf_counter() - started
    peak = devices.peak_memory(on)
    return Evaluation(rung.name, device=devices.describe(on), peak_memory=peak, **found), blob


class OutOfMemory(TrainingStopped):
    """The device ran out of memory."""

    def __init__(self, message: str) -> None:
        super().__init__("out_of_memory", message)


def _evaluate(
    genome: Genome,
    task: TrainingTask,
    rung: Rung,
    seed: int,
    weights: bytes,
    device: torch.device,
    until: float,
    found: dict[str, Any],
) -> bytes:
    """Fill `found` with fields of the evaluation as they become known, so that a failure keeps the earlier ones."""
    plan = make_plan(genome, len(task.class_names))
    found |= {"parameters": plan.parameters, "flops": plan.flops_per_pixel}
    stream = (seed, int(genome.digest, 16), zlib.crc32(rung.name.encode()))
    trainer = FoldTrainer(genome, plan, task, stream, device)
    about = {"genome": genome.digest, "split": str(rung.split)}
    earlier = carried_on(weights, about, plan)
    inherited = inherit(weights, rung.split, genome, plan, seed) if weights and not earlier else {}
    about["described"] = json.dumps(genome.to_json())
    folds = tuple(range(task.folds)) if rung.folds is None else rung.folds
    if rung.all_labels and not earlier.keys() >= set(folds):
        raise TrainingStopped("unbuildable", "There are no networks of its folds to be trained on.")
    tensors: dict[str, Tensor] = {}
    curves: list[tuple[float, ...]] = []
    shown, seconds, looked = 0, 0.0, 0
    pooled = np.zeros((len(task.frames), plan.classes, *task.frames.shape[1:]), np.float32)
    validated = np.zeros(task.frames.shape, bool)
    jobs = []
    for fold in folds:
        split = task.everything() if rung.all_labels else task.split(rung.split, fold)
        before, start = earlier.get(fold, (0, inherited.get(fold)))
        copies = task.with_copies(rung.split, None if rung.all_labels else fold)
        jobs.append(FoldJob(str(fold), split, rung.pixels - (0 if rung.all_labels else before), start, copies))
    alone = False
    pace = 0.0  # of the training before, or of its first steps [s/px]
    while jobs:
        group = jobs[: 1 if alone else trainer.alike(jobs)]
        began = time.perf_counter()
        share = _TRAINING_LATER if curves else _TRAINING
        time_left = (until - began) * share * len(group) / len(jobs)
        if pace * group[0].pixels > time_left:
            most = max(1, math.floor(time_left / pace))
            jobs = [replace(job, pixels=min(job.pixels, most)) for job in jobs]
            group = jobs[: len(group)]
        try:
            trained = trainer.train(*group, seconds=math.inf if pace else time_left)
            if trained.pixels:
                pace = (time.perf_counter() - began) / trained.pixels
            outputs = trainer.predict(trained)
        except OutOfTimeError as short:
            pace = time_left / (short.share * group[0].pixels)
            continue
        except torch.OutOfMemoryError:
            if len(group) == 1:
                raise
            alone = True
            torch.cuda.empty_cache()
            continue
        jobs = jobs[len(group) :]
        shown += trained.pixels * len(group)
        curves += [curve for curve in trained.curves if curve]
        found |= {"train_flops": 3 * plan.flops_per_pixel * shown, "loss": mean_curve(curves)}
        for job, fitted, output, state in zip(group, trained.genomes, outputs, states(trained.network), strict=True):
            tensors |= {f"{job.name}/{name}": tensor.cpu() for name, tensor in state.items()}
            seen = earlier.get(int(job.name), (0,))[0] + trained.pixels
            about[f"seen/{job.name}"] = str(seen)
            if fitted != genome:
                about[f"resolved/{job.name}"] = json.dumps(fitted.to_json())
            about[f"scale/{job.name}"] = json.dumps([output.scale.tolist(), output.shift.tolist()])
            if rung.all_labels:
                continue
            found["share"] = min(found.get("share", 1.0), seen / rung.pixels)
            inside = job.split.validate
            if not validated.any():
                # Fail early: if the first fold learned nothing, the others are not trained.
                check_informative(output.probabilities, inside, task)
            seconds, looked = seconds + output.seconds, looked + output.pixels
            # Pixels that no fold validates matter only for the parts of defects that extend there.
            pooled = np.where(validated[:, None], pooled, np.maximum(pooled, output.probabilities))
            pooled = np.where(inside[:, None], output.probabilities, pooled)
            validated |= inside
    if rung.all_labels:
        return to_bytes(tensors, about)
    found["latency"] = 1e3 * seconds / (looked / 1e6)
    check_informative(pooled, validated, task)
    oof = encode_probabilities(pooled)
    tensors["oof"] = torch.from_numpy(oof)
    # Scored as stored, so that scoring again gives the same result.
    rng = np.random.default_rng(stream)
    result = fitness(decode_probabilities(oof), task.labels, validated, task.class_names, task.match_rules, rng)
    found |= {"fitness": result.value, "error": result.error, "scores": result.scores, "absent": result.absent}
    return to_bytes(tensors, about)


def mean_curve(curves: list[tuple[float, ...]]) -> tuple[float, ...]:
    """Average loss curves, stretched to the number of points of the longest."""
    points = max(map(len, curves), default=0)
    stretched = [np.interp(np.linspace(0, 1, points), np.linspace(0, 1, len(curve)), curve) for curve in curves]
    return tuple(np.mean(stretched, axis=0).tolist()) if curves else ()


def carried_on(weights: bytes, about: dict[str, str], plan: Plan) -> dict[int, tuple[int, dict[str, Tensor]]]:
    """Return the networks of an earlier evaluation that can be trained further: same genome, same split.

    Returns
    -------
    dict of int to (int, dict of str to Tensor)
        By fold: the number of pixels the network was trained on, and its weights before calibration.
    """
    tensors, metadata = from_bytes(weights) if weights else ({}, {})
    if any(metadata.get(key) != value for key, value in about.items()):
        return {}
    networks = {}
    for name, seen in metadata.items():
        kind, _, fold = name.partition("/")
        if kind == "seen" and fold.isdigit():
            network = Network(plan)
            network.load_state_dict(of_fold(tensors, fold))
            scale, shift = torch.tensor(json.loads(metadata[f"scale/{fold}"]))
            network.rescale(1 / scale, -shift / scale)
            networks[int(fold)] = int(seen), dict(network.state_dict())
    return networks


def check_informative(probabilities: np.ndarray, validated: np.ndarray, task: TrainingTask) -> None:
    """Check that a network's output is informative.

    Parameters
    ----------
    probabilities : (N, C, Y, X) float32
    validated : (N, Y, X) bool
    task : TrainingTask

    Raises
    ------
    TrainingStopped
        "diverged" if a validated probability is not finite. "constant" if no class's probability varies, or if for none
        of the classes present it is higher on defects than on average: then no scaling of the output is better than a
        constant.
    """
    inside = np.moveaxis(probabilities, 1, 0)[:, validated]
    if not np.isfinite(inside).all():
        raise TrainingStopped("diverged", "A validated probability is not finite.")
    if inside.std(1).max() < CONSTANT:
        raise TrainingStopped("constant", "The output is the same everywhere.")
    labels = task.labels[validated]
    gains = [p[labels == c + 1].mean() - p.mean() for c, p in enumerate(inside) if (labels == c + 1).any()]
    if gains and max(gains) <= 0:
        raise TrainingStopped("constant", "The output is no higher on defects than beside them.")
