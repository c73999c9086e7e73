"""Groups of a search space: ranges and choices of genes, and limits of a network."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from napari_menndl.errors import InputError
from napari_menndl.genome import genes
from napari_menndl.genome.genes import (
    Branches,
    Conv,
    FilterBank,
    FrameInput,
    Pool,
    Residual,
    Skip,
    TrainingGenes,
    Upsample,
    parts,
)
from napari_menndl.settings import setting, violations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_menndl.genome.genes import Input
    from napari_menndl.genome.genome import Genome
    from napari_menndl.genome.plan import Plan

T = TypeVar("T")

KINDS = ("conv", "residual", "branches", "pool", "upsample")

#: By gene and field: the field of `LayerSpace` with its range or choices.
LAYER_GENES: dict[type[Any], dict[str, str]] = {
    Conv: {
        "filters": "filters",
        "kernel": "kernel",
        "stride": "strides",
        "dilation": "dilations",
        "depthwise": "depthwise",
        "norm": "norms",
        "activation": "activations",
        "dropout": "dropout",
    },
    Pool: {"mode": "poolings", "stride": "pool_strides", "size": "pool_sizes"},
    Upsample: {"factor": "factors", "mode": "interpolations"},
    Residual: {"activation": "activations"},
    Branches: {},
    Skip: {"join": "joins"},
}
#: By gene and field: the field of `InputSpace` with its range or choices.
INPUT_GENES: dict[type[Any], dict[str, str]] = {
    FrameInput: {"reach": "reaches"},
    FilterBank: {"smallest": "smallest", "largest": "largest", "scales": "scales", "reach": "reaches"},
}


class Allowed:
    """Base class of groups whose fields are ranges ``(lowest, highest)`` or choices, the first drawn most often."""

    def __post_init__(self) -> None:
        name = type(self).__name__
        for one, value, allowed in violations(self):
            raise InputError(
                f"a sensible {name}", f"{one.name} is {value!r}, not {allowed}", "Correct the search space."
            )
        for one in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, one.name)
            if one.metadata.get("range") and value[0] > value[1]:
                raise InputError(f"a range (lowest, highest) as {name}.{one.name}", str(value), "Exchange the two.")
            if isinstance(value, tuple) and (
                not value or (not one.metadata.get("range") and len(set(value)) < len(value))
            ):
                raise InputError(f"different choices, one at least, as {name}.{one.name}", str(value), "Correct them.")

    def allows(self, name: str, value: Any) -> bool:
        """Whether a value is within a field's range or among its choices."""
        allowed = getattr(self, name)
        group: Any = type(self)
        return bool(allowed[0] <= value <= allowed[1]) if name in _ranges(group) else value in allowed

    @classmethod
    def ranged(cls, name: str) -> bool:
        """Whether a field is a range, not choices."""
        group: Any = cls
        return name in _ranges(group)


@functools.cache
def _ranges(group: type[Any]) -> frozenset[str]:
    """Return the names of the fields that are ranges; cached, since it is called a hundred times per genome."""
    return frozenset(one.name for one in dataclasses.fields(group) if one.metadata.get("range"))


def _like(default: T, gene: Any, name: str, **more: Any) -> T:
    """Return a dataclass field for the range or choices of a gene's field, with the metadata of that field."""
    return field(default=default, metadata={**gene.__dataclass_fields__[name].metadata, **more})


@dataclass(frozen=True)
class InputSpace(Allowed):
    """Ranges and choices of the inputs, of which a network has one or several.

    Attributes
    ----------
    kinds : tuple
        Choices.
    smallest, largest, scales : (lowest, highest)
        Ranges of a filter bank's genes.
    reaches : tuple of int
        Choices of the number of neighbouring frames on each side to average with; 0 only for single images.
    """

    kinds: tuple[str, ...] = setting(("frame", "bank"), "Kinds of input", options=genes.INPUTS)
    smallest: tuple[float, float] = _like((0.7, 2.0), FilterBank, "smallest", range=True, log=True)
    largest: tuple[float, float] = _like((3.0, 16.0), FilterBank, "largest", range=True, log=True)
    scales: tuple[int, int] = _like((2, 6), FilterBank, "scales", range=True)
    reaches: tuple[int, ...] = _like((2, 1, 0), FilterBank, "reach")

    def objections(self, genome: Genome) -> Iterator[str]:
        """Yield a message for each input gene outside the space."""
        for one in genome.inputs:
            if one.kind not in self.kinds:
                yield f"an input is of kind {one.kind}"
            for name in self.outside(one):
                yield f"an input of kind {one.kind} has {name} {getattr(one, name)}"

    def outside(self, gene: Input) -> list[str]:
        """Return the names of a gene's fields whose value is not allowed."""
        names = INPUT_GENES.get(type(gene), {})
        return [name for name, allowed in names.items() if not self.allows(allowed, getattr(gene, name))]

    def narrowed(self, genome: Genome) -> Genome:
        """Return the genome with inputs of a reach that is not allowed set to reach 0."""
        allowed: list[Input] = []
        for one in genome.inputs:
            if isinstance(one, (FrameInput, FilterBank)) and one.reach not in self.reaches:
                one = replace(one, reach=0)
            allowed.append(one)
        return replace(genome, inputs=tuple(dict.fromkeys(allowed)))


