"""What a network is trained and run on."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


def choose_device(wanted: str | torch.device | None = None) -> torch.device:
    """The device asked for, or the first GPU, or the processor with as many threads as ``OMP_NUM_THREADS`` says."""
    device = torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda":
        # Read when the process first uses cuBLAS, which without it adds up in any order.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if device.type == "cpu" and threads.isdigit() and int(threads) > 0 and int(threads) != torch.get_num_threads():
        torch.set_num_threads(int(threads))
    return device


def describe(device: torch.device) -> str:
    """A name for a person and for a table of results."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@contextlib.contextmanager
def repeatable(device: torch.device, seed: int) -> Iterator[None]:
    """Within: the same seed gives the same numbers on the same device; afterwards torch's own streams are as before.

    Dropout draws from torch's global stream, which is why it is seeded here.
    """
    strict = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        torch.manual_seed(seed)
        # An operation without a deterministic form is better run than refused.
        torch.use_deterministic_algorithms(cuda or strict[0], warn_only=cuda or strict[1])
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict[0], warn_only=strict[1])


@contextlib.contextmanager
def out_of_memory_as(error: type[Exception]) -> Iterator[None]:
    """Turn what torch and Python raise when memory is short into `error`, called with a message."""
    try:
        yield
    except MemoryError as problem:
        raise error(str(problem) or "The memory is full.") from problem
    except RuntimeError as problem:
        short = isinstance(problem, torch.OutOfMemoryError) or "not enough memory" in str(problem)
        if not short and "can't allocate memory" not in str(problem):
            raise
        raise error(str(problem)) from problem


def peak_memory(device: torch.device) -> int:
    """Most memory held by the process so far, or by its GPU since `reset_peak_memory` [byte]; 0 where not counted."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def reset_peak_memory(device: torch.device) -> None:
    """Count a GPU's peak from here."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def wait(device: torch.device) -> None:
    """Return when the device has done what it was given, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
