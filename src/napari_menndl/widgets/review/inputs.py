"""What the dock was told to review: its forms, kept in step with the layers of the viewer."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_menndl.errors import InputError
from napari_menndl.review import corrections
from napari_menndl.widgets.form import read_form
from napari_menndl.widgets.layers import PLACE, frame_in_view, movie_of
from napari_menndl.widgets.review.frame_review import Setting
from napari_menndl.widgets.review.settings import ReviewSettings, ThresholdSettings, ViewSettings

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from napari.viewer import Viewer

    from napari_menndl.movie.movie import Movie
    from napari_menndl.widgets.review.controls import Controls


#: What `Inputs.painted` says when all of an annotation was exchanged.
EVERY_FRAME = -1


class Inputs(QObject):
    """Movie, annotation, source and threshold as they are chosen now.

    Parameters
    ----------
    viewer : napari.Viewer
    controls : Controls

    Attributes
    ----------
    changed : Signal
        Something that the review depends on.
    replaced : Signal
        The movie or what predicts it: nothing of the review holds any longer.
    painted : Signal(frame)
        The annotation of a frame changed, or of `EVERY_FRAME`.
    """

    changed = Signal()
    replaced = Signal()
    painted = Signal(int)

    def __init__(self, viewer: Viewer, controls: Controls, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._what, self._level, self._view = controls.what, controls.level, controls.view
        self._pool = controls.pool
        self._movie: tuple[Any, Movie] | None = None
        self._watched: Labels | None = None
        self._states: dict[int, int] = {}
        #: Layers that were there to be chosen already: who chose none of them is not offered one again.
        self._met: set[int] = set()
        self.reading = 0
        self._what["source"].changed.connect(self._replaced)
        self._what["movie"].changed.connect(self._movie_chosen)
        self._what["annotation"].changed.connect(self._annotation_chosen)
        self._level["threshold"].changed.connect(self._threshold_moved)
        self._level["own_threshold"].changed.connect(self._changed)
        self._view["second"].changed.connect(self._replaced)
        self._view["keep"].changed.connect(self._replaced)
        self._pool.kind.currentIndexChanged.connect(self._pool_chosen)
        self._pool.address.textChanged.connect(self._pool_chosen)

    @property
    def image(self) -> Image | None:
        """The movie's layer."""
        layer: Image | None = self._what["movie"].value
        return layer

    @property
    def annotation(self) -> Labels | None:
        """The annotation's layer."""
        layer: Labels | None = self._what["annotation"].value
        return layer

    @property
    def view(self) -> ViewSettings:
        settings: ViewSettings = read_form(self._view, ViewSettings)
        return settings

    @property
    def pool(self) -> str:
        """Who predicts, as `open_pool` takes it; empty: this process.

        Raises
        ------
        InputError
            If its address or file is missing.
        """
        spec = self._pool.spec
        return "" if spec == "local" else spec

    @property
    def named(self) -> bool:
        """Whether something is chosen that predicts."""
        return bool(self._what["source"].line_edit.value) or self._view["second"].value is not None

    @property
    def movie(self) -> Movie:
        """The movie.

        Raises
        ------
        InputError
            If there is none, or its layer is none.
        """
        layer = self.image
        if layer is None:
            raise InputError("a movie", "no image layer", "Open a movie, or File › Open Sample › MENNDL.")
        if self._movie is None or self._movie[0] is not layer.data:
            self._movie = layer.data, movie_of(layer)
        return self._movie[1]

    @property
    def frame(self) -> int:
        """The frame of the movie in view; 0 without a movie."""
        return 0 if self.image is None else frame_in_view(self.image, self._viewer.dims.point)

    def setting(self) -> Setting:
        """What to review.

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
        return Setting(
            source=view.second if view.second is not None else str(Path(what.source).expanduser()),
            movie=movie,
            annotation=what.annotation,
            threshold=None if level.own_threshold else level.threshold,
            reading=self.reading,
            keep=view.keep,
            pool=self.pool,
        )

    def reset_choices(self) -> None:
        """Take up that layers came, went or changed their names."""
        rows = [self._what["movie"], self._what["annotation"], self._view["second"]]
        before = [row.value for row in rows]
        # A drop-down lets go of its choice while it is filled anew: only the outcome is a change.
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
        image, row = self.image, self._what["annotation"]
        choices = [c for c in row.choices if c is not None]
        new = [c for c in choices if id(c) not in self._met]
        self._met = {id(c) for c in choices}
        if image is not None and row.value is None:
            second = self._view["second"].value
            # What cannot be painted is what some dock shows.
            layers = [c for c in new if c != second and c.editable]
            fitting = [layer for layer in layers if layer.data.shape[-2:] == image.data.shape[-2:]]
            # One that knows its classes before whatever else is numbered.
            fitting.sort(key=lambda layer: "annotation" not in layer.metadata)
            row.value = fitting[0] if fitting else None

    def _movie_chosen(self, layer: Image | None) -> None:
        self.replaced.emit()
        self._met = set()
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
        # Undo and redo in memory tell of themselves by set_data alone, as does everything else.
        getattr(layer.events.set_data, act)(self._redrawn)
        getattr(layer.events.data, act)(self._exchanged)
        annotation = layer.metadata.get("annotation")
        if annotation is not None:
            for signal in (annotation.changes.labels, annotation.changes.status, annotation.changes.regions):
                if act == "connect":
                    signal.connect(self._told)
                else:
                    signal.disconnect(self._told, missing_ok=True)

    def _painted(self) -> None:
        layer = self._watched
        annotation = None if layer is None else layer.metadata.get("annotation")
        if annotation is not None and self.frame < len(annotation):
            corrections.begin(annotation, self.frame)
        self.painted.emit(self.frame)

    def note(self) -> bool:
        """Take up what is annotated in the frame in view; whether that changed since. On disk it tells of itself."""
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

    def _told(self, frame: int) -> None:
        self.painted.emit(frame)

    def _threshold_moved(self) -> None:
        with self._level["own_threshold"].changed.blocked():
            self._level["own_threshold"].value = False
        self.changed.emit()

    def show_threshold(self, threshold: float) -> None:
        """Move the slider to where the network reads its probabilities off."""
        with self._level["threshold"].changed.blocked():
            self._level["threshold"].value = threshold

    def _changed(self) -> None:
        self.changed.emit()

    def _replaced(self) -> None:
        self.replaced.emit()

    def _pool_chosen(self, _: object) -> None:
        self.replaced.emit()
