"""A search that trains, killed by `kill -9` at random moments: real trainer children with torch.

Networks and movie are tiny. After each kill every process that the search had started must be gone; then it is resumed.
Four kills of five fall anywhere, the others behind an answer.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import psutil

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.api import open_run, resume_search
from napari_menndl.genome.ranges import LayerSpace, Limits, TrainingSpace
from napari_menndl.genome.space import SearchSpace
from napari_menndl.run import Run
from napari_menndl.search.facts import Born, Evaluated
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.settings import SearchSettings
from napari_menndl.simulation.simulate import simulate_movie
from napari_menndl.task.task import TrainingTask

if TYPE_CHECKING:
    from napari_menndl.simulation.simulate import SimulatedMovie

#: Networks so small that an evaluation takes a fraction of a second.
TINY = SearchSpace(
    LayerSpace(kinds=("conv",), filters=(4, 8), kernel=(3, 5), strides=(1,)),
    TrainingSpace(batch=(4,), tile=(32,)),
    Limits(layers=(2, 3)),
)
SETTINGS = {"population": 6, "slots": 2, "pixels": 10_000, "rungs": 2, "founders": ()}
#: What a search had started must be gone so long after its death [s].
MOURNING = 10.0
#: How a line of the journal begins that says what the answer is now.
ANSWER = b'{"kind":"answer"'


def tiny_movie() -> SimulatedMovie:
    return simulate_movie(2, (96, 96), snr=10)


def prepare_tiny(run: str | os.PathLike[str], budget: str, seed: int = 0) -> Run:
    """Make the run folder of a search that is to evaluate several networks a second."""
    simulated = tiny_movie()
    task = TrainingTask.from_movie(simulated.movie, Annotation.from_simulation(simulated), (0,))
    return Run(RunFolder.create(run, SearchSettings(budget=budget, seed=seed, **SETTINGS), TINY, task))


def start_tiny(run: str | os.PathLike[str], budget: str, seed: int = 0) -> Run:
    """Start such a search."""
    prepared = prepare_tiny(run, budget, seed)
    prepared.start()
    return prepared


@dataclass(frozen=True)
class Moment:
    """When to kill.

    Attributes
    ----------
    lines : int
        Recorded since the process was started; 0: while it still starts.
    delay : float [s]
        After that line.
    answered : bool
        Of the lines from the first answer on.
    """

    lines: int
    delay: float
    answered: bool = False


@dataclass(frozen=True)
class Kill:
    """What a kill found.

    Attributes
    ----------
    recorded : bytes
        The journal's complete lines, read before the kill.
    processes, orphans : int
        Started by the search; alive `MOURNING` after its death.
    resume_seconds : float or None [s]
        From the start of this search process to its first line; None when it was killed before.
    """

    recorded: bytes
    processes: int
    orphans: int
    resume_seconds: float | None


def random_moments(number: int, seed: int) -> list[Moment]:
    """Draw the moments; the last fifth falls behind an answer."""
    rng = np.random.default_rng([seed, number])
    late = number // 5
    early = [Moment(int(rng.integers(0, 12)), float(rng.uniform(0, 0.3))) for _ in range(number - late)]
    return early + [Moment(int(rng.integers(0, 3)), float(rng.uniform(0, 0.3)), True) for _ in range(late)]


def processes_of(pid: int) -> list[psutil.Process]:
    """Return the living processes that a search process has started, itself dead or alive: they are its session."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == pid != process.pid and is_alive(process):
                found.append(process)
        except (OSError, psutil.Error):
            continue
    return found


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def search_process(run: Run) -> psutil.Process:
    """Return the search process that `run` has started.

    By its number: for a moment after the start its command line is still empty (by which it was not found in 1 of some
    thousand starts).
    """
    return psutil.Process(run._process.pid)


def complete_lines(run: Run) -> bytes:
    """Return the journal as far as it is certain: without a line that is being written."""
    content = run.folder.journal_path.read_bytes() if run.folder.journal_path.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def kill_at(run: Run, moment: Moment) -> Kill | None:
    """Kill a search that was just started at a moment, and look for what it leaves; None: it had ended before."""
    began, length = time.monotonic(), len(complete_lines(run))
    process = search_process(run)
    resumed = None
    while is_alive(process):
        recorded = complete_lines(run)
        if resumed is None and len(recorded) > length:
            resumed = time.monotonic() - began
        called = recorded.find(ANSWER) if moment.answered else 0
        if called >= 0 and recorded.count(b"\n", max(called, length)) >= moment.lines:
            break
        time.sleep(0.01)
    time.sleep(moment.delay)
    recorded, started = complete_lines(run), len(processes_of(process.pid))
    if not is_alive(process):
        return None
    process.kill()
    process.wait()
    deadline = time.monotonic() + MOURNING
    while (orphans := processes_of(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return Kill(recorded, started, len(orphans), resumed)


def kill_and_resume(run: Run, moments: list[Moment]) -> list[Kill]:
    """Kill a search that was just started at every one of the moments, and let it come to its end."""
    kills = []
    for moment in moments:
        kill = kill_at(run, moment)
        if kill is None:
            break
        kills.append(kill)
        run = resume_search(run.path, wait=False)
    run.wait()
    return kills


def losses(run: Run, kills: list[Kill]) -> tuple[int, int]:
    """Count the lines that were recorded before a kill and are gone, and the births and evaluations that came twice."""
    whole = complete_lines(run).splitlines()
    lost = 0
    for kill in kills:
        before = kill.recorded.splitlines()
        lost += sum(a != b for a, b in zip(before, whole, strict=False)) + max(0, len(before) - len(whole))
    facts = list(run.folder.facts(genomes=False))
    evaluated = Counter(fact.key for fact in facts if isinstance(fact, Evaluated))
    born = Counter(fact.id for fact in facts if isinstance(fact, Born))
    doubled = sum(number - 1 for counter in (evaluated, born) for number in counter.values())
    return lost, doubled


def measure(number: int, seed: int) -> dict[str, object]:
    """Kill a search so often; return what the table shows."""
    with tempfile.TemporaryDirectory() as place:
        run = start_tiny(Path(place) / "run", f"{5 * number}networks", seed)
        moments = random_moments(number, seed)
        kills = kill_and_resume(run, moments)
        run = open_run(run.path)
        lost, doubled = losses(run, kills)
        resumed = [kill.resume_seconds for kill in kills[1:] if kill.resume_seconds is not None]
        return {
            "kills": len(kills),
            "state": run.state,
            "recorded before": len(kills[-1].recorded.splitlines()),
            "lost": lost,
            "doubled": doubled,
            "processes": sum(kill.processes for kill in kills),
            "orphans": sum(kill.orphans for kill in kills),
            "median seconds to resume": round(median(resumed), 2) if resumed else None,
            "evaluations": run.status()["evaluations"],
            "moments": [asdict(moment) for moment in moments],
        }
