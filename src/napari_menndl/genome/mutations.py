"""Mutations of a genome, each of which makes one change and describes it.

A mutation takes ``(genome, space, rng)`` and returns ``(genome, description)``; if it is not applicable it raises
`GenomeError`, and another one is drawn. `repair` corrects what does not fit the search space afterwards.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_menndl.genome.describe import describe_gene, describe_inputs
from napari_menndl.genome.editing import inserted, open_places, replaced, strides, without
from napari_menndl.genome.genes import (
    Branches,
    Conv,
    FilterBank,
    FrameInput,
    GenomeError,
    Pool,
    Residual,
    Skip,
    Upsample,
    parts,
    with_part,
)
from napari_menndl.genome.ranges import INPUT_GENES, LAYER_GENES
from napari_menndl.genome.sampling import rounded, sample_bank, sample_conv, sample_kernel, sample_layer, sample_value

if TYPE_CHECKING:
    from napari_menndl.genome.genes import Input
    from napari_menndl.genome.genome import Genome
    from napari_menndl.genome.ranges import Allowed
    from napari_menndl.genome.space import SearchSpace

Mutation = Callable[["Genome", "SearchSpace", np.random.Generator], tuple["Genome", str]]
Item = TypeVar("Item")


def change_inputs(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> tuple[Genome, str]:
    """Add, remove or change a filter bank or an average over neighbouring frames."""
    allowed = space.inputs
    banks = [one for one in genome.inputs if isinstance(one, FilterBank)]
    averages = [one for one in genome.inputs if isinstance(one, FrameInput) and one.reach]
    others = [FrameInput(reach) for reach in allowed.reaches if reach and FrameInput(reach) not in averages]
    inputs: tuple[Input, ...]
    if "frame" in allowed.kinds and (averages or others) and rng.random() < 0.4:
        added = (_one_of(others, rng),) if others and not (averages and rng.random() < 0.5) else ()
        inputs = (*(one for one in genome.inputs if one not in averages), *added) or (FrameInput(),)
    elif not banks:
        _need("bank" in allowed.kinds, "no filter banks")
        # The plain frame is removed, since the bank contains it.
        inputs = (*(one for one in genome.inputs if one != FrameInput()), sample_bank(allowed, rng))
    elif "frame" in allowed.kinds and rng.random() < 0.3:
        inputs = tuple(one for one in genome.inputs if one not in banks) or (FrameInput(),)
    else:
        bank, name = banks[0], _one_of(tuple(INPUT_GENES[FilterBank]), rng)
        fresh = _perturbed(allowed, INPUT_GENES[FilterBank][name], getattr(bank, name), rng)
        changed = replace(bank, **{name: fresh})
        inputs = tuple(changed if one == bank else one for one in genome.inputs)
    words = f"input {describe_inputs(genome.inputs)} → {describe_inputs(inputs)}"
    return replace(genome, inputs=inputs), words


def insert_layer(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> tuple[Genome, str]:
    """Insert a random layer at a random place."""
    _need(len(genome.layers) < space.limits.layers[1], "as many layers as there may be")
    index = int(rng.integers(len(genome.layers) + 1))
    layer = sample_layer(space, strides(genome.layers)[index], rng)
    return inserted(genome, index, layer), f"layer {index} inserted: {describe_gene(layer)}"


def remove_layer(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> tuple[Genome, str]:
    """Remove a random layer."""
    _need(len(genome.layers) > space.limits.fewest_layers(genome), "as few layers as there may be")
    index = int(rng.integers(len(genome.layers)))
    return without(genome, index), f"layer {index} removed: {describe_gene(genome.layers[index])}"


def repeat_layer(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> tuple[Genome, str]:
    """Insert a copy of a layer after it."""
    _need(len(genome.layers) > 0, "no layer")
    _need(len(genome.layers) < space.limits.layers[1], "as many layers as there may be")
    index = int(rng.integers(len(genome.layers)))
    _need(not isinstance(genome.layers[index], (Pool, Upsample)), "a change of resolution is not repeated")
    return inserted(genome, index + 1, genome.layers[index]), f"layer {index} repeated"


def add_level(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> tuple[Genome, str]:
    """Enclose layers in a pooling and an upsampling with a skip connection across: one level of a U-Net."""
    _need({"pool", "upsample"} <= set(space.layers.kinds), "no pooling or upsampling")
    _need(len(genome.layers) + 2 <= space.limits.layers[1], "as many layers as there may be")
    pairs = [(step, size) for step in space.layers.pool_strides for size in space.layers.pool_sizes if size >= step > 1]
    step, size = _one_of([pair for pair in pairs if pair[0] in space.layers.factors], rng)
    _need(len(genome.layers) > 0, "no layer")
    first = int(rng.integers(1, len(genome.layers) + 1))
    last = int(rng.integers(first, len(genome.layers) + 1))
    before = strides(genome.layers)
    _need(before[first] == before[last], "the resolution changes in between")
    up = Upsample(step, sample_value(space.layers, "interpolations", rng))
    pool = Pool(sample_value(space.layers, "poolings", rng), size, step)
    deeper = inserted(inserted(genome, last, up), first, pool)
    bridge = Skip(first - 1, last + 1, sample_value(space.layers, "joins", rng))
    return replace(deeper, skips=(*deeper.skips, bridge)), f"layers {first} to {last} made coarser by {step}"


def add_skip(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> tuple[Genome, str]:
    """Add a skip connection between two layers of equal resolution."""
    _need(len(genome.skips) < space.limits.skips, "as many skip connections as there may be")
    source, target = _one_of(open_places(genome), rng)
    skip = Skip(source, target, sample_value(space.layers, "joins", rng))
    return replace(genome, skips=(*genome.skips, skip)), f"skip added: {describe_gene(skip)}"


def remove_skip(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> tuple[Genome, str]:
    """Remove a skip connection."""
    skip = _one_of(genome.skips, rng)
    kept = tuple(one for one in genome.skips if one != skip)
    return replace(genome, skips=kept), f"skip removed: {describe_gene(skip)}"


def make_residual(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> tuple[Genome, str]:
    """Replace a convolution by a residual block that begins with it."""
    _need("residual" in space.layers.kinds, "no residual blocks")
    index, conv = _one_of([(i, layer) for i, layer in enumerate(genome.layers) if isinstance(layer, Conv)], rng)
    low, high = space.layers.body
    more = [sample_conv(space.layers, rng, stride=1) for _ in range(rng.integers(low, high, endpoint=True) - 1)]
    body = [conv, *(replace(one, filters=conv.filters) for one in more)]
    body[-1] = replace(body[-1], activation="linear")
    block = Residual(tuple(body), sample_value(space.layers, "activations", rng))
    return replaced(genome, index, block), f"layer {index} made residual"


def make_branches(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> tuple[Genome, str]:
    """Replace a convolution by parallel branches, among which its filters are divided."""
    _need("branches" in space.layers.kinds, "no branches")
    index, conv = _one_of([(i, layer) for i, layer in enumerate(genome.layers) if isinstance(layer, Conv)], rng)
    count = int(rng.integers(space.layers.ways[0], space.layers.ways[1], endpoint=True))
    filters = max(space.layers.filters[0], conv.filters // count)
    others = [replace(sample_conv(space.layers, rng), stride=conv.stride, filters=filters) for _ in range(count - 1)]
    ways = ((replace(conv, filters=filters),), *((other,) for other in others))
    return replaced(genome, index, Branches(ways)), f"layer {index} made {count} branches"


def flatten_block(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> tuple[Genome, str]:
    """Replace a block by one of its parts."""
    blocks = [i for i, layer in enumerate(genome.layers) if isinstance(layer, (Residual, Branches))]
    index = _one_of(blocks, rng)
    part = _one_of(parts(genome.layers[index]), rng)
    if isinstance(part, Conv) and part.activation == "linear":
        part = replace(part, activation=sample_value(space.layers, "activations", rng))
    return replaced(genome, index, part), f"layer {index} reduced to {describe_gene(part)}"


def change_layer(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> tuple[Genome, str]:
    """Change one gene of one layer, such as filters, kernel, stride or depthwise."""
    _need(len(genome.layers) > 0, "no layer")
    index = int(rng.integers(len(genome.layers)))
    layer = genome.layers[index]
    place = int(rng.integers(len(parts(layer))))
    part = parts(layer)[place]
    # Filters and kernel are listed twice, since they matter most.
    names = sorted(LAYER_GENES[type(part)]) + ["filters", "kernel"] * isinstance(part, Conv)
    name = _one_of(names, rng)
    fresh = _other_value(part, name, space, rng)
    changed = replaced(genome, index, with_part(layer, place, replace(part, **{name: fresh})))
    return changed, f"layer {index}: {name} {_words(getattr(part, name))} → {_words(fresh)}"


def change_training(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> tuple[Genome, str]:
    """Change one training gene."""
    training = genome.training
    names = [field.name for field in dataclasses.fields(training)]
    if training.normalisation == "global":
        # A change of the radius would have no effect, except on the digest.
        names.remove("radius")
    name = _one_of(names, rng)
    fresh = _perturbed(space.training, name, getattr(training, name), rng)
    changed = replace(genome, training=replace(training, **{name: fresh}))
    return changed, f"{name.replace('_', ' ')} {_words(getattr(training, name))} → {_words(fresh)}"


def _other_value(part: Any, name: str, space: SearchSpace, rng: np.random.Generator) -> Any:
    if name == "kernel":
        kernels = [sample_kernel(space.layers, rng) for _ in range(20)]
        return _one_of([kernel for kernel in kernels if kernel != part.kernel], rng)
    return _perturbed(space.layers, LAYER_GENES[type(part)][name], getattr(part, name), rng)


def _perturbed(group: Allowed, name: str, value: Any, rng: np.random.Generator) -> Any:
    """Return a changed value: a near one within the range, or another of the choices."""
    allowed, about = getattr(group, name), type(group).__dataclass_fields__[name].metadata  # type: ignore[attr-defined]
    if not group.ranged(name):
        return _one_of([one for one in allowed if one != value], rng)
    low, high = allowed
    if not value > low or rng.random() < 0.2:
        fresh = sample_value(group, name, rng)
    elif about.get("log"):
        # A fifth of the range, but at least a factor of 1.5: filters 16 → 24.
        spread = max(math.log(high / (low or high * 1e-4)) / 5, math.log(1.5))
        fresh = rounded(value * math.exp(rng.normal(0, spread)), low, high, about.get("multiple", 1))
    else:
        fresh = rounded(value + rng.normal(0, (high - low) / 5), low, high)
    _need(fresh != value, "the same value again")
    return fresh


def _one_of(items: Sequence[Item], rng: np.random.Generator) -> Item:
    _need(len(items) > 0, "nothing to choose from")
    return items[int(rng.integers(len(items)))]


def _need(condition: bool, otherwise: str) -> None:
    if not condition:
        raise GenomeError(otherwise)


def _words(value: Any) -> str:
    return "×".join(map(str, value)) if isinstance(value, tuple) else str(value)


#: Mutations with their relative frequencies; about three quarters of the draws change the topology.
MUTATIONS: tuple[tuple[float, Mutation], ...] = (
    (2.0, insert_layer),
    (2.0, remove_layer),
    (0.5, repeat_layer),
    (1.0, add_level),
    (1.5, add_skip),
    (0.7, remove_skip),
    (1.0, make_residual),
    (0.7, make_branches),
    (0.6, flatten_block),
    (5.0, change_layer),
    (1.5, change_inputs),
    (4.0, change_training),
)
