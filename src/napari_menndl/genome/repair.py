"""Repair of a genome outside the search space: parts that do not fit are removed, parts that are too large reduced."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_menndl.genome.editing import inserted, replaced, strides, usable_skips, without
from napari_menndl.genome.genes import (
    Branches,
    Conv,
    FilterBank,
    GenomeError,
    Pool,
    Residual,
    Upsample,
    parts,
    with_part,
)
from napari_menndl.genome.plan import make_plan
from napari_menndl.genome.ranges import LAYER_GENES
from napari_menndl.genome.sampling import (
    sample_bank,
    sample_conv,
    sample_inputs,
    sample_kernel,
    sample_layer,
    sample_pool,
    sample_training,
    sample_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from napari_menndl.genome.genes import Input, Layer, Part
    from napari_menndl.genome.genome import Genome
    from napari_menndl.genome.nodes import Node
    from napari_menndl.genome.plan import Plan
    from napari_menndl.genome.space import SearchSpace

    Remedy = Callable[[Genome, Plan, SearchSpace, np.random.Generator], Genome]

#: Maximum number of changes; after more, too little of the genome would be left.
ROUNDS = 60


def repair(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> Genome:
    """Return a genome changed as little as necessary to lie in a search space.

    Parameters
    ----------
    genome : Genome
    space : SearchSpace
    rng : numpy.random.Generator

    Returns
    -------
    Genome
        Equal to `genome` if that lies in the space already.

    Raises
    ------
    GenomeError
        If it cannot be repaired, with the last reason.
    """
    genome = _clamped(genome, space, rng)
    reason = ""
    for _ in range(ROUNDS):
        genome = _consistent(genome)
        plan = make_plan(genome)
        exceeded = next(space.limits.exceeded(genome, plan), None)
        if exceeded is None:
            return genome
        limit, reason = exceeded
        genome = _REMEDIES[limit](genome, plan, space, rng)
    raise GenomeError(reason)


def _clamped(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> Genome:
    """Return the genome with each gene in its range, by the nearest value or a new draw."""
    genome = _shown(genome, space, rng)
    for index in reversed(range(len(genome.layers))):
        if genome.layers[index].kind not in space.layers.kinds and len(genome.layers) > genome.fewest_layers:
            genome = without(genome, index)
    for index, layer in enumerate(genome.layers):
        layer = _sized(layer, space, rng)
        for place, part in enumerate(parts(layer)):
            if bad := space.layers.outside(part, in_body=isinstance(layer, Residual)):
                layer = with_part(layer, place, _allowed(part, bad, space, rng))
        if isinstance(layer, Residual) and space.layers.outside(layer):
            layer = replace(layer, activation=sample_value(space.layers, "activations", rng))
        if layer != genome.layers[index]:
            genome = replaced(genome, index, layer)
    skips = tuple(
        skip if space.layers.allows("joins", skip.join) else replace(skip, join=space.layers.joins[0])
        for skip in genome.skips
    )
    genome = replace(genome, skips=skips)
    if bad := space.training.outside(genome.training):
        fresh = sample_training(space.training, rng)
        genome = replace(genome, training=replace(genome.training, **{name: getattr(fresh, name) for name in bad}))
    return genome


def _shown(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> Genome:
    """Redraw disallowed genes of filter banks and remove disallowed kinds of input; draw inputs if none is left."""
    if not any(space.inputs.objections(genome)):
        return genome
    inputs: list[Input] = []
    for one in genome.inputs:
        if isinstance(one, FilterBank) and space.inputs.outside(one):
            fresh = sample_bank(space.inputs, rng)
            one = replace(one, **{name: getattr(fresh, name) for name in space.inputs.outside(one)})
        if one.kind in space.inputs.kinds:
            inputs.append(one)
    # At least one layer, which is required if the frame becomes the only input.
    layers = genome.layers or (sample_conv(space.layers, rng, 1),)
    return replace(genome, layers=layers, inputs=tuple(inputs) or sample_inputs(space.inputs, rng))


def _allowed(part: Part, bad: list[str], space: SearchSpace, rng: np.random.Generator) -> Part:
    """Replace a part's disallowed values by allowed ones."""
    if isinstance(part, Pool):
        return sample_pool(space.layers, rng)
    values = {name: sample_value(space.layers, LAYER_GENES[type(part)][name], rng) for name in bad if name != "kernel"}
    if isinstance(part, Conv):
        if "filters" in bad:
            values["filters"] = min(max(part.filters, space.layers.filters[0]), space.layers.filters[1])
        if "kernel" in bad:
            values["kernel"] = sample_kernel(space.layers, rng)
    return replace(part, **values)


def _sized(layer: Layer, space: SearchSpace, rng: np.random.Generator) -> Layer:
    """Shorten or extend a block to the allowed number of convolutions or branches."""
    match layer:
        case Residual(body=body):
            low, high = space.layers.body
            if not low <= len(body) <= high:
                more = (sample_conv(space.layers, rng, stride=1) for _ in range(low - len(body)))
                return replace(layer, body=(*body[:high], *more))
        case Branches(branches=branches):
            low, high = space.layers.ways
            if not low <= len(branches) <= high:
                return replace(layer, branches=(branches * low)[: max(low, min(high, len(branches)))])
    return layer


def _consistent(genome: Genome) -> Genome:
    """Remove upsampling beyond the input's resolution, unequal strides and skip connections between resolutions."""
    while (index := _first_misfit(genome.layers)) is not None:
        layer = genome.layers[index]
        if isinstance(layer, Branches):
            genome = replaced(genome, index, _unstrided(layer))
        elif len(genome.layers) > genome.fewest_layers:
            genome = without(genome, index)
        else:
            raise GenomeError(f"a {layer.kind} on its own")
    kept = usable_skips(genome)
    return genome if kept == genome.skips else replace(genome, skips=kept)


