"""Input channels of a network: computing them for a genome's inputs, and fitting some of them to labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.annotation.fourier import FourierSettings, fourier_response
from napari_menndl.annotation.fourier_tuning import tune_fourier
from napari_menndl.genome.genes import BLOB_SIGNS, Blob, FilterBank, FourierInput, FrameInput, GenomeError
from napari_menndl.metrics.components import label_components
from napari_menndl.metrics.detection import score_class
from napari_menndl.movie.neighbours import average
from napari_menndl.movie.normalisation import LIMIT, normalise
from napari_menndl.network.filters import MirroredSpectrum, blob_response, filter_bank

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_menndl.genome.genes import Input
    from napari_menndl.genome.genome import Genome
    from napari_menndl.metrics.detection import MatchRule

    Frame = NDArray[np.floating]
    Mask = NDArray[np.bool_]

#: Candidate normalisations of a fitted blob detector: kind, radius [px].
NORMALISATIONS: tuple[tuple[str, float], ...] = (
    ("global", 20.0),
    *((kind, radius) for kind in ("flattened", "local") for radius in (10.0, 20.0, 40.0)),
)
#: Candidate scales of a fitted blob detector [px].
SIGMAS = tuple(float(f"{sigma:.3g}") for sigma in np.geomspace(1.0, 6.0, 9))
#: Thresholds at which a fitted input is scored: the number of pixels above them, relative to the true number of defect
#: pixels.
_SHARES = np.geomspace(0.1, 2.0, 6)
#: Number of random settings tried for a Fourier filter, and of mutations of the best one.
_SAMPLES, _STEPS = 24, 16
#: Most frames that inputs are fitted on, those with the most defects.
_FRAMES = 2
#: Inputs are fitted on the square with the most defects: of this edge [px] or, until it has this number of defects,
#: twice that, and so on. A few settings are learned from it almost as well as from all of a large frame.
_EDGE, _ENOUGH = 512, 20


# ------------------------------------------------------------------ showing


def channels(frame: Frame, genome: Genome, classes: int) -> NDArray[np.float32]:
    """Compute the input channels of a genome's network from a frame.

    All statistics are those of the whole frame: compute the channels before cutting tiles.

    Parameters
    ----------
    frame : (Y, X) real, or (5, Y, X) real
        Raw; with its neighbours as from `movie.neighbours.with_neighbours`, for genomes that use them. A single frame
        counts as its own average.
    genome : Genome
        With its inputs fitted (`fit_inputs`).
    classes : int
        Defect classes of the network.

    Returns
    -------
    (K, Y, X) float32
        The channels of the first input, then those of the second, and so on: the normalised frame
        (`movie.normalise`), a bank of filters of it (`filters.filter_bank`), a blob detector's response
        (`filters.blob_response`), a Fourier filter's (`annotation.fourier.fourier_response`, within ±
        `normalisation.LIMIT`).

    Raises
    ------
    GenomeError
        If an input has not been fitted.
    InputError
        If the frame cannot be normalised.
    """
    return _checked(_channels, np.asarray(frame), genome, classes)


def shared_channels(frames: Frame, genome: Genome, classes: int) -> NDArray[np.float32]:
    """Return the `channels` of several frames from a cache, (N, K, Y, X) float32; must not be modified."""
    return _checked(_remembered, _Content(frames), genome, classes)


def _checked(
    make: Callable[[Any, tuple[Input, ...], str, float], NDArray[np.float32]], frame: Any, genome: Genome, classes: int
) -> NDArray[np.float32]:
    if any(is_fitted_later(one) for one in genome.inputs):
        raise GenomeError("an input that has not been fitted")
    found = make(frame, genome.inputs, genome.training.normalisation, genome.training.radius)
    if found.shape[-3] != genome.channels(classes):
        raise GenomeError(f"{found.shape[-3]} input channels, not {genome.channels(classes)}")
    return found


def is_fitted_later(one: Input) -> bool:
    """Whether an input is a placeholder that training replaces by fitted ones."""
    return isinstance(one, (Blob, FourierInput)) and one.fitted


class _Content:
    """Frames that compare and hash by their pixels."""

    def __init__(self, frames: Frame) -> None:
        self.frames = frames
        about = f"{frames.shape} {frames.dtype}".encode()
        self.digest = hashlib.blake2b(np.ascontiguousarray(frames).tobytes() + about, digest_size=16).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Content) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


@lru_cache(maxsize=2)  # consecutive networks of a trainer mostly have the same inputs
def _remembered(content: _Content, inputs: tuple[Input, ...], normalisation: str, radius: float) -> NDArray[np.float32]:
    return np.stack([_channels(frame, inputs, normalisation, radius) for frame in content.frames])


def _channels(planes: Frame, inputs: tuple[Input, ...], normalisation: str, radius: float) -> NDArray[np.float32]:
    frame = planes if planes.ndim == 2 else planes[0]
    averages: dict[int, NDArray[np.float32]] = {}
    spectra: dict[tuple[str, float], MirroredSpectrum] = {}

    def shown(reach: int) -> NDArray[np.float32]:
        if reach not in averages:
            averages[reach] = normalise(average(planes, reach) if reach else frame, normalisation, radius)
        return averages[reach]

    def spectrum(one: Blob) -> MirroredSpectrum:
        shared = one.normalisation == "shared"
        key = (normalisation, radius) if shared else (one.normalisation, one.radius)
        if key not in spectra:
            spectra[key] = MirroredSpectrum(shown(0) if shared else normalise(frame, *key))
        return spectra[key]

    parts: list[NDArray[np.float32]] = []
    for one in inputs:
        match one:
            case FrameInput():
                parts.append(shown(one.reach)[None])
            case FilterBank():
                parts.append(filter_bank(shown(one.reach), one.sigmas))
            case Blob():
                parts.append(blob_response(spectrum(one), one.sigma, one.sign)[None])
            case FourierInput():
                parts.append(np.clip(fourier_response(frame, fourier_settings(one)), -LIMIT, LIMIT)[None])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def fourier_settings(gene: FourierInput) -> FourierSettings:
    """Return a gene's settings of the Fourier method."""
    return FourierSettings(**{one.name: getattr(gene, one.name) for one in fields(gene) if one.name != "fitted"})


