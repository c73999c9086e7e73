"""Tiles for training, cut from the channels of whole frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_menndl.task.tiles import permitted_origins

if TYPE_CHECKING:
    from torch import Tensor

#: How often a shift is drawn anew where a tile would leave the permitted area, before it stays where it was.
SHIFT_PROPOSALS = 4


@dataclass(frozen=True)
class Draw:
    """Which tiles to cut, and how each is turned.

    Attributes
    ----------
    origins : (n, 3) int64
        Frame, y, x of the upper left corner.
    turns : (n, 3) bool
        Flipped along y, flipped along x, transposed: together the eight symmetries of the square.
    """

    origins: np.ndarray
    turns: np.ndarray

    def __getitem__(self, part: slice) -> Draw:
        return Draw(self.origins[part], self.turns[part])

    def __len__(self) -> int:
        return len(self.origins)


@dataclass(frozen=True)
class TileSource:
    """Frames and labels on a device, and where tiles may be cut from them.

    Attributes
    ----------
    frames : (N, K, Y, X) float32
        Their channels (`network.inputs.channels`); fastest to cut where those of a pixel lie side by side in memory
        (`torch.channels_last`).
    target : (N, Y, X) uint8
        0 = no defect, c + 1 = class c, `losses.UNKNOWN`.
    origins : (n, 3) int64
        Of the chosen tiles: frame, y, x.
    weights : (n,) float64
        How often each is to be shown, relative to the others.
    size : int
        Edge of a tile [px].
    area : (Y, X) bool
        A shifted tile lies wholly in here.
    """

    frames: Tensor
    target: Tensor
    origins: np.ndarray
    weights: np.ndarray
    size: int
    area: np.ndarray

    def draw(self, count: int, rng: np.random.Generator, jitter: float = 1.0, flips: bool = True) -> Draw:
        """Choose tiles by their weights, shift each by up to `jitter` times a quarter of its edge, and turn it."""
        chosen = self.origins[rng.choice(len(self.origins), count, p=self.weights / self.weights.sum())]
        turns = rng.random((count, 3)) < (0.5 if flips else 0.0)
        reach = int(jitter * self.size / 4)
        return Draw(self._shifted(chosen, reach, rng) if reach else chosen, turns)

    def cut(self, draw: Draw) -> tuple[Tensor, Tensor]:
        """Cut tiles out.

        Returns
        -------
        tiles : (B, K, size, size) float32
        target : (B, size, size) uint8
        """
        _, count, height, width = self.frames.shape
        step = np.arange(self.size)
        y = draw.origins[:, 1, None] + np.where(draw.turns[:, :1], step[::-1], step)
        x = draw.origins[:, 2, None] + np.where(draw.turns[:, 1:2], step[::-1], step)
        index = (draw.origins[:, 0, None, None] * height + y[:, :, None]) * width + x[:, None, :]
        index = np.where(draw.turns[:, 2, None, None], index.transpose(0, 2, 1), index)
        flat = torch.from_numpy(index).to(self.frames.device)
        pixels = self.frames.movedim(1, -1).reshape(-1, count)
        return pixels[flat].movedim(-1, 1), self.target.reshape(-1)[flat]

    def _shifted(self, origins: np.ndarray, reach: int, rng: np.random.Generator) -> np.ndarray:
        fits = permitted_origins(self.area, self.size)
        limit = np.array(fits.shape) - 1
        shifted, pending = origins.copy(), np.ones(len(origins), bool)
        for _ in range(SHIFT_PROPOSALS):
            proposal = origins.copy()
            proposal[:, 1:] += rng.integers(-reach, reach, (len(origins), 2), endpoint=True)
            proposal[:, 1:] = np.clip(proposal[:, 1:], 0, limit)
            good = pending & fits[proposal[:, 1], proposal[:, 2]]
            shifted[good] = proposal[good]
            pending &= ~good
        return shifted
