"""Memory of the machine and of processes."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

#: Share of memory kept for the worker, the system and other programs.
_MARGIN = 0.1
#: Smallest memory of a trainer: torch and CUDA libraries take most of this before any training [byte].
_LEAST = 2 * 2**30
_CGROUP = Path("/sys/fs/cgroup")


def machine_memory() -> int:
    """Return the memory available to processes of this machine, or of this container or batch job [byte]."""
    limits = [psutil.virtual_memory().total]
    if sys.platform == "linux":
        for path in _cgroup_limits():
            try:
                limits.append(int(path.read_text()))
            except (OSError, ValueError):  # not there, or "max"
                continue
    return min(limit for limit in limits if limit > 0)


def memory_per_slot(slots: int) -> int:
    """Return the memory limit of each of `slots` trainers, less a margin [byte]."""
    usable = int((1 - _MARGIN) * machine_memory())
    return min(usable, max(_LEAST, usable // slots))


def held_memory(pid: int) -> int:
    """Return the resident memory of a process [byte]; 0 if it has ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _cgroup_limits() -> list[Path]:
    """Return limit files of our control group and its parents: batch systems set the limit several levels up."""
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
