"""Loss function: a weighted sum of losses over independent sigmoid channels, on known pixels only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

#: Target value of unknown pixels.
UNKNOWN = 255
#: Focusing exponent of the focal loss (Lin et al. 2017, arXiv:1708.02002).
FOCAL_GAMMA = 2.0
#: Largest ratio of a class's weight to the average; the smallest is its inverse.
LARGEST_BALANCE = 4.0


@dataclass(frozen=True)
class MixedLoss:
    """Weighted sum of binary cross-entropy, focal and Dice loss.

    Attributes
    ----------
    cross_entropy, focal, dice : float
        Weight of each loss; normalised by their sum.
    positive_weights : (..., C) float32 tensor or float
        Weight of each class's pixels in the two pixel-wise losses; background weighs 1.
    """

    cross_entropy: float
    focal: float
    dice: float
    positive_weights: Tensor | float = 1.0

    def of(self, copy: int) -> MixedLoss:
        """Return the loss of one of the networks side by side, if `positive_weights` differs between them."""
        weights = self.positive_weights
        return replace(self, positive_weights=weights[copy] if isinstance(weights, Tensor) else weights)

    def by_kernels(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of networks side by side, computed by kernels for CUDA devices.

        Parameters
        ----------
        logits : (B, G * C, Y, X) float32
        target : (G, B, Y, X) uint8

        Returns
        -------
        (G,) float32 tensor
        """
        from napari_menndl.cuda.pixelwise import mixed_loss

        assert isinstance(self.positive_weights, Tensor)
        parts = self.cross_entropy, self.focal, self.dice
        return mixed_loss(logits, target, self.positive_weights, parts, UNKNOWN)

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of a batch, or of several batches of networks side by side.

        Parameters
        ----------
        logits : (..., B, C, Y, X) float
        target : (..., B, Y, X) uint8
            0 = no defect, c + 1 = class c, `UNKNOWN` = ignored.

        Returns
        -------
        (...) float32 tensor
            0 if no pixel is known.
        """
        logits = logits.float()
        classes = torch.arange(1, logits.shape[-3] + 1, device=logits.device, dtype=target.dtype)
        true = (target.unsqueeze(-3) == classes[:, None, None]).float()
        known = (target != UNKNOWN).unsqueeze(-3).float()
        shares = self.cross_entropy + self.focal + self.dice
        total = logits.new_zeros(logits.shape[:-4])
        everything = (-4, -3, -2, -1)
        if self.cross_entropy or self.focal:
            surprise = functional.binary_cross_entropy_with_logits(logits, true, reduction="none")
            weights = torch.as_tensor(self.positive_weights, device=logits.device)
            weights = weights[..., None, :, None, None] if weights.dim() else weights
            surprise = surprise * (1 + (weights - 1) * true)
            if self.focal:
                probability = logits.sigmoid()
                missed = true + probability * (1 - 2 * true)
                surprise = surprise * (self.cross_entropy + self.focal * missed**FOCAL_GAMMA)
            else:
                surprise = surprise * self.cross_entropy
            counted = known.sum(everything) * logits.shape[-3]
            total = total + (surprise * known).sum(everything) / counted.clamp(min=1)
        if self.dice:
            total = total + self.dice * soft_dice(logits.sigmoid() * known, true * known)
        return total / shares


def class_weights(target: Tensor, classes: int, weight: float, balance: float) -> Tensor:
    """Return the weight of each class's defect pixels, so that frequent classes do not dominate rare ones.

    ``weight * (n / n_c) ** balance``, where n_c is the number of pixels of class c and n the geometric mean of these
    numbers over the classes present; the factor is clipped to between 1/4 and 4.

    Parameters
    ----------
    target : (N, Y, X) uint8
        0 = no defect, c + 1 = class c, `UNKNOWN`.
    classes : int
    weight, balance : float
        The genes ``class_weight`` and ``balance``.

    Returns
    -------
    (C,) float32 tensor
        On the device of `target`.
    """
    pixels = torch.stack([(target == c + 1).sum() for c in range(classes)]).double()
    logarithms = pixels.clamp(min=1).log()
    present = pixels > 0
    mean = logarithms[present].mean() if bool(present.any()) else logarithms.mean()
    factors = ((mean - logarithms) * balance).exp().clamp(1 / LARGEST_BALANCE, LARGEST_BALANCE)
    return (weight * torch.where(present, factors, torch.ones_like(factors))).float()


def soft_dice(probability: Tensor, true: Tensor) -> Tensor:
    """One minus the soft Dice overlap per class, averaged (Milletari et al. 2016, arXiv:1606.04797).

    Parameters
    ----------
    probability, true : (..., B, C, Y, X) float
        Zero at ignored pixels.
    """
    pixels = (-4, -2, -1)
    overlap = (probability * true).sum(pixels)
    sizes = (probability**2).sum(pixels) + (true**2).sum(pixels)
    # The added 1 avoids a gradient of 0/0 in a batch without defects.
    return (1 - (2 * overlap + 1) / (sizes + 1)).mean(-1)
