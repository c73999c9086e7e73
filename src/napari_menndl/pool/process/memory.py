"""How much memory there is, and how much of it a process holds."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

#: Kept for the worker, the system and whoever sits at the machine.
_MARGIN = 0.1
#: A trainer with torch and a GPU's libraries holds most of this before it trains anything [byte].
_LEAST = 2 * 2**30
_CGROUP = Path("/sys/fs/cgroup")


def machine_memory() -> int:
    """Return what the processes of this machine, or of the container or batch job we are in, may use [byte]."""
    limits = [psutil.virtual_memory().total]
    if sys.platform == "linux":
        for path in _cgroup_limits():
            try:
                limits.append(int(path.read_text()))
            except (OSError, ValueError):  # not there, or "max"
                continue
    return min(limit for limit in limits if limit > 0)


def memory_per_slot(slots: int) -> int:
    """Return what each of so many trainers may hold, with a margin for everything else [byte]."""
    usable = int((1 - _MARGIN) * machine_memory())
    return min(usable, max(_LEAST, usable // slots))


def held_memory(pid: int) -> int:
    """Return what a process holds in memory [byte]; 0 when it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _cgroup_limits() -> list[Path]:
    """Our own control group and those it lies in: a batch system sets the limit several levels up."""
    found = [_CGROUP / "memory.max", _CGROUP / "memory/memory.limit_in_bytes"]
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = _CGROUP / controllers
        file = "memory.limit_in_bytes" if controllers else "memory.max"
        group = top / name.lstrip("/")
        found += [place / file for place in (group, *group.parents) if place.is_relative_to(top)]
    return found
