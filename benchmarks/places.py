"""Everything that can be killed: a search process, a scheduler, workers and their trainers, each a process of its own.

What belongs to a site is found in the process table by a mark in the environment, whoever its parent is by then.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from napari_menndl.genome.space import SearchSpace
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.search.facts import Born, Evaluated, Failed, Lost, iterate_facts
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.settings import SearchSettings
from napari_menndl.task.task import TrainingTask
from standin import fate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MARK = "STANDIN_MARK"
#: A search that records nothing for so long is stuck [s].
STUCK = 90.0
_ENDED = b'"kind":"evaluated"', b'"kind":"failed"'


def small_task() -> TrainingTask:
    """Return a task that training could use."""
    frames = np.random.default_rng(0).normal(size=(1, 48, 48)).astype(np.float32)
    labels = np.zeros(frames.shape, np.uint8)
    labels[:, 4::12, 4::12] = labels[:, 5::12, 4::12] = labels[:, 4::12, 5::12] = 1
    return TrainingTask(frames, labels, np.ones(frames.shape, bool), ("vacancy",), (MatchRule(4.0),), guard=4)


@dataclass
class Site:
    """A search of the stand-in, and the cluster it runs on.

    Parameters
    ----------
    folder : Path
        For everything written.
    pool : str
        What the search is to use; left out: a scheduler and workers in processes of their own.
    machines : tuple of str
        One worker for each; what they are called is what the stand-in sees as STANDIN_MACHINE.
    threads : int
        Slots of each worker.
    fates : dict of str to float
        Shares of genomes.
    seconds : float
        Per evaluation [s].
    timeout : float
        Of an evaluation [s].
    seed : int
    disk : Path, optional
        Where the run folder lies instead.
    host : str
        Where scheduler and workers listen.
    beyond : dict of str to tuple of str
        The command with which to get to another machine, for the worker (by name) or the search that runs there.
    """

    folder: Path
    pool: str = ""
    machines: tuple[str, ...] = ("healthy",)
    threads: int = 2
    fates: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.05
    timeout: float = 30.0
    seed: int = 0
    disk: Path | None = None
    host: str = "127.0.0.1"
    beyond: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.search: subprocess.Popen[bytes] | None = None
        self.address = f"tcp://{self.host}:{free_port()}"
        file = self.folder / "pool.yaml"
        file.write_text(f"kind: scheduler\naddress: {self.address}\ninsecure: {self.host != '127.0.0.1'}\n")
        settings = SearchSettings(
            budget="1000000networks",
            seed=self.seed,
            pool=self.pool or str(file),
            slots=self.threads * len(self.machines),
            timeout=self.timeout,
            population=24,
            founders=(),
        )
        self.run = RunFolder.create((self.disk or self.folder) / "run", settings, SearchSpace(), small_task())
        (self.folder / "starts").touch()

    # ------------------------------------------------------------------ processes

    def start(self, command: list[str], name: str = "", **more: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            MARK: self.mark,
            "PYTHONPATH": str(HERE),
            "OMP_NUM_THREADS": "1",
            "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
            "STANDIN_LOG": str(self.folder / "starts"),
            "STANDIN_FATES": json.dumps(self.fates),
            "STANDIN_SECONDS": str(self.seconds),
        }
        with (self.folder / "output").open("ab") as output:
            return subprocess.Popen(
                [*self.beyond.get(name, ()), sys.executable, *command],
                env=environment | more,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def tend(self) -> None:
        """Start whatever should run and does not, as a batch system or a person would."""
        if not self.pool and (self.scheduler is None or self.scheduler.poll() is not None):
            port = self.address.rpartition(":")[2]
            options = ["--host", self.host, "--port", port, "--dashboard-address", "127.0.0.1:0"]
            self.scheduler = self.start(["-m", "distributed.cli.dask_scheduler", *options])
        for name in () if self.pool else self.machines:
            if name not in self.workers or self.workers[name].poll() is not None:
                # Elsewhere it has an address of its own, which it finds out.
                host = [] if name in self.beyond else ["--host", self.host]
                options = ["--nthreads", str(self.threads), *host, "--no-dashboard"]
                options += ["--memory-limit", "0", "--local-directory", str(self.folder / name)]
                command = ["-m", "distributed.cli.dask_worker", self.address, *options]
                self.workers[name] = self.start(command, name, STANDIN_MACHINE=name)
        if self.search is None or self.search.poll() is not None:
            self.search = self.start([str(HERE / "standin.py"), str(self.run.path)], "search")

    def processes(self, words: str = "") -> list[psutil.Process]:
        """Return what lives and bears the mark, with these words in its command."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if process.environ().get(MARK) == self.mark and words in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def trainers(self) -> list[psutil.Process]:
        return self.processes("napari_menndl.pool.process.child")

    def worker_processes(self) -> list[psutil.Process]:
        """The workers themselves, each the child of a nanny."""
        return [one for one in self.processes("spawn_main") if one.ppid() != 1]

    def gone(self, seconds: float = 10.0, words: str = "") -> int:
        """Wait until nothing is left; how much is left then."""
        wait_until(lambda: not self.processes(words), seconds)
        return len(self.processes(words))

    def end(self) -> int:
        """Stop the search as a person would, then the cluster; return how many processes are left."""
        if self.search is not None and self.search.poll() is None:
            self.run.request("stop")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.search.wait(60)
        for process in (*self.workers.values(), self.scheduler):
            if process is not None:
                process.terminate()
        left = self.gone(15.0)
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        return left

    # ------------------------------------------------------------------ what was recorded

    def journal(self) -> bytes:
        """The journal as far as it is certain."""
        path = self.run.journal_path
        content = path.read_bytes() if path.exists() else b""
        return content[: content.rfind(b"\n") + 1]

    def ended(self) -> int:
        """How many evaluations are recorded."""
        content = self.journal()
        return sum(content.count(words) for words in _ENDED)

    def starts(self, machine: str) -> int:
        """How many evaluations have begun on a machine."""
        return (self.folder / "starts").read_text().count(f" {machine}\n")

    def wait_for(self, evaluations: int, seconds: float, tend: bool = True) -> bool:
        """Wait until so many evaluations are recorded, keeping everything running meanwhile."""

        def enough() -> bool:
            if tend:
                self.tend()
            return self.ended() >= evaluations

        return wait_until(enough, seconds, 0.03)

    def account(self) -> dict[str, Any]:
        """Count what the journal says, against each genome's fate and the starts that the stand-in has noted."""
        facts = [fact for fact, _ in iterate_facts(self.run.journal_path)]
        genomes = {fact.id: fact.genome for fact in facts if isinstance(fact, Born)}
        ends = [fact for fact in facts if isinstance(fact, Evaluated)]
        fates = {fact.key: fate(genomes[fact.key.network], self.fates) for fact in ends}
        failed = {fact.key: fact.failure.kind for fact in ends if isinstance(fact, Failed)}
        keys = Counter(fact.key for fact in ends)
        births = Counter(fact.id for fact in facts if isinstance(fact, Born))
        starts = len((self.folder / "starts").read_text().splitlines())
        return {
            "births": len(births),
            "evaluations": len(ends),
            "doubled": sum(number - 1 for counter in (keys, births) for number in counter.values()),
            "innocent failed": sum(not fates[key] for key in failed),
            "guilty": dict(Counter(fates[key] for key in fates if fates[key])),
            "guilty not failed": sum(bool(fates[key]) and key not in failed for key in keys),
            "failures": dict(Counter(failed.values())),
            "lost and tried again": sum(isinstance(fact, Lost) for fact in facts),
            "wasted starts": starts - len(ends),
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spread(seconds: list[float]) -> dict[str, Any]:
    """Return median, 90th percentile and longest [s]."""
    if not seconds:
        return {}
    middle, high = np.quantile(seconds, [0.5, 0.9])
    return {"median": round(middle, 2), "90 %": round(high, 2), "longest": round(max(seconds), 2)}


def wait_until(true: Callable[[], bool], seconds: float, pause: float = 0.05) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


@contextlib.contextmanager
def at(site: Site) -> Iterator[Site]:
    """Run a site for as long as the context lasts, and leave nothing behind."""
    try:
        site.tend()
        yield site
    finally:
        for process in site.processes():
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
