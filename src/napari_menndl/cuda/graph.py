"""A training step as a CUDA graph: recorded once, then started by one call instead of hundreds.

Small networks leave a GPU waiting for Python, which starts each of their operations. A graph holds the operations with
the addresses of their arguments, so whatever differs from step to step must be found on the device.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

#: Threads record one after another; meanwhile the others go on with what they have recorded.
_recording = threading.Lock()


def record(step: Callable[[], None], generator: torch.Generator) -> Callable[[], None]:
    """Return what repeats a step.

    Parameters
    ----------
    step : callable
        Has run once on the current stream, which must not be the default one, so that all that is set up at the first
        run is there. It is not run again: what it starts is recorded.
    generator : torch.Generator
        The only random stream that it draws from on the device.
    """
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    with _recording:
        # Not torch.cuda.graph, which waits for the whole device and gives back all memory that is kept.
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            step()
        finally:
            graph.capture_end()
    return graph.replay
