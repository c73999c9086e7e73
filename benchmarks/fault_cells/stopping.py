"""Processes that are stopped for a while, and a machine that is sick."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from places import STUCK, Site, at, spread

if TYPE_CHECKING:
    from collections.abc import Callable


def stopped(seconds: float) -> Callable[[int, int], dict[str, Any]]:
    """Stop a worker, the scheduler, and then everything for so long: an overloaded machine, a laptop asleep."""

    def measure(number: int, seed: int) -> dict[str, Any]:
        recovery: dict[str, list[float]] = {"worker": [], "scheduler": [], "everything": []}
        lost = stuck = 0
        with tempfile.TemporaryDirectory() as place, at(Site(Path(place), seconds=1.0, timeout=2.0, seed=seed)) as site:
            for _ in range(number):
                for kind, found in recovery.items():
                    stuck += not site.wait_for(site.ended() + 3, STUCK)
                    named = {"worker": site.worker_processes()[:1], "scheduler": [site.scheduler]}
                    pids = [one.pid for one in named.get(kind, site.processes())]
                    before = site.journal()
                    for word, pause in ((signal.SIGSTOP, seconds), (signal.SIGCONT, 0.0)):
                        for pid in pids:
                            os.kill(pid, word)
                        time.sleep(pause)
                    began, ended = time.monotonic(), site.ended()
                    stuck += not site.wait_for(ended + 3, STUCK)
                    found.append(time.monotonic() - began)
                    lost += not site.journal().startswith(before)
            orphans = site.end()
            shown = {f"seconds to recover, {kind}": spread(found) for kind, found in recovery.items()}
            return {"stopped": 3 * number, "lost": lost, "stuck": stuck, "orphans": orphans, **site.account(), **shown}

    return measure


def sick_worker(number: int, seed: int) -> dict[str, Any]:
    """One machine of two on which every trainer dies."""
    with (
        tempfile.TemporaryDirectory() as place,
        at(Site(Path(place), machines=("healthy", "sick"), threads=1, seed=seed)) as site,
    ):
        stuck = not site.wait_for(number, 10 * STUCK)
        given = site.starts("sick")
        stuck += not site.wait_for(site.ended() + number, 10 * STUCK)
        told = {"starts on the sick machine": given, "and afterwards": site.starts("sick") - given}
        orphans = site.end()
        return {"stuck": int(stuck), "orphans": orphans, **told, **site.account()}
