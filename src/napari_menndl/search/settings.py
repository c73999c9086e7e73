"""What a person can set about a search: one frozen dataclass, from which forms, options and the file are made."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass, field
from typing import Any

from napari_menndl.errors import InputError
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.search.goals import parse_budget
from napari_menndl.settings import about

REPLACEMENTS = ("age", "worst")


@dataclass(frozen=True)
class SearchSettings:
    """Settings of a search; title, unit, range and help stand in each field's metadata.

    Raises
    ------
    InputError
        On a value of the wrong type or outside its range.
    """

    budget: str = field(
        default="10min",
        metadata=about(
            "Budget", note='When to stop: "10min", "500networks", "fitness 0.9", "plateau 200"; joined by commas.'
        ),
    )
    seed: int = field(default=0, metadata=about("Seed", note="Of every random choice.", min=0, max=2**31 - 1))
    pool: str = field(
        default="local", metadata=about("Pool", note='Where to train: "local", "serial" or "tcp://host:port".')
    )
    slots: int | None = field(
        default=None, metadata=about("Slots", note="Networks trained at a time; empty: what fits.", min=1, max=4096)
    )
    timeout: float = field(
        default=600.0, metadata=about("Timeout", unit="s", note="Longest evaluation of one network.", min=1, max=1e6)
    )
    population: int = field(
        default=24, metadata=about("Population", note="Candidates that can be parents.", min=2, max=100_000)
    )
    tournament: int = field(
        default=4, metadata=about("Tournament", note="Drawn at random; the best of them is parent.", min=1, max=1000)
    )
    crossover: float = field(
        default=0.3, metadata=about("Crossover", note="Share of offspring with two parents.", min=0, max=1)
    )
    replacement: str = field(
        default="age",
        metadata=about("Replacement", note="Who leaves a full population: oldest or worst.", options=REPLACEMENTS),
    )
    founders: tuple[str, ...] = field(
        default=("dilated_fcn", "unet", "defectnet"),
        metadata=about("Founders", note="Hand-designed networks that are born first.", options=tuple(FOUNDERS)),
    )
    pixels: int = field(
        default=1_000_000,
        metadata=about("First rung", unit="px", note="Labelled pixels a newborn network is shown.", min=1, max=10**12),
    )
    rung_folds: tuple[int, ...] = field(
        default=(1, 1, 1),
        metadata=about("Folds per rung", note="One number per rung; their count is that of the rungs.", min=1, max=16),
    )
    eta: int = field(
        default=3,
        metadata=about("Reduction", note="1 in so many is promoted, to so many times the pixels.", min=2, max=16),
    )
    finalists: int = field(
        default=10, metadata=about("Finalists", note="Best networks judged anew at the end.", min=1, max=100)
    )
    final_split: int = field(
        default=1, metadata=about("Final split", note="Way of cutting folds they are judged on.", min=1, max=1000)
    )
    finish_share: float = field(
        default=0.3,
        metadata=about("Kept for the end", note="Share of a time budget for the last step.", min=0, max=0.9),
    )

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for one in dataclasses.fields(self):
            value = _checked(one.name, getattr(self, one.name), hints[one.name], one.metadata)
            object.__setattr__(self, one.name, value)
        if not self.rung_folds:
            raise InputError("at least one rung in rung_folds", "none", "Give one number per rung, as in [1, 1, 1].")
        parse_budget(self.budget)

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The rungs of the search, named "0", "1", …; each shows `eta` times the pixels of the one below."""
        return tuple(
            Rung(str(level), self.pixels * self.eta**level, tuple(range(folds)))
            for level, folds in enumerate(self.rung_folds)
        )

    def to_json(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SearchSettings:
        """Read what `to_json` wrote; what is left out keeps its default.

        Raises
        ------
        InputError
            On an unknown field, a wrong type or a value outside its range.
        """
        known = [one.name for one in dataclasses.fields(cls)]
        if unknown := sorted(set(data) - set(known)):
            raise InputError(f"settings among {', '.join(known)}", ", ".join(unknown), "Correct or remove the name.")
        return cls(**data)


def _checked(name: str, value: Any, hint: Any, allowed: Any) -> Any:
    """Bring a value to its declared type, or say what was wrong with it."""
    kinds = [kind for kind in getattr(hint, "__args__", (hint,)) if kind not in (type(None), Ellipsis)]
    if value is None and type(None) in getattr(hint, "__args__", ()):
        return None
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"a list for {name}", repr(value), "Correct the setting.")
        return tuple(_checked(name, one, kinds[0], allowed) for one in value)
    kind = kinds[0]
    value = value.item() if hasattr(value, "item") else value
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise InputError(f"{kind.__name__} for {name}", repr(value), "Correct the setting.")
    if "options" in allowed and value not in allowed["options"]:
        raise InputError(f"{name} to be one of {', '.join(allowed['options'])}", repr(value), "Choose one of them.")
    low, high = allowed.get("min"), allowed.get("max")
    # Written so that NaN is out of bounds too.
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        unit = f" {allowed['unit']}" if allowed["unit"] else ""
        raise InputError(f"{name} between {low:g} and {high:g}{unit}", f"{value:g}", "Correct the setting.")
    return value
