"""Live prediction without a window: of frames that a microscope writes, into tables and to a callback."""

from __future__ import annotations

import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.movie.following import PATIENCE, FollowedFrame, MovieWatcher, Notice
from napari_menndl.movie.identity import digest_of
from napari_menndl.movie.neighbours import FARTHEST
from napari_menndl.opening import at_thresholds, is_run, open_network
from napari_menndl.predict.live import FAILED, LEFT_OUT, PREDICTED, SKIPPED, FrameReport, LivePredictor
from napari_menndl.predict.live_tables import LiveTables
from napari_menndl.predict.resample import PixelSizeError
from napari_menndl.run import Run
from napari_menndl.search.folder import RunFolder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

#: Share of an answer's prediction time that its fast variant takes.
FAST = 0.25
_BEHIND = "newer frames came before it could be predicted"


def open_live(
    network: str | os.PathLike[str], fast: bool = False, thresholds: Mapping[str, float] | None = None
) -> LivePredictor:
    """Open a saved network, or the best of a run, which is renewed while its search improves.

    Parameters
    ----------
    network : path
        Run folder or saved network.
    fast : bool
        Whether to predict with a quarter of the answer's networks, after the first frame.
    thresholds : dict of str to float, optional
        Thresholds of classes, instead of the network's own.

    Raises
    ------
    InputError
        If there is no network yet.
    """
    path = Path(network).expanduser()
    share = FAST if fast else 1.0

    def opened() -> Any:
        return at_thresholds(open_network(path), thresholds or {})

    if not is_run(path):
        return LivePredictor(opened, share=share)
    journal = Run(RunFolder.open(path)).folder.journal_path
    return LivePredictor(opened, lambda: journal.stat().st_size, share)


class Quantiles:
    """Quantiles of positive numbers to within 1 %, in little memory however many they are."""

    _LOWEST, _STEP = 1e-4, np.log(1.02)

    def __init__(self) -> None:
        self.count, self.largest = 0, 0.0
        self._counts = np.zeros(1000, np.int64)

    def add(self, value: float) -> None:
        """Count a number."""
        place = int(np.log(max(value, self._LOWEST) / self._LOWEST) / self._STEP)
        self._counts[min(place, len(self._counts) - 1)] += 1
        self.count += 1
        self.largest = max(self.largest, value)

    def quantile(self, share: float) -> float:
        """Return the number that this share of the numbers does not exceed; NaN if there is none."""
        if not self.count:
            return float("nan")
        place = int(np.searchsorted(np.cumsum(self._counts), share * self.count))
        return min(float(self._LOWEST * np.exp((place + 0.5) * self._STEP)), self.largest)


@dataclass
class FollowSummary:
    """Sums over the frames that were followed.

    Attributes
    ----------
    frames : dict of str to int
        Number of frames by state.
    defects : int
    latencies : Quantiles [s]
    callback_failures : int
        Frames for which the callback raised an exception.
    """

    frames: dict[str, int] = field(default_factory=lambda: dict.fromkeys((PREDICTED, SKIPPED, FAILED, LEFT_OUT), 0))
    defects: int = 0
    latencies: Quantiles = field(default_factory=Quantiles)
    callback_failures: int = 0

    def add(self, report: FrameReport) -> None:
        """Add a frame."""
        self.frames[report.state] += 1
        if report.prediction is not None:
            self.defects += len(report.prediction.defects)
        if report.latency is not None:
            self.latencies.add(report.latency)

    def __str__(self) -> str:
        count = sum(self.frames.values())
        states = ", ".join(f"{n} {state}" for state, n in self.frames.items() if n or state == PREDICTED)
        text = f"{count} frame{'s' * (count != 1)}: {states}; {self.defects} defect{'s' * (self.defects != 1)}."
        if self.latencies.count:
            half, most = (self.latencies.quantile(share) for share in (0.5, 0.99))
            text += (
                f" From a frame's appearance to its defects: {half:.2f} s (median), {most:.2f} s (99 % of the frames "
                f"take no longer), {self.latencies.largest:.2f} s (longest)."
            )
        if self.callback_failures:
            text += f" The callback failed for {self.callback_failures} of them."
        return text


