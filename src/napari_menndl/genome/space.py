"""The search space: ranges, choices and limits of genomes, which a user can change."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.genome.genes import OPTIMISERS, GenomeError
from napari_menndl.genome.plan import Plan, make_plan
from napari_menndl.genome.ranges import InputSpace, LayerSpace, Limits, TrainingSpace
from napari_menndl.serialization import decode, encode

if TYPE_CHECKING:
    import os

    from napari_menndl.genome.genome import Genome


@dataclass(frozen=True)
class SearchSpace:
    """Ranges, choices and limits of the genomes in a search.

    Attributes
    ----------
    layers : LayerSpace
    training : TrainingSpace
    limits : Limits
        The defaults are for networks that two CPU cores train in seconds; `large` is for a GPU.
    inputs : InputSpace

    Raises
    ------
    InputError
        For an invalid range or choice.
    """

    layers: LayerSpace = field(default_factory=LayerSpace)
    training: TrainingSpace = field(default_factory=TrainingSpace)
    limits: Limits = field(default_factory=Limits)
    inputs: InputSpace = field(default_factory=InputSpace)

    def __post_init__(self) -> None:
        for one in fields(self):
            kind: Any = one.default_factory
            if not isinstance(value := getattr(self, one.name), kind):
                raise InputError(f"{kind.__name__} for {one.name}", repr(value), "Correct the search space.")

    @classmethod
    def large(cls) -> SearchSpace:
        """Return a space of larger networks, to be trained on a GPU."""
        return cls(
            LayerSpace(filters=(8, 128), dilations=(1, 2, 4, 8, 16), body=(1, 4), ways=(2, 4)),
            TrainingSpace(
                batch=(16, 8, 32, 64), tile=(128, 64, 96, 192, 256), optimiser=OPTIMISERS, learning_rate=(1e-3, 3e-2)
            ),
            Limits((2, 24), 8, 5_000_000, 2e6, 200, 16, 16_384),
        )

    def for_single_frames(self) -> SearchSpace:
        """Return the space without averages over neighbouring frames."""
        return replace(self, inputs=replace(self.inputs, reaches=(0,)))

    def plan(self, genome: Genome) -> Plan:
        """Return the plan (for one class) of a genome in the space.

        Raises
        ------
        GenomeError
            If the network cannot be built or lies outside the space, with the reason.
        """
        for objection in (*self.inputs.objections(genome), *self.layers.objections(genome)):
            raise GenomeError(f"{objection}, outside the search space")
        for name in self.training.outside(genome.training):
            raise GenomeError(f"{name} is {getattr(genome.training, name)!r}, outside the search space")
        plan = make_plan(genome)
        for _, words in self.limits.exceeded(genome, plan):
            raise GenomeError(words)
        return plan

    def check(self, genome: Genome) -> None:
        """Raise GenomeError, as in `plan`, for a genome outside the space; without torch."""
        self.plan(genome)

    def to_json(self) -> dict[str, Any]:
        """Return dicts and lists, from which `from_json` restores an equal space."""
        plain: dict[str, Any] = encode(self)
        return plain

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SearchSpace:
        """Restore a space from `to_json`, or from a part of it; omitted fields keep their defaults.

        Raises
        ------
        InputError
            For unknown fields and invalid values.
        """
        space: SearchSpace = decode(cls, data, "space")
        return space

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the space as JSON, formatted for editing by hand."""
        groups = [
            f'  "{group}": {{\n'
            + ",\n".join(f'    "{name}": {json.dumps(one)}' for name, one in fields.items())
            + "\n  }"
            for group, fields in self.to_json().items()
        ]
        Path(path).write_text("{\n" + ",\n".join(groups) + "\n}\n", encoding="utf-8")

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> SearchSpace:
        """Read a space from a JSON file.

        Raises
        ------
        InputError
            If the file cannot be read or contains something else.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as problem:
            raise InputError(
                f"a search space as JSON in {path}", str(problem), "Write one by SearchSpace().save."
            ) from problem
        return cls.from_json(data)
