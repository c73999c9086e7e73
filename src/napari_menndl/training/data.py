"""Training tiles: where they are drawn, and how they are cut from the channels of whole frames on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_menndl.task.tiles import permitted_origins

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    def __len__(self) -> int:
        return len(self.origins)


@dataclass(frozen=True)
class TileSource:
    """Frames and labels on a device, with the places where tiles can be cut.

    Attributes
    ----------
    frames : (N, K, Y, X) float32
        Channels of the frames (`network.inputs.channels`).
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


class TileTable:
    """Tiles that are cut on the device of the frames, from a table of all draws of a training, without the host.

    Parameters
    ----------
    sources : sequence of TileSource
        One for each network that is trained side by side; frames that several share are kept once.
    draws : sequence of Draw
        The tiles of the whole training, one `Draw` for each source.
    batch : int
        Tiles of a source per step.
    """

    def __init__(self, sources: Sequence[TileSource], draws: Sequence[Draw], batch: int) -> None:
        first = sources[0].frames
        self._count, self._size = first.shape[1], sources[0].size
        shared = all(source.frames is first for source in sources)
        frames = first if shared else torch.cat([source.frames for source in sources])
        # The channels of a pixel adjacent: index_select copies them at once; indexing, up to eight times slower, one
        # by one.
        self._pixels = frames.movedim(1, -1).reshape(-1, self._count)
        self._labels = torch.cat([source.target.reshape(-1) for source in sources])
        device = first.device
        width = first.shape[-1]
        self._symmetries = torch.from_numpy(_symmetries(self._size, width)).to(device)
        corners, symmetries, apart, before = [], [], [], 0
        for source, draw in zip(sources, draws, strict=True):
            _, _, height, width = source.frames.shape
            corner = (draw.origins[:, 0] * height + draw.origins[:, 1]) * width + draw.origins[:, 2]
            corners.append((corner + (0 if shared else before)).reshape(-1, batch))
            symmetries.append((draw.turns @ np.array([1, 2, 4])).reshape(-1, batch))
            apart.append(np.full(batch, before if shared else 0))
            before += source.target.numel()
        self._corners = torch.from_numpy(np.concatenate(corners, 1)).to(device)
        self._which = torch.from_numpy(np.concatenate(symmetries, 1)).to(device)
        #: What is added to the index of a pixel for that of its label.
        self._apart = torch.from_numpy(np.concatenate(apart)).to(device) if shared and len(sources) > 1 else None

    def cut(self, step: Tensor) -> tuple[Tensor, Tensor]:
        """Cut the tiles of a step.

        Parameters
        ----------
        step : (1,) int64
            On the device.

        Returns
        -------
        tiles : (G * B, K, size, size) float32
            Those of the first source first.
        target : (G * B, size, size) uint8
        """
        corner = self._corners.index_select(0, step)[0]
        index = self._symmetries.index_select(0, self._which.index_select(0, step)[0]) + corner[:, None]
        pixels = self._pixels.index_select(0, index.flatten())
        labels = index if self._apart is None else index + self._apart[:, None]
        target = self._labels.index_select(0, labels.flatten())
        shape = (len(corner), self._size, self._size)
        return pixels.reshape(*shape, self._count).movedim(-1, 1), target.reshape(shape)


def _symmetries(size: int, width: int) -> np.ndarray:
    """Return (8, size * size) int64: where the pixels of a tile lie after its corner, for each way to turn it.

    Number ``1 * flip_y + 2 * flip_x + 4 * transpose``.
    """
    along = np.arange(size)
    patterns = []
    for number in range(8):
        y, x = (along[::-1] if number & flag else along for flag in (1, 2))
        pattern = y[:, None] * width + x
        patterns.append((pattern.T if number & 4 else pattern).ravel())
    return np.stack(patterns)