def follow(
    source: str | os.PathLike[str],
    network: str | os.PathLike[str] | LivePredictor,
    *,
    out: str | os.PathLike[str] | None = None,
    on_frame: Callable[[FrameReport], object] | None = None,
    note: Callable[[str], object] = warnings.warn,
    existing: bool = False,
    every_frame: bool = False,
    pixel_size: float | tuple[float, float] | str | None = None,
    fast: bool = False,
    thresholds: Mapping[str, float] | None = None,
    stop: Callable[[], bool] = lambda: False,
    interval: float = 0.05,
    patience: float = PATIENCE,
) -> FollowSummary:
    """Predict each new frame of a source that is being written, until `stop` returns True.

    Frames are predicted in their order. When they come faster than that, the newest is predicted and those before it
    are skipped, unless `every_frame`. Half-written frames are waited for.

    Parameters
    ----------
    source : path
        A folder of images, a TIFF, MRC or HDF5 file or a zarr array that grows; it need not exist yet.
    network : path or LivePredictor
        Run folder, whose answer is renewed while its search improves, or saved network.
    out : path, optional
        Folder of the tables (`LiveTables`): ``defects.csv`` and ``frames.csv``. If it holds those of this source
        already, they are continued with the frames that came since.
    on_frame : callable, optional
        Called with a `FrameReport` for every frame, after its defects are in the tables. An exception in it is told,
        once for each kind, and following goes on, as the frames would be lost otherwise; KeyboardInterrupt ends it.
    note : callable
        Called with messages about the source, frames and the callback.
    existing : bool
        Whether frames that exist already are predicted, too, every one of them.
    every_frame : bool
        Whether to predict every frame, later and later if need be, instead of skipping some.
    pixel_size : float, (y, x) [nm], "none" or None
        Instead of the one in the source; ``"none"``: unknown.
    fast, thresholds
        As for `open_live`, unless `network` is a LivePredictor.
    stop : callable
        Called after each frame and each look at the disk.
    interval : float [s]
        Time between two looks at the disk.
    patience : float [s]
        Time for which a frame may stay half-written before it is left out.

    Returns
    -------
    FollowSummary

    Raises
    ------
    InputError
        If the source is of a kind that cannot be followed, the network cannot be opened, only one of them has a pixel
        size, or the tables are those of another source or cannot be written.
    """
    watcher = MovieWatcher(source, existing=existing, patience=patience)
    watcher.begin()  # before the network is opened: what comes meanwhile is new
    predictor = network if isinstance(network, LivePredictor) else open_live(network, fast, thresholds)
    names = predictor.network.class_names
    tables = None if out is None else LiveTables(Path(out).expanduser(), str(watcher.path), names)
    try:
        following = _Following(predictor, tables, on_frame, note, pixel_size, every_frame)
        if tables is not None and tables.last is not None:
            watcher = following.resume(watcher.path, tables.last, patience)
        elif existing:
            following.keep(watcher)
        elif len(watcher):
            note(f"{len(watcher)} frames are there already: only those that come after them are predicted.")
        while not stop():
            following.predict_new(watcher, stop)
            time.sleep(interval)
    finally:
        if tables is not None:
            tables.close()
    return following.summary


