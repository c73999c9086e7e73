"""Training loop, with early stopping of failing trainings."""

from __future__ import annotations

import math
import time
import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_menndl.cuda.graph import record
from napari_menndl.errors import Failure
from napari_menndl.training.losses import UNKNOWN
from napari_menndl.training.step import TrainingStep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from napari_menndl.genome.genes import TrainingGenes
    from napari_menndl.network.module import Network
    from napari_menndl.training.data import TileSource

#: Fewest steps of a training; for a smaller budget, the batch is reduced. As many tell its pace.
MIN_STEPS = 8
#: Number of points of the loss curve.
STRETCHES = 32
#: Number of latest points averaged before a training counts as diverged.
RECENT = 4
#: A training is checked at the ends of every so many stretches.
CHECKED = 4
#: A training has diverged if its loss exceeds its initial one and this many times that of a network with constant
#: output 0.5.
DIVERGED = 10.0
#: Smallest standard deviation of probabilities over a batch; below it the output counts as constant.
CONSTANT = 1e-4


class TrainingStopped(Exception):  # noqa: N818 - it is an outcome, not an error
    """A check stopped the training; `failure` is reported by the evaluation."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(kind, message)


class OutOfTimeError(Exception):
    """A training would take longer than it may; `share` of its steps would fit."""

    def __init__(self, share: float) -> None:
        super().__init__(f"there is time for {share:.3g} of the training")
        self.share = share


def plan_steps(pixels: int, batch: int, tile: int) -> tuple[int, int]:
    """Return the number of steps and tiles per step for a budget of at least `pixels`.

    Returns
    -------
    steps, batch : int
        The batch is that of the genes, or smaller if the budget is too small for `MIN_STEPS`.
    """
    batch = max(1, min(batch, pixels // (MIN_STEPS * tile**2)))
    return max(MIN_STEPS, math.ceil(pixels / (batch * tile**2))), batch


def train(
    network: Network,
    sources: Sequence[TileSource],
    genes: TrainingGenes,
    steps: int,
    batch: int,
    rngs: Sequence[np.random.Generator],
    seconds: float = math.inf,
) -> list[tuple[float, ...]]:
    """Train networks side by side, in place.

    Parameters
    ----------
    network : Network
        Of G networks, on the device of the sources; left in evaluation mode.
    sources : sequence of TileSource
        One for each of them.
    genes : TrainingGenes
    steps, batch : int
        As from `plan_steps`.
    rngs : sequence of numpy.random.Generator
        One for each of them.
    seconds : float [s]
        Longest time that it may take.

    Returns
    -------
    list of tuple of float
        For each network, its training loss averaged over each of at most `STRETCHES` equal stretches.

    Raises
    ------
    TrainingStopped
        With ``"diverged"`` or ``"constant"``, if that is so of any of them.
    OutOfTimeError
        Soon after its start, if by its pace it would take longer than `seconds`.
    """
    network.train()
    step = TrainingStep(network, sources, genes, steps, batch, rngs)
    ends = sorted({round((i + 1) * steps / STRETCHES) for i in range(STRETCHES)} - {0})
    step()
    probe(step)
    repeat = _recorded(step) if step.curve.is_cuda else step
    done, begins = 1, [0, *ends[:-1]]
    if seconds < math.inf:
        began = time.perf_counter()
        for _ in range(done, MIN_STEPS):
            repeat()
        step.curve.cpu()  # waits for the device
        needed = (time.perf_counter() - began) / (MIN_STEPS - done) * steps
        if needed > seconds:
            raise OutOfTimeError(seconds / needed)
        done = MIN_STEPS
    for number, end in enumerate(ends, start=1):
        for _ in range(done, end):
            repeat()
        done = max(done, end)
        # Reading a value waits for the device, so it is done only at the ends of stretches.
        if number % CHECKED == 0 or end == steps:
            losses = step.curve[:end].cpu().numpy()
            curves = [
                [float(losses[a:b, copy].mean()) for a, b in zip(begins, ends[:number], strict=False)]
                for copy in range(network.copies)
            ]
            for copy, curve in enumerate(curves):
                check(curve, step, copy, halfway=2 * end >= steps)
    network.eval()
    return [tuple(curve) for curve in curves]


def _recorded(step: TrainingStep) -> Callable[[], None]:
    """Return what repeats a step on a CUDA device: its graph, or the step itself if it cannot be recorded."""
    try:
        return record(step, step.generator)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as problem:
        warnings.warn(f"A training is slow, since its steps cannot be recorded: {problem}", stacklevel=2)
        return step


def probe(step: TrainingStep) -> None:
    """Stop a training whose first batch has a non-finite loss or gradient."""
    if not bool(torch.isfinite(step.curve[0]).all()):
        raise TrainingStopped("diverged", "The first batch's loss is not finite.")
    if not bool(torch.isfinite(step.norm).all()):
        raise TrainingStopped("diverged", "The first batch's gradient is not finite.")


@torch.no_grad()
def check(curve: list[float], step: TrainingStep, copy: int, halfway: bool) -> None:
    """Stop a diverging or constant training; in the first half only a non-finite loss counts."""
    if not all(map(math.isfinite, curve)):
        raise TrainingStopped("diverged", "The loss is not finite.")
    if not halfway:
        return
    logits, target = step.logits[copy], step.target[copy]
    # Averaged, since a single stretch may be an outlier.
    mean_loss = sum(curve[-RECENT:]) / len(curve[-RECENT:])
    undecided = float(step.criterion.of(copy)(torch.zeros_like(logits), target))
    if mean_loss > max(DIVERGED * undecided, curve[0]):
        message = f"The loss, {mean_loss:.3g}, is over {DIVERGED:g} times that of a network that always says 0.5."
        raise TrainingStopped("diverged", message)
    if is_constant(logits.float().sigmoid(), target != UNKNOWN):
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
