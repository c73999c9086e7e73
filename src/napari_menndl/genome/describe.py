"""Text descriptions of a genome, one short line per layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_menndl.genome.genes import (
    SHARED,
    Blob,
    Branches,
    Conv,
    FilterBank,
    FourierInput,
    FrameInput,
    Pool,
    Residual,
    Upsample,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl.genome.genes import Input, Layer, Skip, TrainingGenes
    from napari_menndl.genome.genome import Genome


def describe(genome: Genome) -> list[str]:
    """Return one line per layer, such as ``"conv 5×5 /2 ×32 batch relu"``, and one for the training.

    The first line describes the inputs, unless the frame is the only one.
    """
    inputs = [describe_inputs(genome.inputs)]
    if inputs == ["frame"]:
        inputs = []
    return [*inputs, *describe_layers(genome), describe_training(genome.training)]


def describe_layers(genome: Genome) -> list[str]:
    """Return one line per layer, with the skip connections that end there."""
    lines = [describe_gene(layer) for layer in genome.layers]
    for skip in genome.skips:
        lines[skip.target] += f" {'+' if skip.join == 'add' else '⧺'} layer {skip.source}"
    return lines


def describe_inputs(inputs: Sequence[Input]) -> str:
    """Return the inputs in one line, without repetitions: ``"blobs fitted to each class"``."""
    return " + ".join(dict.fromkeys(map(describe_input, inputs)))


def describe_input(gene: Input) -> str:
    """Return a short description of an input."""
    match gene:
        case FrameInput(reach=reach) if reach:
            return f"mean of ±{reach} frames"
        case FilterBank():
            of = f" of the mean of ±{gene.reach} frames" if gene.reach else ""
            return f"filters {' '.join(f'{sigma:.3g}' for sigma in gene.sigmas)} px{of}"
        case Blob(fitted=True):
            return "blobs fitted to each class"
        case Blob():
            radius = "" if gene.normalisation in (SHARED, "global") else f" {gene.radius:g} px"
            own = "" if gene.normalisation == SHARED else f" of {gene.normalisation}{radius}"
            return f"{gene.sign} blobs {gene.sigma:g} px{own}"
        case FourierInput(fitted=True):
            return "Fourier filter fitted to each class"
        case FourierInput():
            return f"Fourier filter {gene.inner:.3g}–{gene.outer:.3g} cycles/px {gene.sign}"
        case _:
            return gene.kind


def describe_gene(gene: Layer | Skip) -> str:
    """Return a short description of a layer or skip connection, without genes that are off."""
    match gene:
        case Conv():
            words = [
                "depthwise" if gene.depthwise else "conv",
                f"{gene.kernel[0]}×{gene.kernel[1]}",
                f"/{gene.stride}" if gene.stride > 1 else "",
                f"dilated {gene.dilation}" if gene.dilation > 1 else "",
                f"×{gene.filters}",
                gene.norm if gene.norm != "none" else "",
                gene.activation if gene.activation != "linear" else "",
                f"dropout {gene.dropout:g}" if gene.dropout else "",
            ]
            return " ".join(word for word in words if word)
        case Pool():
            return f"{gene.mode} pool {gene.size}×{gene.size} /{gene.stride}"
        case Upsample():
            return f"upsample ×{gene.factor} {gene.mode}"
        case Residual():
            return f"residual [{', '.join(map(describe_gene, gene.body))}] {gene.activation}"
        case Branches():
            return f"branches [{' | '.join(', '.join(map(describe_gene, way)) for way in gene.branches)}]"
        case _:
            return f"layer {gene.source} → layer {gene.target} ({gene.join})"


def describe_training(training: TrainingGenes) -> str:
    """Return the training genes in one line."""
    losses = [f"{getattr(training, name):g} {name}" for name in ("bce", "focal", "dice") if getattr(training, name)]
    strengths = ("contrast", "gamma", "noise", "blur", "zoom", "jitter")
    augmented = ["flips"] * training.flips
    augmented += [f"{name} {getattr(training, name):g}" for name in strengths if getattr(training, name)]
    radius = "" if training.normalisation == "global" else f" {training.radius:g} px"
    words = [
        f"{training.optimiser} {training.learning_rate:g} {training.schedule}",
        " + ".join(losses),
        f"{training.batch} × {training.tile}² px",
        f"{training.normalisation}{radius}",
    ]
    return ", ".join(words + augmented)