class _Following:
    """State of `follow`."""

    def __init__(
        self,
        predictor: LivePredictor,
        tables: LiveTables | None,
        on_frame: Callable[[FrameReport], object] | None,
        note: Callable[[str], object],
        pixel_size: Any,
        every_frame: bool,
    ) -> None:
        self.summary = FollowSummary()
        self._predictor, self._tables = predictor, tables
        self._on_frame, self._note, self._pixel_size = on_frame, note, pixel_size
        self._every = every_frame
        self._said: set[str] = set()
        #: Number of the frames that were there at the first look, and are all predicted.
        self._kept = 0
        #: Number of the frames that the tables have already, and until when the last of them is waited for.
        self._known, self._deadline = 0, float("inf")

    def resume(self, path: Path, last: int, patience: float) -> MovieWatcher:
        """Return a watcher that begins with a few of the frames in the tables, to recognise them."""
        recent = self._tables.recent if self._tables is not None else {}
        noted = [t for t, digest in recent.items() if digest]
        self._known = last + 1
        self._deadline = time.monotonic() + patience + 2
        self._note_once(f"The tables hold the frames up to {last}: those that came since follow.")
        first = max(min(last - FARTHEST, noted[-1] if noted else last), 0)
        watcher = MovieWatcher(path, first=first, patience=patience)
        self.keep(watcher)
        return watcher

    def keep(self, watcher: MovieWatcher) -> None:
        """Predict all frames that are there now."""
        watcher.begin()
        self._kept = watcher.available

    def predict_new(self, watcher: MovieWatcher, stop: Callable[[], bool]) -> None:
        """Look at the disk once, and predict what is new until asked to stop."""
        waiting: FollowedFrame | None = None
        for news in watcher.poll():
            if isinstance(news, Notice):
                self._on_notice(news)
                continue
            if news.number < self._known:
                self._recognise(news)
                continue
            if waiting is not None:
                self._skip(waiting, watcher)
                waiting = None
            if self._every or news.number < self._kept:
                self._predict(news, watcher)
                if stop():
                    return
            else:
                waiting = news
        if waiting is not None:
            self._predict(waiting, watcher)
        if 0 < watcher.available < self._known and time.monotonic() > self._deadline:
            raise _another(f"{watcher.available} frames, fewer than the {self._known} in them", self._tables)

    def _on_notice(self, notice: Notice) -> None:
        if notice.restarted:
            self._known, self._kept = 0, 0
            if self._tables is not None:
                self._tables.begin_another()
                self._note(f"{notice.text} It has tables of its own: {self._tables.defects_path}.")
                return
        if notice.number is not None and notice.number < self._known:
            return
        self._note(notice.text)
        if notice.number is not None:
            self._finish(FrameReport(notice.number, "", LEFT_OUT, note=notice.text))

    def _recognise(self, frame: FollowedFrame) -> None:
        """Check that a frame is the one in the tables."""
        digest = (self._tables.recent if self._tables is not None else {}).get(frame.number)
        if digest and digest != _digest(frame.frame):
            raise _another(f"another frame {frame.number} than the one in them", self._tables)
        self._predictor.remember(frame.number, frame.frame)

    def _skip(self, frame: FollowedFrame, watcher: MovieWatcher) -> None:
        self._predictor.remember(frame.number, frame.frame)
        time_s = _time(frame.number, watcher)
        self._finish(FrameReport(frame.number, frame.name, SKIPPED, time_s, frame.appeared, note=_BEHIND))

    def _predict(self, frame: FollowedFrame, watcher: MovieWatcher) -> None:
        size: Any = frame.pixel_size if self._pixel_size is None else self._pixel_size
        where = frame.number, frame.name
        time_s = _time(frame.number, watcher)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            try:
                known = None if size == "none" else size
                found = self._predictor.predict(frame.number, frame.frame, known, watcher.frame_time)
            except PixelSizeError:
                raise
            except Exception as error:  # such as a lack of memory: the next frame may be predicted
                text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
                self._note_once(f"{frame.name}: {text}", text)
                self._predictor.remember(frame.number, frame.frame)
                self._finish(FrameReport(*where, FAILED, time_s, frame.appeared, note=text))
                return
        texts = [str(one.message) for one in said if issubclass(one.category, UserWarning)]
        for text in texts:
            self._note_once(f"{frame.name}: {text}", text)
        if self._tables is not None:
            self._tables.add_defects(found.defects)
        # Of a frame that was there before, the time since it appeared says nothing.
        latency = None if frame.number < self._kept else max(time.time() - frame.appeared, 0.0)
        report = FrameReport(*where, PREDICTED, time_s, frame.appeared, latency, found, " ".join(texts))
        self._finish(report, _digest(frame.frame))

    def _finish(self, report: FrameReport, digest: str = "") -> None:
        self.summary.add(report)
        if self._tables is not None:
            self._tables.add_frame(report, digest)
        if self._on_frame is None:
            return
        try:
            self._on_frame(report)
        except Exception as error:
            self.summary.callback_failures += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            text = f"{type(error).__name__}: {error}, in {place.name}, line {place.lineno} of {place.filename}"
            self._note_once(f"The callback failed for frame {report.number}, and following goes on: {text}.", text)

    def _note_once(self, text: str, kind: str = "") -> None:
        """Give a message, once for each kind."""
        kind = kind or text
        if kind not in self._said and len(self._said) < _KINDS:
            self._said.add(kind)
            self._note(text)


#: Most different messages that are told; of a frame each stands in the tables.
_KINDS = 1000


def _digest(frame: NDArray[Any]) -> str:
    return digest_of(np.asarray(frame, np.float32))


def _time(number: int, watcher: MovieWatcher) -> float | None:
    return None if watcher.frame_time is None else number * watcher.frame_time


def _another(found: str, tables: LiveTables | None) -> InputError:
    return InputError(
        f"the frames of the tables in {'' if tables is None else tables.folder}",
        found,
        "Choose another folder for the tables.",
    )
