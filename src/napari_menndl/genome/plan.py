"""Plan of a genome: all operations with shape, receptive field and cost, computed without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from napari_menndl.genome.genes import Branches, Conv, GenomeError, Pool, Residual, Upsample
from napari_menndl.genome.nodes import Node, through_window, upsampling_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl.genome.genes import Layer, Part, Skip
    from napari_menndl.genome.genome import Genome

#: Values per parameter in the state of an optimiser.
MOMENTS = {"adam": 2, "adamw": 2, "sgd": 1, "rmsprop": 2}


@dataclass(frozen=True)
class Plan:
    """The network that a genome describes.

    Attributes
    ----------
    nodes : tuple of Node
        In the order of computation; the first is the input, with the channels of all the genome's inputs; the last is
        the head: a 1×1 convolution to one logit per class.
    classes : int
    stride : int
        Total stride [px]: inputs are padded to a multiple of it, below and on the right. Tiled and untiled results are
        equal if the tiles' origins are multiples of it and their margin is `receptive_radius`.
    optimiser : str
        Needed for `memory`.
    """

    nodes: tuple[Node, ...]
    classes: int
    stride: int
    optimiser: str

    @cached_property
    def receptive_radius(self) -> int:
        """Upper bound of the distance, along y or x, at which an input pixel can influence an output pixel [px]."""
        output = upsampling_fields(self.nodes[-1], self.nodes[-1].stride, "bilinear")
        return max(*output["before"], *output["after"])

    @cached_property
    def parameters(self) -> int:
        """Number of trained parameters: weights and biases of convolutions, scales and shifts of normalisations."""
        return sum(node.parameters for node in self.nodes)

    @cached_property
    def flops_per_pixel(self) -> float:
        """Forward pass [FLOP per pixel of the padded input], counted as in `flops`."""
        return sum(node.flops_per_pixel for node in self.nodes)

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """Return the size [px] that the network pads its input to."""
        return -(-height // self.stride) * self.stride, -(-width // self.stride) * self.stride

    def flops(self, height: int, width: int) -> int:
        """Return the cost of the forward pass on one frame [FLOP].

        Counts convolutions, one multiply-add as 2, like `torch.utils.flop_counter`. Biases, normalisation, activation,
        pooling, interpolation and addition are negligible and not counted.
        """
        return round(self.flops_per_pixel * math.prod(self.padded(height, width)))

    def memory(self, batch: int, height: int, width: int) -> int:
        """Return an upper estimate of the memory of training in float32 [byte].

        ``4 * (parameters * (2 + moments) + batch * pixels * (kept + 3 * largest))``: weights, their gradients and the
        optimiser's moments; each node's output, stored for the backward pass (`Node.kept_per_pixel`); and three times
        the largest output, for current gradients and the convolution's workspace. The memory of torch itself is not
        included.
        """
        pixels = math.prod(self.padded(height, width))
        fixed = self.parameters * (2 + MOMENTS[self.optimiser])
        return math.ceil(4 * (fixed + batch * pixels * self._numbers_per_pixel))

    @cached_property
    def _numbers_per_pixel(self) -> float:
        kept = sum(node.kept_per_pixel for node in self.nodes)
        # The logits at full resolution, and three arrays of this size in the loss.
        kept += 4 * self.classes
        # Without the input, which has no gradient.
        largest = max(node.channels / node.stride**2 for node in self.nodes[1:])
        return kept + 3 * largest

    def shape(self, index: int, height: int, width: int) -> tuple[int, int, int]:
        """Return (channels, y, x) of a node's output for a frame of ``height`` × ``width``."""
        node, (y, x) = self.nodes[index], self.padded(height, width)
        return node.channels, y // node.stride, x // node.stride


@lru_cache(maxsize=16)  # a genome is planned in its repair, and again in the check directly after
def make_plan(genome: Genome, classes: int = 1) -> Plan:
    """Return the plan of a genome.

    Parameters
    ----------
    genome : Genome
    classes : int
        Number of defect classes, with one logit each.

    Returns
    -------
    Plan

    Raises
    ------
    GenomeError
        If the network cannot be built: a resolution finer than the input's, layers of different resolutions to join, a
        repeated skip connection or one to a missing layer.
    """
    if classes < 1:
        raise GenomeError(f"a network for {classes} classes")
    ends = [(skip.source, skip.target) for skip in genome.skips]
    if len(set(ends)) < len(ends):
        raise GenomeError("the same skip connection twice")
    if far := [skip.target for skip in genome.skips if skip.target >= len(genome.layers)]:
        raise GenomeError(f"a skip connection to layer {far[0]} of {len(genome.layers)}")
    draft = _Draft(genome.channels(classes))
    outputs: list[int] = []
    for index, layer in enumerate(genome.layers):
        outputs.append(draft.add_layer(layer, outputs[-1] if outputs else 0))
        for skip in genome.skips:
            if skip.target == index:
                outputs[index] = draft.add_skip(skip, outputs)
    draft.layer, draft.part = len(genome.layers), 0
    draft.conv(outputs[-1] if outputs else 0, classes, bias=True, owner="head")
    stride = math.lcm(*(node.stride for node in draft.nodes))
    return Plan(tuple(draft.nodes), classes, stride, genome.training.optimiser)


