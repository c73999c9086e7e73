"""Sampling of random genes and genomes from a search space."""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_right
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from napari_menndl.genome.editing import open_places
from napari_menndl.genome.genes import (
    Blob,
    Branches,
    Conv,
    FilterBank,
    FourierInput,
    FrameInput,
    Pool,
    Residual,
    Skip,
    TrainingGenes,
    Upsample,
)
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.ranges import INPUT_GENES, LAYER_GENES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from napari_menndl.genome.genes import Input, Layer
    from napari_menndl.genome.ranges import Allowed, InputSpace, LayerSpace, TrainingSpace
    from napari_menndl.genome.space import SearchSpace

#: Relative frequencies of the kinds of layer.
FREQUENCY = {"conv": 6.0, "residual": 2.0, "branches": 1.5, "pool": 1.5, "upsample": 1.5}
#: Relative frequencies of the kinds of input.
INPUT_FREQUENCY = {"frame": 6.0, "bank": 4.0, "blob": 0.5, "fourier": 0.5}
#: Probability that a rare gene, such as dropout or noise, is 0: a network with all of them at once does not train.
RARELY = 0.85


def draw(space: SearchSpace, rng: np.random.Generator) -> Genome:
    """Draw a genome whose genes are in their ranges; it may still exceed the limits."""
    limits = space.limits
    inputs = sample_inputs(space.inputs, rng)
    fewest = limits.layers[0] if all(isinstance(one, FrameInput) for one in inputs) else 0
    layers: list[Layer] = []
    stride = 1
    for _ in range(rng.integers(fewest, limits.layers[1], endpoint=True)):
        layer = sample_layer(space, stride, rng)
        layers.append(layer)
        match layer:
            case Upsample():
                stride //= layer.factor
            case Conv() | Pool():
                stride *= layer.stride
    genome = Genome(tuple(layers), (), sample_training(space.training, rng), inputs)
    for _ in range(rng.integers(0, min(limits.skips, 2), endpoint=True)):
        places = open_places(genome)
        if places:
            source, target = places[rng.integers(len(places))]
            skip = Skip(source, target, sample_value(space.layers, "joins", rng))
            genome = replace(genome, skips=(*genome.skips, skip))
    return genome


def sample_inputs(inputs: InputSpace, rng: np.random.Generator) -> tuple[Input, ...]:
    """Draw the frame, an average over its neighbours, or both; or one other input."""
    kind = inputs.kinds[pick([INPUT_FREQUENCY[kind] for kind in inputs.kinds], rng)]
    match kind:
        case "bank":
            return (sample_bank(inputs, rng),)
        case "blob":
            return (Blob(fitted=True),)
        case "fourier":
            return (FourierInput(fitted=True),)
        case _:
            reaches = {0, sample_value(inputs, "reaches", rng)} & set(inputs.reaches)
            return tuple(FrameInput(reach) for reach in sorted(reaches))


def sample_bank(inputs: InputSpace, rng: np.random.Generator) -> FilterBank:
    """Draw a filter bank."""
    return FilterBank(**{name: sample_value(inputs, allowed, rng) for name, allowed in INPUT_GENES[FilterBank].items()})


def sample_layer(space: SearchSpace, stride: int, rng: np.random.Generator) -> Layer:
    """Draw a layer that is possible after a stride [px of the network's input]."""
    layers = space.layers
    finer = [factor for factor in layers.factors if stride % factor == 0]
    kinds = [kind for kind in layers.kinds if kind != "upsample" or finer]
    coarser = any(step * stride <= space.limits.stride for step in layers.pool_strides)
    kinds = [kind for kind in kinds if kind != "pool" or coarser] or ["conv"]
    weights = [FREQUENCY[kind] for kind in kinds]
    kind = kinds[pick(weights, rng)]
    match kind:
        case "upsample":
            return Upsample(finer[rng.integers(len(finer))], sample_value(layers, "interpolations", rng))
        case "pool":
            return sample_pool(layers, rng)
        case "residual":
            count = rng.integers(layers.body[0], layers.body[1], endpoint=True)
            body = [sample_conv(layers, rng, stride=1) for _ in range(count)]
            # As in He et al. 2016: the activation follows the addition.
            body[-1] = replace(body[-1], activation="linear")
            return Residual(tuple(body), sample_value(layers, "activations", rng))
        case "branches":
            count = rng.integers(layers.ways[0], layers.ways[1], endpoint=True)
            return Branches(tuple(_draw_branch(layers, rng) for _ in range(count)))
        case _:
            conv = sample_conv(layers, rng)
            return (
                replace(conv, stride=1) if conv.stride * stride > space.limits.stride and 1 in layers.strides else conv
            )


