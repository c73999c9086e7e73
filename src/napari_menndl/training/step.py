"""A training step of networks side by side that runs on the device alone."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from napari_menndl.cuda import has_kernels_for
from napari_menndl.network.module import Dropout
from napari_menndl.training.augment import AMOUNTS, augment
from napari_menndl.training.data import TileTable
from napari_menndl.training.losses import MixedLoss, class_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_menndl.genome.genes import TrainingGenes
    from napari_menndl.network.module import Network
    from napari_menndl.training.data import TileSource

#: Largest norm of the gradient over all parameters of a network.
CLIP = 5.0
#: Every parameter begins at a multiple of so many values: cuDNN reads 16 bytes at a time.
ALIGNMENT = 64
#: Parameters that a GPU updates in one block of its threads.
PIECE = 4096


def _adam(
    pieces: list[Tensor],
    gradients: list[Tensor],
    rate: Tensor,
    weight_decay: float,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    decoupled: bool = False,
) -> Callable[[], None]:
    means, squares = ([torch.zeros_like(piece) for piece in pieces] for _ in range(2))
    steps = [torch.zeros((), device=piece.device) for piece in pieces]
    return partial(
        adam,
        *(pieces, gradients, means, squares, [], steps),
        fused=True,
        decoupled_weight_decay=decoupled,
        amsgrad=False,
        beta1=beta1,
        beta2=beta2,
        lr=rate,
        weight_decay=weight_decay,
        eps=1e-8,
        maximize=False,
    )


def _sgd(pieces: list[Tensor], gradients: list[Tensor], rate: Tensor, weight_decay: float) -> Callable[[], None]:
    momenta: list[Tensor | None] = [None] * len(pieces)
    return partial(
        sgd,
        *(pieces, gradients, momenta),
        fused=True,
        weight_decay=weight_decay,
        momentum=0.9,
        lr=cast("float", rate),  # a tensor is allowed, as by the class
        dampening=0.0,
        nesterov=True,
        maximize=False,
    )


#: Of parameters, their gradients, the learning rate and the weight decay; each returns the function that does a step.
#: Torch's functional forms, since its classes import its compiler, which takes as long as torch itself.
#: "rmsprop" is Adam without its mean of gradients, hence with a correction of the first steps that Tieleman & Hinton
#: 2012 do not have.
OPTIMISERS: dict[str, Callable[[list[Tensor], list[Tensor], Tensor, float], Callable[[], None]]] = {
    "adam": _adam,
    "adamw": partial(_adam, decoupled=True),
    "rmsprop": partial(_adam, beta1=0.0, beta2=0.99),
    "sgd": _sgd,
}


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


class TrainingStep:
    """A step of the training: tiles, augmentation, loss, gradient and optimiser.

    All that differs from step to step lies in tables on the device, and nothing is read back from it, so that a step
    can be recorded once and repeated (`captured`).

    Parameters
    ----------
    network : Network
        Of G networks side by side; in training mode, on the device of the sources.
    sources : sequence of TileSource
        What each of the G networks learns from.
    genes : TrainingGenes
    steps, batch : int
        Number of steps, and of tiles of each network per step.
    rngs : sequence of numpy.random.Generator
        Random stream of each network.

    Attributes
    ----------
    criterion : MixedLoss
    curve : (steps, G) float32 tensor
        Loss of each step; 0 before it is done.
    norm : (G,) float32 tensor
        Norm of the latest gradient.
    logits : (G, B, C, Y, X) float tensor
    target : (G, B, Y, X) uint8 tensor
        Of the latest step.
    """

    norm: Tensor
    logits: Tensor
    target: Tensor

    def __init__(
        self,
        network: Network,
        sources: Sequence[TileSource],
        genes: TrainingGenes,
        steps: int,
        batch: int,
        rngs: Sequence[np.random.Generator],
    ) -> None:
        self._network, self._genes = network, genes
        device = sources[0].frames.device
        draws = [s.draw(steps * batch, rng, genes.jitter, genes.flips) for s, rng in zip(sources, rngs, strict=True)]
        self._tiles = TileTable(sources, draws, batch)
        amounts = [rng.uniform(-1, 1, (steps, AMOUNTS, batch)).astype(np.float32) for rng in rngs]
        self._amounts = torch.from_numpy(np.concatenate(amounts, axis=2)).to(device)
        rates = [genes.learning_rate * rate(genes.schedule, step / steps) for step in range(steps)]
        self._rates = torch.tensor(rates, device=device)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)
        self.generator = torch.Generator(device)
        self.generator.manual_seed(int(rngs[0].integers(2**62)))
        for module in network.modules():
            if isinstance(module, Dropout):
                module.generator = self.generator
        weights = [class_weights(s.target, network.plan.classes, genes.class_weight, genes.balance) for s in sources]
        self.criterion = MixedLoss(genes.bce, genes.focal, genes.dice, torch.stack(weights))
        self._parameters = _Flat(network)
        self._rate = torch.zeros((), device=device)
        self._update = OPTIMISERS[genes.optimiser](
            self._parameters.pieces, self._parameters.gradients, self._rate, genes.weight_decay
        )
        self.curve = torch.zeros((steps, network.copies), device=device)

    def __call__(self) -> None:
        """Do the next step."""
        copies = self._network.copies
        tiles, target = self._tiles.cut(self._step)
        tiles, target = augment(
            tiles, target, self._genes, self._amounts.index_select(0, self._step)[0], self.generator
        )
        # The tiles of each copy lie in its group of channels, which are last in memory.
        apart = tiles.movedim(1, -1).unflatten(0, (copies, -1))
        logits = self._network(apart.permute(1, 2, 3, 0, 4).flatten(-2).movedim(-1, 1))
        self.logits = logits.unflatten(1, (copies, -1)).transpose(0, 1)
        self.target = target.unflatten(0, (copies, -1))
        if has_kernels_for(logits):
            loss = self.criterion.by_kernels(logits, self.target)
        else:
            loss = self.criterion(self.logits, self.target)
        self.norm = self._parameters.set_gradient(loss.sum())
        self._rate.copy_(self._rates.index_select(0, self._step)[0])
        self._update()
        self.curve.index_copy_(0, self._step, loss.detach()[None])
        self._step.add_(1)


class _Flat:
    """All parameters of networks side by side in one tensor, of which they become views.

    So clipping and optimiser take few operations, however many layers there are.

    Attributes
    ----------
    pieces : list of tensor
        Parts of that tensor, of equal lengths, on which a GPU works in parallel.
    gradients : list of tensor
        Of each piece.
    """

    def __init__(self, network: Network) -> None:
        self._parts = list(network.parameters())
        # In the order of the memory, so that weights with channels last stay as they are.
        self._orders = [sorted(range(p.dim()), key=p.stride, reverse=True) for p in self._parts]
        self._gaps = [p.new_zeros(-p.numel() % ALIGNMENT) for p in self._parts]
        flat = self._flattened([p.detach() for p in self._parts])
        begin, places = 0, []
        for part, gap in zip(self._parts, self._gaps, strict=True):
            part.data = torch.as_strided(flat, part.shape, part.stride(), begin)
            # The first dimension, which is outermost in memory, is that of the networks.
            places.append(torch.arange(begin, begin + part.numel()).reshape(network.copies, -1))
            begin += part.numel() + len(gap)
        self._places = torch.cat(places, 1).to(flat.device)
        self._owner = torch.zeros(len(flat), dtype=torch.int64, device=flat.device)
        for copy, own in enumerate(self._places):
            self._owner[own] = copy
        self._gradient = torch.zeros_like(flat)
        length = PIECE if flat.is_cuda else len(flat)
        self.pieces, self.gradients = list(flat.split(length)), list(self._gradient.split(length))

    def set_gradient(self, loss: Tensor) -> Tensor:
        """Set the gradient of a loss, of a norm of at most `CLIP` for each network; return the norms before (G,)."""
        gradient = self._flattened(torch.autograd.grad(loss, self._parts, materialize_grads=True))
        if len(self._places) == 1:
            norm = torch.linalg.vector_norm(gradient)[None]
            factor = (CLIP / (norm + 1e-6)).clamp(max=1)
        else:
            norm = torch.linalg.vector_norm(gradient[self._places], dim=1)
            factor = (CLIP / (norm + 1e-6)).clamp(max=1)[self._owner]
        torch.mul(gradient, factor, out=self._gradient)
        return norm

    def _flattened(self, tensors: Sequence[Tensor]) -> Tensor:
        """Concatenate tensors of the shapes of the parameters, each in the order of that parameter's memory."""
        ordered = [t.permute(order).reshape(-1) for t, order in zip(tensors, self._orders, strict=True)]
        return torch.cat([part for pair in zip(ordered, self._gaps, strict=True) for part in pair])
