"""What goes wrong on a GPU, for real: trainers call ``gpu_faults:run``; without one, the processor is out of memory."""

from __future__ import annotations

import os
from typing import Any

import torch

from napari_menndl.network.device import out_of_memory_as

ENTRY = "gpu_faults:run"


def run(payload: dict[str, Any], attachment: bytes) -> tuple[dict[str, Any], bytes]:
    """Do what is said on the first GPU, or on the processor; return the process and what it computed."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    match payload["do"]:
        case "out of memory":
            held = []
            with out_of_memory_as(MemoryError):
                while True:
                    held.append(torch.empty(2**62 if device.type == "cpu" else 2**33, dtype=torch.uint8, device=device))
        case "CUDA error":
            # Beyond the end: the kernel asserts, and the context is gone for good.
            torch.zeros(4, device=device)[torch.tensor([10**9], device=device)].cpu()
    product = torch.ones(256, 256, device=device) @ torch.ones(256, 256, device=device)
    return {"pid": os.getpid(), "device": device.type, "sum": float(product.sum())}, b""
