"""Memory of the machine and of processes, and its GPUs, found without importing torch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Share of memory kept for the worker, the system and other programs.
_MARGIN = 0.1
#: Smallest memory of a trainer: torch and CUDA libraries take most of this before any training [byte].
_LEAST = 2 * 2**30
_CGROUP = Path("/sys/fs/cgroup")
_PROC = Path("/proc/driver/nvidia/gpus")


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


def visible_gpus(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the CUDA GPUs that this process may use, by their names in ``CUDA_VISIBLE_DEVICES``.

    Taken from that variable if it is set, otherwise from ``nvidia-smi -L`` (with MIG instances in place of a
    partitioned GPU), otherwise from the kernel driver's list. Empty without an NVIDIA driver.
    """
    present = _listed_gpus()
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if not present or chosen is None:
        return present
    names: list[str] = []
    for name in (part.strip() for part in chosen.split(",")):
        if not name or name.startswith("-"):
            # CUDA ignores everything after an invalid name.
            break
        names.append(name)
    return tuple(names)


def _listed_gpus() -> tuple[str, ...]:
    program = shutil.which("nvidia-smi")
    if program is not None:
        try:
            answer = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            answer = ""
        if names := parse_nvidia_smi(answer):
            return names
    try:
        return tuple(str(index) for index, _ in enumerate(_PROC.iterdir()))
    except OSError:
        return ()


#: Most networks that share a GPU: 14 were hardly faster than 8 (docs/benchmarks.md), and each takes its memory.
_MOST_NETWORKS = 8
#: Memory of a GPU for each of them: torch, what it has loaded, and a training [byte].
_NETWORK_MEMORY = 3 * 2**30


def networks_that_fit() -> int:
    """Return how many networks should share each GPU of this machine: one per core, as far as the memory goes.

    A small network leaves a GPU idle while its trainer prepares and judges, so that several trainers share one.
    """
    cores = (os.cpu_count() or 1) // max(1, len(visible_gpus()))
    return max(1, min(_MOST_NETWORKS, cores, int(_gpu_memory() / _NETWORK_MEMORY)))


def _gpu_memory() -> int:
    """Return the memory of the smallest GPU [byte]; 0 if unknown."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    command = [program, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
        return min(int(line) for line in answer.split()) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0


def parse_nvidia_smi(listing: str) -> tuple[str, ...]:
    """Return the UUIDs in the output of ``nvidia-smi -L``, MIG instances in place of their GPU."""
    names: list[str] = []
    for uuid in re.findall(r"UUID: ((?:GPU|MIG)-[^\s)]+)", listing):
        if uuid.startswith("MIG-") and names and names[-1].startswith("GPU-"):
            names.pop()
        names.append(uuid)
    return tuple(names)
