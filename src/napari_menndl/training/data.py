"""Training tiles, cut from the channels of whole frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_menndl.task.tiles import permitted_origins

if TYPE_CHECKING:
    from torch import Tensor

#: Attempts to draw a shift that keeps a tile within the permitted area, before the tile stays unshifted.
SHIFT_PROPOSALS = 4


@dataclass(frozen=True)
class Draw:
    """Tiles to cut, each with its flips.

    Attributes
    ----------
    origins : (n, 3) int64
        Frame, y, x of the top left corner.
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
    """Frames and labels on a device, with the places where tiles can be cut.

    Attributes
    ----------
    frames : (N, K, Y, X) float32
        Channels of the frames (`network.inputs.channels`); cutting is fastest if those of a pixel are adjacent in
        memory (`torch.channels_last`).
    target : (N, Y, X) uint8
        0 = no defect, c + 1 = class c, `losses.UNKNOWN`.
    origins : (n, 3) int64
        Frame, y, x of the chosen tiles.
    weights : (n,) float64
        Relative frequency of each tile.
    size : int
        Edge of a tile [px].
    area : (Y, X) bool
        Permitted area: shifted tiles lie entirely within it.
    """

    frames: Tensor
    target: Tensor
    origins: np.ndarray
    weights: np.ndarray
    size: int
    area: np.ndarray

    def draw(self, count: int, rng: np.random.Generator, jitter: float = 1.0, flips: bool = True) -> Draw:
        """Draw tiles by weight, shift each by up to `jitter` times a quarter of its edge, and flip it."""
        chosen = self.origins[rng.choice(len(self.origins), count, p=self.weights / self.weights.sum())]
        turns = rng.random((count, 3)) < (0.5 if flips else 0.0)
        reach = int(jitter * self.size / 4)
        return Draw(self._shifted(chosen, reach, rng) if reach else chosen, turns)

    def cut(self, draw: Draw) -> tuple[Tensor, Tensor]:
        """Cut the tiles of a draw.

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
        flat = torch.from_numpy(index.ravel()).to(self.frames.device)
        # index_select copies all channels of a pixel at once; indexing, up to eight times slower, one by one.
        pixels = self.frames.movedim(1, -1).reshape(-1, count).index_select(0, flat)
        target = self.target.reshape(-1).index_select(0, flat)
        return pixels.reshape(*index.shape, count).movedim(-1, 1), target.reshape(index.shape)

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
