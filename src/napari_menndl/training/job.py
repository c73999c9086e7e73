"""Job function of a trainer: one evaluation, with arguments and results as plain data and bytes."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from napari_menndl.errors import InputError
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.genome import Genome
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.evaluate import evaluate


def run(payload: dict[str, Any], attachment: bytes) -> tuple[dict[str, Any], bytes]:
    """Evaluate a genome.

    Parameters
    ----------
    payload : dict
        ``"genome"``, ``"rung"``: JSON; ``"seed"``: int; ``"task"``: path; ``"digest"``: digest of the task;
        ``"seconds"``: float [s], time that it should take at most, if that is limited; ``"waited"``: float [s], how
        much of it has gone by, if any.
    attachment : bytes
        Weights to start from; see `evaluate`.

    Returns
    -------
    payload : dict
        ``"evaluation"``: JSON.
    attachment : bytes
        Weights.

    Raises
    ------
    InputError
        If the task at the path is not the one the search was started with.
    """
    task = open_task(payload["task"], payload["digest"])
    genome, rung = Genome.from_json(payload["genome"]), Rung.from_json(payload["rung"])
    seconds = payload.get("seconds", math.inf) - payload.get("waited", 0.0)
    evaluation, weights = evaluate(genome, task, rung, payload["seed"], attachment, seconds=seconds)
    return {"evaluation": evaluation.to_json()}, weights


@lru_cache(maxsize=2)
def open_task(path: str, digest: str) -> TrainingTask:
    """Open a task, cached per process."""
    task = TrainingTask.open(path)
    if task.digest != digest:
        found = f"digest {task.digest[:12]} in {path}"
        raise InputError(f"the task with digest {digest[:12]}", found, "Start a new search for a changed task.")
    return task
