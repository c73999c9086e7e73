"""The public functions: start a search, open its run, predict, compare. And the search process itself.

``python -m napari_menndl.api RUN`` is the search process: every search, however it was asked for, is this one command
in a process of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.errors import InputError
from napari_menndl.genome.evaluation import Evaluation, Rung
from napari_menndl.genome.space import SearchSpace
from napari_menndl.movie.reading import open_movie
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.settings import SearchSettings
from napari_menndl.task.task import TrainingTask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    import pandas as pd

    from napari_menndl.genome.genome import Genome
    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.predict.prediction import Prediction
    from napari_menndl.predict.trained import TrainedNetwork
    from napari_menndl.review.review import Review

#: What a trainer child calls for each network.
TRAIN = "napari_menndl.training.job:run"


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

    The search runs in a process of its own and writes the run folder; this process only watches it. It goes on when
    this process ends.

    Parameters
    ----------
    movie : path, array (T, Y, X) or Movie
    annotation : Annotation, path or array (T, Y, X) or (Y, X)
        One label image alone is that of frame 0.
    frames : sequence of int
        Annotated frames to learn from.
    budget : str
        When to stop: ``"10min"``, ``"500networks"``, ``"fitness 0.9"``, ``"plateau 200"``, or several with commas.
        A time includes the last step, in which the best networks are judged anew and trained on the whole frame.
    pool : str
        Where to train: ``"local"``, ``"serial"`` or the address of a Dask scheduler, ``"tcp://127.0.0.1:8786"``.
    run : path
        The run folder to create.
    space : SearchSpace, optional
        Which networks are considered.
    seed : int
        The same seed gives the same first population; with ``pool="serial"`` the same search.
    wait : bool
        Return when the search has ended; otherwise as soon as it was started.
    progress : callable, optional
        Called with `Run.status` about twice a second while waiting.
    **settings
        Any other field of `SearchSettings`.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        For a movie, annotation, budget, pool or folder that cannot be used, and for a search that broke off.
    """
    from napari_menndl.pool.open import check_pool

    check_pool(pool)
    opened = open_movie(movie)
    known = SearchSettings.from_json({**settings, "budget": budget, "pool": pool, "seed": seed})
    if not isinstance(annotation, Annotation):
        annotation = open_annotation(annotation, opened)
    task = TrainingTask.from_movie(opened, annotation, frames)
    folder = RunFolder.create(run, known, space or SearchSpace(), task)
    started = Run(folder)
    started.start()
    if wait:
        started.wait(progress)
    return started


