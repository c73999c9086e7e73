"""The torch module of a plan."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_menndl.cuda import has_kernels_for

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    copies : int
        Number of networks of the plan that are computed side by side, as groups of channels: each reads its own K of
        the copies × K input channels and computes its own C of the copies × C logits. See `stack`.

    Attributes
    ----------
    plan : Plan
    copies : int
    """

    def __init__(self, plan: Plan, seed: int | torch.Generator = 0, copies: int = 1) -> None:
        super().__init__()
        self.plan = plan
        self.copies = copies
        self.steps = nn.ModuleDict(
            {node.name: step for node in plan.nodes if (step := _step(node, copies)) is not None}
        )
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
                values[index] = self._concatenated(inputs)
            else:
                values[index] = self.steps[node.name](inputs[0])
            for i in node.inputs:
                waiting[i] -= 1
                if not waiting[i]:
                    values.pop(i, None)
        return to_full_resolution(values[len(self.plan.nodes) - 1], self.plan, height, width)

    def _concatenated(self, inputs: list[Tensor]) -> Tensor:
        """Concatenate channels, copy by copy."""
        if self.copies == 1:
            return torch.cat(inputs, dim=1)
        # With channels last, so that the gradients are as well.
        parts = [part.movedim(1, -1).unflatten(-1, (self.copies, -1)) for part in inputs]
        return torch.cat(parts, dim=-1).flatten(-2).movedim(-1, 1)

    @torch.no_grad()
    def rescale(self, scale: Tensor, shift: Tensor) -> None:
        """Multiply every logit of class c by `scale`[c] and add `shift`[c]; both (copies * C,) float."""
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


def stack(networks: Sequence[Network]) -> Network:
    """Return one network that computes networks of one plan side by side; a network alone is returned as it is."""
    if len(networks) == 1:
        return networks[0]
    stacked = Network(networks[0].plan, copies=len(networks))
    states = [network.state_dict() for network in networks]
    # The number of batches that a normalisation has seen has no dimension, and is the same for all.
    parts = {name: [state[name] for state in states] for name in states[0]}
    stacked.load_state_dict({name: torch.cat(part) if part[0].dim() else part[0] for name, part in parts.items()})
    return stacked.train(networks[0].training)


def states(stacked: Network) -> list[dict[str, Tensor]]:
    """Return the weights of each of the networks that a network computes side by side."""
    state, copies = stacked.state_dict(), stacked.copies
    if copies == 1:
        return [dict(state)]
    return [{name: t.chunk(copies)[copy] if t.dim() else t for name, t in state.items()} for copy in range(copies)]


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
        logits = enlarge(logits, stride)
    return logits[..., :height, :width]


class Conv(nn.Conv2d):
    """Convolution of "same" size with zero padding that may differ between sides."""

    margins: tuple[int, int, int, int] | None = None

    def reset_parameters(self) -> None:
        """Leave the weights to `Network`: torch would draw them from its global stream."""

    def forward(self, values: Tensor) -> Tensor:
        if has_kernels_for(values):
            return self._by_kernels(values)
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
        dilation = 2 if values.device.type == "cpu" and self.in_channels > 2 * self.groups else 1
        return functional.conv2d(values, self.weight, self.bias, dilation=dilation, groups=self.groups)

    def _by_kernels(self, values: Tensor) -> Tensor:
        from napari_menndl.cuda.convolution import Geometry, convolve

        height, width = cast("tuple[int, int]", self.padding)
        left, right, above, below = self.margins or (width, width, height, height)
        geometry = Geometry(self.stride[0], self.dilation[0], above, below, left, right)
        result = convolve(values, self.weight, self.groups, geometry)
        return result if self.bias is None else result + self.bias[:, None, None]


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


