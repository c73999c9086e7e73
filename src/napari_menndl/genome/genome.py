"""A genome: inputs, layers, skip connections and training genes; plain data with a digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from napari_menndl.genome.genes import FrameInput, Gene, GenomeError, Input, Layer, Skip, TrainingGenes
from napari_menndl.genome.serialization import decode, encode


@dataclass(frozen=True)
class Genome(Gene):
    """All that is needed to build and train one network, save the data.

    Attributes
    ----------
    layers : tuple of Layer
        In the order of the data's flow; a 1×1 convolution to the classes and the way back to the input's resolution
        follow by themselves. None, where that convolution alone weighs the channels of the inputs.
    skips : tuple of Skip
    training : TrainingGenes
    inputs : tuple of Input
        What the first layer sees: the channels of all of them, one after another.

    Raises
    ------
    GenomeError
        On a genome without an input, or without a layer where the frame is all it sees. Whether the rest can be built,
        `make_plan` says.
    """

    layers: tuple[Layer, ...]
    skips: tuple[Skip, ...] = ()
    training: TrainingGenes = field(default_factory=TrainingGenes)
    inputs: tuple[Input, ...] = (FrameInput(),)

    def __post_init__(self) -> None:
        if not self.inputs:
            raise GenomeError("a genome without an input")
        if len(self.layers) < self.fewest_layers:
            raise GenomeError("a genome without a layer")

    @property
    def fewest_layers(self) -> int:
        """0 where the inputs have something to say by themselves, 1 where the frame is all there is."""
        return int(all(isinstance(one, FrameInput) for one in self.inputs))

    @property
    def reach(self) -> int:
        """Neighbouring frames on each side that its inputs look at."""
        return max(getattr(one, "reach", 0) for one in self.inputs)

    def channels(self, classes: int) -> int:
        """Count what the first layer sees."""
        return sum(one.channels(classes) for one in self.inputs)

    def to_json(self) -> dict[str, Any]:
        """Return dicts and lists; `from_json` gives the equal genome back."""
        plain: dict[str, Any] = encode(self)
        return plain

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Genome:
        """Read what `to_json` wrote; what was written before there were inputs sees the frame.

        Raises
        ------
        InputError
            On an unknown field or kind of gene, or on a value that no gene can have.
        """
        genome: Genome = decode(cls, data, "genome")
        return genome

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of the SHA-256 of the canonical JSON: equal for equal genomes, and only for those."""
        return _digest(self.to_json())

    @cached_property
    def topology(self) -> str:
        """The digest of inputs, layers and skip connections alone."""
        plain = self.to_json()
        return _digest([plain["inputs"], plain["layers"], plain["skips"]])


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def _digest(plain: Any) -> str:
    return hashlib.sha256(_canonical(plain).encode()).hexdigest()[:16]
