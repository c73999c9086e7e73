"""What a napari loses that is killed while it paints and searches.

    python benchmarks/viewer_kills.py [--kills 20] [--seed 0] [--quick] [--again]

A real napari (where there is no screen: ``tools/with-screen python benchmarks/viewer_kills.py``) paints strokes into an
annotation, starts a search in its dock, and is killed with kill -9 at a random moment; the next one goes on with both.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "widgets"))

import psutil
from painting import kill_painters

from cells import read_cell, write_cell
from fault_cells.training import Kill, complete_lines, losses, processes_of
from napari_menndl import open_run

NAME = "viewer_kills"


def search_processes(path: Path) -> list[psutil.Process]:
    """Search processes of a run folder, and whatever they started."""
    mothers = [one for one in psutil.process_iter(["cmdline"]) if (one.info["cmdline"] or [""])[-1] == str(path)]
    return mothers + [child for mother in mothers for child in processes_of(mother.pid)]


def measure(number: int, seed: int) -> dict[str, int]:
    with tempfile.TemporaryDirectory(prefix="menndl-kills-") as name:
        folder = Path(name)
        os.environ["NAPARI_MENNDL_DATA"], os.environ["NAPARI_CONFIG"] = str(folder), str(folder / "settings.yaml")
        path, seen, survived = folder / "search.menndl", [], []

        def killed() -> None:
            seen.append(Kill(complete_lines(open_run(path)), 0, 0, None))
            survived.append(open_run(path).state == "running")

        loss = kill_painters(folder, number, seed, run=path, killed=killed)
        run = open_run(path)
        run.stop()
        end = time.monotonic() + 60
        while run.state == "running" and time.monotonic() < end:
            time.sleep(0.2)
        time.sleep(2)
        lost, doubled = losses(run, seen)
        return {
            "kills": number,
            "strokes reported": loss.reported,
            "strokes lost": len(loss.lost),
            "strokes that can be undone": loss.undone,
            "kills that the search survived": sum(survived),
            "journal lines before the last kill": seen[-1].recorded.count(b"\n"),
            "journal lines lost": lost,
            "evaluations doubled": doubled,
            "processes left after stopping": len(search_processes(path)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="3 kills, nothing kept")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="measure again what was measured")
    asked = parser.parse_args()
    kills = 3 if asked.quick else asked.kills
    print(f"Expected time: {1 + kills / 5:.0f} min on 2 cores")
    found = None if asked.again or asked.quick else read_cell(NAME)
    if found is None:
        found = measure(kills, asked.seed)
        if not asked.quick:
            write_cell(NAME, asked.seed, found)
    print("\n".join(f"{key}: {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
