"""The torch module of a plan."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import skip_init

if TYPE_CHECKING:
    from napari_menndl.genome.nodes import Node
    from napari_menndl.genome.plan import Plan

#: Initial probability of a defect at every pixel. As defects are rare, starting at one half would waste the first steps
#: (Lin et al. 2017, arXiv:1708.02002, section 4.1, with its 0.01 doubled).
PRIOR = 0.02

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Network(nn.Module):
    """Network that computes the logits of every pixel, at the input's resolution.

    Weights are initialised after He et al. 2015 (arXiv:1502.01852), the head's smaller and its bias at `PRIOR`. They
    depend on plan and seed alone; torch's global random stream is neither read nor advanced.

    Parameters
    ----------
    plan : Plan
    seed : int or torch.Generator

    Attributes
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan, seed: int | torch.Generator = 0) -> None:
        super().__init__()
        self.plan = plan
        self.steps = nn.ModuleDict({node.name: step for node in plan.nodes if (step := _step(node)) is not None})
        #: Number of readers of each node's output, which is released after the last one.
        self.readers = [sum(node.inputs.count(i) for node in plan.nodes) for i in range(len(plan.nodes))]
        self._draw(seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed))

    def forward(self, frames: Tensor) -> Tensor:
        """Compute logits (B, C, Y, X) from frames (B, K, Y, X) float with K channels, in the same dtype."""
        height, width = frames.shape[-2:]
        values: dict[int, Tensor] = {0: fit_to_stride(frames, self.plan)}
        waiting = list(self.readers)
        for index, node in enumerate(self.plan.nodes[1:], start=1):
            inputs = [values[i] for i in node.inputs]
            if node.kind == "add":
                values[index] = inputs[0] + inputs[1]
            elif node.kind == "concat":
                values[index] = torch.cat(inputs, dim=1)
            else:
                values[index] = self.steps[node.name](inputs[0])
            for i in node.inputs:
                waiting[i] -= 1
                if not waiting[i]:
                    values.pop(i, None)
        return to_full_resolution(values[len(self.plan.nodes) - 1], self.plan, height, width)

    @torch.no_grad()
    def rescale(self, scale: Tensor, shift: Tensor) -> None:
        """Multiply every logit of class c by `scale`[c] and add `shift`[c]; both (C,) float."""
        head = cast("Conv", self.steps[self.plan.nodes[-1].name])
        head.weight.mul_(scale.to(head.weight)[:, None, None, None])
        if head.bias is not None:
            head.bias.mul_(scale.to(head.bias)).add_(shift.to(head.bias))

    @torch.no_grad()
    def _draw(self, generator: torch.Generator) -> None:
        head = self.steps[self.plan.nodes[-1].name]
        for step in self.steps.values():
            if isinstance(step, nn.Conv2d):
                spread = (0.1 if step is head else math.sqrt(2)) / math.sqrt(step.weight[0].numel())
                step.weight.normal_(0, spread, generator=generator)
                if step.bias is not None:
                    step.bias.fill_(math.log(PRIOR / (1 - PRIOR)) if step is head else 0)
            elif isinstance(step, (nn.BatchNorm2d, ChannelNorm)):
                step.reset_parameters()


def fit_to_stride(frames: Tensor, plan: Plan) -> Tensor:
    """Pad frames (B, K, Y, X) at the bottom and right to a multiple of a network's total stride."""
    height, width = frames.shape[-2:]
    padded_height, padded_width = plan.padded(height, width)
    if (padded_height, padded_width) == (height, width):
        return frames
    return functional.pad(frames, (0, padded_width - width, 0, padded_height - height), mode="replicate")


def to_full_resolution(logits: Tensor, plan: Plan, height: int, width: int) -> Tensor:
    """Upsample the head's output (B, C, y, x) to the frames (B, C, Y, X), undoing `fit_to_stride`."""
    if (stride := plan.nodes[-1].stride) > 1:
        logits = functional.interpolate(logits, scale_factor=stride, mode="bilinear", align_corners=False)
    return logits[..., :height, :width]


class Conv(nn.Conv2d):
    """Convolution of "same" size with zero padding that may differ between sides."""

    margins: tuple[int, int, int, int] | None = None

    def forward(self, values: Tensor) -> Tensor:
        if self.margins:
            values = functional.pad(values, self.margins)
        if self.kernel_size != (1, 1):
            return super().forward(values)
        if self.stride != (1, 1):
            # Sliced explicitly: with channels last, as ChannelNorm leaves them, oneDNN on a CPU writes past its
            # workspace in the gradient of this convolution (uxlfoundation/oneDNN#6035).
            values = values[..., :: self.stride[0], :: self.stride[1]]
        # Dilation has no effect on a kernel of one pixel, but makes torch use oneDNN on a single thread too, which is
        # up to three times faster than its own implementation (slower for one or two channels).
        dilation = 2 if values.device.type == "cpu" and self.in_channels > 2 else 1
        return functional.conv2d(values, self.weight, self.bias, dilation=dilation, groups=self.groups)


class Pool(nn.Module):
    """Pooling of "same" size; padding is ignored by the maximum and counts as 0 in the mean."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        (above, below), (left, right) = node.padding
        self.margins = (left, right, above, below)
        self.size, self.stride = node.kernel, node.step
        self.largest = node.mode == "max"

    def forward(self, values: Tensor) -> Tensor:
        left, right, above, below = self.margins
        # Padding that no window reaches is left out, as with pairs of an even number of pixels.
        right = self._reached(values.shape[-1], left, right, 1)
        below = self._reached(values.shape[-2], above, below, 0)
        margins = (left, right, above, below)
        if any(margins):
            values = functional.pad(values, margins, value=-math.inf if self.largest else 0.0)
        pool = functional.max_pool2d if self.largest else functional.avg_pool2d
        pooled: Tensor = pool(values, self.size, self.stride)
        return pooled

    def _reached(self, length: int, before: int, after: int, axis: int) -> int:
        """Return how much of the padding at the end of an axis is covered by windows."""
        rest = (before + length + after - self.size[axis]) % self.stride
        return max(0, after - rest)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel (Ba et al. 2016, arXiv:1607.06450)."""

    def forward(self, values: Tensor) -> Tensor:
        return super().forward(values.movedim(1, -1)).movedim(-1, 1)


def _step(node: Node) -> nn.Module | None:
    """Return the module of a node; None for nodes without one."""
    match node.kind:
        case "conv":
            return _conv(node)
        case "norm":
            return nn.BatchNorm2d(node.channels) if node.mode == "batch" else ChannelNorm(node.channels)
        case "activation":
            return ACTIVATIONS[node.mode]()
        case "dropout":
            return nn.Dropout2d(node.rate)
        case "pool":
            return Pool(node)
        case "upsample":
            corners = False if node.mode == "bilinear" else None
            return nn.Upsample(scale_factor=node.step, mode=node.mode, align_corners=corners)
        case _:
            return None


def _conv(node: Node) -> Conv:
    (above, below), (left, right) = node.padding
    # skip_init, since torch's initialisation would advance the global random stream.
    conv: Conv = skip_init(
        Conv,
        node.channels_in,
        node.channels,
        node.kernel,
        stride=node.step,
        padding=0 if node.asymmetric else (above, left),
        dilation=node.dilation,
        groups=node.groups,
        bias=node.bias,
    )
    conv.margins = (left, right, above, below) if node.asymmetric else None
    return conv
