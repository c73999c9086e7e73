"""Train one network for one rung and judge it on what it has not seen."""

from __future__ import annotations

import json
import time
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_menndl.errors import Failure
from napari_menndl.genome.evaluation import Evaluation
from napari_menndl.genome.genes import GenomeError
from napari_menndl.genome.plan import make_plan
from napari_menndl.metrics.codes import decode, encode
from napari_menndl.metrics.detection import fitness
from napari_menndl.network.module import Network
from napari_menndl.network.weights import from_bytes, of_fold, to_bytes
from napari_menndl.training import device as devices
from napari_menndl.training.folds import FoldTrainer
from napari_menndl.training.inheritance import inherit
from napari_menndl.training.loop import CONSTANT, TrainingStopped

if TYPE_CHECKING:
    from torch import Tensor

    from napari_menndl.genome.evaluation import Rung
    from napari_menndl.genome.genome import Genome
    from napari_menndl.genome.plan import Plan
    from napari_menndl.task.task import TrainingTask


def evaluate(
    genome: Genome,
    task: TrainingTask,
    rung: Rung,
    seed: int,
    weights: bytes = b"",
    device: str | torch.device | None = None,
) -> tuple[Evaluation, bytes]:
    """Train a genome once per fold of a rung and judge the folds together.

    Every known pixel is predicted by the network of the fold that validates it, so that every labelled defect counts
    once. On a rung of all labels the networks of its folds are trained on with all that is known, and nothing is
    validated. The same arguments give the same weights on the same device. What a genome cannot do is the evaluation's
    failure and raises nothing.

    Parameters
    ----------
    genome : Genome
    task : TrainingTask
    rung : Rung
    seed : int
    weights : bytes
        Of an evaluation on the same split: from a lower rung of the same genome, to go on from, or of a parent, whose
        layers the networks begin with (`inheritance.inherit`). Those of another split are not used: a network may have
        seen what it would now be judged on.
    device : str or torch.device, optional
        Left out: a GPU if there is one.

    Returns
    -------
    evaluation : Evaluation
    weights : bytes
        As `network.weights` writes them: the networks' tensors, named ``"<fold>/<parameter>"``, their logits on one
        scale (`FoldTrainer.calibrate`), and ``"oof"``, (N, C, Y, X) uint8: the out-of-fold probabilities that the
        networks were judged by, as `metrics.codes.encode` writes them (none on a rung of all labels). The metadata are
        ``"genome"``, its digest, ``"described"``, the genome as JSON, ``"split"`` and, for each fold, ``"seen/<fold>"``
        [px], ``"scale/<fold>"`` and, where its inputs were fitted, ``"resolved/<fold>"``, the fold's genome as JSON.
        Empty on failure.
    """
    started = time.perf_counter()
    on = devices.choose_device(device)
    devices.reset_peak_memory(on)
    found: dict[str, Any] = {}
    blob = b""
    try:
        with devices.out_of_memory_as(OutOfMemory):
            blob = _evaluate(genome, task, rung, seed, weights, on, found)
    except GenomeError as problem:
        found["failure"] = Failure("unbuildable", problem.reason)
    except TrainingStopped as stopped:
        found["failure"] = stopped.failure
    if on.type == "cuda":
        # Other trainers share this GPU.
        torch.cuda.empty_cache()
    seconds = time.perf_counter() - started
    peak = devices.peak_memory(on)
    return Evaluation(rung.name, device=devices.describe(on), seconds=seconds, peak_memory=peak, **found), blob


class OutOfMemory(TrainingStopped):
    """The device's memory did not suffice."""

    def __init__(self, message: str) -> None:
        super().__init__("out_of_memory", message)


def _evaluate(
    genome: Genome,
    task: TrainingTask,
    rung: Rung,
    seed: int,
    weights: bytes,
    device: torch.device,
    found: dict[str, Any],
) -> bytes:
    """Fill `found` with fields of the evaluation as they become known, so that a failure keeps those before it."""
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
    curves, shown, seconds, looked = [], 0, 0.0, 0
    pooled = np.zeros((len(task.frames), plan.classes, *task.frames.shape[1:]), np.float32)
    validated = np.zeros(task.frames.shape, bool)
    for fold in folds:
        split = task.everything() if rung.all_labels else task.split(rung.split, fold)
        before, start = earlier.get(fold, (0, inherited.get(fold)))
        trained = trainer.train(str(fold), split, rung.pixels - (0 if rung.all_labels else before), start)
        shown += trained.pixels
        curves += [trained.loss] if trained.loss else []
        found |= {"train_flops": 3 * plan.flops_per_pixel * shown}
        found |= {"loss": mean_curve(curves)}
        scale, shift = trainer.calibrate(trained, split)
        tensors |= {f"{fold}/{name}": tensor.cpu() for name, tensor in trained.network.state_dict().items()}
        about[f"seen/{fold}"] = str(before + trained.pixels)
        if trained.genome != genome:
            about[f"resolved/{fold}"] = json.dumps(trained.genome.to_json())
        about[f"scale/{fold}"] = json.dumps([scale.tolist(), shift.tolist()])
        if rung.all_labels:
            continue
        look = trainer.look(trained, split)
        if not validated.any():
            # A network that learned nothing on the first fold is not trained on the others.
            check_informative(look.probabilities, split.validate, task)
        seconds, looked = seconds + look.seconds, looked + look.pixels
        # Where no fold validates, only a defect's part beyond the border is wanted.
        pooled = np.where(validated[:, None], pooled, np.maximum(pooled, look.probabilities))
        pooled = np.where(split.validate[:, None], look.probabilities, pooled)
        validated |= split.validate
    if rung.all_labels:
        return to_bytes(tensors, about)
    found["latency"] = 1e3 * seconds / (looked / 1e6)
    check_informative(pooled, validated, task)
    oof = encode(pooled)
    tensors["oof"] = torch.from_numpy(oof)
    # Judged as it is kept: whoever judges it again finds the same.
    rng = np.random.default_rng(stream)
    result = fitness(decode(oof), task.labels, validated, task.class_names, task.detectors, rng)
    found |= {"fitness": result.value, "error": result.error, "scores": result.scores, "absent": result.absent}
    return to_bytes(tensors, about)


def mean_curve(curves: list[tuple[float, ...]]) -> tuple[float, ...]:
    """Average loss curves, stretched to the longest one's number of points."""
    points = max(map(len, curves), default=0)
    stretched = [np.interp(np.linspace(0, 1, points), np.linspace(0, 1, len(curve)), curve) for curve in curves]
    return tuple(np.mean(stretched, axis=0).tolist()) if curves else ()


def carried_on(weights: bytes, about: dict[str, str], plan: Plan) -> dict[int, tuple[int, dict[str, Tensor]]]:
    """Networks of an earlier evaluation that may be trained on: those of the same genome and split.

    Returns
    -------
    dict of int to (int, dict of str to Tensor)
        By fold: the pixels the network was shown [px], and its weights as the training left them, uncalibrated.
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
    """Make sure that a network says anything at all.

    Parameters
    ----------
    probabilities : (N, C, Y, X) float32
    validated : (N, Y, X) bool
    task : TrainingTask

    Raises
    ------
    TrainingStopped
        "diverged" where a validated probability is not finite. "constant" where no class's probability varies, or where
        none of the present classes' is higher on its defects than beside them: then the best that any scaling of the
        output can do is a constant.
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
