"""Processes of a search killed by `kill -9` at random moments."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from places import STUCK, Site, at, spread

if TYPE_CHECKING:
    from collections.abc import Callable


def victim(site: Site, kind: str, rng: np.random.Generator) -> int | None:
    """Return the process to kill, None where there is none just now."""
    if kind == "search":
        return site.search.pid if site.search and site.search.poll() is None else None
    if kind == "scheduler":
        return site.scheduler.pid if site.scheduler and site.scheduler.poll() is None else None
    if kind == "worker":
        # Every fourth time its nanny, too, as when the machine goes.
        nannies = [worker.pid for worker in site.workers.values() if worker.poll() is None]
        choice = nannies if rng.random() < 0.25 else [one.pid for one in site.worker_processes()]
    else:
        choice = [one.pid for one in site.trainers()]
    return int(rng.choice(sorted(choice))) if choice else None


def kill(kinds: tuple[str, ...], number: int, seed: int) -> dict[str, Any]:
    """Kill, wait until evaluations are recorded again, and look whether what was recorded before still is."""
    rng = np.random.default_rng([seed, number, len(kinds)])
    local = kinds == ("search",)
    recovery: list[float] = []
    gone_after: list[float] = []
    lost = orphans = killed = stuck = 0
    before, began = b"", 0.0
    with tempfile.TemporaryDirectory() as place, at(Site(Path(place), "local" if local else "", seed=seed)) as site:
        target = int(rng.integers(1, 4))
        while killed < number:
            if not site.wait_for(target, STUCK):
                stuck += 1
                break
            if killed:
                recovery.append(time.monotonic() - began)
                now = site.journal()
                if not now.startswith(before):
                    lost += sum(a != b for a, b in zip(before.splitlines(), now.splitlines(), strict=False)) or 1
            time.sleep(rng.uniform(0, 0.3))
            pid = victim(site, str(rng.choice(kinds)), rng)
            if pid is None:
                continue
            before = site.journal()
            began = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
            if local:
                site.search.wait()
                left = site.gone(10.0)
                orphans += left
                gone_after.append(time.monotonic() - began)
            target = before.count(b'"kind":"evaluated"') + before.count(b'"kind":"failed"') + int(rng.integers(1, 4))
        orphans += site.end()
        return {
            "kills": killed,
            "lost": lost,
            "stuck": stuck,
            "orphans": orphans,
            **site.account(),
            "seconds to recover": spread(recovery),
            **({"seconds until all were gone": spread(gone_after)} if local else {}),
        }


def of(*kinds: str) -> Callable[[int, int], dict[str, Any]]:
    return lambda number, seed: kill(kinds, number, seed)
