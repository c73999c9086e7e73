"""How many networks a second go through the real search: runner, journal, Dask pool; and what LEAP does beside it.

    python benchmarks/dispatch.py [--only noop-batched] [--quick] [--seed 0] [--again]

Everything is real (breeding, journal with its fsyncs, Dask scheduler and worker, trainer children) but the training:
`evaluator.py` returns at once, after 1 ms, or after 1 s, and leaves no weights, which would have to be written, too. A
network is a candidate that was born and evaluated; those that are promoted are
evaluated again, which counts as evaluations only. Writes ``benchmarks/results/dispatch/CELL.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from distributed import Client

import births
from cells import Numbers, read_cell, write_cell
from napari_menndl.pool.clusters.certificates import make_certificates
from throughput import search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Where the environment for LEAP is made; it stays, for the next time.
LEAP = Path(tempfile.gettempdir()) / "napari-menndl-leap"
LEAP_PACKAGE = "leap-ec==0.8.2"


def rate(evaluation: float, together: int | None = None) -> Callable[[float, int], Numbers]:
    return lambda seconds, seed: search(seconds, evaluation, seed, together=together)


def busy(seconds: float, seed: int) -> Numbers:
    """Sixteen slots on however few cores, with evaluations that sleep for a second."""
    return search(seconds, 1.0, seed, slots=16)


def million(number: float, seed: int) -> Numbers:
    """Births without a pool between: a serial one that takes 32 at a time, each evaluated once."""
    return births.measure(int(number), 20, seed, together=32, rungs=1, resume=False)


def encryption(seconds: float, seed: int) -> Numbers:
    """A scheduler and a worker in processes of their own, plain and with TLS in turns."""
    found: dict[str, list[Numbers]] = {"plain": [], "tls": []}
    for turn in range(3):
        for kind, runs in found.items():
            for together in (1, None):
                with _cluster(kind == "tls") as spec:
                    one = search(seconds / 12, 0.0, seed + turn, together=together, spec=spec)
                runs.append({"together": together or "chosen", **one})
    return _summed(found)


@contextlib.contextmanager
def _cluster(encrypted: bool, workers: int = 1, **environment: str) -> Iterator[str]:
    """Start a scheduler, and workers with two slots together, or one each; yield the pool's spec."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "scheduler.json"
        if encrypted:
            certificates = make_certificates()
            certificates.write(Path(place))

        def start(kind: str, *options: str) -> subprocess.Popen[bytes]:
            files = ("ca.pem", f"{kind}.pem", f"{kind}.key")
            names = ("--tls-ca-file", "--tls-cert", "--tls-key")
            tls = [part for name, one in zip(names, files, strict=True) for part in (name, f"{place}/{one}")]
            command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options, *(tls if encrypted else [])]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            command += ["--scheduler-file", str(file)]
            return subprocess.Popen(command, env=os.environ | environment, start_new_session=True, **quiet)

        host = ("--host", "127.0.0.1") if not encrypted else ("--host", "127.0.0.1", "--protocol", "tls")
        scheduler = start("scheduler", *host, "--port", "0", "--dashboard-address", "127.0.0.1:0")
        while not file.exists() or not file.read_text().strip():
            time.sleep(0.05)
        options = (
            "--nworkers",
            f"{workers}",
            "--nthreads",
            f"{max(1, 2 // workers)}",
            "--no-dashboard",
            "--memory-limit",
            "0",
            "--local-directory",
            place,
        )
        worker = start("worker", *host, *options)
        address = json.loads(file.read_text())["address"]
        try:
            yield f"{address}?certificates={place}" if encrypted else address
        finally:
            for process in (worker, scheduler):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def island(seconds: float, seed: int) -> Numbers:
    """One island of docs/scaling.md: 144 workers of one scheduler, a slot each, at Summit's rate for their 864 GPUs."""
    workers, summit = 144, 864 * 37 / 3600
    began = time.monotonic()
    # What a worker does when idle, which on a cluster each does on a processor of its own, is too much for two cores.
    idle = {f"DASK_DISTRIBUTED__ADMIN__{what}__INTERVAL": "5 s" for what in ("TICK", "SYSTEM_MONITOR")}
    with _cluster(encrypted=False, workers=workers, **idle, DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED="False") as spec:
        with Client(spec) as client:
            client.wait_for_workers(workers, timeout=900)
        came = time.monotonic() - began
        found = search(seconds, workers / summit, seed, scatter=0.33, slots=workers, spec=spec)
    return {"workers": workers, "seconds until they were there": round(came, 1), **found}


