"""Settings of a search: one frozen dataclass from which forms, options and the file are made."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.search.goals import parse_budget
from napari_menndl.serialization import check_types, encode, from_mapping
from napari_menndl.settings import setting

REPLACEMENTS = ("age", "worst")
#: Default founders. The best networks are born first, so that a short search has time for them (docs/experiments.md).
FIRST = ("deep_fcn", "coarse_fcn", "blobs", "fourier", "bank_mlp", "bank_logistic")
#: Settings of earlier versions without a counterpart now; a run folder that has them can still be read.
RETIRED = {"rung_folds", "finalists", "final_split", "finish_share"}
#: Default pixels at the first rung. What is learned of one image in long training holds less well on other images than
#: on other frames of its own movie (docs/experiments.md).
_OF_A_MOVIE, _OF_AN_IMAGE = 6_000_000, 1_500_000
#: Valid names of islands, which are also file names in the shared folder.
ISLAND = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True)
class SearchSettings:
    """Settings of a search; title, unit, range and help are in each field's metadata.

    Raises
    ------
    InputError
        For a value of the wrong type or outside its range.
    """

    budget: str = setting(
        "10min", "Budget", note='When to stop: "10min", "500networks", "fitness 0.9", "plateau 200"; joined by commas.'
    )
    seed: int = setting(0, "Seed", note="Of every random choice.", min=0, max=2**31 - 1)
    pool: str = setting(
        "local", "Pool", note='Where to train: "local", "serial", a scheduler\'s address or a pool file.'
    )
    slots: int | None = setting(None, "Slots", note="Networks trained at a time; empty: what fits.", min=1, max=4096)
    networks_per_gpu: int | None = setting(
        None, "Networks per GPU", note="How many share a GPU; empty: what fits, or what the pool says.", min=0, max=64
    )
    timeout: float = setting(600.0, "Timeout", unit="s", note="Longest evaluation of one network.", min=1, max=1e6)
    population: int = setting(16, "Population", note="Candidates that can be parents.", min=2, max=100_000)
    tournament: int = setting(4, "Tournament", note="Drawn at random; the best of them is parent.", min=1, max=1000)
    crossover: float = setting(0.3, "Crossover", note="Share of offspring with two parents.", min=0, max=1)
    random: float = setting(
        0.1,
        "Random networks",
        note="Share of births that are drawn at random; most are poor. 1: no evolution.",
        min=0,
        max=1,
    )
    replacement: str = setting(
        "age", "Replacement", note="Who leaves a full population: oldest or worst.", options=REPLACEMENTS
    )
    founders: tuple[str, ...] = setting(
        FIRST,
        "Founders",
        note="Simple methods and hand-designed networks that are born first.",
        options=tuple(FOUNDERS),
    )
    start_from: str = setting(
        "", "Start from", note="A saved network or a run, whose networks are born first; empty: none."
    )
    pixels: int = setting(
        0,
        "Pixels at first rung",
        unit="px",
        note="Labelled pixels shown to each fold of a newborn network; 0: 6 million, 1.5 million of a single image.",
        min=0,
        max=10**12,
    )
    rungs: int = setting(4, "Rungs", note="Each shows eta times the pixels of the one below.", min=1, max=16)
    eta: int = setting(
        2, "Promotion factor (eta)", note="One in eta networks is promoted, with eta times the pixels.", min=2, max=16
    )
    inherit: bool = setting(True, "Inherit weights", note="Offspring begin with what their parent has learned.")
    members: int = setting(
        4,
        "Members of the answer",
        note="Networks averaged at most; each adds to the time of a prediction.",
        min=1,
        max=12,
    )
    exchange: str = setting(
        "", "Exchange", note="Folder through which the islands of one search share their best; empty: none."
    )
    island: str = setting(
        "", "Island", note="Name of this search among the islands; another name draws other networks."
    )

    def __post_init__(self) -> None:
        check_types(self)
        parse_budget(self.budget)
        if (self.island or self.exchange) and not ISLAND.fullmatch(self.island):
            raise InputError(
                "an island's name of letters, digits, - and _",
                repr(self.island),
                "Give each island a name of its own, such as a1.",
            )
        for name in ("exchange", "start_from"):  # the search process and a later resume may run in another folder
            if path := getattr(self, name):
                object.__setattr__(self, name, os.path.abspath(os.path.expanduser(path)))

    @property
    def root(self) -> int:
        """Seed of all random streams of the search: from `seed` and, on an island, its name."""
        if not self.island:
            return self.seed
        return int(np.random.SeedSequence([self.seed, *self.island.encode()]).generate_state(1)[0])

    @property
    def ladder(self) -> tuple[Rung, ...]:
        """Rungs of the search, named "0", "1", …; each shows `eta` times the pixels of the one below."""
        first = self.pixels or _OF_A_MOVIE
        return tuple(Rung(str(level), first * self.eta**level) for level in range(self.rungs))

    def fitted(self, alone: bool) -> SearchSettings:
        """Return the settings with the pixels of the first rung, unless given, for frames alone or with neighbours."""
        return self if self.pixels else replace(self, pixels=_OF_AN_IMAGE if alone else _OF_A_MOVIE)

    def to_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = encode(self)
        return plain

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SearchSettings:
        """Read what `to_json` wrote, in this version or an earlier one; missing fields get their defaults.

        Raises
        ------
        InputError
            For an unknown field, a wrong type or a value outside its range.
        """
        rungs = {"rungs": len(data["rung_folds"])} if data.get("rung_folds") else {}
        return from_mapping(cls, {**rungs, **{name: value for name, value in data.items() if name not in RETIRED}})
