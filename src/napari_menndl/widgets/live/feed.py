"""Sources of new frames: a path on disk, or a layer that grows."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_menndl.errors import InputError
from napari_menndl.movie.following import FollowedFrame, MovieWatcher, Notice, watch
from napari_menndl.widgets.background import begin, in_window
from napari_menndl.widgets.layers import pixel_size_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image
    from numpy.typing import NDArray


@dataclass(frozen=True)
class NewFrame:
    """New frame; it is read when it is predicted."""

    number: int
    appeared: float


class Feed(Protocol):
    """Source of new frames, each announced by a signal; a `PathFeed` or a `LayerFeed`.

    Attributes
    ----------
    news : Signal(feed, NewFrame or Notice or exception)
        No news arrives after an exception.
    pixel_size : (y, x) float [nm] or None
    frame_time : float [s] or None
    """

    news: Any

    @property
    def pixel_size(self) -> tuple[float, float] | None: ...
    @property
    def frame_time(self) -> float | None: ...

    def start(self) -> None:
        """Start looking for new frames."""

    def stop(self) -> None:
        """Stop looking for new frames."""

    def read(self, number: int) -> NDArray[Any]:
        """Return a frame (Y, X)."""

    def deleteLater(self) -> None:  # noqa: N802 (Qt's name)
        """Delete the feed, a QObject, when nothing uses it any more."""


class PathFeed(QObject):
    """New frames of a path on disk, watched in a thread of its own: the pool's threads are for work that ends."""

    news = Signal(object, object)

    def __init__(self, path: Path, existing: bool, parent: QObject) -> None:
        super().__init__(parent)
        self.follower = MovieWatcher(path, existing=existing)
        self._stop = threading.Event()
        self.destroyed.connect(self._stop.set)
        self._tell = in_window(self._on_news)

    def start(self) -> None:
        begin(self._watch)

    def stop(self) -> None:
        self._stop.set()

    def _watch(self) -> None:
        try:
            for one in watch(self.follower, stop=self._stop.is_set):
                self._tell(NewFrame(one.number, one.appeared) if isinstance(one, FollowedFrame) else one)
        except InputError as error:
            self._tell(error)

    def _on_news(self, news: NewFrame | Notice | InputError) -> None:
        self.news.emit(self, news)

    def read(self, number: int) -> NDArray[Any]:
        return self.follower.read(number)

    @property
    def pixel_size(self) -> tuple[float, float] | None:
        return self.follower.pixel_size

    @property
    def frame_time(self) -> float | None:
        return self.follower.frame_time


class LayerFeed(QObject):
    """New frames of a layer: those added to it or, if it has one frame only, that frame whenever it changes."""

    news = Signal(object, object)

    def __init__(self, layer: Image, existing: bool, parent: QObject) -> None:
        super().__init__(parent)
        self.layer = layer
        self._known = 0 if existing else self._length()
        self._changes = 0

    def _length(self) -> int:
        return int(self.layer.data.shape[0]) if self.layer.ndim > 2 else 0

    def start(self) -> None:
        self.layer.events.data.connect(self._on_data)
        if self._known < self._length():
            self._on_data()

    def stop(self) -> None:
        with suppress(ValueError, RuntimeError):
            self.layer.events.data.disconnect(self._on_data)

    def _on_data(self, event: Any = None) -> None:
        now, length = time.time(), self._length()
        if self.layer.ndim == 2:
            self.news.emit(self, NewFrame(self._changes, now))
            self._changes += 1
            return
        if length < self._known:
            self._known = 0
            self.news.emit(self, Notice(f"{self.layer.name} became shorter: frame numbering restarts.", restarted=True))
        first = min(self._known, length - 1)  # same length as before: the last frame was replaced
        self._known = length
        for number in range(first, length):
            self.news.emit(self, NewFrame(number, now))

    def read(self, number: int) -> NDArray[Any]:
        data = self.layer.data
        return np.asarray(data if self.layer.ndim == 2 else data[number])

    @property
    def pixel_size(self) -> tuple[float, float] | None:
        return pixel_size_of(self.layer)

    @property
    def frame_time(self) -> float | None:
        known: float | None = self.layer.metadata.get("frame_time")
        return known
