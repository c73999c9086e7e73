"""Random genomes, and offspring: mutation of one genome, crossover of two."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError
from napari_menndl.genome.editing import strides
from napari_menndl.genome.genes import GenomeError, TrainingGenes
from napari_menndl.genome.mutations import MUTATIONS
from napari_menndl.genome.repair import repair
from napari_menndl.genome.sampling import draw, pick

if TYPE_CHECKING:
    import numpy as np

    from napari_menndl.genome.genome import Genome
    from napari_menndl.genome.space import SearchSpace

#: Maximum number of draws for a valid genome; if none is valid, the space is too narrow.
DRAWS = 40
ATTEMPTS = 50
#: Probability of another mutation, after each one.
AGAIN = 0.3


def sample_genome(space: SearchSpace, rng: np.random.Generator) -> Genome:
    """Draw a random genome of a search space.

    Raises
    ------
    InputError
        If no network can be built in `DRAWS` draws.
    """
    reason = ""
    for _ in range(DRAWS):
        try:
            genome = repair(draw(space, rng), space, rng)
            space.check(genome)
        except GenomeError as problem:
            reason = problem.reason
        else:
            return genome
    raise InputError("a search space in which networks can be built", f"none ({reason})", "Widen the search space.")


def mutate(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> tuple[Genome, str]:
    """Apply one or several random mutations to a genome.

    Parameters
    ----------
    genome : Genome
    space : SearchSpace
    rng : numpy.random.Generator

    Returns
    -------
    genome : Genome
        A genome in the space, never equal to the given one.
    description : str
        Description of the changes, for the lineage: ``"layer 3: filters 16 → 24"``.

    Raises
    ------
    InputError
        If no other genome of the space is found.
    """
    for _ in range(ATTEMPTS):
        try:
            offspring, words = _mutated(genome, space, rng)
            while rng.random() < AGAIN:
                offspring, more = _mutated(offspring, space, rng)
                words = f"{words}; {more}"
        except GenomeError:
            continue
        if offspring != genome:
            return offspring, words
    for _ in range(ATTEMPTS):
        if (fresh := sample_genome(space, rng)) != genome:
            return fresh, "drawn anew"
    raise InputError("a search space of several genomes", "the same one again and again", "Widen it.")


def _mutated(genome: Genome, space: SearchSpace, rng: np.random.Generator) -> tuple[Genome, str]:
    _, mutation = MUTATIONS[pick([weight for weight, _ in MUTATIONS], rng)]
    changed, words = mutation(genome, space, rng)
    mended = repair(changed, space, rng)
    space.check(mended)
    return mended, words if mended == changed else f"{words}, made to fit"


def crossover(one: Genome, other: Genome, space: SearchSpace, rng: np.random.Generator) -> Genome:
    """Combine the first layers of one genome with the last layers of another, and mix their training genes.

    The inputs are those of one of them. Both are cut at places of equal stride, so that the resolution of the following
    layers does not change; a skip connection is kept if both its ends are.

    Parameters
    ----------
    one, other : Genome
        Their order does not matter.
    space : SearchSpace
    rng : numpy.random.Generator

    Returns
    -------
    Genome
        A genome in the space, with a topology that differs from both parents' unless no cut gives one.
    """
    if rng.random() < 0.5:
        one, other = other, one
    training = _mixed(one.training, other.training, rng)
    inputs = one.inputs if rng.random() < 0.5 else other.inputs
    if not (one.layers and other.layers):
        # If only one parent has layers, the inputs come from the other.
        inputs = (other if one.layers else one).inputs
    fallback = replace(one, training=training)
    cuts = _cuts(one, other, space)
    for place in rng.permutation(len(cuts))[:ATTEMPTS]:
        first, second = cuts[place]
        try:
            spliced = replace(_spliced(one, first, other, second), training=training, inputs=inputs)
            offspring = repair(spliced, space, rng)
            space.check(offspring)
        except GenomeError:
            continue
        if all(offspring.topology != parent.topology for parent in (one, other)):
            return offspring
    try:
        fallback = repair(fallback, space, rng)
        space.check(fallback)
    except GenomeError:
        return sample_genome(space, rng)
    return fallback


def _cuts(one: Genome, other: Genome, space: SearchSpace) -> list[tuple[int, int]]:
    """Return possible cuts: layers kept of the first genome, layers skipped in the second; each contributes layers."""
    low, high = space.limits.layers
    here, there = strides(one.layers), strides(other.layers)
    return [
        (i, j)
        for i in range(min(1, len(one.layers)), len(one.layers) + 1)
        for j in range(max(1, len(other.layers)))
        if here[i] == there[j] and low <= i + len(other.layers) - j <= high
    ]


def _spliced(one: Genome, first: int, other: Genome, second: int) -> Genome:
    head = tuple(skip for skip in one.skips if skip.target < first)
    tail = tuple(
        replace(skip, source=skip.source - second + first, target=skip.target - second + first)
        for skip in other.skips
        if skip.source >= second
    )
    return replace(one, layers=one.layers[:first] + other.layers[second:], skips=head + tail)


def _mixed(one: TrainingGenes, other: TrainingGenes, rng: np.random.Generator) -> TrainingGenes:
    mixed = {f.name: getattr(one if rng.random() < 0.5 else other, f.name) for f in dataclasses.fields(TrainingGenes)}
    # All losses come from one parent, since in a mixture all weights might be 0.
    donor = one if rng.random() < 0.5 else other
    return TrainingGenes(**mixed | {name: getattr(donor, name) for name in ("bce", "focal", "dice")})
