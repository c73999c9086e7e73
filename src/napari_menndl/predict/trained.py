"""A trained network with everything needed to predict."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import fft

from napari_menndl.errors import InputError, as_number
from napari_menndl.genome.genes import GenomeError
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.plan import make_plan
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.movie.absent import describe_gaps, fill_gaps
from napari_menndl.movie.character import Character
from napari_menndl.movie.neighbours import OFFSETS
from napari_menndl.movie.preparation import anew, steps_from_json
from napari_menndl.network.device import choose_device
from napari_menndl.network.inputs import channels
from napari_menndl.network.merged import MergedNetwork
from napari_menndl.network.module import Network
from napari_menndl.network.tiling import cut_windows, fitting_window, predict_parts, predict_windows, round_up
from napari_menndl.network.weights import from_bytes, of_fold
from napari_menndl.predict import predictor_file
from napari_menndl.predict.card import Card
from napari_menndl.predict.resample import PixelSize, resample, resampled_shape, scale_between

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from napari_menndl.genome.plan import Plan
    from napari_menndl.movie.movie import Step
    from napari_menndl.network.tiling import Part
    from napari_menndl.task.task import TrainingTask

KIND = "network"


def as_thresholds(thresholds: Sequence[float], class_names: Sequence[str]) -> tuple[float, ...]:
    """Return one threshold per class; an infinite one finds nothing.

    Raises
    ------
    InputError
        For another number of them, and for anything but numbers, such as NaN.
    """
    numbers = tuple(map(as_number, thresholds))
    if len(numbers) != len(class_names) or any(map(math.isnan, numbers)):
        raise InputError(
            f"a threshold for each of the classes {', '.join(class_names)}", repr(thresholds), "Give a number for each."
        )
    return numbers


@dataclass(frozen=True, eq=False)
class NetworkInput:
    """Input of networks for one frame, shared by networks with equal inputs.

    Attributes
    ----------
    channels : (K, y, x) float32 or None
        At the resolution of the training; None for a frame without contrast.
    gaps : (Y, X) bool
        Pixels of the frame without a value.
    factors : (y, x) float or None
        Factors of the resampling.
    """

    channels: NDArray[np.float32] | None
    gaps: NDArray[np.bool_]
    factors: PixelSize | None


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network with its weights, thresholds and match rules.

    Attributes
    ----------
    genome : Genome
        Inputs, with fitted ones resolved; topology; input normalisation.
    weights : dict of str to Tensor
        On the CPU.
    class_names : C str
    thresholds : C float
        A pixel is of a class if its probability reaches the threshold.
    match_rules : C MatchRule
        Match rule of each class, with tolerances and areas in pixels of `pixel_size`.
    pixel_size : (y, x) float [nm] or None
        Pixel size of the training frames.
    frame_shape : (Y, X) or None
        Shape of the training frames [px].
    seen : tuple of Character
        Character of the training frames; empty in files of versions that did not store it.
    device : str or None
        Device for predictions; None: a GPU if there is one. Not saved.
    steps : tuple of Step
        Preparation steps of the movie trained on, to be applied to other movies too (`Movie.prepared`).
    unfitted : Genome or None
        The genome before its inputs were fitted; None if there were none to fit. No part of the digest.
    card : Card
        What it was trained on, its scores, its licence. No part of the digest.

    Raises
    ------
    InputError
        If the parts do not match.
    """

    genome: Genome
    weights: Mapping[str, Tensor]
    class_names: tuple[str, ...]
    thresholds: tuple[float, ...]
    match_rules: tuple[MatchRule, ...]
    pixel_size: PixelSize | None = None
    frame_shape: tuple[int, int] | None = None
    seen: tuple[Character, ...] = ()
    device: str | None = None
    steps: tuple[Step, ...] = ()
    unfitted: Genome | None = None
    card: Card = field(default_factory=Card)

    def __post_init__(self) -> None:
        counts = {len(self.class_names), len(self.thresholds), len(self.match_rules)}
        if len(counts) > 1 or not self.class_names:
            raise InputError(
                "as many thresholds and match rules as classes", f"{sorted(counts)}", predictor_file.REMEDY
            )
        try:
            expected = {name: tuple(t.shape) for name, t in Network(self.plan).state_dict().items()}
        except GenomeError as problem:
            raise InputError("a genome that can be built", problem.reason, predictor_file.REMEDY) from problem
        if expected != {name: tuple(t.shape) for name, t in self.weights.items()}:
            raise InputError("the weights of the genome's network", "others", predictor_file.REMEDY)

    @classmethod
    def from_evaluation(
        cls,
        genome: Genome,
        task: TrainingTask,
        weights: bytes,
        thresholds: Sequence[float],
        fold: int | str,
    ) -> TrainedNetwork:
        """Return one of the networks whose weights `training.evaluate` returned.

        Parameters
        ----------
        genome : Genome
        task : TrainingTask
        weights : bytes
        thresholds : C float
        fold : int or str
            Fold or member of the network.
        """
        tensors, remarks = from_bytes(weights)
        unfitted = None
        if fitted := remarks.get(f"resolved/{fold}"):
            unfitted, genome = genome, Genome.from_json(json.loads(fitted))
        own = of_fold(tensors, fold)
        return cls(
            genome,
            own,
            tuple(task.class_names),
            tuple(float(t) for t in thresholds),
            tuple(task.match_rules),
            task.pixel_size,
            (int(task.frames.shape[1]), int(task.frames.shape[2])),
            _characters(task),
            steps=anew(task.steps),
            unfitted=unfitted,
        )

    @cached_property
    def plan(self) -> Plan:
        """Plan of the network: shapes, stride, receptive radius, cost."""
        return make_plan(self.genome, len(self.class_names))

    @property
    def bred_genome(self) -> Genome:
        """The genome as a search bred it, its inputs not fitted to one task."""
        return self.unfitted or self.genome

    @property
    def reach(self) -> int:
        """Neighbouring frames on each side that the network uses."""
        return self.genome.reach

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that change with anything that changes a prediction."""
        about = {name: value for name, value in self.describe().items() if name not in ("seen", "unfitted")}
        sha = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        for name in sorted(self.weights):
            sha.update(name.encode() + self.weights[name].contiguous().cpu().numpy().tobytes())
        return sha.hexdigest()[:16]

    @cached_property
    def _network(self) -> MergedNetwork:
        network = Network(self.plan)
        network.load_state_dict(dict(self.weights))
        merged = MergedNetwork(network.eval()).to(choose_device(self.device))
        return merged.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def predict_frame(
        self, frame: ArrayLike, pixel_size: PixelSize | None = None, window: int | None = None
    ) -> NDArray[np.float32]:
        """Predict the probabilities of a frame, at its own resolution.

        Parameters
        ----------
        frame : (Y, X) or (5, Y, X) real
            As recorded, NaN in gaps; from `movie.neighbours.read_frame`, with its neighbours if `reach` is not 0.
        pixel_size : (y, x) float [nm], optional
            Pixel size of the frame; if it differs from that of the training, the frame is resampled, and the
            probabilities are resampled back.
        window : int, optional
            Edge of the overlapping windows in which a large frame is predicted [px]; does not change the result. By
            default the fastest.

        Returns
        -------
        (C, Y, X) float32
            0 in gaps, and everywhere in a frame without contrast, both with a warning.

        Raises
        ------
        InputError
            If the frame has another shape or infinite pixels, or if only one of the two pixel sizes is known.

        Warns
        -----
        UserWarning
            If the network uses neighbours and none are given: the frame replaces them.
        """
        return self.infer_whole(self.prepare(frame, pixel_size), window)

    def predict_parts(
        self, frame: ArrayLike, parts: Sequence[Part], pixel_size: PixelSize | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Predict a frame part by part: yield the probabilities (C, y, x) of each on request.

        If the frame must be resampled or has gaps, all of it is predicted for the first part.
        """
        return self.infer_parts(self.prepare(frame, pixel_size), parts)

    @property
    def view(self) -> tuple[object, ...]:
        """Key of the input processing: networks with equal keys have equal inputs."""
        genes = self.genome.training
        return self.genome.inputs, genes.normalisation, genes.radius, self.pixel_size

    def prepare(self, frame: ArrayLike, pixel_size: PixelSize | None) -> NetworkInput:
        """Compute the input of networks with the same `view` from a frame; see `predict_frame`."""
        values = np.asarray(frame, np.float32)
        planes = values[None] if values.ndim == 2 else values
        if planes.ndim != 3 or len(planes) not in (1, 1 + len(OFFSETS)) or not planes.size:
            raise InputError("one frame, (Y, X)", f"an array of shape {values.shape}", "Predict frame by frame.")
        factors = scale_between(pixel_size, self.pixel_size)
        gaps = np.isnan(planes[0])
        if gaps.all() or np.nanmin(planes[0]) == np.nanmax(planes[0]):
            warnings.warn("A frame without any contrast: nothing is predicted in it.", stacklevel=3)
            return NetworkInput(None, gaps, factors)
        if gaps.any():
            warnings.warn(f"Of a frame, {describe_gaps(gaps)}; nothing is predicted in them.", stacklevel=3)
        planes = np.stack([fill_gaps(one) for one in planes])
        if self.reach and (planes == planes[0]).all():
            warnings.warn(
                f"This network averages a frame with up to {self.reach} neighbours on each side; none was found that "
                "shows the same, so it sees more noise than it was trained on.",
                stacklevel=3,
            )
        values = planes if self.reach and len(planes) > 1 else planes[0]
        if factors:
            height, width = gaps.shape
            values = resample(values, resampled_shape((height, width), factors))
        with fft.set_workers(torch.get_num_threads()):
            return NetworkInput(channels(values, self.genome, len(self.class_names)), gaps, factors)

    def infer(self, given: NetworkInput, window: int | None = None) -> Iterator[tuple[Part, NDArray[np.float32]]]:
        """Predict a frame from its input: yield parts that cover it, with their probabilities (C, y, x).

        Nothing is yielded for a frame without contrast.
        """
        if given.channels is None:
            return
        _, height, width = given.channels.shape
        stride, radius = self.plan.stride, self.plan.receptive_radius
        network = self._network
        if window is not None and window < 1:
            raise InputError("windows of at least one pixel", repr(window), "Leave it out: the fastest are chosen.")
        size = window or fitting_window(network.widest, round_up(radius, stride), choose_device(self.device))
        windows = cut_windows((height, width), stride, radius, size)
        parts = predict_windows(network, given.channels, windows)
        if given.factors:
            whole = np.empty((len(self.class_names), height, width), np.float32)
            for part, values in parts:
                whole[:, *part] = values
            y, x = (slice(0, length) for length in given.gaps.shape)
            parts = iter([((y, x), resample(whole, given.gaps.shape))])
        gappy = bool(given.gaps.any())
        for part, values in parts:
            yield part, np.where(given.gaps[part], np.float32(0), values) if gappy else values

    def infer_parts(self, given: NetworkInput, parts: Sequence[Part]) -> Iterator[NDArray[np.float32]]:
        """Predict given parts of a frame from its input; see `infer`."""
        if given.channels is None or given.factors or given.gaps.any():
            whole = self.infer_whole(given)
            return iter([whole[:, *part] for part in parts])
        stride, radius = self.plan.stride, self.plan.receptive_radius
        return predict_parts(self._network, given.channels, parts, stride=stride, radius=radius)

    def infer_whole(self, given: NetworkInput, window: int | None = None) -> NDArray[np.float32]:
        """Predict a whole frame from its input: (C, Y, X) float32; see `infer`."""
        whole = np.zeros((len(self.class_names), *given.gaps.shape), np.float32)
        for part, values in self.infer(given, window):
            whole[:, *part] = values
        return whole

    def with_texts(self, **texts: str | tuple[str, ...]) -> TrainedNetwork:
        """Return the same network with other texts on its card: title, about, licence, authors, cite."""
        return replace(self, card=self.card.with_texts(**texts))

    def with_thresholds(self, thresholds: Sequence[float]) -> TrainedNetwork:
        """Return the same network with other thresholds; InputError if they are not one number per class."""
        return replace(self, thresholds=as_thresholds(thresholds, self.class_names))

    def describe(self) -> dict[str, Any]:
        """Return everything but weights and card, as plain data for JSON."""
        return {
            "genome": self.genome.to_json(),
            "class_names": list(self.class_names),
            "thresholds": list(self.thresholds),
            "detectors": [asdict(match_rule) for match_rule in self.match_rules],
            "pixel_size": list(self.pixel_size) if self.pixel_size else None,
            "frame_shape": list(self.frame_shape) if self.frame_shape else None,
            "seen": [one.to_json() for one in self.seen],
            **({"steps": [step.to_json() for step in self.steps]} if self.steps else {}),
            **({"unfitted": self.unfitted.to_json()} if self.unfitted else {}),
        }

    def to_json(self) -> dict[str, Any]:
        """Return description and card, as plain data for JSON."""
        return self.describe() | {"card": self.card.to_json()}

    @classmethod
    def from_description(cls, about: Mapping[str, Any], weights: Mapping[str, Tensor]) -> TrainedNetwork:
        """Create a network from the output of `to_json` and its weights.

        Raises
        ------
        InputError
            If something is missing, of the wrong type, or does not fit the weights.
        """
        try:
            return cls(
                Genome.from_json(about["genome"]),
                dict(weights),
                tuple(map(str, about["class_names"])),
                tuple(map(float, about["thresholds"])),
                tuple(MatchRule(**match_rule) for match_rule in about["detectors"]),
                _pair(about["pixel_size"], float),
                _pair(about["frame_shape"], int),
                tuple(map(Character.from_json, about.get("seen", ()))),
                steps=steps_from_json(about.get("steps")),
                unfitted=Genome.from_json(about["unfitted"]) if "unfitted" in about else None,
                card=Card.from_json(about.get("card", {})),
            )
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise InputError("a complete description of a network", repr(problem), predictor_file.REMEDY) from problem

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the network to a single safetensors file."""
        return predictor_file.save_file(path, KIND, self.to_json(), self.weights)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> TrainedNetwork:
        """Read the file of `save`.

        Raises
        ------
        InputError
            If the file is missing, damaged, not from napari-menndl, from a newer version, or not a single network.
        """
        about, tensors = predictor_file.open_file(path)
        if about["kind"] != KIND:
            raise InputError("a file with one network", f"one with an {about['kind']}", "Open it with open_predictor.")
        return cls.from_description(about, tensors)


@lru_cache(maxsize=4)
def _characters(task: TrainingTask) -> tuple[Character, ...]:
    """Return the character of a task's frames, cached for all members of an ensemble."""
    return tuple(one for frame in task.frames if (one := Character.of(frame)) is not None)


def _pair(values: Any, kind: Any) -> Any:
    if values is None:
        return None
    first, second = values
    return kind(first), kind(second)
