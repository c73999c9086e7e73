"""Islands: many searches side by side on few cores, and whether exchanging elites pays.

    python benchmarks/islands.py [--only emulated|landscape] [--quick] [--again]

``emulated``: real search processes with real run folders and a real shared folder; only the evaluations sleep, on a
clock of the pool, and their fitness is made up. By default 32 islands of 864 slots, the 27,648 GPUs of Summit, at its
37 networks per GPU-hour, on however few cores there are. Writes ``results/islands-emulated-32x864.json``.

``landscape``: the same number of births on a made-up landscape with a broad hill and a higher, narrow one, for islands
that exchange, islands that do not, one population as large as all of theirs together, and one as large as that of a
single island. Writes ``results/islands-landscape.json``. Which is best is what it is for to find out.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

sys.path.insert(0, str(Path(__file__).parent))

from births import task
from cells import read_cell, write_cell
from hills import compare, evaluate
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.space import SearchSpace
from napari_menndl.pool.protocol import Outcome, PoolTelemetry
from napari_menndl.search.facts import Arrived, Evaluated, Started, Telemetry
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.islands.merge import merge_folders
from napari_menndl.search.runner import SearchRunner
from napari_menndl.search.settings import SearchSettings

#: Per V100 on Summit: Patton et al. 2018, "167-PFlops deep learning for electron microscopy", SC18 [s].
SUMMIT_SECONDS = 3600 / 37


# ------------------------------------------------------------------ emulated: one island


class ClockPool:
    """A pool whose evaluations end by the clock: any number of slots, no work.

    Parameters
    ----------
    slots : int
    seconds : float
        Mean duration of an evaluation; they vary by a third [s].
    seed : int
    weights : int
        That every evaluation returns [KiB].
    """

    def __init__(self, slots: int, seconds: float, seed: int, weights: int) -> None:
        self.slots = slots
        self._weights = save({"0/weights": np.zeros(256 * weights, np.float32)}) if weights else b""
        self._seconds = seconds
        self._rng = np.random.default_rng(seed)
        self._running: list[tuple[float, str, float, dict[str, Any]]] = []
        self._keys: set[str] = set()
        self._opened = time.time()
        self._busy = 0.0

    @property
    def free(self) -> int:
        return self.slots - len(self._running)

    def submit(self, key: str, payload: dict[str, Any], attachment: bytes = b"") -> None:
        now = time.time()
        # As if the search had gone on for long: the first evaluations do not end all at once.
        first = self._rng.uniform(0, 1) if now - self._opened < self._seconds / 2 else 1.0
        scatter = self._rng.lognormal(-0.05, 0.33)
        seconds = self._seconds * first * scatter if payload["rung"]["name"].isdigit() else 0.0
        heapq.heappush(self._running, (now + seconds, key, now, payload))
        self._keys.add(key)

    def finished(self, timeout: float | None = None) -> list[Outcome]:
        if self._running:
            time.sleep(max(0.0, min(self._running[0][0] - time.time(), 1.0 if timeout is None else timeout)))
        outcomes, now = [], time.time()
        while self._running and self._running[0][0] <= now:
            ended, key, began, payload = heapq.heappop(self._running)
            if key in self._keys:
                self._keys.discard(key)
                self._busy += ended - began
                genome, rung = Genome.from_json(payload["genome"]), Rung.from_json(payload["rung"])
                answer = {"evaluation": evaluate(genome, rung, 0).to_json()}
                outcomes.append(Outcome(key, answer, self._weights, None, "emulated", began, ended))
        return outcomes

    def cancel(self, key: str) -> None:
        self._keys.discard(key)
        self._running = [one for one in self._running if one[1] != key]
        heapq.heapify(self._running)

    def telemetry(self) -> PoolTelemetry:
        now = time.time()
        running = sum(min(end, now) - began for end, _, began, _ in self._running)
        available = self.slots * (now - self._opened)
        return PoolTelemetry(1, self.slots, 0, self._busy + running, available, available - self._busy - running)

    def close(self) -> None:
        self._running.clear()


def island_process(path: str, slots: int, seconds: float, weights: int) -> None:
    """Be the search process of one island, from the moment at which all are ready."""
    folder = RunFolder.open(path)
    print("ready", flush=True)
    sys.stdin.readline()
    loading = time.process_time()
    SearchRunner(folder, ClockPool(slots, seconds, folder.settings.root, weights)).run()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": time.process_time() - loading, "memory_mib": memory}), flush=True)


# ------------------------------------------------------------------ emulated: all of them


def emulate(islands: int, slots: int, seconds: float, minutes: float, weights: int) -> dict[str, Any]:
    """Run all islands on this machine and read from their journals how it went."""
    with tempfile.TemporaryDirectory() as place:
        names = [f"island-{n:02}" for n in range(islands)]
        budget = f"{60 * minutes:.0f}s"
        for name in names:
            settings = SearchSettings(
                budget=budget,
                pool="serial",
                population=max(24, slots),  # a smaller one would have gone by before an evaluation is back
                exchange=f"{place}/shared",
                island=name,
            )
            RunFolder.create(Path(place) / name, settings, SearchSpace(), task())
        used = _run_all(Path(place), names, slots, seconds, weights)
        folders = [RunFolder.open(Path(place) / name) for name in names]
        found = _account(folders, slots, 60 * minutes, skip=min(1.5 * seconds, 30 * minutes))
        shared = list((Path(place) / "shared").iterdir())
        began = time.perf_counter()
        merged = merge_folders([one.path for one in folders], Path(place) / "merged")
        merging = time.perf_counter() - began
        status = merged.status()
        return {
            "islands": islands,
            "slots_per_island": slots,
            "slots": islands * slots,
            "population_per_island": max(24, slots),
            "seconds_per_evaluation": round(seconds, 2),
            "minutes": minutes,
            "weights_kib": weights,
            **found,
            "cpu_seconds": round(sum(one["cpu"] for one in used), 1),
            "cpu_ms_per_evaluation": round(1000 * sum(one["cpu"] for one in used) / max(1, found["evaluations"]), 2),
            "cores_used": round(sum(one["cpu"] for one in used) / (60 * minutes), 2),
            "memory_mib_per_island": round(float(np.median([one["memory_mib"] for one in used])), 1),
            "shared_files": len(shared),
            "shared_kib": round(sum(one.stat().st_size for one in shared) / 1024, 1),
            "merge_seconds": round(merging, 1),
            "merged_births": status["births"],
            "merged_evaluations": status["evaluations"],
        }


def _run_all(place: Path, names: list[str], slots: int, seconds: float, weights: int) -> list[dict[str, float]]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--island"]
    processes = [
        subprocess.Popen(
            [*command, str(place / name), str(slots), str(seconds), str(weights)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(place / name / "search.log").open("ab"),
            env=environment,
            text=True,
        )
        for name in names
    ]
    try:
        for one in processes:
            one.stdout.readline()
        for one in processes:
            one.stdin.write("go\n")
            one.stdin.flush()
        said = [one.stdout.readline() for one in processes]
        if "" in said:
            raise RuntimeError((place / names[said.index("")] / "search.log").read_text())
        return [json.loads(line) for line in said]
    finally:
        for one in processes:
            one.kill()
            one.communicate()


def _account(folders: list[RunFolder], slots: int, length: float, skip: float) -> dict[str, Any]:
    """Rates over the time in which all islands were past their beginning; what became of the elites."""
    made: dict[tuple[str, str], float] = {}
    ended: list[float] = []
    arrivals: list[tuple[str, str, float]] = []
    births, began, size, lines = [], [], 0, 0
    usage: list[list[tuple[float, float, float]]] = []
    for folder in folders:
        name = folder.settings.island
        usage.append([])
        for fact in folder.facts(genomes=False):
            lines += 1
            match fact:
                case Started():
                    began.append(fact.time)
                case Evaluated() if fact.evaluation.fitness is not None:
                    made[name, fact.key] = fact.time
                    ended.append(fact.time)
                case Telemetry():
                    usage[-1].append((fact.time, fact.pool["busy_seconds"], fact.slot_seconds))
                case Arrived():
                    arrivals.append((fact.island, f"{fact.theirs}/{fact.rung}", fact.time))
        status = folder.status()
        births.append(status["births"])
        size += folder.journal_path.stat().st_size
    first, last = max(began) + skip, min(began) + length
    waits = sorted(at - made[island, key] for island, key, at in arrivals if (island, key) in made)
    reached: dict[tuple[str, str], list[float]] = {}
    for island, key, at in arrivals:
        if (island, key) in made:
            reached.setdefault((island, key), []).append(at - made[island, key])
    everywhere = [max(times) for times in reached.values() if len(times) == len(folders) - 1]
    # Between the same two moments as the rate.
    inside = [[one for one in island if first <= one[0] <= last] for island in usage]
    busy, available = (sum(one[-1][n] - one[0][n] for one in inside if one) for n in (1, 2))
    evaluations = sum(first <= at <= last for at in ended)
    return {
        "evaluations": len(ended),
        "births": sum(births),
        "births_least_and_most": [min(births), max(births)],
        "evaluations_per_second": round(evaluations / (last - first), 1),
        "measured_over_seconds": round(last - first, 1),
        "slots_busy_percent": round(100 * busy / available, 2) if available else None,
        "journal_lines_per_second": round(lines / length, 1),
        "journal_bytes_per_evaluation": round(size / max(1, len(ended))),
        "elites_arrived": len(arrivals),
        "elites_that_came_anywhere": len(reached),
        "elite_seconds_median": round(waits[len(waits) // 2], 1) if waits else None,
        "elite_seconds_95_percent": round(waits[int(0.95 * len(waits))], 1) if waits else None,
        "elites_that_came_everywhere": len(everywhere),
        "elite_seconds_to_the_last_island_median": round(float(np.median(everywhere)), 1) if everywhere else None,
    }


def main() -> None:
    if sys.argv[1:2] == ["--island"]:
        path, slots, seconds, weights = sys.argv[2:]
        island_process(path, int(slots), float(seconds), int(weights))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("emulated", "landscape"))
    parser.add_argument("--islands", type=int, default=32)
    parser.add_argument("--slots", type=int, default=864)
    parser.add_argument("--seconds", type=float, default=SUMMIT_SECONDS, help="per evaluation")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--weights", type=int, default=0, help="that every evaluation returns [KiB]")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="seconds, nothing written")
    parser.add_argument("--again", action="store_true", help="measure though the result is there")
    options = parser.parse_args()
    marks = [400, 800] if options.quick else [250, 500, 1000, 2000, 4000]
    shape = (4, 16, 1.0, 0.3) if options.quick else (options.islands, options.slots, options.seconds, options.minutes)
    kind = f"-{options.weights}KiB" if options.weights else ""
    cells = {
        f"islands-emulated-{shape[0]}x{shape[1]}{kind}": (
            lambda: emulate(*shape, options.weights),
            shape[3] + shape[0] * 0.06,
        ),
        "islands-landscape": (
            lambda: compare(2 if options.quick else options.seeds, marks[-1], marks),
            (2 if options.quick else options.seeds) * marks[-1] * 4 * 1.5e-3 / 60,
        ),
    }
    for name, (measure, minutes) in cells.items():
        if options.only and options.only not in name:
            continue
        found = None if options.again or options.quick else read_cell(name)
        if found is None:
            print(f"{name}: about {minutes:.1f} min", flush=True)
            found = measure()
            if not options.quick:
                write_cell(name, 0, found)
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