@dataclass(frozen=True)
class LayerSpace(Allowed):
    """Ranges and choices of layers and skip connections; `LAYER_GENES` maps genes to these fields.

    Attributes
    ----------
    kinds, strides, dilations, depthwise, norms, activations, poolings, pool_sizes, pool_strides : tuple
        Choices.
    factors, interpolations, joins : tuple
        Choices, of upsampling and skip connections.
    filters, kernel, dropout, body, ways : (lowest, highest)
        Ranges; filters are drawn as multiples of eight, which suits vector units; ``body``: number of convolutions in a
        residual block; ``ways``: number of parallel branches.
    even_kernels : bool
        Whether kernels may have an even side.
    """

    kinds: tuple[str, ...] = setting(KINDS, "Kinds of layer", options=KINDS)
    filters: tuple[int, int] = _like((8, 48), Conv, "filters", range=True, log=True, multiple=8)
    kernel: tuple[int, int] = _like((1, 9), Conv, "kernel", range=True)
    even_kernels: bool = setting(True, "Even kernels")
    strides: tuple[int, ...] = _like((1, 2), Conv, "stride")
    dilations: tuple[int, ...] = _like((1, 2, 4, 8), Conv, "dilation")
    depthwise: tuple[bool, ...] = setting((False, True), "Depthwise")
    norms: tuple[str, ...] = _like(genes.NORMS, Conv, "norm")
    activations: tuple[str, ...] = _like(("relu", "leaky", "elu", "gelu", "silu"), Conv, "activation")
    dropout: tuple[float, float] = _like((0.0, 0.3), Conv, "dropout", range=True, rare=True)
    poolings: tuple[str, ...] = _like(genes.POOLINGS, Pool, "mode")
    pool_sizes: tuple[int, ...] = _like((2, 3), Pool, "size")
    pool_strides: tuple[int, ...] = _like((2, 1), Pool, "stride")
    factors: tuple[int, ...] = _like((2, 4), Upsample, "factor")
    interpolations: tuple[str, ...] = _like(genes.INTERPOLATIONS, Upsample, "mode")
    joins: tuple[str, ...] = _like(genes.JOINS, Skip, "join")
    body: tuple[int, int] = setting((1, 3), "Layers in a block", min=1, max=16, range=True)
    ways: tuple[int, int] = setting((2, 3), "Branches in a block", min=1, max=16, range=True)

    def objections(self, genome: Genome) -> Iterator[str]:
        """Yield a message for each layer and skip gene outside the space."""
        for index, layer in enumerate(genome.layers):
            if layer.kind not in self.kinds:
                yield f"layer {index} is of kind {layer.kind}"
            inner = parts(layer)
            if isinstance(layer, Residual) and not self.body[0] <= len(inner) <= self.body[1]:
                yield f"layer {index} is a residual block of {len(inner)} convolutions"
            if isinstance(layer, Branches) and not self.ways[0] <= len(layer.branches) <= self.ways[1]:
                yield f"layer {index} has {len(layer.branches)} branches"
            for gene in (*inner, layer):
                for name in self.outside(gene, in_body=isinstance(layer, Residual) and gene is not layer):
                    yield f"layer {index} has {name} {getattr(gene, name)}"
        for skip in genome.skips:
            if not self.allows("joins", skip.join):
                yield f"a skip connection joins by {skip.join}"

    def outside(self, gene: Any, *, in_body: bool = False) -> list[str]:
        """Return the names of a gene's fields whose value is not allowed; a residual's body may always be linear."""
        bad = []
        for name, allowed in LAYER_GENES[type(gene)].items():
            value = getattr(gene, name)
            if name == "kernel":
                fine = all(self.allows(allowed, side) and (side % 2 or self.even_kernels) for side in value)
            else:
                fine = self.allows(allowed, value)
            if not fine and not (in_body and name == "activation" and value == "linear"):
                bad.append(name)
        return bad