def leap(seconds: float, seed: int) -> Numbers:
    """LEAP and this project in turns, with two slots; LEAP with as many jobs in flight as slots, and with 64."""
    found: dict[str, list[Numbers]] = {}
    for evaluation in (0.0, 1e-3):
        name = f"{1e3 * evaluation:g} ms"
        for turn in range(3):
            share = seconds / 24
            for together in (1, None):
                one = search(share, evaluation, seed + turn, together=together)
                key = f"{name}: ours, {'one per task' if together else 'batched'}"
                found.setdefault(key, []).append(one)
            for window in (2, 64):
                key = f"{name}: LEAP, {window} in flight"
                found.setdefault(key, []).append(run_leap(evaluation, share, window))
    return _summed(found)


def leap_kills(seconds: float, seed: int) -> Numbers:
    """One of two workers of one slot each is killed every ten seconds, under both; evaluations take 50 ms."""
    found: dict[str, list[Numbers]] = {"ours": [], "LEAP, 2 in flight": [], "LEAP, 16 in flight": []}
    for turn in range(3):
        share = seconds / 9
        with _cluster(encrypted=False, workers=2) as spec:
            found["ours"].append(search(share, 0.05, seed + turn, spec=spec, kill_every=10.0))
        for window in (2, 16):
            found[f"LEAP, {window} in flight"].append(run_leap(0.05, share, window, kill_every=10.0))
    return {name: [_short(one) for one in runs] for name, runs in found.items()}


def run_leap(evaluation: float, seconds: float, window: int, kill_every: float = 0.0) -> Numbers:
    """Run LEAP in its own environment, which is made when there is none."""
    python = LEAP / "bin" / "python"
    if not (LEAP / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(LEAP)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", LEAP_PACKAGE], check=True)
        (LEAP / "made").touch()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    options = {"--evaluation": evaluation, "--seconds": seconds, "--window": window, "--kill-every": kill_every}
    command = [str(python), str(HERE / "leap_search.py"), *(str(one) for pair in options.items() for one in pair)]
    ran = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=seconds + 180, start_new_session=True
    )
    lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    if not lines:
        return {"networks per second": 0.0, "ended by": ran.stderr.strip()[-300:]}
    numbers = json.loads(lines[-1])
    return {"networks per second": numbers.pop("networks_per_second"), **numbers}


def _short(one: Numbers) -> Numbers:
    names = (
        "networks per second",
        "evaluations per second",
        "networks",
        "recorded",
        "doubled",
        "failed",
        "kills",
        "ended by",
    )
    return {name: one[name] for name in names if name in one}


def _summed(found: dict[str, list[Numbers]]) -> Numbers:
    """The runs, and the median of their rates by kind."""
    table: Numbers = {}
    for name, runs in found.items():
        for together in sorted({str(one.get("together", "")) for one in runs}):
            rates = [one["networks per second"] for one in runs if str(one.get("together", "")) == together]
            table[f"{name} {together}".strip()] = round(float(np.median(rates)), 1)
    return {"networks per second": table, "runs": found}


@dataclass(frozen=True)
class Cell:
    """What to measure, for how long [s] (or how many births), with ``--quick``, and what that takes [s]."""

    measure: Callable[[float, int], Numbers]
    amount: float
    quick: float
    seconds: Callable[[float], float] = lambda amount: amount + 15


CELLS = {
    "noop-single": Cell(rate(0.0, 1), 120, 5),
    "noop-batched": Cell(rate(0.0), 600, 10),
    "1ms-single": Cell(rate(1e-3, 1), 120, 5),
    "1ms-batched": Cell(rate(1e-3), 600, 10),
    "busy-16": Cell(busy, 300, 20),
    "million": Cell(million, 1_000_000, 5000, lambda amount: 1.4e-3 * amount),
    "island": Cell(island, 300, 60, lambda amount: amount + 180),
    "tls": Cell(encryption, 360, 36, lambda amount: 1.1 * amount + 120),
    "leap": Cell(leap, 960, 48, lambda amount: 1.1 * amount + 240),
    "leap-kills": Cell(leap_kills, 540, 135, lambda amount: 1.1 * amount + 120),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CELLS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a few seconds each, nothing written")
    parser.add_argument("--again", action="store_true", help="measure though the result is there")
    options = parser.parse_args()
    names = [options.only] if options.only else list(CELLS)
    amounts = {name: CELLS[name].quick if options.quick else CELLS[name].amount for name in names}
    print("\n".join(f"{name}: about {CELLS[name].seconds(amounts[name]) / 60:.1f} min" for name in names), flush=True)
    for name in names:
        place = f"dispatch/{name}"
        found = None if options.again or options.quick else read_cell(place)
        if found is None:
            found = CELLS[name].measure(amounts[name], options.seed)
            if not options.quick:
                write_cell(place, options.seed, found)
        print(json.dumps({name: found}, indent=1), flush=True)


if __name__ == "__main__":
    main()
