"""The public functions: start a search, open its run, compare."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.carrying import drawn_on, fitted
from napari_menndl.annotation.files import is_label_image
from napari_menndl.errors import Failure, InputError
from napari_menndl.genome.evaluation import Evaluation
from napari_menndl.genome.space import SearchSpace
from napari_menndl.movie.reading import open_movie
from napari_menndl.notebook.kernel import in_jupyter
from napari_menndl.process import TRAIN
from napari_menndl.run import Run
from napari_menndl.search.candidate import EvaluationKey
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.islands.merge import merge_folders
from napari_menndl.search.islands.shared_folder import SharedFolder
from napari_menndl.search.settings import SearchSettings
from napari_menndl.search.views.messages import explain_no_network
from napari_menndl.task.task import TrainingTask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from napari_menndl.genome.genome import Genome
    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.predict.prediction import Prediction
    from napari_menndl.review.review import Review


def run_search(
    movie: Any,
    annotation: Annotation | str | os.PathLike[str] | np.ndarray,
    *,
    frames: Sequence[int] = (0,),
    budget: str = "10min",
    pool: str = "local",
    run: str | os.PathLike[str],
    space: SearchSpace | None = None,
    seed: int = 0,
    wait: bool = True,
    progress: Callable[[dict[str, Any]], None] | None = None,
    **settings: Any,
) -> Run:
    """Evolve networks that find what is annotated on some frames of a movie.

    The search runs in a separate process and writes the run folder; this process only watches it. The search continues
    when this process ends. In Jupyter its state, best networks and curves of fitness are shown until it ends, with a
    button that stops it where ipywidgets is installed.

    Parameters
    ----------
    movie : path, array (T, Y, X) or Movie
    annotation : Annotation, path or array (T, Y, X) or (Y, X)
        A single label image (Y, X) belongs to frame 0.
    frames : sequence of int
        Annotated frames to learn from.
    budget : str
        When to stop: ``"10min"``, ``"500networks"``, ``"fitness 0.9"``, ``"plateau 200"``, or several of these,
        separated by commas. Whichever ends the search, `Run.best` is the best answer known by then.
    pool : str
        Where to train: ``"local"``, ``"serial"``, the address of a Dask scheduler (``"tcp://127.0.0.1:8786"``,
        ``"tls://host:8786"``), ``"scheduler-file:PATH"``, ``"ssh:HOSTS"``, ``"slurm:PROFILE.yaml"`` or a pool file.
    run : path
        The run folder to create.
    space : SearchSpace, optional
        The genes and ranges to search; the default space if omitted.
    seed : int
        The same seed gives the same first population; with ``pool="serial"`` the same search.
    wait : bool
        Return when the search has ended; if False, as soon as it has started.
    progress : callable, optional
        Called with `Run.status` about twice a second while waiting; in Jupyter nothing else is shown then.
    **settings
        Any other field of `SearchSettings`; ``start_from="network.safetensors"``, or a run folder, has the networks of
        another search born first, with what they have learned.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        For a movie, annotation, budget, pool or folder that cannot be used, and for a search that ended with an error.
    KeyboardInterrupt
        If the wait is interrupted: the search continues, and the message says how to watch it and how to stop it.

    Warns
    -----
    UserWarning
        If the search has ended and found nothing.
    """
    from napari_menndl.pool.open import check_pool

    pool = check_pool(pool)
    opened = open_movie(movie)
    plain = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in settings.items()}
    known = SearchSettings.from_json({**plain, "budget": budget, "pool": pool, "seed": seed})
    if not isinstance(annotation, Annotation):
        annotation = open_annotation(annotation, opened)
    task = TrainingTask.from_movie(opened, annotation, frames)
    space = space or SearchSpace()
    alone = task.neighbours is None
    known = known.fitted(alone)
    if alone:
        space = space.for_single_frames()
    if known.exchange:
        SharedFolder(known, space, task.digest, Path(run).absolute()).check()
    given = None
    if known.start_from:
        from napari_menndl.start_from import read_founders

        given = read_founders(known.start_from, opened, task, space)
    folder = RunFolder.create(run, known, space, task, metadata=opened.metadata, given=given)
    started = Run(folder)
    started.start()
    if wait:
        _wait(started, progress)
    return started


def resume_search(
    path: str | os.PathLike[str],
    *,
    budget: str | None = None,
    pool: str | None = None,
    wait: bool = True,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Run:
    """Resume a search that was stopped or interrupted, optionally with another budget or on another pool."""
    run = open_run(path)
    if pool is not None:
        from napari_menndl.pool.open import check_pool

        run.folder.change_pool(check_pool(pool))
    if budget is not None:
        run.folder.change_budget(budget)
    run.start()
    if wait:
        _wait(run, progress)
    return run


def _wait(run: Run, progress: Callable[[dict[str, Any]], None] | None) -> None:
    """Wait until the search has ended, in Jupyter with a live panel; warn if it found nothing."""
    if progress is None and in_jupyter():
        from napari_menndl.notebook.panel import show_until_end  # with matplotlib, which scripts need not load

        show_until_end(run)
    else:
        run.wait(progress)
    if words := explain_no_network(run.status()):
        warnings.warn(words, stacklevel=3)


def merge_runs(
    paths: Sequence[str | os.PathLike[str]],
    path: str | os.PathLike[str],
    *,
    note: Callable[[str], Any] = warnings.warn,
) -> Run:
    """Merge the run folders of several islands into a new run folder; the sources stay unchanged.

    Parameters
    ----------
    paths : sequence of path
        Run folders with the same task, search space and rungs. Of an interrupted or damaged one, whatever is readable
        is taken; a running one is taken in its current state.
    path : path
        The folder to create. It cannot be resumed: resume the sources, and merge again.
    note : callable
        Called with a message about anything that is missing.

    Returns
    -------
    Run
        Its answer is that of the island with the highest out-of-fold fitness.

    Raises
    ------
    InputError
        If the runs do not belong together, none can be read, or `path` exists already.
    """
    return Run(merge_folders(paths, path, note))


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run folder, whether its search is running, stopped or finished.

    Raises
    ------
    InputError
        If there is no run folder, or one of another kind or from a newer version.
    """
    return Run(RunFolder.open(path))


