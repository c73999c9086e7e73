"""A search of the stand-in for a while, through the real runner, journal and Dask pool, and what it did."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parent))

import births
from cells import let_trainers_import_benchmarks
from evaluator import ENTRY
from napari_menndl.genome.space import SearchSpace
from napari_menndl.pool.dask import job_queue
from napari_menndl.pool.dask.pool import DaskPool
from napari_menndl.pool.spec import read_pool
from napari_menndl.search.facts import Evaluated, Failed
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.runner import SearchRunner
from napari_menndl.search.settings import SearchSettings

if TYPE_CHECKING:
    from cells import Numbers
    from napari_menndl.pool.protocol import PoolTelemetry

let_trainers_import_benchmarks()
#: Share of the time in which trainers start; it is left out.
_WARM = 0.1


class Timed(DaskPool):
    """The pool, noting when a job was submitted."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.submitted: dict[str, float] = {}
        super().__init__(*arguments, **options)

    def submit(self, key: str, payload: dict[str, Any], attachment: bytes = b"") -> None:
        self.submitted[key] = time.perf_counter()
        super().submit(key, payload, attachment)


def search(
    seconds: float,
    evaluation: float,
    seed: int,
    *,
    scatter: float = 0.0,
    slots: int = 2,
    together: int | None = None,
    spec: str = "local",
    kill_every: float = 0.0,
) -> Numbers:
    """Search for a while and return what the table shows.

    Parameters
    ----------
    seconds : float [s]
    evaluation : float [s]
        What an evaluation takes.
    seed : int
    scatter : float
        Standard deviation of the logarithm of that time.
    slots : int
    together : int, optional
        Most evaluations that travel as one task; left out: the pool's own choice.
    spec : str
        The pool.
    kill_every : float [s]
        So often a worker is killed; 0: never.
    """
    most = job_queue._BATCH_JOBS
    job_queue._BATCH_JOBS = together or most
    kills: list[int] = []
    try:
        with tempfile.TemporaryDirectory() as place:
            settings = SearchSettings(budget=f"{seconds + 5 + 2 * evaluation}s", pool=spec, slots=slots, seed=seed)
            folder = RunFolder.create(Path(place) / "run", settings, SearchSpace(), births.task())
            environment = {"EVALUATOR_SECONDS": str(evaluation), "EVALUATOR_SCATTER": str(scatter)}
            environment["OMP_NUM_THREADS"] = "1"
            cluster = replace(read_pool(spec), slots=slots).cluster()
            pool = Timed(ENTRY, cluster, slots, 60.0, threads=1, networks_per_gpu=0, env=environment)
            runner = SearchRunner(folder, pool, grace=0.0)
            told: list[tuple[float, float, bool]] = []
            usage: list[PoolTelemetry] = []

            def tell(key: str, evaluated: Any) -> None:
                now = time.perf_counter()
                told.append((now, now - pool.submitted.pop(key, now), key.endswith("/0")))
                passed = now - told[0][0]
                # Its last reading is of when all slots were still given work.
                if passed > _WARM * seconds and (not usage or passed > seconds) and len(usage) < 2:
                    usage.append(pool.telemetry())
                if passed > seconds:
                    runner.stop()

            runner.events.evaluation_finished.connect(tell)
            ending = threading.Event()
            if kill_every:
                threading.Thread(target=_kill_workers, args=(kill_every, kills, ending), daemon=True).start()
            before = _processor_seconds()
            try:
                runner.run()
            finally:
                ending.set()
                spent = _processor_seconds(before)
                pool.close()
            first, last = usage[0], usage[-1]
            moved = last.sent_bytes + last.received_bytes
            return _figures(told, spent, folder) | {
                "slots busy": round(_share(first, last, "busy_seconds"), 4),
                "slots waited for": round(_share(first, last, "waited_seconds"), 4),
                "bytes per network": round(moved / max(1, sum(fresh for *_, fresh in told))),
                **({"kills": len(kills)} if kill_every else {}),
            }
    finally:
        job_queue._BATCH_JOBS = most


def _share(first: PoolTelemetry, last: PoolTelemetry, name: str) -> float:
    """Of the slot time between two readings."""
    available = last.available_seconds - first.available_seconds
    return float((getattr(last, name) - getattr(first, name)) / available) if available else 0.0


def _figures(told: list[tuple[float, float, bool]], spent: dict[str, float], folder: RunFolder) -> Numbers:
    """Leave out the beginning, in which trainers start."""
    times, latencies, fresh = (np.array(column) for column in zip(*told, strict=True))
    begin = times[0] + _WARM * (times[-1] - times[0])
    inside = times > begin
    span, networks = times[-1] - begin, int(fresh[inside].sum())
    parts = np.histogram(times[inside & fresh], np.linspace(begin, times[-1], 11))[0] / (span / 10)
    facts = [fact for fact in folder.facts(genomes=False) if isinstance(fact, Evaluated)]
    keys = [fact.key for fact in facts]
    middle, high = np.quantile(latencies[inside], [0.5, 0.99])
    return {
        "seconds": round(float(span), 1),
        "networks per second": round(float(networks / span), 1),
        "evaluations per second": round(float(inside.sum() / span), 1),
        "networks per second by tenths": [round(float(part), 1) for part in parts],
        "latency ms, median": round(1e3 * float(middle), 1),
        "latency ms, 99 %": round(1e3 * float(high), 1),
        "processor ms per network": {name: round(1e3 * one / int(fresh.sum()), 2) for name, one in spent.items()},
        "recorded": len(keys),
        "doubled": len(keys) - len(set(keys)),
        "failed": sum(isinstance(fact, Failed) for fact in facts),
    }


def _processor_seconds(before: dict[str, float] | None = None) -> dict[str, float]:
    """Processor time of this process, with runner and local scheduler, and of its workers and trainers [s]."""
    now = {"search": time.process_time(), "others": 0.0}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            now["others"] += times.user + times.system
    return {name: one - (before or {}).get(name, 0.0) for name, one in now.items()}


def _kill_workers(every: float, kills: list[int], ending: threading.Event) -> None:
    rng = np.random.default_rng(0)
    while not ending.wait(every):
        workers = []
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "spawn_main" in " ".join(process.cmdline()):  # as nannies start them
                    workers.append(process)
        if workers:
            kills.append(int(rng.choice([one.pid for one in workers])))
            os.kill(kills[-1], signal.SIGKILL)