# ------------------------------------------------------------------ fitting


def fit_inputs(
    genome: Genome,
    frames: NDArray[np.floating],
    labels: NDArray[np.integer],
    train: Mask,
    match_rules: Sequence[MatchRule],
    rng: np.random.Generator,
) -> Genome:
    """Replace every input that is to be fitted by a concrete gene for each class.

    Each gene is the one that finds the class's defects best on its own, by the measure that networks are selected on:
    (defect F1 + average precision) / 2. Labels outside `train` are not used; of large frames, the part with the most
    defects of the class is.

    Parameters
    ----------
    genome : Genome
    frames : (N, Y, X) real
        Raw.
    labels : (N, Y, X) uint8
        0 = no defect, c + 1 = class c.
    train : (N, Y, X) bool
        Pixels to fit on.
    match_rules : C MatchRule
    rng : numpy.random.Generator

    Returns
    -------
    Genome
        With the same number of channels; the same object if nothing is to be fitted. A class without a defect in
        `train` keeps the gene's own settings.
    """
    if not any(is_fitted_later(one) for one in genome.inputs):
        return genome
    parts: dict[tuple[int, ...], _Frames] = {}
    classes = []
    for c, match_rule in enumerate(match_rules):
        truth = (labels == c + 1) & train
        y, x, edge = square = _densest(truth)
        part = (slice(None), slice(y, y + edge), slice(x, x + edge))
        if square not in parts:
            parts[square] = _Frames(frames[part], train[part])
        classes.append(_Class(parts[square], truth[part], match_rule))
    inputs: list[Input] = []
    for one in genome.inputs:
        match one:
            case Blob(fitted=True):
                inputs += [_fit_blob(one, own) for own in classes]
            case FourierInput(fitted=True):
                inputs += [_fit_fourier(one, own, rng) for own in classes]
            case _:
                inputs.append(one)
    return replace(genome, inputs=tuple(inputs))


class _Frames:
    """Frames, or a part of them, to fit on.

    Attributes
    ----------
    frames : (N, Y, X) real
    known : (N, Y, X) bool
    box : (slice, slice)
        Smallest rectangle, along y and x, with all known pixels.
    """

    def __init__(self, frames: NDArray[np.floating], known: Mask) -> None:
        self.frames, self.known, self.box = frames, known, _box(known)
        self._spectra: dict[tuple[int, str, float], MirroredSpectrum] = {}

    def response(self, t: int, gene: Blob) -> NDArray[np.float32]:
        """Return a blob detector's response to a frame, cut to the box."""
        key = (t, gene.normalisation, gene.radius)
        if key not in self._spectra:
            self._spectra[key] = MirroredSpectrum(normalise(self.frames[t], gene.normalisation, gene.radius))
        return blob_response(self._spectra[key], gene.sigma, gene.sign)[self.box]


