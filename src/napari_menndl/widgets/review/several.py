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

from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_menndl.errors import InputError
from napari_menndl.movie.formats import FORMATS
from napari_menndl.predict.resample import PixelSizeError
from napari_menndl.widgets.background import begin, in_window
from napari_menndl.widgets.layers import movie_of
from napari_menndl.widgets.pixel_size import PixelSizeRow, answer_for, remember_answer, with_answer
from napari_menndl.widgets.section import WrappedLabel

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image

    from napari_menndl.movie.movie import Movie

#: Name of each movie in the table, and the function that opens it.
Movies = Sequence[tuple[str, "Callable[[], Movie]"]]
#: Niceness of the work: the window, a review and a search on the same computer come first.
_BESIDE = 19
GO, STOP = "Predict all …", "Stop"
_WHAT = Qt.ItemDataRole.UserRole


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
        self._tell = in_window(self._on_progress)
        self.destroyed.connect(self._stop.set)

    def begin(self, order: Order) -> None:
        """Start predicting; movies that were stopped continue where they stopped."""
        self.busy, self._stop = True, threading.Event()
        self.destroyed.connect(self._stop.set)
        begin(_work, order, self._stop.is_set, self._tell, niceness=_BESIDE)

    def stop(self) -> None:
        """Stop after the current frame; what is predicted stays on disk."""
        self._stop.set()

    def _on_progress(self, what: str, *said: Any) -> None:
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


