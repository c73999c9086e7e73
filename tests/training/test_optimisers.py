"""Each optimiser takes the steps of torch's class."""

from functools import partial

import pytest
import torch

from napari_menndl.training.step import OPTIMISERS

CLASSES = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": partial(torch.optim.Adam, betas=(0.0, 0.99)),
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_steps_are_those_of_the_class(name):
    generator = torch.Generator().manual_seed(0)
    pieces = [torch.randn(size, generator=generator) for size in (5, 3)]
    gradients = [torch.empty_like(piece) for piece in pieces]
    rate = torch.zeros(())
    expected = [piece.clone() for piece in pieces]
    update = OPTIMISERS[name](pieces, gradients, rate, 0.01)
    optimiser = CLASSES[name](expected, lr=0.0, weight_decay=0.01)
    for step in range(4):
        for gradient, theirs in zip(gradients, expected, strict=True):
            theirs.grad = gradient.copy_(torch.randn(gradient.shape, generator=generator)).clone()
        rate.fill_(0.1 / (1 + step))
        optimiser.param_groups[0]["lr"] = rate.item()
        update()
        optimiser.step()
        for piece, theirs in zip(pieces, expected, strict=True):
            torch.testing.assert_close(piece, theirs)
