"""Devices for training and prediction: choice, determinism, memory."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


def choose_device(wanted: str | torch.device | None = None) -> torch.device:
    """Return the requested device, or the first GPU, or the CPU with ``OMP_NUM_THREADS`` threads."""
    device = torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda":
        # Read on first use of cuBLAS, which is not deterministic without it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if device.type == "cpu" and threads.isdigit() and int(threads) > 0 and int(threads) != torch.get_num_threads():
        torch.set_num_threads(int(threads))
    return device


def describe(device: torch.device) -> str:
    """Return the device's display name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@contextlib.contextmanager
def repeatable(device: torch.device, seed: int) -> Iterator[None]:
    """Make results deterministic for a seed and device; restore torch's random streams afterwards.

    The global stream is seeded because dropout draws from it.
    """
    strict = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        torch.manual_seed(seed)
        # Operations without a deterministic version warn instead of failing.
        torch.use_deterministic_algorithms(cuda or strict[0], warn_only=cuda or strict[1])
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict[0], warn_only=strict[1])


@contextlib.contextmanager
def out_of_memory_as(error: type[Exception]) -> Iterator[None]:
    """Convert out-of-memory errors of torch and Python to `error`, called with a message."""
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
    """Return the peak memory [byte] of the process, or of its GPU since `reset_peak_memory`; 0 if unknown."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def reset_peak_memory(device: torch.device) -> None:
    """Reset a GPU's peak memory counter."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def wait(device: torch.device) -> None:
    """Wait until the device has finished its work, so that times can be measured."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
