"""Insertion, removal and replacement of layers, with the skip connections adjusted; strides between layers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_menndl.genome.genes import Branches, Conv, GenomeError, Pool, Upsample, parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl.genome.genes import Layer, Skip
    from napari_menndl.genome.genome import Genome


def strides(layers: Sequence[Layer]) -> tuple[int, ...]:
    """Return the stride before the first layer, which is 1, and after each layer [px of the network's input].

    Raises
    ------
    GenomeError
        If an upsampling would be finer than the input, or branches have different strides.
    """
    found = [1]
    for index, layer in enumerate(layers):
        if isinstance(layer, Upsample):
            if found[-1] % layer.factor:
                raise GenomeError(f"layer {index} upsamples by {layer.factor} at a stride of {found[-1]}")
            found.append(found[-1] // layer.factor)
        else:
            found.append(found[-1] * _step(index, layer))
    return tuple(found)


def _step(index: int, layer: Layer) -> int:
    if isinstance(layer, (Conv, Pool)):
        return layer.stride
    ways = layer.branches if isinstance(layer, Branches) else (parts(layer),)
    steps = {math.prod(part.stride for part in way if not isinstance(part, Upsample)) for way in ways}
    if len(steps) > 1:
        raise GenomeError(f"layer {index} has branches of strides {' and '.join(map(str, sorted(steps)))}")
    return steps.pop()


def without(genome: Genome, index: int) -> Genome:
    """Remove a layer and the skip connections that begin or end there."""
    layers = genome.layers[:index] + genome.layers[index + 1 :]
    skips = tuple(
        replace(skip, source=skip.source - (skip.source > index), target=skip.target - (skip.target > index))
        for skip in genome.skips
        if index not in (skip.source, skip.target)
    )
    return replace(genome, layers=layers, skips=skips)


def inserted(genome: Genome, index: int, layer: Layer) -> Genome:
    """Insert a layer before the one at `index`."""
    layers = (*genome.layers[:index], layer, *genome.layers[index:])
    skips = tuple(
        replace(skip, source=skip.source + (skip.source >= index), target=skip.target + (skip.target >= index))
        for skip in genome.skips
    )
    return replace(genome, layers=layers, skips=skips)


def replaced(genome: Genome, index: int, layer: Layer) -> Genome:
    """Replace the layer at `index`."""
    return replace(genome, layers=(*genome.layers[:index], layer, *genome.layers[index + 1 :]))


def open_places(genome: Genome) -> list[tuple[int, int]]:
    """Return the pairs (source, target) between which a skip connection could be added."""
    after = strides(genome.layers)[1:]
    taken = {(skip.source, skip.target) for skip in genome.skips}
    return [
        (source, target)
        for target in range(len(after))
        for source in range(target)
        if after[source] == after[target] and (source, target) not in taken
    ]


def usable_skips(genome: Genome) -> tuple[Skip, ...]:
    """Return the skip connections between existing layers of equal resolution, without duplicates."""
    after = strides(genome.layers)[1:]
    kept: dict[tuple[int, int], Skip] = {}
    for skip in genome.skips:
        if skip.target < len(after) and after[skip.source] == after[skip.target]:
            kept.setdefault((skip.source, skip.target), skip)
    return tuple(kept.values())
