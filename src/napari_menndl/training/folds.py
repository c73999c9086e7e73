"""Training, calibration and validation of the network of one fold."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from scipy.special import logit

from napari_menndl.network.device import repeatable, wait
from napari_menndl.network.inputs import fit_inputs, shared_channels
from napari_menndl.network.module import Network
from napari_menndl.network.tiling import cut_windows, predict_tiled
from napari_menndl.training.calibration import fit_scale
from napari_menndl.training.data import TileSource
from napari_menndl.training.loop import TrainingStopped, plan_steps, train
from napari_menndl.training.losses import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from napari_menndl.genome.genome import Genome
    from napari_menndl.genome.plan import Plan
    from napari_menndl.task.folds import Split
    from napari_menndl.task.task import TrainingTask


@dataclass(frozen=True)
class Trained:
    """A trained network of a fold.

    Attributes
    ----------
    network : Network
        In evaluation mode.
    genome : Genome
        With its inputs fitted to the training pixels, if any are to be fitted.
    frames : (N, K, Y, X) float32
        Its input channels of the task's frames.
    loss : tuple of float
        Loss curve.
    pixels : int
        Number of pixels trained on in this training.
    """

    network: Network
    genome: Genome
    frames: np.ndarray
    loss: tuple[float, ...]
    pixels: int


@dataclass(frozen=True)
class Look:
    """Validation output of a fold's network.

    Attributes
    ----------
    probabilities : (N, C, Y, X) float32
        0 far from the validated area.
    seconds, pixels : float, int
        Prediction time [s] and number of pixels predicted.
    """

    probabilities: np.ndarray
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
    def frames(self) -> np.ndarray:
        """(N, K, Y, X) float32: channels of the whole frames, computed as in prediction."""
        return self._frames_for(self.genome)

    def _frames_for(self, genome: Genome) -> np.ndarray:
        return np.stack([shared_channels(planes, genome, self.plan.classes) for planes in self.task.planes])

    def _shown(self, name: str, split: Split) -> tuple[Genome, np.ndarray]:
        """Fit the genome's inputs to a fold's training pixels; return the genome and its channels of the frames."""
        # Seeded by genome and fold alone, so that a network trained further at the next rung has the same inputs.
        rng = np.random.default_rng([int(self.genome.digest, 16), zlib.crc32(name.encode())])
        task = self.task
        genome = fit_inputs(self.genome, task.frames, task.labels, split.train, task.match_rules, rng)
        return genome, self.frames if genome is self.genome else self._frames_for(genome)

    def train(self, name: str, split: Split, pixels: int, weights: Mapping[str, Tensor] | None = None) -> Trained:
        """Train the network of a fold.

        Parameters
        ----------
        name : str
            Name of the fold.
        split : Split
        pixels : int
            Number of pixels to train on; no training if not positive.
        weights : mapping of str to Tensor, optional
            Initial weights.

        Raises
        ------
        TrainingStopped
            If a check of the training loop fails.
        """
        rng = np.random.default_rng([*self.stream, zlib.crc32(name.encode())])
        genome, frames = self._shown(name, split)
        genes = genome.training
        with repeatable(self.device, int(rng.integers(2**62))):
            network = Network(self.plan, int(rng.integers(2**62))).to(self.device)
            if weights:
                network.load_state_dict(dict(weights))
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            curve: tuple[float, ...] = ()
            shown = 0
            if pixels > 0:
                source = self._source(frames, split, rng)
                steps, batch = plan_steps(pixels, genes.batch, source.size)
                curve = train(network, source, genes, steps, batch, rng)
                shown = steps * batch * source.size**2
            network.eval()
        return Trained(network, genome, frames, curve, shown)

    def calibrate(self, trained: Trained, split: Split) -> tuple[Tensor, Tensor]:
        """Scale logits so that probabilities match the class fractions on the training pixels.

        Probabilities of different folds' networks then have the same meaning, although each was trained on other pixels
        and to another loss: one threshold holds for all of them and for their mean.

        Returns
        -------
        scale, shift : (C,) float32 tensor
            Factor and offset applied to each class's logits.

        Raises
        ------
        TrainingStopped
            "diverged" if a probability is not finite.
        """
        seen = self._probabilities(trained, split.train)
        if not np.isfinite(seen).all():
            raise TrainingStopped("diverged", "A probability on the trained pixels is not finite.")
        scales = []
        for c, probabilities in enumerate(np.moveaxis(seen, 1, 0)):
            logits = logit(probabilities[split.train].astype(np.float64))
            scales.append(fit_scale(logits, self.task.labels[split.train] == c + 1))
        scale, shift = torch.tensor(scales).T
        trained.network.rescale(scale, shift)
        return scale, shift

    def _probabilities(self, trained: Trained, inside: np.ndarray) -> np.ndarray:
        """Return (N, C, Y, X) float32, valid at least `inside` (N, Y, X) bool; 0 in windows without such pixels."""
        result = np.zeros((len(inside), self.plan.classes, *inside.shape[1:]), np.float32)
        for frame, where, probabilities in zip(trained.frames, inside, result, strict=True):
            if where.any():
                probabilities[:] = predict_tiled(
                    trained.network, frame, where=where, stride=self.plan.stride, radius=self.plan.receptive_radius
                )
        return result

    def _source(self, frames: np.ndarray, split: Split, rng: np.random.Generator) -> TileSource:
        tiles = self.task.tiles(split, self.genome.training.tile, rng)
        target = np.where(split.train, self.task.labels, UNKNOWN).astype(np.uint8)
        # With the channels of a pixel adjacent in memory, which is faster to cut.
        shown = torch.from_numpy(frames).to(self.device).contiguous(memory_format=torch.channels_last)
        labels = torch.from_numpy(target).to(self.device)
        return TileSource(shown, labels, tiles.origins, tiles.weights, tiles.size, split.area)

    def look(self, trained: Trained, split: Split) -> Look:
        """Predict the validated area of a fold with a margin, since defects are matched across its border."""
        reach = max((d.tolerance for d in self.task.match_rules if not d.extended), default=0.0)
        margin = 2 * max(16, round(4 * reach)) + 1
        network, frames = trained.network, trained.frames
        shape = (frames.shape[2], frames.shape[3])
        result = np.zeros((len(frames), self.plan.classes, *shape), np.float32)
        seconds, pixels = 0.0, 0
        options = {"stride": self.plan.stride, "radius": self.plan.receptive_radius}
        # Warm-up: the first prediction of a process must not count towards the latency.
        predict_tiled(network, frames[0, :, :64, :64], size=64, where=None, **options)
        wait(self.device)
        for frame, inside, probabilities in zip(frames, split.validate, result, strict=True):
            if not inside.any():
                continue
            where = ndimage.maximum_filter(inside, margin)
            begin = time.perf_counter()
            probabilities[:] = predict_tiled(network, frame, where=where, **options)
            wait(self.device)
            seconds += time.perf_counter() - begin
            pixels += sum(window.pixels for window in cut_windows(shape, where=where, **options))
        return Look(result, seconds, pixels)