@dataclass(frozen=True)
class _Class:
    """Defect pixels of one class in frames, (N, Y, X) bool, with its match rule."""

    shown: _Frames
    truth: Mask
    match_rule: MatchRule

    @cached_property
    def numbers(self) -> list[int]:
        """Frames to fit on: at most `_FRAMES` of those with defects, most defects first."""
        counts = self.truth.sum(axis=(1, 2))
        return [int(t) for t in np.argsort(-counts, kind="stable")[:_FRAMES] if counts[t]]

    def worth(self, gene: Blob) -> float:
        """Score from 0 to 1 how well a blob detector finds the defects."""
        box = self.shown.box
        responses = [self.shown.response(t, gene) for t in self.numbers]
        shown = [
            # Unknown pixels are never detected, which saves time.
            (np.where(known, response, -np.inf).astype(np.float32), truth, known)
            for response, truth, known in zip(
                responses, self.truth[self.numbers, *box], self.shown.known[self.numbers, *box], strict=True
            )
        ]
        there = np.concatenate([response[known] for response, _, known in shown])
        share = sum(np.count_nonzero(truth) for _, truth, _ in shown) / there.size
        levels = np.unique(np.quantile(there, 1 - np.clip(_SHARES * share, 0, 1), method="nearest"))
        score = score_class("", shown, self.match_rule, levels[levels > there.min()])
        return 0.0 if score is None else (score.f1 + score.average_precision) / 2


def _fit_blob(gene: Blob, own: _Class) -> Blob:
    """Choose normalisation, scale and sign for one class: first at every other scale, then next to the best."""
    if not own.numbers:
        return replace(gene, fitted=False)
    coarse = [
        Blob(sigma, sign, *normalisation)
        for normalisation in NORMALISATIONS
        for sigma in SIGMAS[::2]
        for sign in BLOB_SIGNS
    ]
    best = max(coarse, key=own.worth)
    place = SIGMAS.index(best.sigma)
    return max([best, *(replace(best, sigma=sigma) for sigma in SIGMAS[max(0, place - 1) : place + 2])], key=own.worth)


def _densest(truth: Mask) -> tuple[int, int, int]:
    """Return the first pixel (y, x) and the edge [px] of the square with the most defects, see `_EDGE`."""
    number = sum(len(label_components(plane, min_area=1)) for plane in truth)
    sums = np.pad(truth.sum(axis=0, dtype=np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    edge = _EDGE
    while True:
        height, width = (min(edge, length) for length in truth.shape[1:])
        rows = sums[height:] - sums[:-height]
        counts = rows[:, width:] - rows[:, :-width]
        if edge >= max(truth.shape[1:]) or counts.max() * number >= min(number, _ENOUGH) * sums[-1, -1]:
            y, x = np.unravel_index(counts.argmax(), counts.shape)
            return int(y), int(x), edge
        edge *= 2


def _box(inside: Mask) -> tuple[slice, slice]:
    """Return the smallest rectangle, along y and x, that contains all true pixels of (N, Y, X) bool."""
    y, x = np.flatnonzero(inside.any(axis=(0, 2))), np.flatnonzero(inside.any(axis=(0, 1)))
    return (slice(int(y[0]), int(y[-1]) + 1), slice(int(x[0]), int(x[-1]) + 1)) if len(y) else (slice(0), slice(0))


def _fit_fourier(gene: FourierInput, own: _Class, rng: np.random.Generator) -> FourierInput:
    """Tune the Fourier method on the frame with the most defects of one class."""
    if not own.numbers:
        return replace(gene, fitted=False)
    t, shown = own.numbers[0], own.shown
    found = tune_fourier(
        shown.frames[t], own.truth[t], shown.known[t], own.match_rule, rng=rng, samples=_SAMPLES, steps=_STEPS
    )
    return FourierInput(**{one.name: getattr(found, one.name) for one in fields(gene) if one.name != "fitted"})
