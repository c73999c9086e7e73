"""Detection of GPUs without importing torch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROC = Path("/proc/driver/nvidia/gpus")


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


def parse_nvidia_smi(listing: str) -> tuple[str, ...]:
    """Return the UUIDs in the output of ``nvidia-smi -L``, MIG instances in place of their GPU."""
    names: list[str] = []
    for uuid in re.findall(r"UUID: ((?:GPU|MIG)-[^\s)]+)", listing):
        if uuid.startswith("MIG-") and names and names[-1].startswith("GPU-"):
            names.pop()
        names.append(uuid)
    return tuple(names)
