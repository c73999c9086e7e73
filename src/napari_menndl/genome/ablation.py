"""Ablation: genomes that lack one part of another, to see what the part contributes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari_menndl.genome.describe import describe_gene, describe_input
from napari_menndl.genome.editing import usable_skips, without
from napari_menndl.genome.genes import GenomeError
from napari_menndl.genome.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_menndl.genome.genome import Genome


def ablations(genome: Genome, classes: int = 1) -> dict[str, Genome]:
    """Return the genomes that lack one input, one layer or one skip connection of a genome.

    Skip connections that begin or end at a removed layer, or no longer join equal resolutions, are removed with it.
    A part without which the network cannot be built is not removed.

    Parameters
    ----------
    genome : Genome
    classes : int
        Number of defect classes.

    Returns
    -------
    dict of str to Genome
        By what is missing: ``"layer 3: conv 3×3 ×16 batch relu"``; layers are counted from 0.
    """
    found = {}
    for name, shorten in _removals(genome):
        try:
            smaller = shorten()
            make_plan(smaller, classes)
        except GenomeError:
            continue
        found[name] = smaller
    return found


def _removals(genome: Genome) -> Iterator[tuple[str, Callable[[], Genome]]]:
    """Yield each part in words, and the function that removes it, which may raise GenomeError."""
    for number, one in enumerate(genome.inputs):
        fewer = genome.inputs[:number] + genome.inputs[number + 1 :]
        yield f"input {number}: {describe_input(one)}", partial(replace, genome, inputs=fewer)
    for number, layer in enumerate(genome.layers):
        yield f"layer {number}: {describe_gene(layer)}", partial(_without_layer, genome, number)
    for skip in genome.skips:
        rest = tuple(one for one in genome.skips if one != skip)
        yield f"skip connection: {describe_gene(skip)}", partial(replace, genome, skips=rest)


def _without_layer(genome: Genome, number: int) -> Genome:
    smaller = without(genome, number)
    return replace(smaller, skips=usable_skips(smaller))
