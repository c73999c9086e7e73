"""Training, calibration and validation of the networks of folds, one by one or side by side."""

from __future__ import annotations

import math
import time
import zlib
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from scipy.special import expit

from napari_menndl.network.device import repeatable
from napari_menndl.network.inputs import channels, fit_inputs, shared_channels
from napari_menndl.network.module import Network, stack
from napari_menndl.network.tiling import cut_windows, predict_tiled
from napari_menndl.training.calibration import fit_scale
from napari_menndl.training.data import TileSource
from napari_menndl.training.loop import TrainingStopped, plan_steps, train
from napari_menndl.training.losses import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from napari_menndl.genome.genome import Genome
    from napari_menndl.genome.plan import Plan
    from napari_menndl.task.folds import Split
    from napari_menndl.task.task import TrainingTask

#: Share of the GPU's free memory that the networks trained side by side may need by their plan. Small, since other
#: trainers share the GPU, and a plan counts neither the gradients of weights nor what cuDNN needs besides.
_MEMORY_SHARE = 0.05


@dataclass(frozen=True)
class FoldJob:
    """A fold's training.

    Attributes
    ----------
    name : str
        Name of the fold.
    split : Split
    pixels : int
        Number of pixels to train on; no training if not positive.
    weights : mapping of str to Tensor, optional
        Initial weights.
    copies : TrainingTask, optional
        The task's frames followed by copies of all of them, once or several times, to be trained on as well
        (`TrainingTask.with_copies`).
    """

    name: str
    split: Split
    pixels: int
    weights: Mapping[str, Tensor] | None = None
    copies: TrainingTask | None = None


@dataclass(frozen=True)
class Trained:
    """Trained networks of folds, side by side.

    Attributes
    ----------
    jobs : tuple of FoldJob
        One for each fold.
    network : Network
        Of as many networks side by side; in evaluation mode.
    genomes : tuple of Genome
        With their inputs fitted to the training pixels, if any are to be fitted.
    frames : tuple of (N, K, Y, X) float32
        Input channels of the task's frames.
    curves : tuple of tuple of float
        Loss curves.
    pixels : int
        Number of pixels that each network was trained on in this training.
    """

    jobs: tuple[FoldJob, ...]
    network: Network
    genomes: tuple[Genome, ...]
    frames: tuple[np.ndarray, ...]
    curves: tuple[tuple[float, ...], ...]
    pixels: int


@dataclass(frozen=True)
class Output:
    """Calibrated output of a fold's network.

    Attributes
    ----------
    probabilities : (N, C, Y, X) float32
        0 far from the validated area.
    scale, shift : (C,) float32 tensor
        Factor and offset applied to each class's logits.
    seconds, pixels : float, int
        Prediction time [s] and number of pixels predicted.
    """

    probabilities: np.ndarray
    scale: Tensor
    shift: Tensor
    seconds: float
    pixels: int


