"""Training of one founder by the search's trainer, with fixed seeds: a real network in a minute or two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_menndl import Annotation, simulate_movie
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.predict.ensemble import Ensemble, open_predictor
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.evaluate import evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_menndl import Movie

#: Pixels that the network of each fold is shown: those of a search's first rung.
PIXELS = 6_000_000
FOUNDER = "dilated_fcn"


def train_founder(
    movie: Movie, annotation: Annotation, seed: int = 0, *, frames: Sequence[int] = (0,), pixels: int = PIXELS
) -> Ensemble:
    """Train a founder on annotated frames of a movie; the networks of its folds predict together.

    Raises
    ------
    RuntimeError
        If the training fails.
    """
    task, genome = TrainingTask.from_movie(movie, annotation, frames), FOUNDERS[FOUNDER]()
    evaluation, weights = evaluate(genome, task, Rung("all", pixels), seed)
    if evaluation.failure:
        raise RuntimeError(f"The founder {FOUNDER} failed: {evaluation.failure}")
    return Ensemble.from_evaluation(genome, task, evaluation, weights)


def founder_of_area(area: int, snr: float = 5.0, folder: Path | None = None) -> Ensemble:
    """Return a founder trained on frame 0 of a simulated area; kept in `folder`, and taken from there."""
    path = None if folder is None else folder / f"founder-{area}-snr{snr:g}.safetensors"
    if path is not None and path.exists():
        known = open_predictor(path)
        assert isinstance(known, Ensemble)
        return known
    simulated = simulate_movie(1, snr=snr, area_seed=area)
    network = train_founder(simulated.movie, Annotation.from_simulation(simulated))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        network.save(path)
    return network
