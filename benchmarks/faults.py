"""What faults cost: processes killed and stopped, poisonous networks, full disks, damaged data, a sick machine.

    python benchmarks/faults.py [--only kill-workers] [--quick] [--seed 0] [--again]

Everything is real (search process, Dask scheduler and workers, trainer children, disks) but the training, for which a
stand-in sleeps; the cell `torch` kills a search that trains. What is counted is read from journals, from the process
table and from what the stand-in notes at each start. Writes ``benchmarks/results/faults/CELL.json``, one per fault.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from cells import Numbers, read_cell, write_cell
from fault_cells import cutting, disks, harm, killing, stopping, training
from fault_cells.table import table

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Cell:
    """A kind of fault.

    Attributes
    ----------
    title : str
        For the table.
    measure : callable
        How often, seed → what the table shows.
    number, few : int
        How often; how often with ``--quick``.
    seconds : float
        Each takes about so long [s].
    apart : str
        What of the system it needs for itself: ``"mount"``, ``"net"`` or nothing.
    """

    title: str
    measure: Callable[[int, int], Numbers]
    number: int
    few: int
    seconds: float
    apart: str = ""


CELLS = {
    "kill-search": Cell("search process killed", killing.of("search"), 100, 3, 3),
    "kill-workers": Cell("worker killed", killing.of("worker"), 100, 4, 3),
    "kill-scheduler": Cell("scheduler killed", killing.of("scheduler"), 100, 3, 7),
    "kill-trainers": Cell("trainer killed", killing.of("trainer"), 100, 5, 1),
    "kill-mixed": Cell("any of them killed", killing.of("search", "worker", "scheduler", "trainer"), 100, 6, 5),
    "torch": Cell("search that trains killed", training.measure, 20, 5, 12),
    "poison": Cell("networks that crash their trainer", harm.poison({"segfault": 0.03, "exit": 0.03}, 20), 50, 3, 6),
    "hangs": Cell(
        "networks that hang, half of them deaf to SIGTERM",
        harm.poison({"hang": 0.2, "deaf": 0.2}, 2.5, timeout=1.0),
        100,
        4,
        2,
    ),
    "not-finite": Cell("losses that are not finite", harm.poison({"not finite": 0.1, "diverged": 0.1}, 5), 100, 5, 0.5),
    "out-of-memory": Cell("out of memory, simulated", harm.poison({"out of memory": 0.2}, 5), 50, 3, 1),
    "memory-limit": Cell("beyond the limit of memory", harm.memory, 50, 4, 2),
    "full-journal": Cell("disk of the journal full", disks.full_journal, 20, 3, 4, apart="mount"),
    "full-staging": Cell("disk of the staging full", disks.full_staging, 20, 2, 9, apart="mount"),
    "damaged-task": Cell("staged task damaged: bits flipped, cut short", disks.damaged_task, 100, 5, 1),
    "damaged-weights": Cell("weights damaged alike", disks.damaged_weights, 100, 100, 0.05),
    "stopped-10": Cell("worker, scheduler, everything stopped for 10 s", stopping.stopped(10.0), 2, 1, 50),
    "stopped-60": Cell("the same for 60 s", stopping.stopped(60.0), 1, 0, 200),
    "cut-10": Cell("network cut for 10 s", cutting.cut(10.0), 3, 1, 40, apart="net"),
    "cut-90": Cell("network cut for 90 s", cutting.cut(90.0), 1, 0, 240, apart="net"),
    "sick-worker": Cell("machine on which everything fails", stopping.sick_worker, 200, 20, 0.3),
}


def measured(name: str, number: int, seed: int) -> Numbers:
    """Measure a cell; in a process of its own where it mounts a disk or cuts a network, which nobody else then sees."""
    if not CELLS[name].apart:
        return CELLS[name].measure(number, seed)
    command = [sys.executable, __file__, "--inside", name, "--number", str(number), "--seed", str(seed)]
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = subprocess.run(
        ["unshare", *user, f"--{CELLS[name].apart}", *command], check=True, stdout=subprocess.PIPE, text=True
    )
    found: Numbers = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=CELLS, help="this cell; may be given several times")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a few of each, nothing written")
    parser.add_argument("--again", action="store_true", help="measure though the result is there")
    parser.add_argument("--inside", choices=CELLS, help=argparse.SUPPRESS)
    parser.add_argument("--number", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(CELLS[options.inside].measure(options.number, options.seed)))
        return
    left = {}
    for name in options.only or CELLS:
        number = CELLS[name].few if options.quick else CELLS[name].number
        found = None if options.again or options.quick else read_cell(f"faults/{name}")
        if found is None and number:
            left[name] = number
    total = sum(CELLS[name].seconds * number + 20 for name, number in left.items())
    print(f"{len(left)} cells; about {total / 60:.0f} min on 2 idle cores", flush=True)
    for name in options.only or CELLS:
        if name in left:
            print(f"{name}: {left[name]} times, about {CELLS[name].seconds * left[name] + 20:.0f} s", flush=True)
            began = time.monotonic()
            result = {**measured(name, left[name], options.seed), "took": round(time.monotonic() - began)}
            if not options.quick:
                write_cell(f"faults/{name}", options.seed, result)
        else:
            result = read_cell(f"faults/{name}") or {}
        print(f"{name}: {json.dumps({k: v for k, v in result.items() if k != 'moments'}, indent=1)}", flush=True)
    print(table({cell.title: one for name, cell in CELLS.items() if (one := read_cell(f"faults/{name}")) is not None}))


if __name__ == "__main__":
    main()
