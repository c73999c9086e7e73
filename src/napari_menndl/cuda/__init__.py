"""Kernels for networks of every shape, and recorded training steps, on CUDA devices.

Without Triton, which torch brings along on Linux, torch's own operations take the kernels' place.
"""

from functools import cache
from importlib.util import find_spec

import torch


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


def has_kernels_for(values: torch.Tensor) -> bool:
    """Whether the kernels of this package serve a tensor."""
    return values.is_cuda and values.dtype == torch.float32 and _has_triton()