def resume_search(
    path: str | os.PathLike[str],
    *,
    budget: str | None = None,
    wait: bool = True,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Run:
    """Go on with a search that was stopped or broke off; with another budget if one is given."""
    run = open_run(path)
    if budget is not None:
        run.folder.change_budget(budget)
    run.start()
    if wait:
        run.wait(progress)
    return run


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run folder, be its search running, stopped or finished.

    Raises
    ------
    InputError
        If there is no run folder, or one of another kind or of a newer version.
    """
    return Run(RunFolder.open(path))


def open_annotation(source: Any, movie: Movie) -> Annotation:
    """Open an annotation file or array, and make sure that it belongs to the movie."""
    stored = isinstance(source, (str, os.PathLike))
    annotation = Annotation.open(source) if stored else Annotation.from_labels(source)
    annotation.check(movie.shape)
    return annotation


def open_prediction_or_annotation(path: str | os.PathLike[str]) -> Prediction | Annotation:
    """Open what `Prediction.write` wrote, or an annotation; both can be compared with an annotation."""
    from napari_menndl.predict.prediction import Prediction

    return Prediction.open(path) if Prediction.stands_at(path) else Annotation.open(path)


class Run:
    """One search: a view of its run folder.

    Attributes
    ----------
    folder : RunFolder
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.state})"

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def settings(self) -> SearchSettings:
        return self.folder.settings

    @property
    def task(self) -> TrainingTask:
        """What the networks learn from."""
        return self.folder.task

    # ------------------------------------------------------------------ the process

    def start(self) -> None:
        """Start the search process, or start it again; it takes up where the journal ends."""
        if self.state == "running":
            raise InputError("a search that is not running", f"{self.path} at work", "Watch it, or stop it first.")
        self.folder.clear_requests()
        with self.folder.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "napari_menndl.api", str(self.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_for_start(self, interval: float = 0.1) -> None:
        """Return once the search process is at work, and so can be asked to stop.

        Raises
        ------
        InputError
            If it broke off at once.
        """
        while self._process is not None and self._process.poll() is None:
            if self.state == "running":
                return
            time.sleep(interval)
        self.wait()

    def stop(self) -> None:
        """Ask the search to stop; it ends cleanly and can be resumed."""
        self.folder.request("stop")

    def wait(self, progress: Callable[[dict[str, Any]], None] | None = None, interval: float = 0.5) -> None:
        """Return once the search process has ended.

        Raises
        ------
        InputError
            If the process broke off, with the end of its log.
        """
        while self._alive():
            if progress is not None:
                progress(self.status())
            time.sleep(interval)
        if progress is not None:
            progress(self.status())
        if self._process is not None and self._process.returncode:
            code = self._process.returncode
            last = self.folder.log_path.read_text(errors="replace").strip().splitlines()[-1:] or ["an empty log"]
            raise InputError(
                "a search that ends by itself",
                f"one that broke off: {f'killed by {signal.Signals(-code).name}' if code < 0 else last[0]}",
                f"See {self.folder.log_path}; resume with: napari-menndl search --resume --run {self.path}",
            )

    def _alive(self) -> bool:
        if self._process is not None and self._process.poll() is None:
            return True
        return self.state == "running"

    # ------------------------------------------------------------------ what it found

    @property
    def state(self) -> str:
        """``"running"``, ``"stopped"``, ``"finished"`` or ``"interrupted"``."""
        return str(self.status()["state"])

    def status(self) -> dict[str, Any]:
        """State, births, best and median fitness, rates and failures so far; JSON-able."""
        return self.folder.status()

    @property
    def history(self) -> pd.DataFrame:
        """The journal as a table, one row per evaluation."""
        return self.folder.history()

    @property
    def best(self) -> TrainedNetwork | Ensemble:
        """The chosen network or ensemble; while the search runs, the best so far.

        Raises
        ------
        InputError
            If no network has been evaluated yet.
        """
        from napari_menndl.predict.ensemble import Ensemble
        from napari_menndl.predict.trained import TrainedNetwork

        chosen = self.folder.chosen()
        members = tuple(
            TrainedNetwork.from_evaluation(one.genome, self.task, one.weights, one.thresholds, one.fold)
            for one in chosen.members
        )
        return members[0] if len(members) == 1 else Ensemble(members, chosen.thresholds)

    def evaluations(self) -> list[tuple[int, Evaluation]]:
        """Every recorded evaluation with its candidate's id, in the order of the journal."""
        return self.folder.evaluations()

    def predict(self, movie: Any) -> Prediction:
        """Apply the best to a movie, lazily: frames are computed when they are asked for.

        Parameters
        ----------
        movie : path, array (T, Y, X) or Movie

        Returns
        -------
        Prediction
        """
        from napari_menndl.predict.prediction import Prediction

        return Prediction(self.best, open_movie(movie))


def train_like_finalists(run: Run, genomes: dict[str, Genome]) -> dict[str, TrainedNetwork]:
    """Give other genomes what the finalists of a search got: the same folds, pixels and last training.

    For comparisons: a network designed by hand, or one that the search passed over, on equal terms.

    Parameters
    ----------
    run : Run
        A finished one.
    genomes : dict of str to Genome

    Returns
    -------
    dict of str to TrainedNetwork
        Thresholds chosen out of fold.

    Raises
    ------
    InputError
        If the search has not come to its finalists, or a genome's training failed.
    """
    from napari_menndl.pool.open import open_pool
    from napari_menndl.predict.trained import TrainedNetwork

    called = [fact["entrants"] for fact in run.folder.facts() if fact["kind"] == "finalists"]
    if not called or not called[-1]:
        raise InputError("a search that came to its finalists", f"{run!r}", "Resume it, with a longer budget.")
    final = Rung.from_json(called[-1][0]["rung"])
    whole = Rung("whole", final.pixels, ())
    job = {"seed": run.settings.seed, "task": str(run.folder.task_path), "digest": run.folder.task_digest}
    trained: dict[str, tuple[Evaluation, bytes]] = {}
    waiting = [(name, rung) for name in genomes for rung in (final, whole)]
    pool = open_pool(run.settings.pool, TRAIN, slots=run.settings.slots, timeout=run.settings.timeout)
    try:
        while len(trained) < 2 * len(genomes):
            while waiting and pool.free:
                name, rung = waiting.pop(0)
                payload = {**job, "genome": genomes[name].to_json(), "rung": rung.to_json()}
                pool.submit(f"{name}/{rung.name}", payload)
            for outcome in pool.finished():
                failure = outcome.failure
                evaluation = Evaluation.from_json(outcome.payload["evaluation"]) if outcome.payload else None
                if evaluation is None or (failure := evaluation.failure):
                    raise InputError(f"{outcome.key} to train", f"{failure}", "Choose another genome.")
                trained[outcome.key] = evaluation, outcome.attachment
    finally:
        pool.close()
    networks = {}
    for name, genome in genomes.items():
        scores = {score.name: score.cutoff for score in trained[f"{name}/final"][0].scores}
        thresholds = [scores.get(one, 0.5) for one in run.task.class_names]
        networks[name] = TrainedNetwork.from_evaluation(genome, run.task, trained[f"{name}/whole"][1], thresholds)
    return networks


def compare(prediction: Any, annotation: Annotation, **options: Any) -> Review:
    """Set a prediction, or a second expert's annotation, against an annotation."""
    from napari_menndl.review.review import Review

    return Review.of(prediction, annotation, **options)


def search_process(path: str | os.PathLike[str]) -> None:
    """Run one search to its end: what the search process does."""
    from napari_menndl.pool.open import open_pool
    from napari_menndl.search.runner import SearchRunner

    folder = RunFolder.open(path)
    for name in ("SIGTERM", "SIGHUP", "SIGINT"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: folder.request("stop"))
    with folder.lock():
        settings = folder.settings
        pool = open_pool(settings.pool, TRAIN, slots=settings.slots, timeout=settings.timeout)
        try:
            SearchRunner(folder, pool).run()
        finally:
            pool.close()


def main() -> int:
    """Entry of the search process."""
    try:
        search_process(sys.argv[1])
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
