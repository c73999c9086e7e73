"""Genes that describe inputs, layers, skip connections and the training."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from napari_menndl.settings import about, setting, violations

NORMS = ("batch", "channel", "none")
ACTIVATIONS = ("relu", "leaky", "elu", "gelu", "silu", "tanh", "linear")
POOLINGS = ("max", "average")
INTERPOLATIONS = ("nearest", "bilinear")
JOINS = ("concat", "add")
OPTIMISERS = ("adam", "adamw", "sgd", "rmsprop")
SCHEDULES = ("constant", "cosine", "onecycle")
NORMALISATIONS = ("global", "flattened", "local")
#: Value of an input's own normalisation that stands for the normalisation of the training genes.
SHARED = "shared"
BLOB_SIGNS = ("bright", "dark")
FOURIER_SIGNS = ("dark", "bright", "both")


class GenomeError(ValueError):
    """A genome that cannot be built, or that lies outside the search space.

    Parameters
    ----------
    reason : str
        Human-readable reason.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Gene:
    """Base class of genes: GenomeError for values that the fields' metadata do not allow."""

    def __post_init__(self) -> None:
        for field_, value, allowed in violations(self):
            raise GenomeError(f"{field_.name} is {value!r}, not {allowed}")


@dataclass(frozen=True)
class Conv(Gene):
    """Convolution, then normalisation, activation and dropout; zero-padded to "same" size.

    Attributes
    ----------
    filters : int
        Output channels.
    kernel : (ky, kx) int [px of its input]
        An even kernel reaches one pixel further down and right than up and left.
    stride, dilation : int
        The same along both axes.
    depthwise : bool
        One kernel per input channel followed by a 1×1 convolution, instead of a full one.
    norm : {"batch", "channel", "none"}
        Over the batch (running statistics when predicting), or over the channels of each pixel. Instance and group
        normalisation are excluded on purpose: they depend on the whole tile, so that tiled and untiled predictions
        differ.
    activation : str
        One of `ACTIVATIONS`.
    dropout : float
        Fraction of channels dropped in training.
    """

    kind: ClassVar[str] = "conv"
    filters: int = setting(16, "Filters", min=1, max=4096)
    kernel: tuple[int, int] = setting((3, 3), "Kernel", unit="px", min=1, max=31)
    stride: int = setting(1, "Stride", unit="px", min=1, max=8)
    dilation: int = setting(1, "Dilation", unit="px", min=1, max=64)
    depthwise: bool = setting(False, "Depthwise")
    norm: str = setting("batch", "Normalisation", options=NORMS)
    activation: str = setting("relu", "Activation", options=ACTIVATIONS)
    dropout: float = setting(0.0, "Dropout", min=0.0, max=0.9)


@dataclass(frozen=True)
class Pool(Gene):
    """Maximum or mean over windows of ``size`` × ``size``, every ``stride`` pixels."""

    kind: ClassVar[str] = "pool"
    mode: str = setting("max", "Pooling", options=POOLINGS)
    size: int = setting(2, "Size", unit="px", min=1, max=31)
    stride: int = setting(2, "Stride", unit="px", min=1, max=8)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < self.stride:
            raise GenomeError(f"a pool of size {self.size} with stride {self.stride} would ignore pixels")


@dataclass(frozen=True)
class Upsample(Gene):
    """Upsampling by an integer factor, never to a finer resolution than that of the network's input."""

    kind: ClassVar[str] = "upsample"
    factor: int = setting(2, "Factor", min=2, max=8)
    mode: str = setting("bilinear", "Interpolation", options=INTERPOLATIONS)


