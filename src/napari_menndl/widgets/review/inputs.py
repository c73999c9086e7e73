"""Inputs of the dock: its forms, kept up to date with the layers of the viewer."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_menndl.annotation.carrying import check_drawn_on
from napari_menndl.errors import InputError
from napari_menndl.review import corrections
from napari_menndl.widgets.form import read_form
from napari_menndl.widgets.layers import (
    PLACE,
    annotation_of,
    annotations_for,
    frame_in_view,
    layer_over,
    movie_of,
)
from napari_menndl.widgets.pixel_size import answer_for, remember_answer
from napari_menndl.widgets.review.annotated import Learned
from napari_menndl.widgets.review.frame_review import Setting
from napari_menndl.widgets.review.settings import EVERY_CLASS, ReviewSettings, ThresholdSettings, ViewSettings
from napari_menndl.widgets.review.several import Movies, Order

if TYPE_CHECKING:
    from magicgui.widgets import Container
    from napari.layers import Image, Labels
    from napari.viewer import Viewer

    from napari_menndl.movie.movie import Movie
    from napari_menndl.widgets.pixel_size import Answer
    from napari_menndl.widgets.pool_row import PoolRow


#: Value of `Inputs.painted` when a whole annotation was replaced.
EVERY_FRAME = -1


class Inputs(QObject):
    """Movie, annotation, source and threshold as currently chosen.

    Parameters
    ----------
    viewer : napari.Viewer
    what, level, view : Container
        Forms of `ReviewSettings`, `ThresholdSettings` and `ViewSettings`.
    pool : PoolRow

    Attributes
    ----------
    changed : Signal
        Something that the review depends on has changed.
    replaced : Signal
        The movie or the source of the prediction was replaced: no review is valid any longer.
    painted : Signal(frame)
        The annotation of a frame changed, or of `EVERY_FRAME`.
    """

    changed = Signal()
    replaced = Signal()
    painted = Signal(int)

    def __init__(
        self,
        viewer: Viewer,
        what: Container[Any],
        level: Container[Any],
        view: Container[Any],
        pool: PoolRow,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._what, self._level, self._view, self._pool = what, level, view, pool
        self._movie: tuple[Any, Movie] | None = None
        self._answer: tuple[Movie, Answer] | None = None
        self._watched: Labels | None = None
        self._states: dict[int, int] = {}
        # Annotation that was chosen by default, not by a person.
        self._suggested: Labels | None = None
        # Labels that the run learned from, and the layer recognised as theirs; it may have been corrected since.
        self._learned: tuple[str, Learned | None] | None = None
        self._theirs: Labels | None = None
        self._labelled: tuple[Learned, Movie, tuple[int, ...]] | None = None
        self._of_classes: dict[str, float] = {}
        self._names: tuple[str, ...] = ()
        self._thresholds: tuple[float, ...] = ()
        #: Layers that could be chosen before: if a person chose none of them, none is suggested again.
        self._met: set[int] = set()
        self.reading = 0
        self._what["source"].changed.connect(self._replaced)
        self._what["movie"].changed.connect(self._movie_chosen)
        self._what["annotation"].changed.connect(self._annotation_chosen)
        self._level["threshold"].changed.connect(self._threshold_moved)
        self._level["of_class"].changed.connect(self._class_chosen)
        self._level["own_threshold"].changed.connect(self._own_chosen)
        self._view["second"].changed.connect(self._replaced)
        self._view["keep"].changed.connect(self._replaced)
        for chosen in (self._pool.kind.currentIndexChanged, self._pool.address.textChanged):
            chosen.connect(self.replaced.emit)

    @property
    def image(self) -> Image | None:
        """The layer of the movie."""
        layer: Image | None = self._what["movie"].value
        return layer

    @property
    def annotation(self) -> Labels | None:
        """The layer of the annotation."""
        layer: Labels | None = self._what["annotation"].value
        return layer

    @property
    def view(self) -> ViewSettings:
        settings: ViewSettings = read_form(self._view, ViewSettings)
        return settings

    @property
    def pool(self) -> str:
        """The pool that predicts, as `open_pool` takes it; empty for this process.

        Raises
        ------
        InputError
            If its address or file is missing.
        """
        spec = self._pool.spec
        return "" if spec == "local" else spec

    @property
    def named(self) -> bool:
        """Whether a source of predictions is chosen."""
        return bool(self._what["source"].line_edit.value) or self._view["second"].value is not None

    @property
    def movie(self) -> Movie:
        """The movie that is chosen.

        Raises
        ------
        InputError
            If no layer is chosen, or it shows no movie.
        """
        layer = self.image
        if layer is None:
            raise InputError("a movie", "no image layer", "Open a movie, or File › Open Sample › MENNDL.")
        if self._movie is None or self._movie[0] is not layer.data:
            self._movie = layer.data, movie_of(layer)
        return self._movie[1]

    @property
    def answer(self) -> Answer:
        """A person's answer about the movie's pixel size.

        Raises
        ------
        InputError
            If there is no movie.
        """
        movie = self.movie
        if self._answer is None or self._answer[0] is not movie:
            self._answer = movie, answer_for(movie)
        return self._answer[1]

    def take_answer(self, answer: Answer) -> None:
        """Keep a person's answer about the movie's pixel size."""
        remember_answer(self.movie, answer)
        self._answer = self.movie, answer
        self.changed.emit()

    @property
    def frame(self) -> int:
        """The frame of the movie in view; 0 without a movie."""
        return 0 if self.image is None else frame_in_view(self.image, self._viewer.dims.point)

    def setting(self) -> Setting:
        """Return what to review.

        Raises
        ------
        InputError
            If something is missing or cannot be used.
        """
        movie, view = self.movie, self.view
        what: ReviewSettings = read_form(self._what, ReviewSettings)
        level: ThresholdSettings = read_form(self._level, ThresholdSettings)
        if not self.named:
            raise InputError(
                "the folder of a run, a saved network or a stored prediction",
                "an empty field",
                "Choose the folder that a search wrote, or drop it here.",
            )
        if view.second is not None and view.second == what.annotation:
            raise InputError(
                "two different annotations to compare",
                f"{what.annotation.name!r} twice" if what.annotation is not None else "none",
                "Choose the other expert's annotation under 'Annotation' or under 'Second expert'.",
            )
        for layer in (what.annotation, view.second):
            if layer is not None and (drawn := layer.metadata.get("annotation")) is not None:
                check_drawn_on(drawn, movie)
        return Setting(
            source=view.second if view.second is not None else str(Path(what.source).expanduser()),
            movie=movie,
            annotation=what.annotation,
            threshold=None if level.own_threshold else level.threshold,
            reading=self.reading,
            keep=view.keep,
            pool=self.pool,
            of_classes=tuple(sorted(self._of_classes.items())),
            answer=self.answer,
            labelled=self._frames_learned,
        )

    def order(self, folder: Path, movies: Movies) -> Order:
        """Return the request to predict several movies.

        Raises
        ------
        InputError
            If no source of predictions is chosen, or it is incomplete.
        """
        source = self._what["source"].line_edit.value
        if not source:
            raise InputError("a run or a saved network", "an empty field", "Choose one under 'Prediction', above.")
        level: ThresholdSettings = read_form(self._level, ThresholdSettings)
        return Order(
            Path(source).expanduser(),
            movies,
            folder,
            self.pool,
            None if level.own_threshold else level.threshold,
            tuple(self._of_classes.items()),
        )

    def reset_choices(self) -> None:
        """Update the choices after layers were added, removed or renamed."""
        rows = [self._what["movie"], self._what["annotation"], self._view["second"]]
        before = [row.value for row in rows]
        # A drop-down loses its choice while it is refilled: only the outcome is a change.
        for row, layer in zip(rows, before, strict=True):
            with row.changed.blocked():
                row.reset_choices()
                if layer in row.choices:
                    row.value = layer
        for row, layer in zip(rows, before, strict=True):
            if row.value != layer:
                row.changed.emit(row.value)
        if self.image is None and (movies := [c for c in rows[0].choices if c is not None]):
            rows[0].value = movies[0]
        self._suggest_annotation()

    def _suggest_annotation(self) -> None:
        row = self._what["annotation"]
        choices = [c for c in row.choices if c is not None]
        new = [c for c in choices if id(c) not in self._met]
        self._met = {id(c) for c in choices}
        if self.image is not None and row.value is None and (fitting := [c for c in self._fitting() if c in new]):
            self._suggested = fitting[0]
            row.value = fitting[0]

    def _fitting(self) -> list[Labels]:
        """Return the layers that may hold the annotation of the movie, the likeliest first."""
        second = self._view["second"].value
        # A layer that cannot be painted is one that a dock shows.
        layers = [c for c in self._what["annotation"].choices if c is not None and c != second and c.editable]
        try:
            return annotations_for(layers, self.movie)
        except InputError:
            return []

    def take_learned(self) -> str:
        """Compare the prediction of a run with what that run learned from, unless a person chose otherwise.

        If no open annotation is that, the labels that the run kept become a layer.

        Returns
        -------
        str
            Message for the person; usually empty.
        """
        row, learned = self._what["annotation"], self._read_learned()
        if self.image is None or learned is None or learned.is_of(self.movie) is False:
            return ""
        layers, said = self._fitting(), ""
        theirs = self._theirs if self._theirs in layers else next(filter(learned.is_in, layers), None)
        if theirs is None:
            theirs = next((layer for layer in layers if learned.was(annotation_of(layer))), None)
            if theirs is not None:
                said = f"{theirs.name!r} has changed since {learned.name} learned from it."
        chosen, self._theirs = row.value, theirs
        if chosen is not None and chosen == theirs:
            return said
        if chosen is not None and chosen != self._suggested:
            return f"{chosen.name!r}, which you chose, is not what {learned.name} learned from."
        if theirs is None and chosen is not None and learned.origin is None:
            return (
                f"{chosen.name!r} is compared. Whether {learned.name} learned from that cannot be told: it is of an "
                "older version."
            )
        if theirs is None and chosen is not None:
            said = (
                f"The annotation that {learned.name} learned from is not open: the labels that the run kept of it are "
                "compared. Choose another under 'Annotation' to compare with that."
            )
            theirs = layer_over(learned.as_annotation(self.movie), self.image, f"{learned.name} learned from")
            self._suggested = self._theirs = theirs
            self._viewer.layers.append(theirs)
            row.reset_choices()
        if theirs is not None:
            self._suggested = theirs
            row.value = theirs
        return said

    def _read_learned(self) -> Learned | None:
        source = "" if self._view["second"].value is not None else str(self._what["source"].line_edit.value)
        if self._learned is None or self._learned[0] != source:
            self._learned = source, Learned.open(Path(source).expanduser()) if source else None
            self._theirs = None
        return self._learned[1]

    @property
    def _frames_learned(self) -> tuple[int, ...]:
        """Frames of the movie that the run learned from; empty if that is not known."""
        learned, movie = self._read_learned(), self.movie
        if learned is None:
            return ()
        if self._labelled is None or self._labelled[0] is not learned or self._labelled[1] is not movie:
            self._labelled = learned, movie, learned.frames_in(movie)
        return self._labelled[2]

    def _movie_chosen(self, layer: Image | None) -> None:
        self.replaced.emit()
        self._met = set()
        row = self._what["annotation"]
        if layer is not None and row.value is not None and row.value not in self._fitting():
            row.value = None  # it is of another movie
        self._suggest_annotation()

    def _annotation_chosen(self, layer: Labels | None) -> None:
        if self._watched is not None:
            self._watch(self._watched, "disconnect")
        self._watched, self._states = layer, {}
        if layer is not None:
            self._watch(layer, "connect")
        image = self.image
        if layer is not None and "annotation" in layer.metadata and image is not None and image.ndim == layer.ndim:
            for name in PLACE:
                setattr(layer, name, getattr(image, name))  # an annotation does not know the time of a frame
        self.changed.emit()

    def _watch(self, layer: Labels, act: str) -> None:
        getattr(layer.events.paint, act)(self._painted)
        # In memory, undo and redo are announced by set_data only, as is everything else.
        getattr(layer.events.set_data, act)(self._redrawn)
        getattr(layer.events.data, act)(self._exchanged)
        annotation = layer.metadata.get("annotation")
        if annotation is not None:
            for signal in (annotation.changes.labels, annotation.changes.status, annotation.changes.regions):
                if act == "connect":
                    signal.connect(self._on_labels)
                else:
                    signal.disconnect(self._on_labels, missing_ok=True)

    def _painted(self) -> None:
        layer = self._watched
        annotation = None if layer is None else layer.metadata.get("annotation")
        if annotation is not None and self.frame < len(annotation):
            corrections.begin(annotation, self.frame)
        self.painted.emit(self.frame)

    def note(self) -> bool:
        """Return whether the labels of the frame in view changed since the last call; False for those on disk."""
        layer, t = self._watched, self.frame
        if layer is None or not isinstance(layer.data, np.ndarray) or t >= len(layer.data):
            return False
        labels = layer.data[t] if layer.ndim > 2 else layer.data
        state = zlib.crc32(np.ascontiguousarray(labels).data)
        before, self._states[t] = self._states.get(t, state), state
        return before != state

    def _redrawn(self) -> None:
        if self.note():
            self.painted.emit(self.frame)

    def _exchanged(self) -> None:
        self._states = {}
        self.painted.emit(EVERY_FRAME)

    def _on_labels(self, frame: int) -> None:
        self.painted.emit(frame)

    def _threshold_moved(self) -> None:
        level = self._level
        if (name := level["of_class"].value) in self._names:
            self._of_classes[name] = level["threshold"].value
        else:
            self._of_classes.clear()
            with level["own_threshold"].changed.blocked():
                level["own_threshold"].value = False
        self.changed.emit()

    def _own_chosen(self, own: bool) -> None:
        if own:
            self._of_classes.clear()
        self.changed.emit()

    def _class_chosen(self, name: str | None) -> None:
        if self._thresholds:
            self._show_threshold()

    def show_thresholds(self, class_names: tuple[str, ...], thresholds: tuple[float, ...]) -> None:
        """Offer the classes of the current review, and move the slider to the threshold applied."""
        self._thresholds = thresholds
        if class_names != self._names:
            self._names = class_names
            with self._level["of_class"].changed.blocked():
                self._level["of_class"].reset_choices()
        self._show_threshold()

    @property
    def classes(self) -> list[str]:
        """Choices of what the threshold is set for."""
        return [EVERY_CLASS, *self._names]

    def _show_threshold(self) -> None:
        name, level = self._level["of_class"].value, self._level
        chosen = dict(zip(self._names, self._thresholds, strict=True))
        if name in chosen:
            threshold = chosen[name]
        elif level["own_threshold"].value and (reachable := [t for t in self._thresholds if t <= 1]):
            threshold = float(np.mean(reachable))
        else:
            return
        with level["threshold"].changed.blocked():
            level["threshold"].value = float(np.clip(threshold, 0.01, 0.99))

    def _replaced(self) -> None:
        self._of_classes.clear()
        self.replaced.emit()