@dataclass(frozen=True)
class TrainingSpace(Allowed):
    """Ranges and choices of the training genes, one for each field of `TrainingGenes`."""

    optimiser: tuple[str, ...] = _like(("adamw", "adam", "sgd"), TrainingGenes, "optimiser")
    learning_rate: tuple[float, float] = _like((2e-3, 3e-2), TrainingGenes, "learning_rate", range=True, log=True)
    weight_decay: tuple[float, float] = _like(
        (0.0, 1e-1), TrainingGenes, "weight_decay", range=True, log=True, rare=True
    )
    schedule: tuple[str, ...] = _like(("onecycle", "cosine", "constant"), TrainingGenes, "schedule")
    bce: tuple[float, float] = _like((0.0, 1.0), TrainingGenes, "bce", range=True, rare=True)
    focal: tuple[float, float] = _like((0.0, 1.0), TrainingGenes, "focal", range=True, rare=True)
    dice: tuple[float, float] = _like((0.0, 1.0), TrainingGenes, "dice", range=True, rare=True)
    class_weight: tuple[float, float] = _like((1.0, 20.0), TrainingGenes, "class_weight", range=True, log=True)
    balance: tuple[float, float] = _like((0.0, 1.0), TrainingGenes, "balance", range=True)
    batch: tuple[int, ...] = _like((4, 2, 8, 16), TrainingGenes, "batch")
    tile: tuple[int, ...] = _like((64, 32, 48, 96, 128), TrainingGenes, "tile")
    normalisation: tuple[str, ...] = _like(("local", "flattened", "global"), TrainingGenes, "normalisation")
    radius: tuple[float, float] = _like((6.0, 60.0), TrainingGenes, "radius", range=True, log=True)
    flips: tuple[bool, ...] = _like((True, False), TrainingGenes, "flips")
    contrast: tuple[float, float] = _like((0.0, 1.0), TrainingGenes, "contrast", range=True, rare=True)
    gamma: tuple[float, float] = _like((0.0, 1.0), TrainingGenes, "gamma", range=True, rare=True)
    noise: tuple[float, float] = _like((0.0, 1.0), TrainingGenes, "noise", range=True, rare=True)
    blur: tuple[float, float] = _like((0.0, 1.0), TrainingGenes, "blur", range=True, rare=True)
    zoom: tuple[float, float] = _like((0.0, 0.5), TrainingGenes, "zoom", range=True)
    jitter: tuple[float, float] = _like((0.0, 1.0), TrainingGenes, "jitter", range=True, rare=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bce[1] + self.focal[1] + self.dice[1] <= 0:
            raise InputError("a loss that may have a weight", "bce, focal and dice all at 0", "Widen one of them.")

    def outside(self, training: TrainingGenes) -> list[str]:
        """Return the names of the genes whose value is not allowed."""
        return [f.name for f in dataclasses.fields(self) if not self.allows(f.name, getattr(training, f.name))]


@dataclass(frozen=True)
class Limits(Allowed):
    """Limits of the networks in the space.

    The lowest number of layers applies to networks whose only input is the frame; with other inputs, the head alone is
    a valid network.
    """

    layers: tuple[int, int] = setting((2, 10), "Layers", min=1, max=256, range=True)
    skips: int = setting(4, "Skip connections", min=0, max=256)
    parameters: int = setting(300_000, "Parameters", min=100, max=10**10)
    flops: float = setting(30_000.0, "Forward pass", unit="FLOP/px", min=100.0, max=1e12)
    radius: int = setting(48, "Receptive radius", unit="px", min=0, max=4096)
    stride: int = setting(8, "Total stride", unit="px", min=1, max=1024)
    memory: int = setting(1024, "Memory in training", unit="MiB", min=1, max=10**7)

    def fewest_layers(self, genome: Genome) -> int:
        """Return the minimum number of layers of a genome, which depends on its inputs."""
        return self.layers[0] if genome.fewest_layers else 0

    def exceeded(self, genome: Genome, plan: Plan) -> Iterator[tuple[str, str]]:
        """Yield name and message for each limit that a network exceeds."""
        count, training = len(genome.layers), genome.training
        fewest = self.fewest_layers(genome)
        if not fewest <= count <= self.layers[1]:
            yield "layers", f"{count} layers, not {fewest} to {self.layers[1]}"
        if len(genome.skips) > self.skips:
            yield "skips", f"{len(genome.skips)} skip connections, more than {self.skips}"
        if plan.stride > self.stride:
            yield "stride", f"a total stride of {plan.stride} px, more than {self.stride}"
        if plan.receptive_radius > self.radius:
            yield "radius", f"a receptive radius of {plan.receptive_radius} px, more than {self.radius}"
        if plan.parameters > self.parameters:
            yield "parameters", f"{plan.parameters} parameters, more than {self.parameters}"
        if plan.flops_per_pixel > self.flops:
            yield "flops", f"{plan.flops_per_pixel:.0f} FLOP per pixel, more than {self.flops:.0f}"
        needed = plan.memory(training.batch, training.tile, training.tile) / 2**20
        if needed > self.memory:
            yield "memory", f"{needed:.0f} MiB in training, more than {self.memory}"
