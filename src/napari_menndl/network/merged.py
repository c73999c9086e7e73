"""A trained network with fewer operations: the same logits in less time and memory."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval, skip_init

from napari_menndl.genome.nodes import upsampling_fields
from napari_menndl.network.module import Conv, fit_to_stride, to_full_resolution

if TYPE_CHECKING:
    from napari_menndl.genome.nodes import Node
    from napari_menndl.network.module import Network


#: A rectangle along y and x [px].
Part = tuple[slice, slice]
#: Top, bottom, left and right of a rectangle [px].
Place = tuple[int, int, int, int]
#: Share of a value that must be unneeded before it is cropped, since cropping copies it.
_WORTHWHILE = 1 / 16


class _Call(NamedTuple):
    """One operation on numbered values; without a module it concatenates or adds them.

    `reach` is the distance from a pixel at which it reads its inputs [px of the frame].
    """

    kind: str
    module: nn.Module | None
    inputs: tuple[int, ...]
    reach: int


class MergedNetwork(nn.Module):
    """The function of a network in evaluation mode, to float32 rounding.

    A batch normalisation is a scale and a shift, which are merged into the preceding convolution (Jacob et al. 2018,
    arXiv:1712.05877, section 3.2). The head is a weighted sum of channels: it is applied to each input of a
    concatenation, and before an upsampling, so that neither the concatenated nor the upsampled tensor is created.
    Values with a single reader are activated and added to in place. If only a part of the frame is requested, every
    operation computes only the surroundings that later operations need.

    Parameters
    ----------
    network : Network
        Copied: later changes to it have no effect.

    Attributes
    ----------
    plan : Plan
    widest : float
        Largest number of values that one of its operations creates per pixel of a frame.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.plan = network.plan
        self._steps = network.steps
        self._readers = network.readers
        self.widest = float(self.plan.nodes[0].channels)
        self._calls: list[_Call] = []
        self._made: dict[int, int] = {0: 0}
        head = self.plan.nodes[-1]
        conv = cast("Conv", self._steps[head.name])
        self._weighted_sum(head.inputs[0], conv.weight, conv.bias)
        del self._steps, self._readers, self._made
        # Distance from a pixel of the logits within which each operation's result is needed.
        self._needed = [0] * len(self._calls)
        finer = upsampling_fields(head, head.stride, "bilinear")
        self._needed[-1] = _reach(head._replace(before=finer["before"], after=finer["after"]), head)
        for number in reversed(range(len(self._calls))):
            for i in self._calls[number].inputs:
                if i:
                    needed = self._needed[number] + self._calls[number].reach
                    self._needed[i - 1] = max(self._needed[i - 1], needed)
        self.modules_in_order = nn.ModuleList(call.module for call in self._calls if call.module is not None)
        self._last = {number: i for i, call in enumerate(self._calls) for number in call.inputs}
        self.requires_grad_(False).eval()

    def forward(self, frames: Tensor, part: Part | None = None) -> Tensor:
        """Compute `Network.forward`, only for a part of the frames if one is given."""
        height, width = frames.shape[-2:]
        y, x = part or (slice(0, height), slice(0, width))
        values: dict[int, Tensor] = {0: fit_to_stride(frames, self.plan)}
        whole = (0, values[0].shape[-2], 0, values[0].shape[-1])
        places = {0: whole}
        for number, call in enumerate(self._calls):
            inputs, place = [values[i] for i in call.inputs], places[call.inputs[0]]
            if part:
                wanted = self._around((y.start, y.stop, x.start, x.stop), self._needed[number] + call.reach, whole)
                if len(inputs) > 1 or _area(wanted) < (1 - _WORTHWHILE) * _area(place):
                    inputs = [_cut(one, places[i], wanted) for one, i in zip(inputs, call.inputs, strict=True)]
                    place = wanted
            for i in call.inputs:
                if self._last[i] == number:
                    values.pop(i, None)
            places[number + 1] = place
            if call.module is not None:
                values[number + 1] = call.module(inputs[0])
            elif call.kind == "concat":
                values[number + 1] = torch.cat(inputs, dim=1)
            else:
                values[number + 1] = inputs[0].add_(inputs[1]) if call.kind == "add to" else inputs[0] + inputs[1]
            del inputs
        top, bottom, left, right = places[len(self._calls)]
        logits = to_full_resolution(values[len(self._calls)], self.plan, bottom - top, right - left)
        return logits[..., y.start - top : y.stop - top, x.start - left : x.stop - left]

    def _around(self, part: Place, reach: int, whole: Place) -> Place:
        """Return a part extended by `reach`, aligned to the grid of the total stride."""
        stride = self.plan.stride
        top, bottom, left, right = part
        return (
            max(whole[0], (top - reach) // stride * stride),
            min(whole[1], -(-(bottom + reach) // stride) * stride),
            max(whole[2], (left - reach) // stride * stride),
            min(whole[3], -(-(right + reach) // stride) * stride),
        )

    def _call(self, kind: str, module: nn.Module | None, *inputs: int, reach: int = 0) -> int:
        """Add an operation and return the number of its result."""
        self._calls.append(_Call(kind, module, inputs, reach))
        return len(self._calls)

    def _value(self, index: int) -> int:
        """Return the number of a node's output, adding the operations that lead to it."""
        if index not in self._made:
            self._made[index] = self._add_node(index)
        return self._made[index]

    def _add_node(self, index: int) -> int:
        node = self.plan.nodes[index]
        source = node.inputs[0]
        self.widest = max(self.widest, node.channels / node.stride**2)
        if node.kind == "dropout":
            return self._value(source)
        if node.kind == "add":
            first, second = map(self._value, node.inputs)
            return self._call("add to" if self._is_alone(source) and first != second else "add", None, first, second)
        if node.kind == "concat":
            return self._call("concat", None, *map(self._value, node.inputs))
        if node.kind == "norm" and self._is_merged(index):
            before = self.plan.nodes[source]
            conv, norm = cast("Conv", self._steps[before.name]), cast("nn.BatchNorm2d", self._steps[node.name])
            merged, reach = fuse_conv_bn_eval(conv, norm), _reach(before, self.plan.nodes[before.inputs[0]])
            return self._call("conv", merged, self._value(before.inputs[0]), reach=reach)
        module = deepcopy(self._steps[node.name])
        if node.kind == "activation" and hasattr(module, "inplace"):
            module.inplace = self._is_alone(source)  # type: ignore[assignment]
        return self._call(node.kind, module, self._value(source), reach=_reach(node, self.plan.nodes[source]))

    def _is_merged(self, index: int) -> bool:
        """Whether a normalisation is merged into the preceding convolution."""
        node = self.plan.nodes[index]
        source = node.inputs[0]
        return node.mode == "batch" and self.plan.nodes[source].kind == "conv" and self._readers[source] == 1

    def _is_alone(self, index: int) -> bool:
        """Whether a node's output has a single reader and is not an alias of another value."""
        node = self.plan.nodes[index]
        if node.kind == "input" or self._readers[index] != 1:
            return False
        return self._is_alone(node.inputs[0]) if node.kind == "dropout" else True

    def _weighted_sum(self, index: int, weight: Tensor, bias: Tensor | None) -> int:
        """Add a weighted sum (C, K, 1, 1) of a node's channels and return its number."""
        node = self.plan.nodes[index]
        if node.kind == "concat":
            parts: list[int] = []
            first = 0
            for source in node.inputs:
                last = first + self.plan.nodes[source].channels
                parts.append(self._weighted_sum(source, weight[:, first:last], None if parts else bias))
                first = last
            total = parts[0]
            for part in parts[1:]:
                total = self._call("add to", None, total, part)
            return total
        if node.kind == "upsample" and len(weight) <= node.channels:
            small = self._weighted_sum(node.inputs[0], weight, bias)
            reach = _reach(node, self.plan.nodes[node.inputs[0]])
            return self._call("upsample", deepcopy(self._steps[node.name]), small, reach=reach)
        if node.kind == "dropout":
            return self._weighted_sum(node.inputs[0], weight, bias)
        conv = skip_init(Conv, weight.shape[1], len(weight), 1, bias=bias is not None)
        conv.weight.data = weight.detach().clone()
        if bias is not None:
            conv.bias.data = bias.detach().clone()
        return self._call("conv", conv, self._value(index))


def _area(place: Place) -> int:
    top, bottom, left, right = place
    return (bottom - top) * (right - left)


def _cut(values: Tensor, place: Place, wanted: Place) -> Tensor:
    """Crop values that cover `place` to `wanted`, within it."""
    stride = (place[1] - place[0]) // values.shape[-2]
    top, bottom, left, right = (
        (there - here) // stride for there, here in zip(wanted, (place[0],) * 2 + (place[2],) * 2, strict=True)
    )
    return values[..., top:bottom, left:right]


def _reach(node: Node, source: Node) -> int:
    """Return how far a node's own operation reaches beyond its pixel, along y or x [px of the frame]."""
    sides = zip((*node.before, *node.after), (*source.before, *source.after), strict=True)
    return max(0, *(own - before for own, before in sides))
