"""One run's journal on its way into a merged one: its facts in order, its numbers translated."""

from __future__ import annotations

import hashlib
import json
from array import array
from typing import TYPE_CHECKING, Any

from napari_menndl.search.evolution import IMMIGRANT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_menndl.search.folder import RunFolder
    from napari_menndl.search.journal import Fact

#: By how much the clocks of two islands may differ [s].
_SKEW = 60.0
_UNBORN = -1
#: Facts that are taken over with their numbers translated.
_TOLD = ("promoted", "evaluated", "failed", "refit", "lost", "weights_missing", "retired")


class Source:
    """The journal of one run; of each of its networks 16 bytes are remembered.

    Parameters
    ----------
    folder : RunFolder

    Attributes
    ----------
    name : str
        Of the island, or of the run folder.
    head : dict or None
        The next fact.
    telemetry, best, conclusion : dict
        As they were last, `best` with merged numbers.
    unknown : int
        Facts of networks whose birth is not in the journal.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.name = folder.settings.island or folder.path.name
        self.telemetry: Fact = {}
        self.best: Fact | None = None
        self.conclusion: Fact | None = None
        self.unknown = 0
        self.finished = False
        self._ids = array("q")
        self._genomes = array("Q")
        self._arrived: dict[int, Fact] = {}
        self._facts = folder.facts()
        self.head: Fact | None = None
        self.advance()

    # ------------------------------------------------------------------ its facts, one by one

    def advance(self) -> None:
        """Go on to the next fact that is worth one of the merged run; keep in mind what the others say."""
        for fact in self._facts:
            match fact["kind"]:
                case "arrived":  # its birth follows
                    self._arrived[fact["id"]] = fact
                case "answer":
                    self.conclusion = fact
                case "finished":
                    self.finished = True
                    self.conclusion = fact if fact["members"] else self.conclusion
                    self.telemetry = {**self.telemetry, "elapsed": fact["elapsed"]}
                case "resumed":
                    self.finished = False
                case "started" | "born" | "telemetry" | "best":
                    self.head = fact
                    return
                case kind if kind in _TOLD:
                    self.head = fact
                    return
        self.head = None

    def awaits(self, sources: Sequence[Source]) -> Source | None:
        """The island on which a network was born that is about to be born here, while it is not yet born there."""
        fact = self.head
        if fact is None or fact["kind"] != "born" or fact["origin"] != IMMIGRANT:
            return None
        native = self._native(fact, sources)
        if native is None or native[0].number(native[1]) is not None:
            return None
        head = native[0].head
        return native[0] if head is not None and head["time"] <= fact["time"] + _SKEW else None

    def _native(self, fact: Fact, sources: Sequence[Source]) -> tuple[Source, int] | None:
        """Island and number of a network before it came here, if that island is among those that are merged."""
        arrived = self._arrived.get(fact["id"], {})
        homes = [one for one in sources if one.folder.settings.island == arrived.get("island")]
        return (homes[0], arrived["theirs"]) if len(homes) == 1 and homes[0] is not self else None

    # ------------------------------------------------------------------ its numbers

    def number(self, network: int) -> int | None:
        """The merged number of a network; None where it is not born."""
        number = self._ids[network] if 0 <= network < len(self._ids) else _UNBORN
        return None if number == _UNBORN else number

    def key(self, key: str) -> str | None:
        """The merged key of an evaluation."""
        network, _, rung = key.partition("/")
        number = self.number(int(network))
        return None if number is None else f"{number}/{rung}"

    def bear(self, fact: Fact, number: int, sources: Sequence[Source]) -> list[Fact]:
        """Give a birth its merged number; what came from an island among the merged ones is the child of that one."""
        network = fact["id"]
        parents = [one for old in fact["parents"] if (one := self.number(old)) is not None]
        told = []
        if fact["origin"] == IMMIGRANT and (arrived := self._arrived.get(network)):
            told = [{**arrived, "id": number}]
            native = self._native(fact, sources)
            if native is not None and native[0].has(native[1], fact["genome"]):
                parents = [one for one in (native[0].number(native[1]),) if one is not None]
            del self._arrived[network]
        grow = network + 1 - len(self._ids)
        self._ids.extend([_UNBORN] * grow)
        self._genomes.extend([0] * grow)
        self._ids[network], self._genomes[network] = number, _digest(fact["genome"])
        inherits = self.key(fact["inherits"]) if fact.get("inherits") else None
        return [*told, {**fact, "id": number, "parents": parents, "inherits": inherits}]

    def has(self, network: int, genome: Any) -> bool:
        """Whether this is the genome of that network: the island may have begun anew under its name."""
        return self.number(network) is not None and self._genomes[network] == _digest(genome)

    def mapped(self, fact: Fact) -> Fact | None:
        """Return a fact with merged numbers; None where it tells of a network that was not born."""
        new = dict(fact)
        if "id" in fact:
            new["id"] = self.number(fact["id"])
        if "ids" in fact:
            new["ids"] = [one for old in fact["ids"] if (one := self.number(old)) is not None]
        for name in ("key", "weights_of"):
            if name in fact:
                new[name] = self.key(fact[name])
        if fact.get("slot"):
            new["slot"] = f"{self.name}: {fact['slot']}"
        if None in (new.get("id", 0), new.get("key", ""), new.get("weights_of", "")):
            self.unknown += 1
            return None
        return new

    def conclude(self) -> Fact:
        """Return the answer, with merged numbers."""
        answer = self.conclusion or {"members": []}
        members = [
            {
                **one,
                "id": self.number(one["id"]),
                "key": self.key(one["key"]),
                "networks": [[self.key(key), fold] for key, fold in one["networks"]],
            }
            for one in answer["members"]
        ]
        return {**answer, "members": members}

    def account(self) -> dict[str, Any]:
        """What the merged journal says of this run."""
        born = sum(one != _UNBORN for one in self._ids)
        fitness = self.conclusion["fitness"] if self.conclusion else None
        return {"island": self.name, "networks": born, "finished": self.finished, "fitness": fitness}


def in_order(sources: Sequence[Source]) -> Iterator[tuple[Source, Fact]]:
    """Yield all facts by time, each network's birth before its births on other islands, whatever their clocks say."""
    while ready := [one for one in sources if one.head is not None]:
        chosen = min(ready, key=lambda one: one.head["time"] if one.head else 0.0)
        asked = [chosen]
        while (awaited := chosen.awaits(sources)) is not None and awaited not in asked:
            asked.append(awaited)
            chosen = awaited
        if (fact := chosen.head) is None:
            return  # for the type checker: whoever is chosen has one
        if fact["kind"] == "telemetry":
            chosen.telemetry = fact
        elif fact["kind"] == "best" and (best := chosen.mapped(fact)):
            chosen.best = best
        chosen.advance()
        yield chosen, fact


def total(readings: list[Any]) -> Any:
    """Add up telemetry of searches side by side: sums of counts and times, the longest `elapsed`, the mean median."""
    known = [one for one in readings if one is not None and one != {}]
    if known and all(isinstance(one, dict) for one in known):
        names = {name: None for one in known for name in one}
        return {name: _one_total(name, [one.get(name) for one in known]) for name in names}
    if known and all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in known):
        return sum(known)
    if known and all(isinstance(one, list) for one in known):
        return [item for one in known for item in one]
    return known[-1] if known else None


def _one_total(name: str, readings: list[Any]) -> Any:
    known = [one for one in readings if one is not None]
    if name == "elapsed":
        return max(known, default=0.0)
    if name == "median":
        return sum(known) / len(known) if known else None
    return total(readings)


def _digest(genome: Any) -> int:
    canonical = json.dumps(genome, sort_keys=True).encode()
    return int.from_bytes(hashlib.sha256(canonical).digest()[:8], "little")
