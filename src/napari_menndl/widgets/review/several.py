"""Prediction of several movies one after the other, to disk, with one table of all defects."""

from __future__ import annotations

import logging
import threading
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_menndl.errors import InputError
from napari_menndl.widgets.background import begin, in_window
from napari_menndl.widgets.layers import movie_of
from napari_menndl.widgets.pixel_size import answer_for, with_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image

    from napari_menndl.movie.movie import Movie

#: Name of each movie in the table, and the function that opens it.
Movies = Sequence[tuple[str, "Callable[[], Movie]"]]
#: Niceness of the work: the window, a review and a search on the same computer come first.
_BESIDE = 19


@dataclass(frozen=True)
class Outcome:
    """Result for one movie.

    Attributes
    ----------
    name : str
    movie : Movie or None
        None if it could not be opened.
    defects : int
    lacking : str
        Text about the frames that are missing; empty if there are none.
    error : Exception or None
    """

    name: str
    movie: Movie | None = None
    defects: int = 0
    lacking: str = ""
    error: Exception | None = None


@dataclass(frozen=True)
class Order:
    """Request to predict several movies.

    Attributes
    ----------
    source : Path
        A run folder or a saved network.
    movies : sequence of (str, callable)
        See `Movies`.
    folder : Path
    pool : str
        The pool that predicts, as `open_pool` takes it; empty for this process.
    threshold : float or None
        For every class; None for the thresholds of the network.
    of_classes : mapping of str to float
        Thresholds of single classes, which override `threshold`.
    """

    source: Path
    movies: Movies
    folder: Path
    pool: str = ""
    threshold: float | None = None
    of_classes: tuple[tuple[str, float], ...] = ()


def movies_of(layers: Sequence[Image], files: Sequence[Path]) -> Movies:
    """Return names and movies of layers and files; a layer gets its file's name if it alone shows that file.

    Raises
    ------
    InputError
        If a layer is no movie.
    """
    from napari_menndl.movie.reading import open_movie

    shown = [(layer.name, movie_of(layer)) for layer in layers]
    sources = Counter(movie.source for _, movie in shown)
    known = {
        movie.source
        for _, movie in shown
        if not movie.steps and sources[movie.source] == 1 and Path(movie.source).exists()
    }
    found: list[tuple[str, Callable[[], Movie]]] = [
        (movie.source if movie.source in known else name, partial(_same, movie)) for name, movie in shown
    ]
    return found + [(str(file), partial(open_movie, file)) for file in files if str(file) not in known]


def _same(movie: Movie) -> Movie:
    return movie


class SeveralMovies(QObject):
    """Prediction of movies in turn, in a thread.

    Attributes
    ----------
    busy : bool
    progressed : Signal(text, float)
        Text about the current work, and the share of all that is done.
    predicted : Signal(Outcome)
        One for each movie.
    ended : Signal(text)
        Text about the table, or about why there is none.
    warned : Signal(text)
    failed : Signal(exception)
        Nothing could be started.
    """

    progressed = Signal(str, float)
    predicted = Signal(object)
    ended = Signal(str)
    warned = Signal(str)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.busy = False
        self._stop = threading.Event()
        self._tell = in_window(self._on_told)
        self.destroyed.connect(self._stop.set)

    def begin(self, order: Order) -> None:
        """Start predicting; movies that were stopped continue where they stopped."""
        self.busy, self._stop = True, threading.Event()
        self.destroyed.connect(self._stop.set)
        begin(_work, order, self._stop.is_set, self._tell, niceness=_BESIDE)

    def stop(self) -> None:
        """Stop after the current frame; what is predicted stays on disk."""
        self._stop.set()

    def _on_told(self, what: str, *said: Any) -> None:
        if what in ("ended", "failed"):
            self.busy = False
        getattr(self, what).emit(*said)


def _work(order: Order, cancel: Callable[[], bool], tell: Callable[..., None]) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda warning, *_: tell("warned", str(warning))
            _predict(order, cancel, tell)
    except InputError as error:
        tell("failed", error)
    except Exception as error:
        logging.getLogger(__name__).error("Predicting several movies failed", exc_info=error)
        tell("failed", error)


def _predict(order: Order, cancel: Callable[[], bool], tell: Callable[..., None]) -> None:
    from napari_menndl.opening import at_thresholds, open_network
    from napari_menndl.predict.several import TABLE, DefectTable, places_in, predict_movie, prediction_of

    network = open_network(order.source)
    wanted = {} if order.threshold is None else dict.fromkeys(network.class_names, order.threshold)
    network = at_thresholds(network, wanted | dict(order.of_classes))
    places = places_in([Path(name) for name, _ in order.movies], order.folder)
    table, done = DefectTable(order.folder / TABLE, several=True), 0
    for number, ((name, open_it), place) in enumerate(zip(order.movies, places, strict=True)):
        if cancel():
            break

        def progress(what: str, frames: int, total: int, number: int = number) -> None:
            share = (number + frames / max(total, 1)) / len(order.movies)
            tell("progressed", f"Movie {number + 1} of {len(order.movies)}, {what} {frames} of {total}", share)

        movie = None
        try:
            movie = open_it()
            used, shown = with_answer(network, movie, answer_for(movie))
            prediction = prediction_of(used, shown, partial(progress, "drift of frame"), cancel)
            defects, frames, problem = predict_movie(
                prediction, place, partial(progress, "frame"), cancel, order.pool or None
            )
            lacking = f"{frames} of {len(prediction)} frames" if frames < len(prediction) else ""
            table.add(name, defects)
        except (InputError, OSError) as error:
            tell("predicted", Outcome(name, movie, error=error))
            continue
        done += not lacking
        tell("predicted", Outcome(name, movie, len(defects), lacking, problem))
    stopped = "Stopped: " if cancel() else ""
    written = f"{len(table)} defects in {table.path}" if table.path.exists() else "there is no table"
    tell("ended", f"{stopped}{done} of {len(order.movies)} movies predicted, {written}")
