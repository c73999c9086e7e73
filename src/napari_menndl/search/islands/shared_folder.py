"""Folder through which islands share their best: one small checksummed JSON file per island, `<island>.json`.

Islands are independent searches for the same task. Each writes its own file atomically and reads those of all others.
The files are treated as untrusted input: anyone who can write to the folder can at most suggest genomes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.files import atomic_write
from napari_menndl.genome.genes import GenomeError
from napari_menndl.genome.genome import Genome
from napari_menndl.search.settings import ISLAND
from napari_menndl.serialization import decode, encode

if TYPE_CHECKING:
    from napari_menndl.genome.space import SearchSpace
    from napari_menndl.search.settings import SearchSettings

log = logging.getLogger(__name__)
SCHEMA = 1
#: Limits of what is read: size of a file [byte], number of islands in a folder.
_LARGEST, _MOST = 2**20, 4096
_GROUNDS = {"task": "another task", "space": "another search space", "rungs": "other rungs"}


@dataclass(frozen=True)
class Elite:
    """One of an island's best networks.

    Attributes
    ----------
    id : int
        Number of its birth on that island.
    rung : str
        The highest rung at which it was evaluated there.
    fitness : float
        Fitness there; means little elsewhere, and is only shown.
    genome : Genome
    """

    id: int
    rung: str
    fitness: float
    genome: Genome

    def __post_init__(self) -> None:
        if self.id < 0 or not 0 <= self.fitness <= 1 or len(self.rung) > 16:
            raise ValueError(f"elite {self.id} of rung {self.rung[:16]!r} and fitness {self.fitness}")


@dataclass(frozen=True)
class Island:
    """Description of an island that the others can read.

    Attributes
    ----------
    name : str
    run : str
        Its run folder.
    task, space, rungs : str
        Digests of what all islands must have in common.
    elites : tuple of Elite
        Networks born on it, best first.
    """

    name: str
    run: str
    task: str
    space: str
    rungs: str
    elites: tuple[Elite, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the content of the file: JSON with the SHA-256 of the description."""
        plain = encode(self)
        record = {"format": "napari-menndl island", "schema": SCHEMA, "sha256": _digest(plain), "island": plain}
        return json.dumps(record, allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Island:
        """Read what `to_bytes` wrote.

        Raises
        ------
        InputError
            For anything else.
        """
        try:
            record = json.loads(data)
            if record["schema"] != SCHEMA:
                raise InputError(f"schema {SCHEMA}", str(record["schema"])[:20], "Let all islands be of one version.")
            if record["sha256"] != _digest(record["island"]):
                raise InputError("a whole file", "a checksum that does not match", "It is passed over.")
            island: Island = decode(cls, record["island"], "island")
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError("an island's file", f"{type(error).__name__}: {error}", "It is passed over.") from error
        return island

    def difference(self, other: Island) -> str:
        """Return why two islands cannot belong to the same search; empty if they can."""
        return " and ".join(words for name, words in _GROUNDS.items() if getattr(self, name) != getattr(other, name))


class SharedFolder:
    """An island's view of the shared folder; every method may wait for the file system.

    Parameters
    ----------
    settings : SearchSettings
        Settings that name the shared folder and the island.
    space : SearchSpace
    task : str
        Digest of the training task.
    run : Path
        The island's run folder.
    """

    def __init__(self, settings: SearchSettings, space: SearchSpace, task: str, run: Path) -> None:
        self.path = Path(settings.exchange)
        self.own = describe(settings, space, task, run)
        self._space = space
        self._written = b""
        self._many_said = False
        #: By file name: the version of the file that was read, and its elites that may be taken in.
        self._known: dict[str, tuple[tuple[int, ...], tuple[Elite, ...]]] = {}

    @property
    def _own_path(self) -> Path:
        return self.path / f"{self.own.name}.json"

    def check(self) -> None:
        """Check that this island fits in with those in the folder.

        Raises
        ------
        InputError
            If another run uses its name, or an island there belongs to another search.
        """
        for path in self._files() if self.path.exists() else ():
            try:
                other = Island.from_bytes(_read(path))
            except (OSError, InputError):
                continue  # said when its elites are looked for
            if path == self._own_path:
                if other.run != self.own.run:
                    raise InputError(
                        f"a name of its own for each island in {self.path}",
                        f"{other.name!r} used by {other.run}",
                        f"Give this one another name; if that run was moved or is given up, remove {path}.",
                    )
            elif grounds := other.difference(self.own):
                raise InputError(
                    f"islands of one search in {self.path}",
                    f"island {other.name!r} ({other.run}) with {grounds}",
                    "Give all islands the same movie, annotation, frames, space, pixels, rungs and promotion factor, "
                    "or this one another folder.",
                )

    def join(self) -> None:
        """Join the islands; of two that join at the same time and do not fit together, both notice.

        Raises
        ------
        InputError
            See `check`.
        OSError
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.check()
        if not self._own_path.exists():
            self.publish(())
            try:
                self.check()
            except InputError:
                if _read(self._own_path) == self._written:  # else a later namesake has written it
                    self._own_path.unlink()
                raise

    def publish(self, elites: tuple[Elite, ...]) -> None:
        """Write these elites to the island's file, unless it already contains them."""
        data = Island(**{**vars(self.own), "elites": elites}).to_bytes()
        if data != self._written:
            atomic_write(self._own_path, data)
            self._written = data

    def others(self) -> dict[str, tuple[Elite, ...]]:
        """Return the elites of the other islands that fit this search's space; unchanged files are not read again."""
        known = {}
        for path in self._files():
            if path != self._own_path:
                known[path.name] = self._read_island(path)
        self._known = known
        return {name.removesuffix(".json"): elites for name, (_, elites) in known.items()}

    def _files(self) -> list[Path]:
        """Return the files of all islands, sorted by name."""
        with os.scandir(self.path) as entries:
            files = (one.name for one in entries if one.name.endswith(".json"))
            names = sorted(name for name in files if ISLAND.fullmatch(name.removesuffix(".json")))
        if len(names) > _MOST and not self._many_said:
            self._many_said = True
            log.warning("%d islands in %s are passed over: more than %d", len(names) - _MOST, self.path, _MOST)
        return [self.path / name for name in names[:_MOST]]

    def _read_island(self, path: Path) -> tuple[tuple[int, ...], tuple[Elite, ...]]:
        before = self._known.get(path.name, ((), ()))
        version: tuple[int, ...] = ()
        try:
            info = path.lstat()
            version = (info.st_mtime_ns, info.st_size, info.st_ino)
            if version == before[0]:
                return before
            island = Island.from_bytes(_read(path))
            if island.name != path.stem or (grounds := island.difference(self.own)):
                grounds = "another name" if island.name != path.stem else grounds
                raise InputError("an island of this search", grounds, "It is passed over.")
        except FileNotFoundError:
            return before
        except (OSError, InputError) as error:
            log.warning("%s is passed over: %s", path, error)
            return version, ()
        return version, tuple(one for one in island.elites if self._fits(one, path))

    def _fits(self, elite: Elite, path: Path) -> bool:
        try:
            self._space.check(elite.genome)
        except GenomeError as error:
            log.warning("elite %d in %s is passed over: %s", elite.id, path, error)
            return False
        return True


def describe(settings: SearchSettings, space: SearchSpace, task: str, run: Path) -> Island:
    """Return the description of an island, without elites."""
    rungs = [one.to_json() for one in settings.ladder]
    return Island(settings.island, str(run), task, _digest(space.to_json()), _digest(rungs))


def _digest(plain: Any) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> bytes:
    """Read a small regular file; refuse links and pipes, which could block the reader for ever."""
    flags = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_BINARY"))
    with os.fdopen(os.open(path, os.O_RDONLY | flags), "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode) or info.st_size > _LARGEST:
            raise InputError(f"a file of at most {_LARGEST} bytes", f"{info.st_size}", "It is passed over.")
        return file.read(_LARGEST)
