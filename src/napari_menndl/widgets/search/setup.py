"""What a person sets up before a search: what to learn from, where, and how long."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_menndl.errors import InputError
from napari_menndl.search.frame_numbers import finished_frames, frames_text, parse_frames
from napari_menndl.search.known_runs import suggest_folder
from napari_menndl.search.settings import SearchSettings
from napari_menndl.widgets.background import Job
from napari_menndl.widgets.form import lay_out, make_form, read_form
from napari_menndl.widgets.preferences import default_budget, default_pool, recall, remember
from napari_menndl.widgets.search.best_layer import NAME as BEST
from napari_menndl.widgets.search.budget_row import BudgetRow
from napari_menndl.widgets.search.order import Order
from napari_menndl.widgets.search.pool_row import PoolRow
from napari_menndl.widgets.search.settings import AdvancedSettings, LearnSettings, PlaceSettings
from napari_menndl.widgets.section import section

if TYPE_CHECKING:
    from collections.abc import Iterable

    import napari.viewer

#: Between two looks at which frames are annotated by now [ms].
_OFFER = 1000


class Setup(QWidget):
    """The forms.

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    changed : Signal()
        Something else is set now.
    """

    changed = Signal()

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self._offered = ""
        self._suggested = ""
        self.learn = make_form(
            LearnSettings,
            movie={"choices": lambda _: self._layers(Image), "nullable": True},
            annotation={"choices": lambda _: self._layers(Labels), "nullable": True},
        )
        self.place = make_form(PlaceSettings)
        self.advanced = make_form(AdvancedSettings)
        self.pool = PoolRow()
        self.budget = BudgetRow()
        self._build()
        self._offer_job = Job(self)
        self._offer_job.done.connect(self._on_offer)
        self._clock = QTimer(self)
        self._clock.setInterval(_OFFER)
        self._clock.timeout.connect(self._look_for_frames)
        self._clock.start()
        self.learn["movie"].changed.connect(self._on_movie)
        self.learn["annotation"].changed.connect(self._on_annotation)
        self.learn["frames"].changed.connect(self._on_frames)
        self.restore()
        self.reset_choices()

    def _build(self) -> None:
        for form, name in ((self.place, "run"), (self.advanced, "space")):
            form[name].choose_btn.text = "…"
            form[name].choose_btn.native.setMaximumWidth(32)
        self.place["run"].line_edit.value = ""
        self.place["run"].line_edit.native.setPlaceholderText("my-search.menndl")
        self.advanced["space"].line_edit.value = ""
        self.advanced["space"].line_edit.native.setPlaceholderText("small networks")
        self.learn["frames"].native.setPlaceholderText("0, 5-8")
        body = lay_out(self.learn)
        rows = body.layout()
        assert isinstance(rows, QFormLayout)
        rows.addRow("Budget", self.budget)
        rows.addRow("Pool", self.pool)
        run = self.place["run"]
        rows.addRow(run.label, run.native)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(body)
        self.advanced_section = section("Advanced", lay_out(self.advanced))
        layout.addWidget(self.advanced_section)

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
        """Take up that layers came, went or changed their names."""
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
        movie, given = self.movie, self.annotation
        if movie is None or (given is not None and given.data.shape[-2:] == movie.data.shape[-2:]):
            return
        fitting = [layer for layer in self._layers(Labels) if layer.data.shape[-2:] == movie.data.shape[-2:]]
        self.learn["annotation"].value = next(iter(fitting), None)

    def _on_movie(self, layer: Image | None) -> None:
        self._suggest_annotation()
        if layer is not None and self.place["run"].line_edit.value in ("", ".", self._suggested):
            self.suggest_place()
        self.changed.emit()

    def suggest_place(self) -> None:
        """Name a run folder that is not there yet."""
        layer: Any = self.movie
        if layer is None:
            return
        source = layer.metadata.get("source") or layer.source.path
        self._suggested = str(suggest_folder(layer.name, source))
        self.place["run"].value = self._suggested

    # Frames -----------------------------------------------------------------------------------------------------------

    def _on_annotation(self, _: Labels | None) -> None:
        self.learn["frames"].value = self._offered = ""
        self._look_for_frames(changed=True)
        self.changed.emit()

    def _on_frames(self, _: str) -> None:
        self.changed.emit()

    def _look_for_frames(self, *, changed: bool = False) -> None:
        """Offer the frames that are annotated by now, unless a person has written others."""
        layer, text = self.annotation, self.learn["frames"].value
        if layer is None or self._offer_job.busy or text.strip() not in ("", self._offered):
            return
        annotation = layer.metadata.get("annotation")
        if annotation is not None:
            self._on_offer(finished_frames(annotation))
        elif changed or not text:
            self._offer_job.begin(_labelled_frames, layer.data)

    def _on_offer(self, frames: Iterable[int]) -> None:
        text = frames_text(frames)
        if self.learn["frames"].value.strip() in ("", self._offered) and text != self.learn["frames"].value:
            self._offered = text
            self.learn["frames"].value = text

    # The outcome ------------------------------------------------------------------------------------------------------

    def problem(self) -> InputError | None:
        """What keeps a search from being started, as far as that can be told at a glance."""
        try:
            self.order()
        except InputError as error:
            return error
        return None

    def order(self) -> Order:
        """What to search.

        Raises
        ------
        InputError
            Where something is missing or wrong.
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
        if advanced["networks_per_gpu"] == 1:
            del advanced["networks_per_gpu"]  # what a pool file says is not to be overruled unasked
        SearchSettings.from_json({**advanced, "budget": self.budget.text, "pool": self.pool.spec})
        frames = parse_frames(self.learn["frames"].value, _frame_count(movie))
        run = self.place["run"].value.expanduser()
        return Order(movie, annotation, frames, self.budget.text, self.pool.spec, run, space, advanced)

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames to learn from; none while what is typed makes no sense."""
        movie = self.learn["movie"].value
        with suppress(InputError):
            return () if movie is None else tuple(parse_frames(self.learn["frames"].value, _frame_count(movie)))
        return ()

    def propose(self, movie: Image | None, annotation: Labels | None, frames: Iterable[int]) -> None:
        """Fill in what to learn from, as another dock knows it."""
        self.learn.reset_choices()
        if movie is not None:
            self.learn["movie"].value = movie
        if annotation is not None:
            self.learn["annotation"].value = annotation
        self.learn["frames"].value = frames_text(frames)
        self.suggest_place()

    # From one start to the next ---------------------------------------------------------------------------------------

    def keep(self) -> None:
        """Remember budget and pool for the next start."""
        remember("search/budget", [default_budget(), self.budget.text])
        remember("search/pool", [default_pool(), self.pool.spec])

    def restore(self) -> None:
        """Take budget and pool from the last start, or from the Preferences if they were changed since."""
        self.budget.text = _kept("search/budget", default_budget())
        self.pool.spec = _kept("search/pool", default_pool())


def _kept(name: str, default: str) -> str:
    before, text = recall(name) or (default, default)
    return str(text) if before == default else default


def _frame_count(movie: Image) -> int:
    return int(movie.data.shape[0]) if movie.ndim > 2 else 1


def _labelled_frames(data: Any) -> tuple[int, ...]:
    """Frames of (T, Y, X) or (Y, X) labels with a label on them."""
    if data.ndim < 3:
        return (0,) if np.asarray(data).any() else ()
    return tuple(t for t in range(data.shape[0]) if np.asarray(data[t]).any())
