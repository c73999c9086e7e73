"""Random augmentations of tiles that keep their labels valid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from napari_menndl.training.losses import UNKNOWN

if TYPE_CHECKING:
    from napari_menndl.genome.genes import TrainingGenes


#: Ranges at gene strength 1: offset [standard deviations of a normalised frame], factors of gain, gamma and
#: magnification in either direction, standard deviations of noise [standard deviations] and blur [px].
STRONGEST = {"offset": 0.5, "gain": 2.0, "gamma": 1.5, "zoom": 1.5, "noise": 1.0, "blur": 2.0}


#: Number of amounts that are drawn for each tile.
AMOUNTS = 6


def augment(
    tiles: Tensor, target: Tensor, genes: TrainingGenes, amounts: Tensor, noise: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Augment each tile of a batch by amounts of its own, equal for all its channels; only noise is independent.

    Flips and shifts are applied when tiles are cut (`data.TileTable`).

    Parameters
    ----------
    tiles : (B, K, Y, X) float32
    target : (B, Y, X) uint8
        Transformed along with the tiles, by nearest neighbour; `UNKNOWN` where a tile extends beyond its original area.
    genes : TrainingGenes
        The strengths.
    amounts : (AMOUNTS, B) float32
        Drawn uniformly from -1 to 1; multiplied by the strengths.
    noise : torch.Generator
        Source of the noise, on the device of the tiles.

    Returns
    -------
    tiles, target
        With the same shapes and dtypes.
    """
    offset, gain, gamma, zoom, level, blur = amounts[:, :, None, None, None]
    if genes.zoom:
        tiles, target = zoomed(tiles, target, factor(zoom, genes.zoom, "zoom").flatten())
    if genes.blur:
        widest = genes.blur * STRONGEST["blur"]
        tiles = blurred(tiles, blur.abs().flatten() * widest, radius=math.ceil(2.5 * widest))
    if genes.gamma:
        tiles = tiles.sign() * (tiles.abs() + 1e-6) ** factor(gamma, genes.gamma, "gamma")
    if genes.contrast:
        tiles = tiles * factor(gain, genes.contrast, "gain") + offset * genes.contrast * STRONGEST["offset"]
    if genes.noise:
        white = torch.empty_like(tiles).normal_(generator=noise)
        tiles = tiles + white * level.abs() * (genes.noise * STRONGEST["noise"])
    return tiles, target


def factor(draw: Tensor, strength: float, name: str) -> Tensor:
    """Convert a draw from -1 to 1 to a factor from the inverse of the strongest to the strongest, log-uniformly."""
    return torch.exp(draw * (strength * math.log(STRONGEST[name])))


def zoomed(tiles: Tensor, target: Tensor, magnification: Tensor) -> tuple[Tensor, Tensor]:
    """Magnify each tile about its centre.

    Parameters
    ----------
    tiles : (B, K, Y, X) float32
    target : (B, Y, X) uint8
    magnification : (B,) float32
        Above 1 enlarges; below 1 the margin is filled by reflection and its target is `UNKNOWN`.
    """
    zero = torch.zeros_like(magnification)
    scale = 1 / magnification
    matrix = torch.stack([torch.stack([scale, zero, zero], 1), torch.stack([zero, scale, zero], 1)], 1)
    grid = functional.affine_grid(matrix, list(tiles.shape), align_corners=False)
    tiles = functional.grid_sample(tiles, grid, padding_mode="reflection", align_corners=False)
    moved = functional.grid_sample(
        target[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    outside = (grid.abs() > 1).any(-1)
    return tiles, moved[:, 0].to(target.dtype).masked_fill(outside, UNKNOWN)


def blurred(tiles: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Blur each tile with its own Gaussian.

    Parameters
    ----------
    tiles : (B, K, Y, X) float32
    sigma : (B,) float32
        [px]; 0 leaves a tile unchanged.
    radius : int
        Half the kernel's width [px]; limited to the tile's size.
    """
    count, channels, height, width = tiles.shape
    radius = min(radius, height - 1, width - 1)
    offset = torch.arange(-radius, radius + 1, device=tiles.device, dtype=tiles.dtype)
    kernel = torch.exp(-0.5 * (offset / sigma.clamp(min=1e-3)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    # One group per channel of a tile lets a single convolution hold as many kernels as there are tiles.
    padded = functional.pad(tiles, [radius] * 4, mode="reflect").flatten(0, 1)[None]
    rows = functional.conv2d(padded, kernel[:, None, :, None], groups=count * channels)
    return functional.conv2d(rows, kernel[:, None, None, :], groups=count * channels).reshape(tiles.shape)
