"""A trained network in fewer operations: the same logits for less time and memory."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval, skip_init

from napari_menndl.network.module import fit_to_stride, to_full_resolution

if TYPE_CHECKING:
    from napari_menndl.network.module import Conv, Network


class _Call(NamedTuple):
    """One operation on values that are known by their numbers; without a module they are joined or added up."""

    kind: str
    module: nn.Module | None
    inputs: tuple[int, ...]


class MergedNetwork(nn.Module):
    """What a network says in evaluation mode, to the rounding of float32.

    A batch normalisation is a scale and a shift, which the convolution before takes into its weights (Jacob et al.
    2018, arXiv:1712.05877, section 3.2). The head is a weighted sum of channels: it is applied to each of the parts
    that would be joined for it, and before what is only enlarged for it, so that neither is made. What nobody else
    reads is activated and added to in place.

    Parameters
    ----------
    network : Network
        Not changed, nor followed when it is.

    Attributes
    ----------
    plan : Plan
    widest : float
        Most numbers that one of its operations makes for each pixel of a frame.
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
        self._say(head.inputs[0], conv, conv.weight, conv.bias)
        del self._steps, self._readers, self._made
        self.modules_called = nn.ModuleList(call.module for call in self._calls if call.module is not None)
        self._last = {number: i for i, call in enumerate(self._calls) for number in call.inputs}
        self.requires_grad_(False).eval()

    def forward(self, frames: Tensor) -> Tensor:
        """As `Network.forward`."""
        height, width = frames.shape[-2:]
        values: dict[int, Tensor] = {0: fit_to_stride(frames, self.plan)}
        for number, call in enumerate(self._calls):
            inputs = [values[i] for i in call.inputs]
            for i in call.inputs:
                if self._last[i] == number:
                    values.pop(i, None)
            if call.module is not None:
                values[number + 1] = call.module(inputs[0])
            elif call.kind == "concat":
                values[number + 1] = torch.cat(inputs, dim=1)
            else:
                values[number + 1] = inputs[0].add_(inputs[1]) if call.kind == "add to" else inputs[0] + inputs[1]
            del inputs
        return to_full_resolution(values[len(self._calls)], self.plan, height, width)

    def _call(self, kind: str, module: nn.Module | None, *inputs: int) -> int:
        """Note one operation; returns the number of its result."""
        self._calls.append(_Call(kind, module, inputs))
        return len(self._calls)

    def _value(self, index: int) -> int:
        """The number of a node's output, all that leads to it noted."""
        if index not in self._made:
            self._made[index] = self._note(index)
        return self._made[index]

    def _note(self, index: int) -> int:
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
            return self._call("conv", fuse_conv_bn_eval(conv, norm), self._value(before.inputs[0]))
        module = deepcopy(self._steps[node.name])
        if node.kind == "activation" and hasattr(module, "inplace"):
            module.inplace = self._is_alone(source)  # type: ignore[assignment]
        return self._call(node.kind, module, self._value(source))

    def _is_merged(self, index: int) -> bool:
        """Whether a normalisation goes into the convolution before it."""
        node = self.plan.nodes[index]
        source = node.inputs[0]
        return node.mode == "batch" and self.plan.nodes[source].kind == "conv" and self._readers[source] == 1

    def _is_alone(self, index: int) -> bool:
        """Whether a node's output is read once, and is no other value under another name."""
        node = self.plan.nodes[index]
        if node.kind == "input" or self._readers[index] != 1:
            return False
        return self._is_alone(node.inputs[0]) if node.kind == "dropout" else True

    def _say(self, index: int, head: Conv, weight: Tensor, bias: Tensor | None) -> int:
        """The number of a weighted sum (C, K, 1, 1) of a node's channels."""
        node = self.plan.nodes[index]
        if node.kind == "concat":
            parts: list[int] = []
            first = 0
            for source in node.inputs:
                last = first + self.plan.nodes[source].channels
                parts.append(self._say(source, head, weight[:, first:last], None if parts else bias))
                first = last
            total = parts[0]
            for part in parts[1:]:
                total = self._call("add to", None, total, part)
            return total
        if node.kind == "upsample" and len(weight) <= node.channels:
            small = self._say(node.inputs[0], head, weight, bias)
            return self._call("upsample", deepcopy(self._steps[node.name]), small)
        if node.kind == "dropout":
            return self._say(node.inputs[0], head, weight, bias)
        conv = skip_init(nn.Conv2d, weight.shape[1], len(weight), 1, bias=bias is not None)
        conv.weight.data = weight.detach().clone()
        if bias is not None:
            conv.bias.data = bias.detach().clone()
        return self._call("conv", conv, self._value(index))