class Enlargement(nn.Module):
    """Bilinear interpolation to `factor` times as many pixels along both axes."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, values: Tensor) -> Tensor:
        return enlarge(values, self.factor)


def enlarge(values: Tensor, factor: int) -> Tensor:
    """Interpolate (B, C, Y, X) bilinearly to (B, C, factor * Y, factor * X)."""
    if not values.is_cuda:
        return functional.interpolate(values, scale_factor=factor, mode="bilinear", align_corners=False)
    # As products of matrices, whose gradient is one as well; that of torch's interpolation is slow where it is made
    # to repeat bit for bit.
    count, channels, height, width = values.shape
    down, across = (interpolation(length, factor, values.device) for length in (height, width))
    rows = down @ values.movedim(1, -1).reshape(count, height, width * channels)
    columns = across @ rows.view(count * factor * height, width, channels)
    return columns.view(count, factor * height, factor * width, channels).movedim(-1, 1)


# Never forgotten, since recorded training steps go on reading it.
@cache
def interpolation(length: int, factor: int, device: torch.device) -> Tensor:
    """Return the matrix (factor * length, length) of a linear interpolation."""
    unit = torch.eye(length)[:, None]
    matrix = functional.interpolate(unit, scale_factor=factor, mode="linear", align_corners=False)[:, 0]
    return matrix.T.contiguous().to(device)


class Dropout(nn.Module):
    """Dropout of whole channels (Tompson et al. 2015, arXiv:1411.4280), drawn from a stream of its own if it has one.

    Parameters
    ----------
    rate : float
        Fraction of the channels of each tile that are 0 in training.

    Attributes
    ----------
    generator : torch.Generator or None
        On the device of the values; None: torch's global one.
    """

    generator: torch.Generator | None = None

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, values: Tensor) -> Tensor:
        if not self.training:
            return values
        kept = values.new_empty((*values.shape[:2], 1, 1)).bernoulli_(1 - self.rate, generator=self.generator)
        return values * (kept / (1 - self.rate))


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel (Ba et al. 2016, arXiv:1607.06450), for each copy apart."""

    def __init__(self, channels: int, copies: int = 1) -> None:
        super().__init__(channels * copies)
        self.copies = copies

    def forward(self, values: Tensor) -> Tensor:
        last = values.movedim(1, -1)
        if self.copies == 1 and not has_kernels_for(values):
            return super().forward(last).movedim(-1, 1)
        apart = last.unflatten(-1, (self.copies, -1))
        if has_kernels_for(values):
            from napari_menndl.cuda.pixelwise import normalise

            normalised = normalise(apart.reshape(-1, apart.shape[-1]), self.eps).view(last.shape)
        else:
            normalised = functional.layer_norm(apart, apart.shape[-1:], eps=self.eps).flatten(-2)
        return torch.addcmul(self.bias, normalised, self.weight).movedim(-1, 1)


def _step(node: Node, copies: int) -> nn.Module | None:
    """Return the module of a node; None for nodes without one."""
    match node.kind:
        case "conv":
            return _conv(node, copies)
        case "norm" if node.mode == "batch":
            return nn.BatchNorm2d(node.channels * copies)
        case "norm":
            return ChannelNorm(node.channels, copies)
        case "activation":
            return ACTIVATIONS[node.mode]()
        case "dropout":
            return Dropout(node.rate)
        case "pool":
            return Pool(node)
        case "upsample" if node.mode == "bilinear":
            return Enlargement(node.step)
        case "upsample":
            return nn.Upsample(scale_factor=node.step, mode=node.mode)
        case _:
            return None


def _conv(node: Node, copies: int) -> Conv:
    (above, below), (left, right) = node.padding
    conv = Conv(
        node.channels_in * copies,
        node.channels * copies,
        node.kernel,
        stride=node.step,
        padding=0 if node.asymmetric else (above, left),
        dilation=node.dilation,
        groups=node.groups * copies,
        bias=node.bias,
    )
    conv.margins = (left, right, above, below) if node.asymmetric else None
    return conv
