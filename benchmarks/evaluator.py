"""A stand-in for training that takes no time, or as long as EVALUATOR_SECONDS says: trainers call `evaluator:run`.

With EVALUATOR_SCATTER the times are log-normal about that mean.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any

ENTRY = "evaluator:run"
SECONDS = float(os.environ.get("EVALUATOR_SECONDS", "0"))
SCATTER = float(os.environ.get("EVALUATOR_SCATTER", "0"))
_PLAIN = {"error": 0.01, "scores": [], "absent": [], "loss": [], "parameters": 100, "flops": 1.0, "train_flops": 1e6}


def run(payload: dict[str, Any], attachment: bytes) -> tuple[dict[str, Any], bytes]:
    """Return a fitness that is a function of the genome; there are no probabilities to choose an answer by."""
    if SECONDS:
        time.sleep(SECONDS * random.Random(payload["seed"]).lognormvariate(-(SCATTER**2) / 2, SCATTER))
    distance = abs(len(payload["genome"]["layers"]) - 6) / 6
    fitness = max(0.0, 0.8 - distance / 3 + payload["seed"] % 997 / 9970)
    return {"evaluation": {"rung": payload["rung"]["name"], "fitness": fitness, "seconds": SECONDS} | _PLAIN}, b""
