"""A stand-in for training: takes the time it is told, and does to its process what the genome's fate says.

Trainer children import it as ``standin:run`` (`benchmarks/` is on their ``PYTHONPATH``); as a script it is the search
process itself, ``python standin.py RUN``, with the stand-in for the training. The environment says what is to happen:
STANDIN_SECONDS per evaluation, STANDIN_FATES (JSON: fate to share of genomes), STANDIN_LOG (gets a line per start).
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from napari_menndl.errors import Failure
from napari_menndl.genome.evaluation import Evaluation
from napari_menndl.network.checksum import BLANK, NAME, seal

ENTRY = "standin:run"
_WEIGHTS = seal(save({"weight": np.ones(100, np.float32)}, {NAME: BLANK}))


def luck(genome: dict[str, Any]) -> float:
    """Return a number between 0 and 1 that is the genome's own."""
    digest = hashlib.sha256(json.dumps(genome, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def fate(genome: dict[str, Any], shares: dict[str, float]) -> str:
    """Return what a genome does to its trainer, "" for the most."""
    left = luck(genome)
    for name, share in shares.items():
        if left < share:
            return name
        left -= share
    return ""


def run(payload: dict[str, Any], attachment: bytes) -> tuple[dict[str, Any], bytes]:
    """Evaluate a genome by its looks."""
    with open(os.environ["STANDIN_LOG"], "a") as log:
        log.write(f"{payload['seed']} {payload['rung']['name']} {os.environ.get('STANDIN_MACHINE', '')}\n")
    if os.environ.get("STANDIN_MACHINE") == "sick":
        os._exit(9)
    genome = payload["genome"]
    found = fate(genome, json.loads(os.environ.get("STANDIN_FATES", "{}")))
    time.sleep(float(os.environ.get("STANDIN_SECONDS", "0.05")))
    rung = payload["rung"]["name"]
    evaluation = Evaluation(rung, fitness=luck(genome), error=0.05, parameters=1000, seconds=0.05, train_flops=1e9)
    match found:
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(3)
        case "deaf" | "hang":
            for name in ("SIGTERM", "SIGINT", "SIGHUP"):
                signal.signal(getattr(signal, name), signal.SIG_IGN if found == "deaf" else signal.SIG_DFL)
            while True:
                time.sleep(1)
        case "not finite":
            evaluation = Evaluation(rung, fitness=float("nan"), error=0.05)
        case "diverged":
            evaluation = Evaluation(rung, failure=Failure("diverged", "the loss is not finite"))
        case "out of memory":
            raise MemoryError("not a byte left")
    return {"evaluation": evaluation.to_json()}, _WEIGHTS


def check_task(payload: dict[str, Any], attachment: bytes) -> tuple[dict[str, Any], bytes]:
    """Read the training task as training does: its digest is verified."""
    from napari_menndl.task.task import TrainingTask

    return {"digest": TrainingTask.open(payload["task"]).digest, "place": payload["task"]}, b""


def hold(payload: dict[str, Any], attachment: bytes) -> tuple[dict[str, Any], bytes]:
    """Take memory and keep it for a while."""
    held = bytearray(payload["bytes"])
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(30 if payload["bytes"] > 10**8 else 0.05)
    return {}, b""


def main() -> None:
    """Be a search process."""
    from napari_menndl import process

    process.TRAIN = ENTRY
    process.search_process(sys.argv[1])


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
