"""List of the runs that were started or opened on this machine, kept between sessions."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from napari_menndl.files import atomic_write, user_data
from napari_menndl.search.facts import AnswerChosen, Best, Born, Finished, Started, Stopped, iterate_facts
from napari_menndl.search.lock import WriterLock
from napari_menndl.search.run_config import NAME
from napari_menndl.search.views.curves import best_of
from napari_menndl.search.views.monitor import state_of
from napari_menndl.serialization import decode, encode

#: Maximum number of runs remembered, the latest.
_MOST = 100
#: Length of the end of a journal from which the state of a search is read [byte].
_TAIL = 2**18


@dataclass(frozen=True)
class KnownRun:
    """A remembered run.

    Attributes
    ----------
    path : str
        Path of the run folder.
    movie : str
        Name of the movie it was started for; empty where unknown.
    opened : float [unix s]
        When it was last started or opened.
    """

    path: str
    movie: str = ""
    opened: float = 0.0


class KnownRuns:
    """The remembered runs, in a small JSON file that several processes may use.

    Parameters
    ----------
    path : Path, optional
        The file; by default ``runs.json`` in `user_data`.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or user_data() / "runs.json"

    def list(self) -> list[KnownRun]:
        """Return the remembered runs, latest first; empty if the file is absent or damaged."""
        try:
            entries = json.loads(self.path.read_text(encoding="utf-8"))["runs"]
            runs: list[KnownRun] = [decode(KnownRun, one, "run") for one in entries]
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return sorted(runs, key=lambda one: -one.opened)

    def remember(self, path: str | os.PathLike[str], movie: str = "") -> None:
        """Put a run on top of the list.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        where = str(Path(path).absolute())
        before = next((one.movie for one in self.list() if one.path == where), "")
        self._change(where, KnownRun(where, movie or before, time.time()))

    def forget(self, path: str | os.PathLike[str]) -> None:
        """Remove a run from the list; its folder stays."""
        self._change(str(Path(path).absolute()), None)

    def _change(self, path: str, run: KnownRun | None) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{self.path}.lock", timeout=2.0):
                self._write(path, run)
        except Timeout:
            self._write(path, run)  # a lost entry is better than a window that waits

    def _write(self, path: str, run: KnownRun | None) -> None:
        runs = [*([run] if run else []), *(one for one in self.list() if one.path != path)][:_MOST]
        atomic_write(self.path, json.dumps({"runs": encode(runs)}, indent=1).encode())


@dataclass(frozen=True)
class Peek:
    """State of a run, read from the end of its journal.

    Attributes
    ----------
    state : str
        ``"running"``, ``"stopped"``, ``"finished"``, ``"interrupted"``, ``"new"``, or ``"missing"`` without a folder.
    networks : int
        Networks born so far; 0 if the end of the journal does not say.
    fitness : float or None
        `RunReader.best_fitness`; None if the end of the journal does not say.
    """

    state: str
    networks: int = 0
    fitness: float | None = None


def peek(path: str | os.PathLike[str]) -> Peek:
    """Read the state of a run from the end of its journal, in about a tenth of a second however long it is."""
    folder = Path(path)
    journal = folder / "journal.jsonl"
    if not (folder / NAME).exists():
        return Peek("missing")
    running = WriterLock(folder).is_held
    if not journal.exists():
        return Peek("running" if running else "new")
    # The end of a long search may contain telemetry alone: it has begun in any case.
    phase, networks = "", 0
    best: Best | None = None
    answer: AnswerChosen | None = None
    for fact, _ in iterate_facts(journal, _start_of_line(journal, journal.stat().st_size - _TAIL)):
        match fact:
            case Born():
                networks = fact.id + 1
            case Best():
                best = fact
            case AnswerChosen():
                answer = fact
        if isinstance(fact, (Started, Stopped, Finished)):
            phase = fact.kind
    return Peek(state_of(running, phase, begun=True), networks, best_of(best, answer))


def _start_of_line(path: Path, offset: int) -> int:
    """Return the offset of the first line that begins after an offset [byte]."""
    if offset <= 0:
        return 0
    with path.open("rb") as file:
        file.seek(offset)
        file.readline()
        return file.tell()


def suggest_folder(movie: str, source: str | os.PathLike[str] | None = None) -> Path:
    """Suggest a run folder that does not exist yet: beside the movie's file, or in the user's home.

    Parameters
    ----------
    movie : str
        Name of the movie.
    source : path, optional
        Its file or folder.
    """
    name = "".join(c if c.isalnum() or c in "-_ ." else "-" for c in Path(movie).stem).strip(" .") or "search"
    parent = Path.home() / "menndl-searches"
    if source and Path(source).exists() and os.access(beside := Path(source).absolute().parent, os.W_OK):
        parent = beside
    numbers = (f"-{number}" if number > 1 else "" for number in range(1, 10**6))
    return next(path for end in numbers if not (path := parent / f"{name}{end}.menndl").exists())
