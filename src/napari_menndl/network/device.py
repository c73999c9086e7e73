"""Devices for training and prediction: choice, determinism, memory."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
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
def repeatable(device: torch.device) -> Iterator[None]:
    """Make a CUDA device repeat its results bit for bit; restore torch's settings when the last one inside has left.

    Matrix products and convolutions use TF32: on small networks bfloat16 is no faster.
    """
    if device.type != "cuda":
        yield
        return
    with _settings_lock:
        _inside.append(_settings())
        # Operations without a deterministic version warn instead of failing.
        _set(True, True, False, True)
    try:
        yield
    finally:
        with _settings_lock:
            before = _inside.pop()
            if not _inside:
                _set(*before)


_settings_lock = threading.Lock()
#: The settings found by the threads inside `repeatable`; the first ones are those to be restored.
_inside: list[tuple[bool, bool, bool, bool]] = []


def _settings() -> tuple[bool, bool, bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        torch.backends.cuda.matmul.allow_tf32,
    )


def _set(deterministic: bool, warn_only: bool, fill: bool, tf32: bool) -> None:
    torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
    torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.allow_tf32 = tf32


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


@contextlib.contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """On a CUDA device, do the work of this thread beside that of others; it is finished at the end."""
    if device.type != "cuda":
        yield
        return
    with torch.cuda.stream(torch.cuda.Stream(device)):
        yield
        wait(device)


def wait(device: torch.device) -> None:
    """Wait until the device has finished the work of this thread, so that times can be measured."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
