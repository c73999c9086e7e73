"""Set-up of a search: what to learn from, where, and how long."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_menndl.errors import InputError
from napari_menndl.search.frame_numbers import finished_frames, frames_text, nearest_frames, parse_frames
from napari_menndl.search.settings import SearchSettings
from napari_menndl.search.views.known_runs import suggest_folder
from napari_menndl.widgets.background import BackgroundTask
from napari_menndl.widgets.form import changes, fill_form, lay_out, make_form, read_form, remember_form
from napari_menndl.widgets.layers import annotations_for, frame_in_view, movie_of
from napari_menndl.widgets.movie_line import MovieLine
from napari_menndl.widgets.pool_row import PoolRow
from napari_menndl.widgets.preferences import default_budget, default_pool, recall, remember
from napari_menndl.widgets.search.best_view import NAME as BEST
from napari_menndl.widgets.search.budget_row import BudgetRow
from napari_menndl.widgets.search.request import SearchRequest
from napari_menndl.widgets.search.settings import AdvancedSettings, LearnSettings, PlaceSettings
from napari_menndl.widgets.section import WrappedLabel, section

if TYPE_CHECKING:
    from collections.abc import Iterable

    import napari.viewer

    from napari_menndl.movie.movie import Movie

#: Interval between checks for frames that were annotated meanwhile [ms].
_OFFER = 1000


class Setup(QWidget):
    """Forms of the set-up.

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    changed : Signal()
        A setting was changed.
    """

    changed = Signal()

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self._offered = ""
        self._finished: tuple[int, ...] = ()
        self._all = False
        self._suggested = ""
        self._opened: tuple[Any, Movie] | None = None
        self._status: tuple[Any, ...] | None = None
        self.learn = make_form(
            LearnSettings,
            movie={"choices": lambda _: self._layers(Image), "nullable": True},
            annotation={"choices": lambda _: self._layers(Labels), "nullable": True},
        )
        self.place = make_form(PlaceSettings)
        self.advanced = make_form(AdvancedSettings)
        self.pool = PoolRow()
        self.budget = BudgetRow()
        self.about = MovieLine()
        self._build()
        self._offer_job = BackgroundTask(self)
        self._offer_job.done.connect(self._on_offer)
        self._clock = QTimer(self)
        self._clock.setInterval(_OFFER)
        self._clock.timeout.connect(self._look_for_frames)
        self._clock.start()
        self.learn["movie"].changed.connect(self._on_movie)
        self.learn["annotation"].changed.connect(self._on_annotation)
        self.learn["frames"].changed.connect(self._on_frames)
        self.one_frame.clicked.connect(self.offer_in_view)
        self.every_frame.clicked.connect(self._offer_all)
        # Where the last search started from is not where the next one does.
        kept = [row.name for row in self.advanced if row.name != "start_from"]
        self._defaults = remember_form(self.advanced, "search/advanced", kept) | {"start_from": Path()}
        self.advanced.changed.connect(self._show_changed)
        self.defaults.clicked.connect(self._forget_advanced)
        self._show_changed()
        self.restore()
        self.reset_choices()

    def _build(self) -> None:
        for form, name in ((self.place, "run"), (self.advanced, "space"), (self.advanced, "start_from")):
            form[name].choose_btn.text = "…"
            form[name].choose_btn.native.setMaximumWidth(32)
        self.place["run"].line_edit.value = ""
        self.place["run"].line_edit.native.setPlaceholderText("my-search.menndl")
        for name, placeholder in (("space", "small networks"), ("start_from", "nothing")):
            self.advanced[name].line_edit.value = ""
            self.advanced[name].line_edit.native.setPlaceholderText(placeholder)
        self.learn["frames"].native.setPlaceholderText("0, 5-8")
        body = lay_out(self.learn)
        rows = body.layout()
        assert isinstance(rows, QFormLayout)
        rows.insertRow(1, self.about)
        self.one_frame, self.every_frame = QPushButton("In view"), QPushButton("All")
        self.one_frame.setToolTip("Learn from the frame in view, or the annotated one nearest to it")
        self.every_frame.setToolTip("Learn from all frames that are complete, or annotated in regions")
        self.frame_choice = QWidget()
        choice = QHBoxLayout(self.frame_choice)
        choice.setContentsMargins(0, 0, 0, 0)
        choice.addWidget(self.one_frame)
        choice.addWidget(self.every_frame)
        self.frame_choice.hide()
        rows.addRow("", self.frame_choice)
        rows.addRow("Budget", self.budget)
        rows.addRow("Train on", self.pool)
        run = self.place["run"]
        rows.addRow(run.label, run.native)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(body)
        self.defaults = QPushButton("Back to the defaults")
        advanced = QWidget()
        within = QVBoxLayout(advanced)
        within.setContentsMargins(0, 0, 0, 0)
        within.addWidget(lay_out(self.advanced))
        within.addWidget(self.defaults)
        self.advanced_section = section("Advanced", advanced)
        self.changed_note = WrappedLabel()
        self.changed_note.setStyleSheet("font-size: 11px;")
        layout.addWidget(self.advanced_section)
        layout.addWidget(self.changed_note)

    # Layers -----------------------------------------------------------------------------------------------------------

    def _layers(self, kind: type) -> list[Any]:
        layers: list[Any] = [*self.viewer.layers]
        ours = (BEST, "review")
        return [layer for layer in layers if layer.name not in ours and isinstance(layer, kind)]

    @property
    def movie(self) -> Image | None:
        return self.learn["movie"].value

    @property
    def annotation(self) -> Labels | None:
        return self.learn["annotation"].value

    def reset_choices(self) -> None:
        """Update the choices after layers were added, removed or renamed."""
        chosen: dict[str, Any] = {name: self.learn[name].value for name in ("movie", "annotation")}
        with self.learn["movie"].changed.blocked(), self.learn["annotation"].changed.blocked():
            self.learn.reset_choices()
            for name, layer in chosen.items():
                self.learn[name].value = layer if layer in self.learn[name].choices else None
            if self.movie is None:
                self.learn["movie"].value = next(iter(self._layers(Image)), None)
            self._suggest_annotation()
        if self.movie != chosen["movie"]:
            self._on_movie(self.movie)
        if self.annotation != chosen["annotation"]:
            self._on_annotation(self.annotation)

    def _suggest_annotation(self) -> None:
        image, given = self.movie, self.annotation
        if image is None:
            return
        try:
            if self._opened is None or self._opened[0] is not image.data:
                self._opened = image.data, movie_of(image)
        except InputError:  # reported when a search is started
            return
        movie = self._opened[1]
        if given is None or not annotations_for([given], movie):
            self.learn["annotation"].value = next(iter(annotations_for(self._layers(Labels), movie)), None)

    def _on_movie(self, layer: Image | None) -> None:
        self.about.show_movie(layer)
        self._suggest_annotation()
        if layer is not None and self.place["run"].line_edit.value in ("", ".", self._suggested):
            self.suggest_place()
        self.changed.emit()

    def suggest_place(self) -> None:
        """Suggest a run folder that does not exist yet."""
        layer: Any = self.movie
        if layer is None:
            return
        source = layer.metadata.get("source") or layer.source.path
        self._suggested = str(suggest_folder(layer.name, source))
        self.place["run"].value = self._suggested

    # Frames -----------------------------------------------------------------------------------------------------------

    def _on_annotation(self, _: Labels | None) -> None:
        self.learn["frames"].value = self._offered = ""
        self._finished, self._all = (), False
        self._look_for_frames(changed=True)
        self.changed.emit()

    def _on_frames(self, _: str) -> None:
        self.changed.emit()

    def _look_for_frames(self, *, changed: bool = False) -> None:
        """Offer a frame that is annotated by now, or all of them, unless a person has entered others."""
        self._look_at_status()
        layer = self.annotation
        if layer is None or self._offer_job.busy:
            return
        annotation = layer.metadata.get("annotation")
        if annotation is not None:
            self._on_offer(finished_frames(annotation))
        elif changed or not self.learn["frames"].value:
            self._offer_job.begin(_labelled_frames, layer.data)

    def _look_at_status(self) -> None:
        """Signal a change of the frames' status, which may allow a search to be started."""
        layer = self.annotation
        annotation = None if layer is None else layer.metadata.get("annotation")
        before, self._status = self._status, None if annotation is None else annotation.status
        if None not in (before, self._status) and before != self._status:
            self.changed.emit()

    def _on_offer(self, frames: tuple[int, ...]) -> None:
        self._finished = frames
        self.frame_choice.setVisible(len(frames) > 1)
        self.every_frame.setText(f"All {len(frames)}")
        if self.learn["frames"].value.strip() not in ("", self._offered):
            return
        kept = self.frames[:1] if not self._all else ()
        self._offer(frames if self._all else kept if set(kept) & set(frames) else self._nearest())

    def offer_in_view(self) -> None:
        """Offer the frame in view, or the annotated one nearest to it, unless a person has entered others."""
        asked = self.sender() is self.one_frame
        if asked or (not self._all and self.learn["frames"].value.strip() in ("", self._offered)):
            self._all = False
            self._offer(self._nearest())

    def _offer_all(self) -> None:
        self._all = True
        self._offer(self._finished)

    def _nearest(self) -> tuple[int, ...]:
        """Return the annotated frame that is in view, or nearest to it; empty if there are none."""
        here = 0 if self.movie is None else frame_in_view(self.movie, self.viewer.dims.point)
        return nearest_frames(self._finished, here)

    def _offer(self, frames: Iterable[int]) -> None:
        text = frames_text(frames)
        if text != self.learn["frames"].value:
            self._offered = text
            self.learn["frames"].value = text

    # The outcome ------------------------------------------------------------------------------------------------------

    def problem(self) -> InputError | None:
        """Return what prevents a search from being started, as far as a quick check can tell."""
        try:
            self.order()
        except InputError as error:
            return error
        return None

    def order(self) -> SearchRequest:
        """Return the request for a search.

        Raises
        ------
        InputError
            If something is missing or wrong.
        """
        movie, annotation = self.movie, self.annotation
        if movie is None:
            raise InputError("a movie", "no image layer", "Open a movie, or File › Open Sample › MENNDL.")
        if annotation is None:
            remedy = "Make one in the dock Annotate defects and mark a frame complete."
            raise InputError("an annotation of the movie", "no labels layer", remedy)
        if not self.place["run"].line_edit.value.strip():
            raise InputError("a run folder", "an empty field", "Name a new folder for the search.")
        advanced = asdict(read_form(self.advanced, AdvancedSettings))
        space = self.advanced["space"].line_edit.value.strip()
        del advanced["space"]
        advanced["start_from"] = self.advanced["start_from"].line_edit.value.strip()
        if advanced["networks_per_gpu"] == 1:
            del advanced["networks_per_gpu"]  # the value of a pool file is not overridden by default
        SearchSettings.from_json({**advanced, "budget": self.budget.text, "pool": self.pool.spec})
        if not self.learn["frames"].value.strip():
            remedy = "Mark the defects of a frame in the dock Annotate defects, then set it to Complete."
            raise InputError("an annotated frame to learn from", "none", remedy)
        frames = parse_frames(self.learn["frames"].value, _frame_count(movie))
        run = self.place["run"].value.expanduser()
        return SearchRequest(movie, annotation, frames, self.budget.text, self.pool.spec, run, space, advanced)

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames to learn from; empty while the text is invalid."""
        movie = self.learn["movie"].value
        with suppress(InputError):
            return () if movie is None else tuple(parse_frames(self.learn["frames"].value, _frame_count(movie)))
        return ()

    def propose(self, movie: Image | None, annotation: Labels | None, frames: Iterable[int] | None = None) -> None:
        """Fill in what to learn from, for another dock; without frames, the annotated one in view."""
        self.learn.reset_choices()
        if movie is not None:
            self.learn["movie"].value = movie
        if annotation is not None:
            self.learn["annotation"].value = annotation
        if frames is not None:
            self.learn["frames"].value = frames_text(frames)
        else:
            self.learn["frames"].value = ""
            self._look_for_frames(changed=True)
        self.suggest_place()

    # Advanced settings ------------------------------------------------------------------------------------------------

    def _show_changed(self) -> None:
        """Show the settings that differ from their defaults: they are kept between sessions, folded away."""
        changed = changes(self.advanced, self._defaults)
        self.changed_note.setText(f"Not as by default: {', '.join(changed)}")
        self.changed_note.setVisible(bool(changed))
        self.defaults.setEnabled(bool(changed))

    def _forget_advanced(self) -> None:
        fill_form(self.advanced, self._defaults)
        self._show_changed()

    # Between sessions -------------------------------------------------------------------------------------------------

    def keep(self) -> None:
        """Remember budget and pool for the next session."""
        remember("search/budget", [default_budget(), self.budget.text])
        remember("search/pool", [default_pool(), self.pool.spec])

    def restore(self) -> None:
        """Restore budget and pool of the last session, or those of the Preferences if they were changed since."""
        self.budget.text = _kept("search/budget", default_budget())
        self.pool.spec = _kept("search/pool", default_pool())


def _kept(name: str, default: str) -> str:
    before, text = recall(name) or (default, default)
    return str(text) if before == default else default


def _frame_count(movie: Image) -> int:
    return int(movie.data.shape[0]) if movie.ndim > 2 else 1


def _labelled_frames(data: Any) -> tuple[int, ...]:
    """Return the frames of (T, Y, X) or (Y, X) labels that have a label."""
    if data.ndim < 3:
        return (0,) if np.asarray(data).any() else ()
    return tuple(t for t in range(data.shape[0]) if np.asarray(data[t]).any())