class MovieList(QWidget):
    """List of open movies and files to choose from, with a button and a progress bar.

    Parameters
    ----------
    order : callable
        ``order(folder, movies)`` returns the request; raises InputError if something is missing.

    Attributes
    ----------
    work : SeveralMovies
    failed : Signal(exception)
    """

    failed = Signal(object)

    def __init__(self, order: Callable[[Path, Movies], Order], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._order = order
        self._last: Order | None = None
        self._asked: list[tuple[str, Movie, PixelSizeError]] = []
        self._problems: list[str] = []
        self.work = SeveralMovies(self)
        self.list = QListWidget()
        self.list.setMaximumHeight(110)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setAccessibleName("Movies to predict")
        self.add, self.remove, self.button = QPushButton("Add"), QPushButton("Remove"), QPushButton(GO)
        menu = QMenu(self.add)
        menu.addAction("Files …", self._add_files)
        menu.addAction("Folder of single frames …", self._add_folder)
        self.add.setMenu(menu)
        self.add.setToolTip("Movies that are not open")
        self.remove.setToolTip("Take the chosen file out of the list")
        self.button.setToolTip(
            "Predict the ticked movies one after the other into a folder: a stored prediction of each, and one table of"
            " the defects of all"
        )
        self.pixel_size = PixelSizeRow()
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        self.progress.setRange(0, 1000)
        self.progress.hide()
        self.status = WrappedLabel()
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        for widget in (self.add, self.remove):
            row.addWidget(widget)
        row.addWidget(self.button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3, 0, 0, 0)
        layout.addWidget(self.list)
        layout.addLayout(row)
        for part in (self.pixel_size, self.progress, self.status):
            layout.addWidget(part)
        self.remove.clicked.connect(self._remove)
        self.button.clicked.connect(self._go_or_stop)
        self.pixel_size.answered.connect(self._on_pixel_size)
        self.work.progressed.connect(self._progress)
        self.work.predicted.connect(self._predicted)
        self.work.ended.connect(self._ended)
        self.work.warned.connect(show_warning)
        self.work.failed.connect(self._failed)

    # The list ---------------------------------------------------------------------------------------------------------

    def show_layers(self, layers: Sequence[Image]) -> None:
        """Update the list after movies were opened, closed or renamed; files stay."""
        before = [(one.data(_WHAT), one.checkState()) for one in self._items]
        self.list.clear()
        for layer in layers:
            state = next((state for one, state in before if one == layer), Qt.CheckState.Checked)
            self._put(layer, layer.name, state)
        for one, state in before:
            if isinstance(one, Path):
                self._put(one, _short(one), state)

    def add_files(self, files: Sequence[Path]) -> None:
        """Add files or folders to the list."""
        there = [one.data(_WHAT) for one in self._items]
        for file in files:
            if file not in there:
                self._put(file, _short(file), Qt.CheckState.Checked)

    @property
    def _items(self) -> list[QListWidgetItem]:
        found = (self.list.item(row) for row in range(self.list.count()))
        return [one for one in found if one is not None]

    @property
    def chosen(self) -> list[Any]:
        """Layers and paths that are ticked."""
        return [one.data(_WHAT) for one in self._items if one.checkState() == Qt.CheckState.Checked]

    def _put(self, what: Image | Path, name: str, state: Qt.CheckState) -> None:
        item = QListWidgetItem(name)
        item.setData(_WHAT, what)
        item.setToolTip(str(what if isinstance(what, Path) else what.metadata.get("source") or "open in napari"))
        item.setCheckState(state)
        self.list.addItem(item)

    def _add_files(self) -> None:
        kinds = " ".join(f"*{suffix}" for kind in FORMATS for suffix in kind.suffixes)
        paths, _ = QFileDialog.getOpenFileNames(self, "Movies to predict", "", f"Movies ({kinds});;All files (*)")
        self.add_files([Path(path) for path in paths])

    def _add_folder(self) -> None:
        if path := QFileDialog.getExistingDirectory(self, "A folder of single frames, or a movie in zarr"):
            self.add_files([Path(path)])

    def _remove(self) -> None:
        for item in self.list.selectedItems():
            if isinstance(item.data(_WHAT), Path):
                self.list.takeItem(self.list.row(item))
            else:
                item.setCheckState(Qt.CheckState.Unchecked)  # it stays open

    # Predicting -------------------------------------------------------------------------------------------------------

    def _go_or_stop(self) -> None:
        if self.work.busy:
            self.button.setEnabled(False)
            self.status.setText("Stopping after the frame at work …")
            self.work.stop()
        elif path := QFileDialog.getExistingDirectory(self, "Folder for the predictions and the table of all defects"):
            self.predict(Path(path))

    def predict(self, folder: Path) -> None:
        """Predict the ticked movies into a folder."""
        files = [one for one in self.chosen if isinstance(one, Path)]
        try:
            movies = movies_of([one for one in self.chosen if not isinstance(one, Path)], files)
            if not movies:
                raise InputError("movies to predict", "none that is ticked", "Tick some in the list, or add files.")
            self._begin(self._order(folder, movies))
        except InputError as error:
            self._failed(error)

    def _begin(self, order: Order) -> None:
        self._last, self._asked, self._problems = order, [], []
        self.pixel_size.hide()
        self.progress.setValue(0)
        self.progress.show()
        self.button.setText(STOP)
        self.status.setText("Opening the network …")
        self.work.begin(order)

    def _progress(self, text: str, share: float) -> None:
        self.progress.setValue(round(1000 * share))
        if self.button.isEnabled():
            self.status.setText(text)

    def _predicted(self, outcome: Outcome) -> None:
        if isinstance(outcome.error, PixelSizeError) and outcome.movie is not None:
            self._asked.append((outcome.name, outcome.movie, outcome.error))
        elif outcome.error is not None or outcome.lacking:
            why = str(outcome.error or f"only {outcome.lacking}")
            self._problems.append(f"{outcome.name}: {why}")

    def _ended(self, text: str) -> None:
        self._rest("\n".join([text, *self._problems]))
        if self._asked:
            first = self._asked[0][2]  # others are asked about afterwards
            self._asked = [one for one in self._asked if one[2].trained == first.trained]
            self.pixel_size.ask(", ".join(_short(Path(name)) for name, _, _ in self._asked), first)

    def _failed(self, error: Exception) -> None:
        self._rest("")
        self.failed.emit(error)

    def _rest(self, text: str) -> None:
        self.progress.hide()
        self.button.setText(GO)
        self.button.setEnabled(True)
        self.status.setText(text)

    def _on_pixel_size(self, answer: Any) -> None:
        """Keep the answer for every movie that was asked about, and continue."""
        for _, movie, _ in self._asked:
            remember_answer(movie, answer)
        if self._last is not None:
            self._begin(self._last)


def _short(file: Path) -> str:
    """Return a file with its folder, since many files are called ``movie.tif``."""
    return str(Path(file.parent.name, file.name))
