"""Layer diagram of a genome: its layers as a stack of slabs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_menndl.genome.describe import describe_inputs, describe_layers
from napari_menndl.genome.plan import make_plan

if TYPE_CHECKING:
    from napari_menndl.genome.genome import Genome


@dataclass(frozen=True)
class Slab:
    """A layer in the diagram.

    Attributes
    ----------
    kind : {"input", "conv", "pool", "upsample", "residual", "branches", "head"}
    words : str
        Short description of the layer; of the inputs for the first slab.
    channels : int
        Channels of its output, shown as thickness.
    stride : int
        Pixels of the network's input per pixel of its output [px]; 1 is full resolution.
    kernel : (y, x) int [px of its input]
        The largest window of its parts, including dilation.
    parts : int
        Number of its convolutions and poolings.
    parameters : int
    flops : float [FLOP per pixel of the network's input]
    """

    kind: str
    words: str
    channels: int
    stride: int
    kernel: tuple[int, int]
    parts: int
    parameters: int
    flops: float


@dataclass(frozen=True)
class Arc:
    """A skip connection between two slabs, given by their index in the stack, with ``"add"`` or ``"concat"``."""

    source: int
    target: int
    join: str


def layer_diagram(genome: Genome, classes: int = 1) -> tuple[list[Slab], list[Arc]]:
    """Return slabs and skip connections of a genome, from the input to the head.

    Parameters
    ----------
    genome : Genome
    classes : int
        Number of defect classes.

    Raises
    ------
    GenomeError
        If the network cannot be built.
    """
    plan = make_plan(genome, classes)
    kinds = ["input", *(layer.kind for layer in genome.layers), "head"]
    words = [
        describe_inputs(genome.inputs),
        *describe_layers(genome),
        f"1×1 to {classes} class{'es' if classes > 1 else ''}",
    ]
    slabs = []
    for place, (kind, text) in enumerate(zip(kinds, words, strict=True)):
        nodes = [node for node in plan.nodes if node.layer == place - 1]
        windows = [node for node in nodes if node.kind in ("conv", "pool")]
        reach = [[node.dilation * (size - 1) + 1 for size in node.kernel] for node in windows] or [[1, 1]]
        slabs.append(
            Slab(
                kind,
                text,
                nodes[-1].channels,
                nodes[-1].stride,
                (max(y for y, _ in reach), max(x for _, x in reach)),
                len(windows),
                sum(node.parameters for node in nodes),
                sum(node.flops_per_pixel for node in nodes),
            )
        )
    return slabs, [Arc(skip.source + 1, skip.target + 1, skip.join) for skip in genome.skips]
