"""Nodes of a plan: single operations with shape, receptive field and cost."""

from __future__ import annotations

import math
from typing import Any, NamedTuple


class Node(NamedTuple):
    """One operation, which corresponds to one call of a torch module.

    Attributes
    ----------
    name : str
        Such as ``layer3_conv2``; also the prefix of its parameters' names.
    kind : {"input", "conv", "norm", "activation", "dropout", "pool", "upsample", "add", "concat"}
    inputs : tuple of int
        Indices of its input nodes in the plan.
    layer, part : int
        Layer and part (an index into `genes.parts`) that it comes from; layer -1 is the input, the number of layers is
        the head. A 1×1 convolution before an addition belongs to the part that is added to.
    channels_in, channels : int
        Channels of its first input; channels of its output.
    stride : int
        Pixels of the network's input per pixel of its output [px].
    before, after : (y, x) int
        Output pixel j depends on no input pixel outside ``stride * j - before … stride * j + after`` [px].
    mode : str
        Name of the normalisation, activation, pooling or interpolation.
    kernel, step, dilation, groups, bias, rate
        Window (y, x) [px of its input], own stride or factor, dilation, groups, whether there is a bias, dropout rate.
    """

    name: str
    kind: str
    inputs: tuple[int, ...] = ()
    layer: int = -1
    part: int = 0
    channels_in: int = 1
    channels: int = 1
    stride: int = 1
    before: tuple[int, int] = (0, 0)
    after: tuple[int, int] = (0, 0)
    mode: str = ""
    kernel: tuple[int, int] = (1, 1)
    step: int = 1
    dilation: int = 1
    groups: int = 1
    bias: bool = False
    rate: float = 0.0

    @property
    def padding(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """((above, below), (left, right)) [px of its input] for "same" size; an odd pixel is added below and right."""
        return _padding(self.kernel, self.dilation)

    @property
    def asymmetric(self) -> bool:
        """Whether `padding` differs between opposite sides, which requires a padded copy of the input."""
        return any(first != last for first, last in self.padding)

    @property
    def parameters(self) -> int:
        if self.kind == "conv":
            weights = math.prod(self.kernel) * (self.channels_in // self.groups) * self.channels
            return weights + self.channels * self.bias
        return 2 * self.channels if self.kind == "norm" else 0

    @property
    def flops_per_pixel(self) -> float:
        """Cost of a convolution, one multiply-add counted as 2 [FLOP per pixel of the network's input]; else 0."""
        if self.kind != "conv":
            return 0.0
        return 2 * math.prod(self.kernel) * (self.channels_in // self.groups) * self.channels / self.stride**2

    @property
    def kept_per_pixel(self) -> float:
        """Values of 4 bytes that training stores for its backward pass [per pixel of the network's input]."""
        own = self.channels / self.stride**2
        if self.kind == "input":
            # The batch, and a padded copy of it.
            own *= 2
        if self.kind == "conv" and self.asymmetric:
            # The padded copy of the input; doubled to allow for the margin, which matters in small tiles.
            own += 2 * self.channels_in * (self.step / self.stride) ** 2
        if self.kind == "pool":
            # The padded input, and the indices of the largest values, 8 bytes each.
            own += 2 * own + 2 * self.channels_in * (self.step / self.stride) ** 2
        if self.kind == "norm":
            # Normalisation over channels needs a permuted copy and two statistics per pixel.
            own += (self.channels + 2) / self.stride**2 if self.mode == "channel" else 0
        return own


def through_window(node: Node, kernel: tuple[int, int], step: int, dilation: int) -> dict[str, Any]:
    """Return the fields of a node that applies a window to another node's output."""
    (above, below), (left, right) = _padding(kernel, dilation)
    return {
        "kernel": kernel,
        "step": step,
        "dilation": dilation,
        "stride": node.stride * step,
        "before": (node.before[0] + node.stride * above, node.before[1] + node.stride * left),
        "after": (node.after[0] + node.stride * below, node.after[1] + node.stride * right),
    }


def upsampling_fields(node: Node, factor: int, mode: str) -> dict[str, Any]:
    """Return the fields of a node that upsamples another node's output by a factor.

    Output pixel i = factor * q + r is at (i + 1/2) / factor - 1/2 in coarse pixels (align_corners=False): for the lower
    half of r between q - 1 and q, for the upper half between q and q + 1. Interpolation by "nearest" takes q.
    """
    fine = node.stride // factor
    if factor == 1:
        back, ahead = 0, 0
    elif mode == "nearest":
        back, ahead = factor - 1, 0
    else:
        back, ahead = factor + factor // 2 - 1, factor - factor // 2
    return {
        "step": factor,
        "mode": mode,
        "stride": fine,
        "before": (node.before[0] + fine * back, node.before[1] + fine * back),
        "after": (node.after[0] + fine * ahead, node.after[1] + fine * ahead),
    }


def _padding(kernel: tuple[int, int], dilation: int) -> tuple[tuple[int, int], tuple[int, int]]:
    y, x = dilation * (kernel[0] - 1), dilation * (kernel[1] - 1)
    return (y // 2, y - y // 2), (x // 2, x - x // 2)
