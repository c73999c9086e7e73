"""Genes of a genome as one row of numbers and words, to compare many genomes."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING

from napari_menndl.genome.genes import Conv, Pool, parts
from napari_menndl.genome.plan import make_plan
from napari_menndl.settings import unit_of

if TYPE_CHECKING:
    from napari_menndl.genome.genome import Genome

#: Genes of the training whose values are comparable only as shares of their sum.
_LOSSES = ("bce", "focal", "dice")


def gene_row(genome: Genome, classes: int = 1) -> dict[str, float | str]:
    """Return the genes of a genome by title, with the unit in brackets: ``"Tile [px]"``.

    Parameters
    ----------
    genome : Genome
    classes : int
        Number of defect classes.

    Returns
    -------
    dict of str to float or str
        Of inputs and layers, numbers by which any two genomes can be compared, NaN where a genome has no such part;
        then every gene of the training, the three losses as shares of their sum.

    Raises
    ------
    GenomeError
        If the network cannot be built.
    """
    plan, training = make_plan(genome, classes), genome.training
    simple = [part for layer in genome.layers for part in parts(layer)]
    convolutions = [part for part in simple if isinstance(part, Conv)]
    row: dict[str, float | str] = {
        "Inputs": " + ".join(sorted({one.kind for one in genome.inputs})),
        "Neighbouring frames": float(genome.reach),
        "Layers": float(len(genome.layers)),
        "Skip connections": float(len(genome.skips)),
        "Filters of the widest layer": max((float(one.filters) for one in convolutions), default=math.nan),
        "Largest kernel [px]": max((float(max(one.kernel)) for one in convolutions), default=math.nan),
        "Largest dilation [px]": max((float(one.dilation) for one in convolutions), default=math.nan),
        "Share of depthwise layers": _mean([float(one.depthwise) for one in convolutions]),
        "Pooling layers": float(sum(isinstance(one, Pool) for one in simple)),
        "Total stride [px]": float(plan.stride),
        "Sees as far as [px]": float(plan.receptive_radius),
        "Parameters": float(plan.parameters),
    }
    losses = sum(getattr(training, name) for name in _LOSSES)
    for entry in fields(training):
        value = getattr(training, entry.name)
        title, unit = entry.metadata["title"], unit_of(entry.metadata)
        if entry.name == "radius":
            title = "Radius of the normalisation"
            value = math.nan if training.normalisation == "global" else value
        elif entry.name in _LOSSES:
            title, value = f"Share of {title[0].lower()}{title[1:]}", value / losses
        if isinstance(value, bool):
            value = "on" if value else "off"
        row[f"{title} [{unit}]" if unit else title] = value if isinstance(value, str) else float(value)
    return row


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
