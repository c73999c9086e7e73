"""Dock "Live review": frames are predicted and overlaid while the microscope writes them."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.notifications import show_error, show_info, show_warning
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, Signal  # type: ignore[attr-defined]
from superqt.utils import QSignalThrottler

from napari_menndl.annotation.classes import COLOURS
from napari_menndl.errors import InputError
from napari_menndl.predict.resample import PixelSizeError
from napari_menndl.progress import short_duration
from napari_menndl.widgets.background import LatestTask
from napari_menndl.widgets.docking import Docking
from napari_menndl.widgets.layers import points_over
from napari_menndl.widgets.live.feed import Feed, LayerFeed, NewFrame, PathFeed
from napari_menndl.widgets.live.frames import LiveFrames
from napari_menndl.widgets.live.panel import FOLLOW, STOP, LivePanel
from napari_menndl.widgets.live.predicting import begin_tables, by_how_many, open_live, predict
from napari_menndl.widgets.live.view import LiveView
from napari_menndl.widgets.pixel_size import answer_for, remember_answer
from napari_menndl.widgets.shortcuts import bind

if TYPE_CHECKING:
    import napari.viewer

    from napari_menndl.movie.following import Notice
    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.live import LiveFrame, LivePredictor
    from napari_menndl.predict.live_tables import LiveTables
    from napari_menndl.widgets.live.frames import PackedLabels
    from napari_menndl.widgets.pixel_size import Answer

HINT = "Choose a network and what to follow, then press Follow."


class LiveReview(LivePanel):
    """Dock "Live review".

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    hint : str
        The next step.
    hint_changed : Signal(text)
    """

    hint_changed = Signal(str)

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(self._images)
        self.viewer = viewer
        self.view = LiveView(viewer, self._labels)
        self.frames = LiveFrames()
        self.feed: Feed | None = None
        self.hint = ""
        self.tables: LiveTables | None = None
        self._predictor: LivePredictor | None = None
        self._at_work: NewFrame | None = None
        self._newest = -1
        self._said = ""
        self._answer: Answer = None
        self._asking = False
        self.opening = LatestTask(open_live, self)
        self.predicting = LatestTask(predict, self)
        self.docking = Docking(self, viewer)
        self._connect()
        self.reset_choices()
        self._recolour()
        self._show_message(HINT)

    def _connect(self) -> None:
        self._throttle = QSignalThrottler(parent=self)
        self._throttle.setTimeout(100)
        self._throttle.triggered.connect(self._show_arrived)
        self.button.clicked.connect(self.toggle)
        self.points.clicked.connect(self.add_points)
        self.opening.answered.connect(self._opened)
        self.opening.failed.connect(self._cannot_open)
        self.predicting.answered.connect(self._predicted)
        self.predicting.failed.connect(self._failed)
        self.predicting.warned.connect(self._warn)
        self.plot.frame_chosen.connect(self.view.go_to)
        self.pixel_size.answered.connect(self._on_pixel_size)
        self.form["pixel_size"].changed.connect(self._pixel_size_given)
        connected = (
            (self.viewer.events.theme, self._recolour),
            (self.viewer.dims.events.current_step, self._show_place),
        )
        for event, act in connected:
            event.connect(act)
        unbind = bind(self.viewer, "follow", self.toggle)

        def leave() -> None:
            unbind()
            for event, act in connected:
                event.disconnect(act)

        self.destroyed.connect(leave)

    def changeEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None and hasattr(self, "feed"):
            self.stop()  # removed from its window

    def _images(self) -> list[Image]:
        layers = self.viewer.layers if hasattr(self, "viewer") else ()
        return [one for one in layers if isinstance(one, Image) and not one.rgb and one.ndim in (2, 3)]

    def reset_choices(self, event: Any = None) -> None:
        """Update the choices after layers were added, removed or renamed; called by napari."""
        chosen = self.form["layer"].value
        self.form.reset_choices()
        if chosen in self.form["layer"].choices:
            self.form["layer"].value = chosen
        if self.feed is not None and self.view.removed:
            self.stop()
            self._show_message("The followed layer was removed. Press Follow to begin again.")

    # Following --------------------------------------------------------------------------------------------------------

    @property
    def following(self) -> bool:
        return self.feed is not None

    def toggle(self) -> None:
        """Start or stop following."""
        if self.button.text() == STOP:
            self.stop()
        else:
            self.follow()

    def follow(self) -> None:
        """Open the network, then predict every new frame."""
        self._said = ""
        try:
            self.check()
        except InputError as error:
            self._fail(error)
            return
        self.button.setText(STOP)
        self._show_message("Opening the network …")
        self.opening.ask((self.settings.network.expanduser(), self.settings.fast))

    def stop(self) -> None:
        """Stop following; what is shown stays."""
        feed, self.feed = self.feed, None
        if feed is not None:
            feed.stop()
            feed.deleteLater()
        tables, self.tables = self.tables, None
        if tables is not None:
            tables.close()
        self.opening.forget()
        self.predicting.forget()
        self.frames.waiting.clear()
        self._asking = False
        self.pixel_size.hide()
        self.button.setText(FOLLOW)
        self.show_backlog("")
        self._show_message(HINT)

    def _opened(self, _: Any, predictor: LivePredictor) -> None:
        if self.button.text() != STOP:
            return  # stopped in the meantime
        self._predictor, settings = predictor, self.settings
        try:
            if settings.layer is not None:
                self.feed = LayerFeed(settings.layer, settings.existing, self)
            else:
                self.feed = PathFeed(settings.source.expanduser(), settings.existing, self)
            if settings.tables != Path():
                names = predictor.network.class_names
                self.tables = begin_tables(settings.tables.expanduser(), self._followed, names)
        except InputError as error:
            self._cannot_open(None, error)
            return
        self._begin(settings.layer)
        self.feed.news.connect(self._hear)
        self._answer = answer_for(self._followed)
        self.pixel_size.show_answer(self._answer)
        self._show_message("Waiting for the first new frame …")
        self.feed.start()

    def _begin(self, layer: Image | None) -> None:
        """Reset the dock before the first frame arrives."""
        self.frames, self._newest = LiveFrames(), -1
        self.points.setEnabled(False)
        self.view.begin(layer, tuple(self._colours.values()))
        self.begin(self._colours, None if layer is None else layer.metadata.get("frame_time"))

    @property
    def _colours(self) -> dict[str, str]:
        names = self._predictor.network.class_names if self._predictor else ()
        return dict(zip(names, cycle(COLOURS), strict=False))

    def _hear(self, feed: Feed, news: NewFrame | Notice | Exception) -> None:
        if feed is not self.feed:
            return  # sent before following was stopped
        if isinstance(news, Exception):
            self._cannot_open(None, news)
        elif isinstance(news, NewFrame):
            self.frames.add(news)
            self._newest = max(self._newest, news.number)
            self._throttle.throttle()
            self._next()
        else:
            if news.restarted:
                self._begin(self.view.layer)
                if self.tables is not None:
                    self.tables.begin_another()
            self.show_notice(news.text)
            show_info(news.text)

    def _next(self) -> None:
        """Predict the newest frame that waits."""
        if self._at_work is not None or self._asking or self._predictor is None:
            return
        if self.feed is not None and self.frames.waiting:
            self._at_work = self.frames.waiting.pop()
            given = self.form["pixel_size"].value
            answer = (given, given) if given and self._answer is None else self._answer
            self.predicting.ask((self._predictor, self.feed, self._at_work, answer, self.tables))

    def _on_pixel_size(self, answer: Answer) -> None:
        """Predict the frames that wait, or ask again."""
        if isinstance(answer, tuple):
            self._answer = None
            self.form["pixel_size"].value = answer[0]
        else:
            self._answer = answer
            self._pixel_size_given()
        remember_answer(self._followed, self._answer)

    def _pixel_size_given(self, _: object = None) -> None:
        self._asking = False
        self.pixel_size.show_answer(self._answer)
        self._next()

    @property
    def _followed(self) -> str:
        """Name of what is followed, under which the answer about its pixel size is kept."""
        layer = self.settings.layer
        return str(self.settings.source) if layer is None else str(layer.metadata.get("source") or layer.name)

    # Showing ----------------------------------------------------------------------------------------------------------

    def _show_arrived(self) -> None:
        """Add the new frames to the layer, and go to the newest."""
        feed = self.feed
        if feed is None:
            return
        if isinstance(feed, PathFeed) and self.view.grow(self._calibrated(feed.follower.movie())):
            self.plot.begin(self._colours, feed.follower.frame_time)
        if self.form["newest"].value:
            self.view.go_to(self._newest)
        self.view.show()
        self._show_place()

    def _calibrated(self, movie: Movie) -> Movie:
        """Return a movie with the pixel size given in the dock, if it has none."""
        given = self.form["pixel_size"].value
        return replace(movie, pixel_size=(given, given)) if given and movie.pixel_size is None else movie

    def add_points(self) -> None:
        """Add the defects found so far as a layer of points."""
        if self.view.layer is not None:
            self.viewer.add_layer(points_over(self.view.layer, self.frames.table, self._colours))

    def _labels(self, frame: int) -> PackedLabels | None:
        layer = self.view.layer
        return self.frames.labels.get(self._newest if layer is None or layer.ndim == 2 else frame)

    def _show_place(self, event: Any = None) -> None:
        self.plot.show_place(self.view.frame(self._newest))

    def _predicted(self, question: Any, frame: LiveFrame) -> None:
        self._at_work = None
        _, feed, new, _, _ = question
        if feed is self.feed and self.feed is not None:
            self.frames.enter(frame)
            self.points.setEnabled(True)
            self._show_arrived()
            self.plot.show_counts(*self.frames.curves())
            latency = time.time() - new.appeared
            self.frames.latencies.append(latency)
            found = sum(frame.counts.values())
            self._show_message(
                f"Frame {frame.number}: {found} defect{'s' * (found != 1)}, {short_duration(latency)} after it "
                f"appeared ({by_how_many(*frame.members)}: {short_duration(frame.seconds)})."
            )
        self._next()
        self.show_backlog(self.frames.behind())

    def _recolour(self, event: Any = None) -> None:
        colours = get_theme(self.viewer.theme)
        self.plot.recolour(colours.background.as_hex(), colours.text.as_hex())

    # Messages ---------------------------------------------------------------------------------------------------------

    def _show_message(self, text: str) -> None:
        self.status.setText(text)
        if text != self.hint:
            self.hint = text
            self.hint_changed.emit(text)

    def _failed(self, question: Any, error: Exception) -> None:
        self._at_work = None
        if question[1] is self.feed and self.feed is not None and isinstance(error, PixelSizeError):
            self._asking = True
            self.frames.waiting.insert(0, question[2])
            self.pixel_size.ask(Path(self._followed).name, error)
            self.docking.point_to(self.pixel_size)
            self._show_message("The frames wait: say how large a pixel is, or that they are to be taken as they are.")
        elif question[1] is self.feed and self.feed is not None:
            self._fail(error, f"Frame {question[2].number}: ")
        self._next()

    def _cannot_open(self, _: Any, error: Exception) -> None:
        self.stop()
        self._fail(error)

    def _warn(self, text: str) -> None:
        self._notify_once(text, show_warning)

    def _fail(self, error: Exception, where: str = "") -> None:
        if not isinstance(error, InputError):
            logging.getLogger(__name__).error("The live review failed", exc_info=error)
        text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        self._show_message(where + text)
        self._notify_once(text, show_error)

    def _notify_once(self, text: str, notify: Any) -> None:
        if text != self._said:  # once, not for every frame
            self._said = text
            notify(text)