def _first_misfit(layers: Sequence[Layer]) -> int | None:
    """Return the index of the first layer at which `strides` fails; None if it does not."""

    def fit(count: int) -> bool:
        try:
            strides(layers[:count])
        except GenomeError:
            return False
        return True

    return None if fit(len(layers)) else next(index for index in range(len(layers)) if not fit(index + 1))


def _unstrided(layer: Layer) -> Layer:
    for place, part in enumerate(parts(layer)):
        if not isinstance(part, Upsample):
            layer = with_part(layer, place, replace(part, stride=1))
    return layer


def _mend_layers(genome: Genome, plan: Plan, space: SearchSpace, rng: np.random.Generator) -> Genome:
    if len(genome.layers) > space.limits.layers[1]:
        return without(genome, int(rng.integers(len(genome.layers))))
    place = int(rng.integers(len(genome.layers) + 1))
    kinds = space.layers.kinds
    return inserted(
        genome, place, sample_conv(space.layers, rng, 1) if "conv" in kinds else sample_layer(space, 1, rng)
    )


def _mend_skips(genome: Genome, plan: Plan, space: SearchSpace, rng: np.random.Generator) -> Genome:
    drop = rng.integers(len(genome.skips))
    return replace(genome, skips=tuple(skip for i, skip in enumerate(genome.skips) if i != drop))


def _mend_stride(genome: Genome, plan: Plan, space: SearchSpace, rng: np.random.Generator) -> Genome:
    coarser = [
        index
        for index, layer in enumerate(genome.layers)
        if any(not isinstance(part, Upsample) and part.stride > 1 for part in parts(layer))
    ]
    index = coarser[rng.integers(len(coarser))]
    layer = genome.layers[index]
    if isinstance(layer, Pool) and len(genome.layers) > space.limits.fewest_layers(genome):
        return without(genome, index)
    return replaced(genome, index, _unstrided(layer))


def _mend_radius(genome: Genome, plan: Plan, space: SearchSpace, rng: np.random.Generator) -> Genome:
    """Reduce the widest window; if none can be reduced, remove a stride or a layer."""
    windows = [node for node in plan.nodes if node.kind == "conv" and max(node.kernel) > 1]
    windows.sort(key=lambda node: -max(node.kernel) * node.dilation * node.stride)
    for node in windows:
        part = parts(genome.layers[node.layer])[node.part]
        if not isinstance(part, Conv):
            continue
        smaller = [value for value in space.layers.dilations if value < part.dilation]
        if smaller:
            fresh = replace(part, dilation=max(smaller))
        elif (kernel := _smaller_kernel(part, space)) != part.kernel:
            fresh = replace(part, kernel=kernel)
        else:
            continue
        return replaced(genome, node.layer, with_part(genome.layers[node.layer], node.part, fresh))
    return _mend_stride(genome, plan, space, rng) if plan.stride > 1 else _dropped(genome, space, rng)


def _mend_cost(cost: Callable[[Node], float]) -> Remedy:
    """Return a remedy that reduces the most expensive convolution that can be reduced."""

    def mend(genome: Genome, plan: Plan, space: SearchSpace, rng: np.random.Generator) -> Genome:
        genes = (node for node in plan.nodes if node.kind == "conv" and node.layer < len(genome.layers))
        for node in sorted(genes, key=cost, reverse=True):
            layer = genome.layers[node.layer]
            part = parts(layer)[node.part]
            if isinstance(part, Conv) and (ways := _smaller(part, space)):
                fresh = ways[rng.integers(len(ways))]
                return replaced(genome, node.layer, with_part(layer, node.part, fresh))
        return _dropped(genome, space, rng)

    return mend


def _mend_memory(genome: Genome, plan: Plan, space: SearchSpace, rng: np.random.Generator) -> Genome:
    """Reduce the batch, then the tile, then the most expensive convolution."""
    training = genome.training
    for name in ("batch", "tile"):
        smaller = [value for value in getattr(space.training, name) if value < getattr(training, name)]
        if smaller:
            return replace(genome, training=replace(training, **{name: max(smaller)}))
    return _mend_cost(lambda node: node.kept_per_pixel)(genome, plan, space, rng)


def _smaller(conv: Conv, space: SearchSpace) -> list[Conv]:
    """Return the ways in which a convolution can be made cheaper."""
    fewer = max(space.layers.filters[0], round(0.7 * conv.filters))
    ways = [replace(conv, filters=fewer), replace(conv, kernel=_smaller_kernel(conv, space))]
    if True in space.layers.depthwise and math.prod(conv.kernel) > 1:
        ways.append(replace(conv, depthwise=True))
    return [way for way in ways if way != conv]


def _smaller_kernel(conv: Conv, space: SearchSpace) -> tuple[int, int]:
    # Smaller by two, so that an odd kernel stays odd.
    y, x = (k - 2 if k == max(conv.kernel) and k - 2 >= space.layers.kernel[0] else k for k in conv.kernel)
    return y, x


def _dropped(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> Genome:
    if len(genome.layers) <= space.limits.fewest_layers(genome):
        raise GenomeError("too large even with the smallest genes")
    return without(genome, int(rng.integers(len(genome.layers))))


_REMEDIES: dict[str, Remedy] = {
    "layers": _mend_layers,
    "skips": _mend_skips,
    "stride": _mend_stride,
    "radius": _mend_radius,
    "parameters": _mend_cost(lambda node: node.parameters),
    "flops": _mend_cost(lambda node: node.flops_per_pixel),
    "memory": _mend_memory,
}
