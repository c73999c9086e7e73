"""Founders: hand-designed networks as genomes, used as baselines and, if they fit the space, as first population."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_menndl.genome.genes import (
    Blob,
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

if TYPE_CHECKING:
    from collections.abc import Callable

#: The frame, and its average with the neighbours, in which persistent features have less noise; for single images both
#: are the frame.
_WITH_AVERAGE = (FrameInput(), FrameInput(reach=2))
#: Tiles are magnified by up to 8 % either way: defects elsewhere have other sizes, and interpolation varies the noise.
_ZOOMED = TrainingGenes(zoom=0.2)


def dilated_fcn() -> Genome:
    """Return five dilated convolutions of 16 filters, after Yu & Koltun 2016 (arXiv:1511.07122): the plain baseline."""
    return Genome(tuple(Conv(16, dilation=dilation) for dilation in (1, 2, 4, 2, 1)))


def deep_fcn() -> Genome:
    """Return seven dilated convolutions of 16 filters: a wider context, to recognise the lattice better."""
    return Genome(
        tuple(Conv(16, dilation=dilation) for dilation in (1, 1, 2, 4, 4, 2, 1)),
        training=_ZOOMED,
        inputs=_WITH_AVERAGE,
    )


def coarse_fcn() -> Genome:
    """Return dilated convolutions of 32 filters at half resolution, in parallel to 16 filters at full resolution."""
    return Genome(
        (
            Conv(16),  # 0
            Pool("average", 2, 2),
            *(Conv(32, dilation=dilation) for dilation in (1, 2, 4, 2, 1)),
            Upsample(2, "bilinear"),  # 7, joined with 0
        ),
        (Skip(0, 7),),
        _ZOOMED,
        _WITH_AVERAGE,
    )


def unet() -> Genome:
    """Return a small U-Net of two levels (Ronneberger et al. 2015, arXiv:1505.04597)."""
    return Genome(
        (
            Conv(12),  # 0
            Pool("max", 2, 2),
            Conv(24),  # 2
            Pool("max", 2, 2),
            Conv(48),
            Upsample(2, "bilinear"),  # 5, joined with 2
            Conv(24),
            Upsample(2, "bilinear"),  # 7, joined with 0
            Conv(12),
        ),
        (Skip(2, 5), Skip(0, 7)),
        replace(_ZOOMED, dice=1.0),
    )


def defectnet() -> Genome:
    """Return an encoder-decoder of about 150,000 parameters, like the DefectNet of the WS2 movie.

    Maksov et al., npj Comput. Mater. 5, 12 (2019): focal loss, Adam at 1e-3, batches of 32. Size, loss and optimiser
    are reproduced, the exact layers are not. Too costly for the default search space, and no founder there.
    """
    return Genome(
        (
            Conv(24),
            Conv(24),  # 1
            Pool("max", 2, 2),
            Conv(48),
            Conv(48),  # 4
            Pool("max", 2, 2),
            Residual((Conv(64), Conv(64, activation="linear"))),
            Upsample(2, "bilinear"),
            Conv(32),
            Upsample(2, "bilinear"),
            Conv(24),
        ),
        (Skip(4, 7, "concat"), Skip(1, 9, "concat")),
        TrainingGenes(
            optimiser="adam",
            learning_rate=1e-3,
            weight_decay=0.0,
            schedule="constant",
            bce=0.0,
            focal=1.0,
            class_weight=1.0,
            balance=0.0,
            batch=32,
        ),
    )


def bank_logistic() -> Genome:
    """Return a logistic regression on multiscale filters: a linear version of ilastik's pixel classification."""
    return Genome((), training=_on_filters(), inputs=(FilterBank(reach=2),))


def bank_mlp() -> Genome:
    """Return two 1×1 layers of 32 filters on multiscale filters."""
    layer = Conv(32, kernel=(1, 1))
    return Genome((layer, layer), training=_on_filters(), inputs=(FilterBank(reach=2),))


def bank_fcn() -> Genome:
    """Return three dilated convolutions of 16 filters on multiscale filters."""
    layers = tuple(Conv(16, dilation=dilation) for dilation in (1, 2, 4))
    return Genome(layers, training=replace(_on_filters(), zoom=_ZOOMED.zoom), inputs=(FilterBank(),))


def blobs() -> Genome:
    """Return a blob detector for each class, with scale, sign and input normalisation chosen in training."""
    return Genome((), training=_on_filters(), inputs=(Blob(fitted=True),))


def fourier() -> Genome:
    """Return the Fourier method for each class, with settings chosen in training."""
    return Genome((), training=_on_filters(), inputs=(FourierInput(fitted=True),))


def _on_filters() -> TrainingGenes:
    # For few weights on channels of equal scale: large steps, small batches.
    return TrainingGenes(
        optimiser="adamw",
        learning_rate=1e-2,
        weight_decay=1e-2,
        schedule="onecycle",
        batch=2,
        tile=64,
        normalisation="local",
        radius=20.0,
        bce=1.0,
    )


#: Founders by name, as in the run folder, in the order in which a form offers them, which is that of their birth.
FOUNDERS: dict[str, Callable[[], Genome]] = {
    "deep_fcn": deep_fcn,
    "coarse_fcn": coarse_fcn,
    "dilated_fcn": dilated_fcn,
    "blobs": blobs,
    "fourier": fourier,
    "bank_mlp": bank_mlp,
    "bank_fcn": bank_fcn,
    "bank_logistic": bank_logistic,
    "unet": unet,
    "defectnet": defectnet,
}