@dataclass(frozen=True)
class Residual(Gene):
    """Convolutions added to their input, which a 1×1 convolution adapts in channels and stride if they differ."""

    kind: ClassVar[str] = "residual"
    body: tuple[Conv, ...]
    activation: str = setting("relu", "Activation", options=ACTIVATIONS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.body:
            raise GenomeError("a residual block without a convolution")


@dataclass(frozen=True)
class Branches(Gene):
    """Parallel branches with the same stride, whose channels are concatenated."""

    kind: ClassVar[str] = "branches"
    branches: tuple[tuple[Conv | Pool, ...], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.branches or not all(self.branches):
            raise GenomeError("a branch without a layer")


@dataclass(frozen=True)
class Skip(Gene):
    """Skip connection from the output of a layer to the output of a later layer with the same resolution.

    Attributes
    ----------
    source, target : int
        Layers, counted from 0; ``source < target``.
    join : {"concat", "add"}
        For "add", a 1×1 convolution adapts the source's channels if they differ from the target's.
    """

    source: int = field(metadata=about("From layer", min=0))
    target: int = field(metadata=about("To layer", min=1))
    join: str = setting("concat", "Join", options=JOINS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.source >= self.target:
            raise GenomeError(f"a skip connection from layer {self.source} back to layer {self.target}")


class InputGene(Gene):
    """Base class of input genes: one or several channels computed from a frame.

    An input with ``fitted`` is a placeholder for one concrete gene of its kind per class, chosen in training on the
    training pixels (`network.inputs.fit_inputs`); the number of channels stays the same.
    """

    kind: ClassVar[str]

    def channels(self, classes: int) -> int:
        """Return the number of channels for a network with this number of defect classes."""
        return classes if getattr(self, "fitted", False) else 1


#: Numbers of neighbouring frames on each side that a frame may be averaged with (`movie.neighbours`).
REACHES = (0, 1, 2)


@dataclass(frozen=True)
class FrameInput(InputGene):
    """The frame, with the normalisation of the training genes.

    Attributes
    ----------
    reach : int
        Number of neighbouring frames on each side to average with; 0: none.
    """

    kind: ClassVar[str] = "frame"
    reach: int = setting(0, "Neighbours averaged", options=REACHES)


@dataclass(frozen=True)
class FilterBank(InputGene):
    """The normalised frame and filters of it at several scales (`network.filters`).

    Attributes
    ----------
    smallest, largest : float
        Scales, standard deviations of Gaussians [px].
    scales : int
        Number of scales, evenly spaced on a logarithmic scale; a single one is the smallest.
    reach : int
        Number of neighbouring frames on each side that the frame is averaged with first; 0: none.
    """

    kind: ClassVar[str] = "bank"
    smallest: float = setting(1.0, "Smallest scale", unit="px", min=0.5, max=64.0)
    largest: float = setting(8.0, "Largest scale", unit="px", min=0.5, max=64.0)
    scales: int = setting(5, "Scales", min=1, max=16)
    reach: int = setting(0, "Neighbours averaged", options=REACHES)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.smallest > self.largest:
            raise GenomeError(f"a filter bank from {self.smallest:g} px down to {self.largest:g} px")

    @property
    def sigmas(self) -> tuple[float, ...]:
        """The scales, ascending [px]."""
        step = (self.largest / self.smallest) ** (1 / max(1, self.scales - 1))
        return tuple(float(f"{self.smallest * step**i:.4g}") for i in range(self.scales))

    def channels(self, classes: int) -> int:
        """Return the number of channels: frame; per scale mean, two curvatures and above 1 px two edge strengths."""
        return 1 + sum(5 if sigma > 1 else 3 for sigma in self.sigmas)


@dataclass(frozen=True)
class Blob(InputGene):
    """Response of a blob detector with one scale (Lindeberg 1998, 10.1023/A:1008045108935).

    Attributes
    ----------
    sigma : float
        Its scale [px]; the response is highest for discs of radius ``sqrt(2) * sigma``.
    sign : {"bright", "dark"}
        Sign of the blobs it responds to.
    normalisation, radius : str, float [px]
        Normalisation of the frame, one of `NORMALISATIONS`, or `SHARED` for that of the training genes with its radius.
    fitted : bool
        Whether the other genes are chosen in training, separately for each class.
    """

    kind: ClassVar[str] = "blob"
    sigma: float = setting(2.0, "Scale", unit="px", min=0.5, max=64.0)
    sign: str = setting("bright", "Sign", options=BLOB_SIGNS)
    normalisation: str = setting(SHARED, "Input normalisation", options=(SHARED, *NORMALISATIONS))
    radius: float = setting(20.0, "Its radius", unit="px", min=1.0, max=1024.0)
    fitted: bool = setting(False, "Fitted to each class")


@dataclass(frozen=True)
class FourierInput(InputGene):
    """Response of the Fourier method; the genes are fields of `annotation.fourier.FourierSettings`.

    Attributes
    ----------
    fitted : bool
        Whether the other genes are chosen in training, separately for each class.
    """

    kind: ClassVar[str] = "fourier"
    normalisation: str = setting("local", "Normalisation", options=NORMALISATIONS)
    radius: float = setting(20.0, "Normalisation radius", unit="px", min=1.0, max=1000.0)
    inner: float = setting(0.01, "Band from", unit="cycles/px", min=0.0, max=0.5)
    outer: float = setting(0.15, "Band to", unit="cycles/px", min=0.005, max=0.71)
    edge: float = setting(0.125, "Softness", min=0.01, max=1.0)
    spots: int = setting(24, "Bragg spots", min=0, max=200)
    notch: float = setting(2.0, "Notch radius", unit="px", min=0.5, max=50.0)
    sign: str = setting("both", "Sign", options=FOURIER_SIGNS)
    smoothing: float = setting(1.5, "Smoothing", unit="px", min=0.0, max=20.0)
    fitted: bool = setting(False, "Fitted to each class")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inner >= self.outer:
            raise GenomeError(f"a band from {self.inner:g} down to {self.outer:g} cycles/px")


Input = FrameInput | FilterBank | Blob | FourierInput
INPUTS = ("frame", "bank", "blob", "fourier")


Part = Conv | Pool | Upsample
Layer = Conv | Pool | Upsample | Residual | Branches


def parts(layer: Layer) -> tuple[Part, ...]:
    """Return the simple layers that a layer consists of, in the order of computation."""
    match layer:
        case Residual(body=body):
            return body
        case Branches(branches=branches):
            return tuple(part for branch in branches for part in branch)
        case _:
            return (layer,)


def with_part(layer: Layer, index: int, part: Part) -> Layer:
    """Replace one of the `parts` of a layer; GenomeError if the layer cannot hold it."""
    match layer, part:
        case Residual(body=body), Conv():
            return replace(layer, body=(*body[:index], part, *body[index + 1 :]))
        case Branches(branches=branches), Conv() | Pool():
            fresh = [part if i == index else old for i, old in enumerate(one for branch in branches for one in branch)]
            flow = iter(fresh)
            return replace(layer, branches=tuple(tuple(next(flow) for _ in branch) for branch in branches))
        case Conv() | Pool() | Upsample(), _:
            return part
        case _:
            raise GenomeError(f"a {layer.kind} cannot hold a {part.kind}")


@dataclass(frozen=True)
class TrainingGenes(Gene):
    """Genes of the training and of the input's normalisation.

    Attributes
    ----------
    optimiser, schedule : str
        One of `OPTIMISERS`, `SCHEDULES`.
    learning_rate, weight_decay : float
        Peak learning rate; weight decay as defined by the optimiser in torch.
    bce, focal, dice : float
        Weights of binary cross entropy, focal loss (Lin et al. 2017, arXiv:1708.02002) and soft Dice loss
        (Milletari et al. 2016, arXiv:1606.04797); only their ratio matters, and at least one is above 0.
    class_weight : float
        Weight of a defect's pixel in the pixel-wise losses; background has weight 1.
    balance : float
        Dependence of that weight on the rarity of a class among the labelled pixels: 0 none, 1 proportional.
    batch, tile : int
        Number of tiles per step; side of a tile [px].
    normalisation, radius : str, float [px]
        One of `NORMALISATIONS`; the radius has no effect for ``"global"``.
    flips : bool
        Whether to augment by the eight symmetries of the square.
    contrast, gamma, noise, blur, zoom, jitter : float
        Strength of an augmentation, from 0 (off) to 1 (the maximum).
    """

    optimiser: str = setting("adamw", "Optimiser", options=OPTIMISERS)
    learning_rate: float = setting(1e-2, "Learning rate", min=1e-7, max=1.0)
    weight_decay: float = setting(1e-2, "Weight decay", min=0.0, max=1.0)
    schedule: str = setting("onecycle", "Schedule", options=SCHEDULES)
    bce: float = setting(1.0, "Cross entropy", min=0.0, max=1.0)
    focal: float = setting(0.0, "Focal loss", min=0.0, max=1.0)
    dice: float = setting(0.0, "Dice loss", min=0.0, max=1.0)
    class_weight: float = setting(5.0, "Weight of a defect's pixel", min=0.01, max=1e3)
    balance: float = setting(0.5, "Balance of the classes", min=0.0, max=1.0)
    batch: int = setting(4, "Tiles per step", min=1, max=4096)
    tile: int = setting(64, "Tile", unit="px", min=8, max=4096)
    normalisation: str = setting("local", "Input normalisation", options=NORMALISATIONS)
    radius: float = setting(20.0, "Its radius", unit="px", min=1.0, max=1024.0)
    flips: bool = setting(True, "Flips and quarter turns")
    contrast: float = setting(0.0, "Brightness and contrast", min=0.0, max=1.0)
    gamma: float = setting(0.0, "Gamma", min=0.0, max=1.0)
    noise: float = setting(0.0, "Noise", min=0.0, max=1.0)
    blur: float = setting(0.0, "Blur", min=0.0, max=1.0)
    zoom: float = setting(0.0, "Zoom", min=0.0, max=1.0)
    jitter: float = setting(0.0, "Shift of the tile", min=0.0, max=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bce + self.focal + self.dice <= 0:
            raise GenomeError("no loss has a weight")
