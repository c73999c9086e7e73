"""A genome: inputs, layers, skip connections and training genes; plain data with a digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from napari_menndl.genome.genes import FrameInput, Gene, GenomeError, Input, Layer, Skip, TrainingGenes
from napari_menndl.serialization import decode, encode


@dataclass(frozen=True)
class Genome(Gene):
    """Everything needed to build and train one network, except the data.

    Attributes
    ----------
    layers : tuple of Layer
        In the order of computation; a 1×1 convolution to the classes and the interpolation to the input's resolution
        are appended. Empty if only that convolution is applied to the inputs.
    skips : tuple of Skip
    training : TrainingGenes
    inputs : tuple of Input
        Inputs of the first layer, with their channels concatenated.

    Raises
    ------
    GenomeError
        For a genome without an input, or without a layer if the frame is its only input. `make_plan` checks whether the
        network can be built.
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
        """Minimum number of layers: 1 if all inputs are frames or averages of frames, else 0."""
        return int(all(isinstance(one, FrameInput) for one in self.inputs))

    @property
    def reach(self) -> int:
        """Number of neighbouring frames on each side that its inputs use."""
        return max(getattr(one, "reach", 0) for one in self.inputs)

    def channels(self, classes: int) -> int:
        """Return the number of input channels for this number of defect classes."""
        return sum(one.channels(classes) for one in self.inputs)

    def to_json(self) -> dict[str, Any]:
        """Return dicts and lists, from which `from_json` restores an equal genome."""
        plain: dict[str, Any] = encode(self)
        return plain

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Genome:
        """Restore a genome from `to_json`; without inputs, as in older versions, its input is the frame.

        Raises
        ------
        InputError
            For an unknown field or kind of gene, or an invalid value.
        """
        genome: Genome = decode(cls, data, "genome")
        return genome

    def _repr_svg_(self) -> str | None:
        """Return the layer diagram, for a notebook; None if the network cannot be built."""
        from napari_menndl.genome.layer_diagram import draw_svg, layer_diagram

        try:
            return draw_svg(*layer_diagram(self))
        except GenomeError:
            return None

    @cached_property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the canonical JSON, which identify equal genomes."""
        return _digest(self.to_json())

    @cached_property
    def topology(self) -> str:
        """Digest of inputs, layers and skip connections, without the training genes."""
        plain = self.to_json()
        return _digest([plain["inputs"], plain["layers"], plain["skips"]])


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def _digest(plain: Any) -> str:
    return hashlib.sha256(_canonical(plain).encode()).hexdigest()[:16]