def sample_conv(layers: LayerSpace, rng: np.random.Generator, stride: int | None = None) -> Conv:
    """Draw a convolution."""
    drawn = {name: sample_value(layers, allowed, rng) for name, allowed in LAYER_GENES[Conv].items()}
    drawn["kernel"] = sample_kernel(layers, rng)
    if stride in layers.strides:
        drawn["stride"] = stride
    return Conv(**drawn)


def sample_kernel(layers: LayerSpace, rng: np.random.Generator) -> tuple[int, int]:
    """Draw a kernel, mostly square and odd, with sides near 3 the most frequent."""
    sides = [k for k in range(layers.kernel[0], layers.kernel[1] + 1) if layers.even_kernels or k % 2]
    weights = [math.exp(-abs(k - 3) / 2) * (1.0 if k % 2 else 0.2) for k in sides]
    y, x = sides[pick(weights, rng)], sides[pick(weights, rng)]
    return (y, x) if rng.random() < 0.25 else (y, y)


def sample_pool(layers: LayerSpace, rng: np.random.Generator) -> Pool:
    """Draw a pooling whose window is not smaller than its stride."""
    stride = sample_value(layers, "pool_strides", rng)
    sizes = [size for size in layers.pool_sizes if size >= stride] or [stride]
    return Pool(sample_value(layers, "poolings", rng), sizes[rng.integers(len(sizes))], stride)


def _draw_branch(layers: LayerSpace, rng: np.random.Generator) -> tuple[Conv | Pool, ...]:
    conv = sample_conv(layers, rng, stride=1)
    if "pool" in layers.kinds and 1 in layers.pool_strides and rng.random() < 0.25:
        return replace(sample_pool(layers, rng), stride=1), conv
    return (conv,)


def sample_training(training: TrainingSpace, rng: np.random.Generator) -> TrainingGenes:
    """Draw training genes with at least one loss."""
    drawn = {one.name: sample_value(training, one.name, rng) for one in dataclasses.fields(training)}
    losses = [name for name in ("bce", "focal", "dice") if getattr(training, name)[1] > 0]
    if not any(drawn[name] for name in losses):
        name = losses[rng.integers(len(losses))]
        drawn[name] = getattr(training, name)[1]
    return TrainingGenes(**drawn)


def sample_value(group: Allowed, name: str, rng: np.random.Generator) -> Any:
    """Draw from a range (mostly 0 if it is rare) or from choices (half of the time the first)."""
    allowed, about = getattr(group, name), type(group).__dataclass_fields__[name].metadata  # type: ignore[attr-defined]
    if not group.ranged(name):
        return allowed[0] if rng.random() < 0.5 else allowed[rng.integers(len(allowed))]
    low, high = allowed
    if high == 0 or (about.get("rare") and low == 0 and rng.random() < RARELY):
        return type(low)(0)
    if about.get("log"):
        # A range from 0 has no logarithm: four decades below its upper end are used.
        value = math.exp(rng.uniform(math.log(low or high * 1e-4), math.log(high)))
    else:
        value = rng.uniform(low, high)
    return rounded(value, low, high, about.get("multiple", 1))


def rounded(value: float, low: float, high: float, multiple: int = 1) -> Any:
    """Round to a multiple of an integer, or to three digits, within a range, to keep genomes readable."""
    if isinstance(low, int) and isinstance(high, int):
        value = multiple * round(value / multiple)
    else:
        value = float(f"{value:.3g}")
    return min(max(value, low), high)


def pick(weights: Sequence[float], rng: np.random.Generator) -> int:
    """Draw an index with probabilities proportional to the weights, like `Generator.choice` but faster."""
    ends = [end / sum(weights) for end in accumulate(weights)]
    return min(bisect_right(ends, rng.random()), len(weights) - 1)
