"""Journal of one run as a source of a merged one: its facts in order, its numbers translated."""

from __future__ import annotations

import hashlib
import json
from array import array
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from napari_menndl.search.candidate import IMMIGRANT, EvaluationKey
from napari_menndl.search.facts import AnswerChosen, Arrived, Best, Born, Finished, Merged, Resumed, Stopped, Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_menndl.search.facts import Fact
    from napari_menndl.search.folder import RunFolder

#: Largest difference between the clocks of two islands that is allowed for [s].
_SKEW = 60.0
_UNBORN = -1
F = TypeVar("F", bound="Fact")


class Source:
    """Journal of one run; 16 bytes of memory are kept for each of its networks.

    Parameters
    ----------
    folder : RunFolder

    Attributes
    ----------
    name : str
        Name of the island, or of the run folder.
    head : Fact or None
        The next fact.
    telemetry : Telemetry or None
        The latest telemetry.
    best : Best or None
        The latest best network, with merged numbers.
    answer : AnswerChosen or None
        The latest answer.
    elapsed : float [s]
        Time searched.
    finished : bool
    unknown : int
        Number of facts about networks whose birth is not in the journal.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.name = folder.settings.island or folder.path.name
        self.telemetry: Telemetry | None = None
        self.best: Best | None = None
        self.answer: AnswerChosen | None = None
        self.elapsed = 0.0
        self.unknown = 0
        self.finished = False
        self._ids = array("q")
        self._genomes = array("Q")
        self._arrived: dict[int, Arrived] = {}
        self._facts = folder.facts()
        self.head: Fact | None = None
        self.advance()

    # ------------------------------------------------------------------ facts

    def advance(self) -> None:
        """Advance to the next fact that belongs in the merged journal; skipped facts update the attributes."""
        for fact in self._facts:
            match fact:
                case Arrived():  # its birth follows
                    self._arrived[fact.id] = fact
                case Finished():
                    self.finished, self.elapsed = True, fact.elapsed
                    self.answer = fact if fact.members else self.answer
                case AnswerChosen():
                    self.answer = fact
                case Resumed():
                    self.finished = False
                case Stopped() | Merged():
                    pass
                case _:
                    self.head = fact
                    return
        self.head = None

    def awaits(self, sources: Sequence[Source]) -> Source | None:
        """Return the island that must come first, because the network to be born here is not yet born there."""
        fact = self.head
        if not isinstance(fact, Born) or fact.origin != IMMIGRANT:
            return None
        native = self._native(fact, sources)
        if native is None or native[0].number(native[1]) is not None:
            return None
        head = native[0].head
        return native[0] if head is not None and head.time <= fact.time + _SKEW else None

    def _native(self, fact: Born, sources: Sequence[Source]) -> tuple[Source, int] | None:
        """Return the original island and number of a network, if that island is among those merged."""
        arrived = self._arrived.get(fact.id)
        homes = [one for one in sources if arrived and one.folder.settings.island == arrived.island]
        return (homes[0], arrived.theirs) if arrived and len(homes) == 1 and homes[0] is not self else None

    # ------------------------------------------------------------------ numbers

    def number(self, network: int) -> int | None:
        """Return the merged number of a network; None if it is not born."""
        number = self._ids[network] if 0 <= network < len(self._ids) else _UNBORN
        return None if number == _UNBORN else number

    def key(self, key: EvaluationKey) -> EvaluationKey | None:
        """Return the merged key of an evaluation; None if its network is not born, or if it is of another search."""
        if key.is_given:
            return None
        number = self.number(key.network)
        return None if number is None else EvaluationKey.of(number, key.rung)

    def renumber_birth(self, fact: Born, number: int, sources: Sequence[Source]) -> list[Fact]:
        """Renumber a birth; an immigrant from another merged island becomes a child of the original."""
        parents = tuple(one for old in fact.parents if (one := self.number(old)) is not None)
        told: list[Fact] = []
        if fact.origin == IMMIGRANT and (arrived := self._arrived.get(fact.id)):
            told = [replace(arrived, id=number)]
            native = self._native(fact, sources)
            if native is not None and native[0].has(native[1], fact.genome):
                parents = tuple(one for one in (native[0].number(native[1]),) if one is not None)
            del self._arrived[fact.id]
        grow = fact.id + 1 - len(self._ids)
        self._ids.extend([_UNBORN] * grow)
        self._genomes.extend([0] * grow)
        self._ids[fact.id], self._genomes[fact.id] = number, _digest(fact.genome)
        inherits = self.key(fact.inherits) if fact.inherits else None
        return [*told, replace(fact, id=number, parents=parents, inherits=inherits)]

    def has(self, network: int, genome: Any) -> bool:
        """Whether a network has this genome; not so if its island was started again under the same name."""
        return self.number(network) is not None and self._genomes[network] == _digest(genome)

    def renumbered(self, fact: F) -> F | None:
        """Return a fact with merged numbers; None if it is about a network that was not born."""
        values = vars(fact)
        new: dict[str, Any] = {}
        if "id" in values:
            new["id"] = self.number(values["id"])
        if "ids" in values:
            new["ids"] = tuple(one for old in values["ids"] if (one := self.number(old)) is not None)
        for name in ("key", "weights_of"):
            if name in values:
                new[name] = self.key(values[name])
        if values.get("slot"):
            new["slot"] = f"{self.name}: {values['slot']}"
        if None in new.values():
            self.unknown += 1
            return None
        return replace(fact, **new)

    def renumbered_answer(self) -> AnswerChosen:
        """Return the answer with merged numbers; members whose birth is lost are left out."""
        answer = self.answer or AnswerChosen()
        members = []
        for one in answer.members:
            number, key = self.number(one.id), self.key(one.key)
            networks = tuple((new, fold) for old, fold in one.networks if (new := self.key(old)) is not None)
            if number is not None and key is not None:
                members.append(replace(one, id=number, key=key, networks=networks))
        return AnswerChosen(**{**answer.values(), "members": tuple(members)})

    def account(self, time: float) -> Merged:
        """Return the summary of this run for the merged journal."""
        born = sum(one != _UNBORN for one in self._ids)
        fitness = self.answer.fitness if self.answer else None
        run = str(self.folder.path)
        return Merged(time=time, run=run, island=self.name, networks=born, finished=self.finished, fitness=fitness)


def in_order(sources: Sequence[Source]) -> Iterator[tuple[Source, Fact]]:
    """Yield all facts by time, each network's birth before its births on other islands, whatever the clocks say."""
    while ready := [one for one in sources if one.head is not None]:
        chosen = min(ready, key=lambda one: one.head.time if one.head else 0.0)
        asked = [chosen]
        while (awaited := chosen.awaits(sources)) is not None and awaited not in asked:
            asked.append(awaited)
            chosen = awaited
        fact = chosen.head
        if fact is None:
            return  # for the type checker: a chosen source has a fact
        if isinstance(fact, Telemetry):
            chosen.telemetry, chosen.elapsed = fact, fact.elapsed
        elif isinstance(fact, Best) and (best := chosen.renumbered(fact)):
            chosen.best = best
        chosen.advance()
        yield chosen, fact


def total(readings: Sequence[Telemetry], time: float) -> Telemetry:
    """Add up telemetry of parallel searches: sums of counts and times, the longest `elapsed`, the mean median."""
    medians = [one.median for one in readings if one.median is not None]
    pool: dict[str, Any] = {}
    for one in readings:
        for name, value in one.pool.items():  # counts, times and lists of workers
            pool[name] = pool[name] + value if name in pool else value
    return Telemetry(
        time=time,
        elapsed=max(one.elapsed for one in readings),
        slots=sum(one.slots for one in readings),
        slot_seconds=sum(one.slot_seconds for one in readings),
        gpu_seconds=sum(one.gpu_seconds for one in readings),
        median=sum(medians) / len(medians) if medians else None,
        pool=pool,
    )


def _digest(genome: Any) -> int:
    canonical = json.dumps(genome, sort_keys=True).encode()
    return int.from_bytes(hashlib.sha256(canonical).digest()[:8], "little")
