"""Training loop, with early stopping of failing trainings."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_menndl.errors import Failure
from napari_menndl.training.augment import augment
from napari_menndl.training.losses import UNKNOWN, MixedLoss, class_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from napari_menndl.genome.genes import TrainingGenes
    from napari_menndl.network.module import Network
    from napari_menndl.training.data import TileSource

#: Fewest steps of a training; for a smaller budget, the batch is reduced.
MIN_STEPS = 8
#: Number of points of the loss curve, at each of which the training is checked.
STRETCHES = 32
#: Number of latest points averaged before a training counts as diverged.
RECENT = 4
#: Largest norm of the gradient over all parameters.
CLIP = 5.0
#: A training has diverged if its loss exceeds its initial one and this many times that of a network with constant
#: output 0.5.
DIVERGED = 10.0
#: Smallest standard deviation of probabilities over a batch; below it the output counts as constant.
CONSTANT = 1e-4

OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
    "rmsprop": partial(torch.optim.RMSprop, foreach=True),
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True, fused=True),
}


class TrainingStopped(Exception):  # noqa: N818 - it is an outcome, not an error
    """A check stopped the training; `failure` is reported by the evaluation."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(kind, message)


def plan_steps(pixels: int, batch: int, tile: int) -> tuple[int, int]:
    """Return the number of steps and tiles per step for a budget of at least `pixels`.

    Returns
    -------
    steps, batch : int
        The batch is that of the genes, or smaller if the budget is too small for `MIN_STEPS`.
    """
    batch = max(1, min(batch, pixels // (MIN_STEPS * tile**2)))
    return max(MIN_STEPS, math.ceil(pixels / (batch * tile**2))), batch


def rate(schedule: str, progress: float) -> float:
    """Return the learning rate relative to its peak, at `progress` from 0 to 1.

    ``"cosine"``: Loshchilov & Hutter 2017 (arXiv:1608.03983); ``"onecycle"``: rises from 1/25 during the first 30 %,
    then falls as a cosine, Smith & Topin 2018 (arXiv:1708.07120).
    """
    if schedule == "onecycle":
        if progress < 0.3:
            return 1 / 25 + (1 - 1 / 25) * progress / 0.3
        progress = (progress - 0.3) / 0.7
    return 1.0 if schedule == "constant" else 0.5 * (1 + math.cos(math.pi * progress))


def train(
    network: Network,
    source: TileSource,
    genes: TrainingGenes,
    steps: int,
    batch: int,
    rng: np.random.Generator,
) -> tuple[float, ...]:
    """Train a network in place.

    Parameters
    ----------
    network : Network
        On the device of `source`; left in evaluation mode.
    source : TileSource
    genes : TrainingGenes
    steps, batch : int
        As from `plan_steps`.
    rng : numpy.random.Generator

    Returns
    -------
    tuple of float
        Training loss, averaged over each of at most `STRETCHES` equal stretches.

    Raises
    ------
    TrainingStopped
        With ``"diverged"`` or ``"constant"``.
    """
    device = source.frames.device
    weights = class_weights(source.target, network.plan.classes, genes.class_weight, genes.balance)
    criterion = MixedLoss(genes.bce, genes.focal, genes.dice, weights)
    options = {"lr": genes.learning_rate, "weight_decay": genes.weight_decay}
    optimiser = OPTIMISERS[genes.optimiser](network.parameters(), **options)
    draws = source.draw(steps * batch, rng, genes.jitter, genes.flips)
    ends = {round((i + 1) * steps / STRETCHES) - 1 for i in range(STRETCHES)}
    curve: list[float] = []
    total, since = torch.zeros((), device=device), 0
    network.train()
    for step in range(steps):
        tiles, target = source.cut(draws[step * batch : (step + 1) * batch])
        tiles, target = augment(tiles, target, genes, rng)
        for group in optimiser.param_groups:
            group["lr"] = genes.learning_rate * rate(genes.schedule, step / steps)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            logits = network(tiles.contiguous(memory_format=torch.channels_last))
        loss = criterion(logits, target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), CLIP, foreach=True)
        if step == 0:
            probe(loss, norm)
        optimiser.step()
        total, since = total + loss.detach(), since + 1
        # Reading a value synchronises with the device, so it is done only at the end of a stretch.
        if step in ends:
            curve.append(float(total) / since)
            total, since = torch.zeros((), device=device), 0
            check(curve, criterion, logits.detach(), target, halfway=2 * (step + 1) >= steps)
    network.eval()
    return tuple(curve)


def probe(loss: Tensor, norm: Tensor) -> None:
    """Stop a training whose first batch has a non-finite loss or gradient."""
    if not bool(torch.isfinite(loss)):
        raise TrainingStopped("diverged", "The first batch's loss is not finite.")
    if not bool(torch.isfinite(norm)):
        raise TrainingStopped("diverged", "The first batch's gradient is not finite.")


def check(curve: list[float], criterion: MixedLoss, logits: Tensor, target: Tensor, halfway: bool) -> None:
    """Stop a diverging or constant training; in the first half only a non-finite loss counts."""
    if not math.isfinite(curve[-1]):
        raise TrainingStopped("diverged", "The loss is not finite.")
    # Averaged, since a single stretch may be an outlier.
    mean_loss = sum(curve[-RECENT:]) / len(curve[-RECENT:])
    undecided = float(criterion(torch.zeros_like(logits), target))
    if halfway and mean_loss > max(DIVERGED * undecided, curve[0]):
        message = f"The loss, {mean_loss:.3g}, is over {DIVERGED:g} times that of a network that always says 0.5."
        raise TrainingStopped("diverged", message)
    if halfway and is_constant(logits.float().sigmoid(), target != UNKNOWN):
        raise TrainingStopped("constant", "The output is the same everywhere.")


def is_constant(probabilities: Tensor, known: Tensor) -> bool:
    """Whether the probabilities of all classes are constant.

    Parameters
    ----------
    probabilities : (B, C, Y, X) float32
    known : (B, Y, X) bool
    """
    values = probabilities.movedim(1, 0)[:, known]
    return values.shape[1] > 1 and float(values.std(1).max()) < CONSTANT