class _Draft:
    """Builder of a plan's nodes; the shape of a node follows from the nodes before it."""

    def __init__(self, channels: int) -> None:
        self.nodes = [Node("input", "input", channels_in=channels, channels=channels)]
        self.names: dict[str, int] = {}
        self.layer, self.part = -1, 0

    def append(self, kind: str, inputs: Sequence[int], channels: int, owner: str = "", **more: Any) -> int:
        name = f"{owner or f'layer{self.layer}'}_{kind}"
        twins = self.names[name] = self.names.get(name, 0) + 1
        node = Node(
            f"{name}{twins}" if twins > 1 else name,
            kind,
            tuple(inputs),
            self.layer,
            self.part,
            self.nodes[inputs[0]].channels,
            channels,
            **more,
        )
        self.nodes.append(node)
        return len(self.nodes) - 1

    def conv(self, source: int, filters: int, gene: Conv | None = None, *, groups: int = 1, **more: Any) -> int:
        """Append a convolution, without normalisation and activation, with a gene's window; 1×1 without a gene."""
        kernel, stride, dilation = (gene.kernel, gene.stride, gene.dilation) if gene else ((1, 1), 1, 1)
        window = through_window(self.nodes[source], kernel, stride, dilation)
        return self.append("conv", [source], filters, groups=groups, **window, **more)

    def pixelwise(self, kind: str, source: int, mode: str, rate: float = 0.0) -> int:
        """Append an operation that keeps the shape, unless its mode is "none" or "linear"."""
        if mode in ("none", "linear"):
            return source
        node = self.nodes[source]
        shape: dict[str, Any] = {"stride": node.stride, "before": node.before, "after": node.after}
        return self.append(kind, [source], node.channels, mode=mode, rate=rate, **shape)

    def join(self, kind: str, sources: Sequence[int]) -> int:
        """Append the sum or concatenation of nodes of equal resolution."""
        nodes = [self.nodes[source] for source in sources]
        strides = sorted({node.stride for node in nodes})
        if len(strides) > 1:
            raise GenomeError(f"layer {self.layer} joins strides {' and '.join(map(str, strides))}")
        before = max(node.before[0] for node in nodes), max(node.before[1] for node in nodes)
        after = max(node.after[0] for node in nodes), max(node.after[1] for node in nodes)
        channels = sum(node.channels for node in nodes) if kind == "concat" else nodes[0].channels
        return self.append(kind, sources, channels, stride=strides[0], before=before, after=after)

    def add_part(self, gene: Part, source: int) -> int:
        node = self.nodes[source]
        match gene:
            case Conv():
                # A bias has no effect before a normalisation, which has a shift of its own.
                bias = gene.norm == "none"
                if gene.depthwise:
                    last = self.conv(source, node.channels, gene, groups=node.channels)
                    last = self.conv(last, gene.filters, bias=bias)
                else:
                    last = self.conv(source, gene.filters, gene, bias=bias)
                last = self.pixelwise("norm", last, gene.norm)
                last = self.pixelwise("activation", last, gene.activation)
                return self.pixelwise("dropout", last, "channels", gene.dropout) if gene.dropout else last
            case Pool():
                window = through_window(node, (gene.size, gene.size), gene.stride, 1)
                return self.append("pool", [source], node.channels, mode=gene.mode, **window)
            case Upsample():
                if node.stride % gene.factor:
                    raise GenomeError(f"layer {self.layer} upsamples by {gene.factor} at a stride of {node.stride}")
                return self.append(
                    "upsample", [source], node.channels, **upsampling_fields(node, gene.factor, gene.mode)
                )

    def add_layer(self, layer: Layer, source: int) -> int:
        self.layer, self.part = self.layer + 1, -1
        match layer:
            case Residual():
                last = self.chain(layer.body, source)
                return self.pixelwise("activation", self.add(source, last), layer.activation)
            case Branches():
                return self.join("concat", [self.chain(branch, source) for branch in layer.branches])
            case _:
                return self.chain([layer], source)

    def chain(self, genes: Sequence[Part], source: int) -> int:
        for gene in genes:
            self.part += 1
            source = self.add_part(gene, source)
        return source

    def add(self, source: int, target: int) -> int:
        """Append the sum of two nodes; a 1×1 convolution adapts the source in channels and stride if they differ."""
        one, other = self.nodes[source], self.nodes[target]
        if one.channels != other.channels or one.stride != other.stride:
            step = max(1, other.stride // one.stride)
            source = self.conv(source, other.channels, Conv(kernel=(1, 1), stride=step), bias=True)
        return self.join("add", [target, source])

    def add_skip(self, skip: Skip, outputs: Sequence[int]) -> int:
        source, target = outputs[skip.source], outputs[skip.target]
        if self.nodes[source].stride != self.nodes[target].stride:
            raise GenomeError(f"a skip connection from layer {skip.source} to {skip.target}, of another resolution")
        return self.add(source, target) if skip.join == "add" else self.join("concat", [target, source])