@dataclass(frozen=True)
class FoldTrainer:
    """Trains the networks of all folds of an evaluation.

    Attributes
    ----------
    genome, plan, task
        Genome, its plan, and the task to train on.
    stream : tuple of int
        Seed of all randomness, together with the fold's name.
    device : torch.device
    """

    genome: Genome
    plan: Plan
    task: TrainingTask
    stream: tuple[int, ...]
    device: torch.device

    @cached_property
    def side_by_side(self) -> int:
        """Number of folds to train at once: on a GPU, whose time goes into starting operations, what fits."""
        if self.device.type != "cuda":
            return 1
        genes = self.genome.training
        free, _ = torch.cuda.mem_get_info(self.device)
        needed = self.plan.memory(genes.batch, genes.tile, genes.tile)
        return max(1, min(self.task.folds, int(_MEMORY_SHARE * free / needed)))

    @cached_property
    def frames(self) -> np.ndarray:
        """(N, K, Y, X) float32: channels of the whole frames, computed as in prediction."""
        return self._frames_for(self.genome)

    @cached_property
    def _frames_on_device(self) -> Tensor:
        return self._on_device(self.frames)

    def _frames_for(self, genome: Genome) -> np.ndarray:
        return shared_channels(self.task.planes, genome, self.plan.classes)

    def _on_device(self, frames: np.ndarray) -> Tensor:
        # With the channels of a pixel adjacent in memory, which is faster to cut.
        return torch.from_numpy(frames).to(self.device).contiguous(memory_format=torch.channels_last)

    def _shown(self, name: str, split: Split) -> tuple[Genome, np.ndarray]:
        """Fit the genome's inputs to a fold's training pixels; return the genome and its channels of the frames."""
        # Seeded by genome and fold alone, so that a network trained further at the next rung has the same inputs.
        rng = np.random.default_rng([int(self.genome.digest, 16), zlib.crc32(name.encode())])
        task = self.task
        genome = fit_inputs(self.genome, task.frames, task.labels, split.train, task.match_rules, rng)
        return genome, self.frames if genome is self.genome else self._frames_for(genome)

    def alike(self, jobs: Sequence[FoldJob]) -> int:
        """Return how many of the jobs, from the first, can be trained side by side."""
        if self.side_by_side == 1:
            return 1
        # In a small frame the tiles of some folds are smaller.
        size = self.genome.training.tile
        kinds = [(job.pixels, self.task.tile_size(job.split, size)) for job in jobs[: self.side_by_side]]
        return sum(1 for _ in takewhile(kinds[0].__eq__, kinds))

    def train(self, *jobs: FoldJob, seconds: float = math.inf) -> Trained:
        """Train the networks of folds, side by side if there are several.

        Parameters
        ----------
        *jobs : FoldJob
            That are `alike`.
        seconds : float [s]
            Longest time that it may take.

        Raises
        ------
        TrainingStopped
            If a check of the training loop fails for one of them.
        OutOfTimeError
            Soon after its start, if by its pace it would take longer than `seconds`.
        """
        genes = self.genome.training
        rngs = [np.random.default_rng([*self.stream, zlib.crc32(job.name.encode())]) for job in jobs]
        genomes, frames = zip(*(self._shown(job.name, job.split) for job in jobs), strict=True)
        networks = [Network(self.plan, int(rng.integers(2**62))) for rng in rngs]
        for network, job in zip(networks, jobs, strict=True):
            if job.weights:
                network.load_state_dict(dict(job.weights))
        stacked = stack(networks).to(self.device)
        stacked.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        curves: list[tuple[float, ...]] = [()] * len(jobs)
        pixels = 0
        with repeatable(self.device):
            if jobs[0].pixels > 0:
                sources = [self._source(*one) for one in zip(genomes, frames, jobs, rngs, strict=True)]
                steps, batch = plan_steps(jobs[0].pixels, genes.batch, sources[0].size)
                curves = train(stacked, sources, genes, steps, batch, rngs, seconds)
                pixels = steps * batch * sources[0].size ** 2
        return Trained(jobs, stacked.eval(), genomes, frames, tuple(curves), pixels)

    def _source(self, genome: Genome, frames: np.ndarray, job: FoldJob, rng: np.random.Generator) -> TileSource:
        task, count = job.copies or self.task, len(self.task.frames)
        split = job.split.repeated(len(task.frames) // count)
        tiles = task.tiles(split, self.genome.training.tile, rng)
        target = np.where(split.train, task.labels, UNKNOWN).astype(np.uint8)
        shown = self._frames_on_device if frames is self.__dict__.get("frames") else self._on_device(frames)
        if len(task.frames) > count:
            copies = np.stack([channels(planes, genome, self.plan.classes) for planes in task.planes[count:]])
            shown = torch.cat([shown, self._on_device(copies)])
        labels = torch.from_numpy(target).to(self.device)
        return TileSource(shown, labels, tiles.origins, tiles.weights, tiles.size, split.area)

    def predict(self, trained: Trained) -> list[Output]:
        """Predict the task's frames, and scale logits so that probabilities match the class fractions in training.

        Probabilities of different folds' networks then have the same meaning, although each was trained on other pixels
        and to another loss: one threshold holds for all of them and for their mean. The networks are rescaled in place.

        Returns
        -------
        list of Output
            One for each fold.

        Raises
        ------
        TrainingStopped
            "diverged" if a logit is not finite.
        """
        reach = max((d.tolerance for d in self.task.match_rules if not d.extended), default=0.0)
        # Defects are matched across the border of the validated area.
        margin = 2 * max(16, round(4 * reach)) + 1
        splits = [job.split for job in trained.jobs]
        wide = [ndimage.maximum_filter(split.validate, (1, margin, margin)) for split in splits]
        needed = np.any([area | split.train for area, split in zip(wide, splits, strict=True)], axis=0)
        began = time.perf_counter()
        logits, predicted = self._logits(trained, needed)
        seconds = (time.perf_counter() - began) / len(splits)
        scales = [self._scales(own, split) for own, split in zip(logits, splits, strict=True)]
        trained.network.rescale(*(torch.cat(part) for part in zip(*scales, strict=True)))
        outputs = []
        for own, area, (scale, shift) in zip(logits, wide, scales, strict=True):
            own *= scale.numpy()[:, None, None]
            own += shift.numpy()[:, None, None]
            # Computed for the pixels that count only.
            probabilities = np.zeros_like(own)
            inside = np.broadcast_to(area[:, None], own.shape)
            probabilities[inside] = expit(own[inside])
            outputs.append(Output(probabilities, scale, shift, seconds, predicted))
        return outputs

    def _logits(self, trained: Trained, inside: np.ndarray) -> tuple[np.ndarray, int]:
        """Return logits (G, N, C, Y, X) float32, valid at least `inside` (N, Y, X) bool, and the pixels per network."""
        copies = len(trained.jobs)
        result = np.zeros((copies, len(inside), self.plan.classes, *inside.shape[1:]), np.float32)
        pixels = 0
        for n, where in enumerate(inside):
            if where.any():
                options = {"stride": self.plan.stride, "radius": self.plan.receptive_radius, "where": where}
                frame = np.concatenate([frames[n] for frames in trained.frames])
                logits = predict_tiled(trained.network, frame, logits=True, **options)
                result[:, n] = logits.reshape(copies, self.plan.classes, *where.shape)
                pixels += sum(window.pixels for window in cut_windows(where.shape, **options))
        return result, pixels

    def _scales(self, logits: np.ndarray, split: Split) -> tuple[Tensor, Tensor]:
        """Fit a scale and a shift for the logits (N, C, Y, X) of each class to the labels that were trained on."""
        labels = self.task.labels[split.train]
        scales = []
        for c, own in enumerate(np.moveaxis(logits, 1, 0)):
            seen = own[split.train].astype(np.float64)
            if not np.isfinite(seen).all():
                raise TrainingStopped("diverged", "A probability on the trained pixels is not finite.")
            scales.append(fit_scale(seen, labels == c + 1))
        scale, shift = torch.tensor(scales).T
        return scale, shift
