"""One operation of a plan: its shape, reach and cost."""

from __future__ import annotations

import math
from typing import Any, NamedTuple


class Node(NamedTuple):
    """One operation: what a torch module does in one call.

    Attributes
    ----------
    name : str
        ``layer3_conv2``: also names its parameters.
    kind : {"input", "conv", "norm", "activation", "dropout", "pool", "upsample", "add", "concat"}
    inputs : tuple of int
        Nodes it reads, by their place in the plan.
    layer, part : int
        The gene it comes from, as `genes.parts` counts; -1 for the input; the number of layers for the head.
        A 1×1 convolution of a sum belongs to the part that it is added to.
    channels_in, channels : int
        Of its first input; of its output.
    stride : int
        Pixels of the network's input per pixel of its output [px].
    before, after : (y, x) int
        Output pixel j depends on no input pixel outside ``stride * j - before … stride * j + after`` [px].
    mode : str
        Which normalisation, activation, pooling or interpolation.
    kernel, step, dilation, groups, bias, rate
        Window (y, x) [px of its input], own stride or factor, dilation, groups, whether biased, dropout.
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
        """((above, below), (left, right)) [px of its input], for "same" size; an odd pixel goes below and right."""
        return _padding(self.kernel, self.dilation)

    @property
    def asymmetric(self) -> bool:
        """Whether `padding` differs from side to side, so that a padded copy of the input has to be made."""
        return any(first != last for first, last in self.padding)

    @property
    def parameters(self) -> int:
        if self.kind == "conv":
            weights = math.prod(self.kernel) * (self.channels_in // self.groups) * self.channels
            return weights + self.channels * self.bias
        return 2 * self.channels if self.kind == "norm" else 0

    @property
    def flops_per_pixel(self) -> float:
        """Of the convolution alone, one multiply-add counted as 2 [FLOP per pixel of the network's input]."""
        if self.kind != "conv":
            return 0.0
        return 2 * math.prod(self.kernel) * (self.channels_in // self.groups) * self.channels / self.stride**2

    @property
    def kept_per_pixel(self) -> float:
        """Numbers of 4 bytes that training keeps of it until its gradient [per pixel of the network's input]."""
        own = self.channels / self.stride**2
        if self.kind == "input":
            # The batch, and a copy of it that is padded.
            own *= 2
        if self.kind == "conv" and self.asymmetric:
            # With it the padded copy of the input; doubled, because the margin counts on small tiles.
            own += 2 * self.channels_in * (self.step / self.stride) ** 2
        if self.kind == "pool":
            # The padded input, and where the largest value was, in 8 bytes.
            own += 2 * own + 2 * self.channels_in * (self.step / self.stride) ** 2
        if self.kind == "norm":
            # Across channels a copy in another order is normalised, and two statistics per pixel are kept.
            own += (self.channels + 2) / self.stride**2 if self.mode == "channel" else 0
        return own


def through_window(node: Node, kernel: tuple[int, int], step: int, dilation: int) -> dict[str, Any]:
    """Return what a window makes of a node's output: the fields of the node that looks through it, as far as known."""
    (above, below), (left, right) = _padding(kernel, dilation)
    return {
        "kernel": kernel,
        "step": step,
        "dilation": dilation,
        "stride": node.stride * step,
        "before": (node.before[0] + node.stride * above, node.before[1] + node.stride * left),
        "after": (node.after[0] + node.stride * below, node.after[1] + node.stride * right),
    }


def made_finer(node: Node, factor: int, mode: str) -> dict[str, Any]:
    """Return what is finer than a node's output by a factor: the fields of that node, as far as known.

    Output pixel i = factor * q + r stands at (i + 1/2) / factor - 1/2 of the coarse pixels (align_corners=False): in
    its first half between q - 1 and q, in its second between q and q + 1. Interpolation by "nearest" takes q.
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