def open_annotation(source: Any, movie: Movie) -> Annotation:
    """Open an annotation file or array and fit it to the movie; InputError if it does not belong to it."""
    stored = isinstance(source, (str, os.PathLike))
    annotation = Annotation.open(source) if stored else Annotation.from_labels(source)
    return fitted(annotation, movie.steps, movie.shape, movie.raw.shape)


def open_prediction_or_annotation(path: str | os.PathLike[str], ignore: int | None = None) -> Prediction | Annotation:
    """Open a stored prediction or an annotation, to compare it with an annotation.

    Parameters
    ----------
    path : path
    ignore : int, optional
        Value of the unknown pixels of a label image.
    """
    from napari_menndl.predict.prediction import Prediction

    if Prediction.exists_at(path):
        return Prediction.open(path)
    return Annotation.open(path, ignore=ignore if is_label_image(Path(path)) else None)


def train_alike(run: Run, genomes: dict[str, Genome]) -> dict[str, Ensemble | Failure]:
    """Train other genomes like the best member of a search's answer: at the same rung, on the same folds.

    For fair comparisons with a network that was designed by hand, or that the search did not select.

    Parameters
    ----------
    run : Run
    genomes : dict of str to Genome

    Returns
    -------
    dict of str to Ensemble or Failure
        One per genome, of its folds' networks, with thresholds chosen out of fold; a failure where a check has stopped
        the training, as of a network that predicts the same everywhere.

    Raises
    ------
    InputError
        If the search has no answer yet.
    """
    from napari_menndl.pool.open import open_pool
    from napari_menndl.pool.worker.staging import SharedInput
    from napari_menndl.predict.ensemble import Ensemble

    answer = run.status()["answer"]
    if not answer:
        raise InputError("a search with an answer", f"{run!r}", "Resume it, with a longer budget.")
    reached = EvaluationKey(answer["members"][0]["key"]).rung
    rung = next(one for one in run.settings.ladder if one.name == reached)
    job = {"seed": run.settings.seed, "task": str(run.folder.task_path), "digest": run.folder.task_digest}
    trained: dict[str, Ensemble | Failure] = {}
    waiting = list(genomes)
    pool = open_pool(
        run.settings.pool,
        TRAIN,
        slots=run.settings.slots,
        timeout=run.settings.timeout,
        shared_input=SharedInput("task", run.folder.task_path),
        networks_per_gpu=run.settings.networks_per_gpu,
    )
    try:
        while len(trained) < len(genomes):
            while waiting and pool.free:
                name = waiting.pop(0)
                pool.submit(name, {**job, "genome": genomes[name].to_json(), "rung": rung.to_json()})
            for outcome in pool.finished():
                if outcome.failure is not None or outcome.payload is None:
                    trained[outcome.key] = outcome.failure or Failure("crashed", "no result")
                    continue
                evaluation = Evaluation.from_json(outcome.payload["evaluation"])
                trained[outcome.key] = evaluation.failure or Ensemble.from_evaluation(
                    genomes[outcome.key], run.task, evaluation, outcome.attachment
                )
    finally:
        pool.close()
    return {name: trained[name] for name in genomes}


def compare(prediction: Any, annotation: Annotation, **options: Any) -> Review:
    """Compare a prediction, or a second expert's annotation, with an annotation.

    Raises
    ------
    InputError
        If both record which frames they were made on and these differ; see `Review.of` for the rest.
    """
    from napari_menndl.review.review import Review

    review = Review.of(prediction, annotation, **options)
    theirs = getattr(prediction, "frame_digest", None) or getattr(prediction, "digests", {}).get
    steps = getattr(getattr(prediction, "spec", prediction), "steps", None) or ()
    # Only for an annotation drawn on frames prepared in the same way: one that was carried over holds digests of the
    # recorded frames, the prediction those of the prepared ones.
    for t in review.frames if drawn_on(annotation, steps) else ():
        mine, other = annotation.digests.get(t), theirs(t)
        if mine and other and mine != other:
            raise InputError(
                "a prediction and an annotation of the same frames",
                f"frame {t} of another movie, or changed since, under one of them",
                "Choose the annotation of the movie that was predicted, or predict the movie again.",
            )
    return review
