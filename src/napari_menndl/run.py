"""`Run`: one search, accessed through its run folder."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.errors import InputError
from napari_menndl.html import html_table
from napari_menndl.interpreter import python_command, python_environment
from napari_menndl.layer_data import annotation_layer, movie_layer
from napari_menndl.movie.preparation import prepared_alike
from napari_menndl.movie.reading import open_movie
from napari_menndl.search import results
from napari_menndl.views import view

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from napari_menndl.genome.evaluation import Evaluation
    from napari_menndl.movie.metadata import Metadata
    from napari_menndl.predict.card import Card
    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.predict.prediction import Prediction
    from napari_menndl.predict.trained import TrainedNetwork
    from napari_menndl.search.folder import RunFolder
    from napari_menndl.search.settings import SearchSettings
    from napari_menndl.task.task import TrainingTask


def _recorded(task: TrainingTask) -> tuple[tuple[int, str], ...]:
    """Return number and digest of the recorded frames of a task, as far as they are known."""
    if task.origin is None:
        return ()
    as_recorded = () if task.steps else tuple(zip(task.origin.frames, task.origin.digests, strict=True))
    return task.origin.recorded or as_recorded


class Run:
    """A search, accessed through its run folder.

    Attributes
    ----------
    folder : RunFolder
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.state})"

    def _repr_html_(self) -> str:
        """Return state, answer and the best networks, for a notebook."""
        status = self.status()
        rows = [
            (leader["id"], f"{leader['fitness']:.3f} ± {leader['error']:.3f}", f"{leader['parameters']:,}")
            for leader in status["leaders"][:5]
        ]
        answer = status["answer"]
        told = f"; answer {answer['fitness']:.3f} ± {answer['error']:.3f} out of fold" if answer else ""
        counts = f"{status['networks']} networks, {status['evaluations']} evaluations"
        caption = f"{self.path.name}: {status['state']}, {counts}{told}"
        return html_table(rows, ("network", "fitness", "parameters"), caption)

    def view(self) -> Any:
        """Open napari with the labelled frames and the dock "Search networks" on this run, and return the viewer.

        The dock shows a running search live; closing the window does not end it. See `views.view`.
        """
        task = self.task
        frames = replace(open_movie(task.frames, pixel_size=task.pixel_size), name="labelled frames")
        labels = Annotation.from_labels(task.labels, task.class_names, pixel_size=task.pixel_size)
        viewer = view([movie_layer(frames), annotation_layer(labels, name="labels")])
        _, dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Search networks")
        dock.open_run(self.path)
        return viewer

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def settings(self) -> SearchSettings:
        return self.folder.settings

    @property
    def task(self) -> TrainingTask:
        """The labelled frames, classes, folds and match rules of the search."""
        return self.folder.task

    @property
    def metadata(self) -> Metadata:
        """Metadata of the movie's recording, as far as its file contains them."""
        return self.folder.metadata

    # ------------------------------------------------------------------ process

    def start(self) -> None:
        """Start or resume the search process; it continues from the end of the journal."""
        self.folder.check_search()
        if self.state == "running":
            raise InputError("a search that is not running", f"{self.path} at work", "Watch it, or stop it first.")
        self.folder.clear_requests()
        with self.folder.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                python_command("napari_menndl.process", str(self.path)),
                env=python_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_for_start(self, interval: float = 0.1) -> None:
        """Wait until the search process is running, so that it can be asked to stop.

        Raises
        ------
        InputError
            If the process ends with an error before that.
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
        """Wait until the search process has ended.

        Raises
        ------
        InputError
            If the process ended with an error; the message contains the last line of its log, or the signal.
        KeyboardInterrupt
            If the wait is interrupted: the search continues, and the message says how to watch it and how to stop it.
        """
        try:
            while self.alive:
                if progress is not None:
                    progress(self.status())
                time.sleep(interval)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._goes_on()) from None
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

    def _goes_on(self) -> str:
        """Return a message that the search continues in the background, and how to watch and stop it."""
        process = (self.status()["holder"] or {}).get("pid")
        where = f" (process {process})" if process else ""
        return (
            f"The search goes on in the background{where}. Look: run = napari_menndl.open_run({str(self.path)!r}), "
            f"run.status(); wait again: run.wait(); end it: run.stop(), or: napari-menndl stop {self.path}"
        )

    @property
    def alive(self) -> bool:
        """Whether the search process is running, or was just started by this process."""
        if self._process is not None and self._process.poll() is None:
            return True
        return self.state == "running"

    # ------------------------------------------------------------------ results

    @property
    def state(self) -> str:
        """``"running"``, ``"stopped"``, ``"finished"`` or ``"interrupted"``."""
        return str(self.status()["state"])

    def status(self) -> dict[str, Any]:
        """Return state, births, best and median fitness, rates and failures so far, JSON-serialisable."""
        return self.folder.status()

    @property
    def history(self) -> pd.DataFrame:
        """The journal as a table, one row per evaluation."""
        return results.history(self.folder)

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

        chosen = results.chosen(self.folder)
        members = tuple(
            TrainedNetwork.from_evaluation(one.genome, self.task, one.weights, one.thresholds, one.fold)
            for one in chosen.members
        )
        card = self._card(chosen)
        if len(members) == 1:
            return replace(members[0], card=card)
        return Ensemble(members, chosen.thresholds, chosen.weights, card)

    def _card(self, chosen: results.Chosen) -> Card:
        """Return the card of the networks that predict."""
        from napari_menndl.predict.card import Card

        task, origin = self.task, self.task.origin
        return Card(
            title=self.path.stem,
            movie=origin.movie if origin else "",
            frames=origin.frames if origin else (),
            recorded=tuple(dict.fromkeys((*_recorded(task), *self.folder.seen))),
            task=self.folder.task_digest,
            defects=task.counts,
            recording=self.metadata,
            fitness=chosen.fitness,
            error=chosen.error,
            scores=chosen.scores,
            versions=self.folder.versions,
            created=date.fromtimestamp(self.folder.journal_path.stat().st_mtime).isoformat(),
        )

    def evaluations(self) -> list[tuple[int, Evaluation]]:
        """Return each recorded evaluation with its candidate's id, in the order of the journal."""
        return results.evaluations(self.folder)

    def predict(
        self,
        movie: Any,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Prediction:
        """Apply the best network or ensemble to a movie, lazily: frames are computed on access.

        The preparation steps of the movie that the search was trained on (`Movie.prepared`) are repeated on this one,
        with a warning; its own drift is measured.

        Parameters
        ----------
        movie : path, array (T, Y, X) or Movie
            A movie that is prepared already is used unchanged.
        progress : callable, optional
            Called with the number of frames whose drift is measured and the number of all frames.
        cancel : callable, optional
            Called before each of these frames; True cancels with an InputError.

        Returns
        -------
        Prediction
        """
        from napari_menndl.predict.prediction import Prediction

        best = self.best
        return Prediction(best, prepared_alike(open_movie(movie), best.steps, progress, cancel))
