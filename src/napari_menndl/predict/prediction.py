"""Prediction of a movie by a network: lazy, frame by frame, and optionally stored on disk."""

from __future__ import annotations

import threading
import time
import uuid
import warnings
from collections import OrderedDict
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from dask.delayed import delayed

from napari_menndl.annotation.classes import COLOURS
from napari_menndl.errors import InputError, frame_number
from napari_menndl.html import html_table
from napari_menndl.layer_data import labels_layer, movie_layer, points_layer
from napari_menndl.metrics.defect_table import joined, no_defects
from napari_menndl.movie.absent import spans
from napari_menndl.movie.identity import digest_of, few, frame_digest
from napari_menndl.movie.movie import side_of_pixel
from napari_menndl.movie.neighbours import FARTHEST, read_frame
from napari_menndl.movie.preparation import leave_borders
from napari_menndl.movie.tracing import with_origin
from napari_menndl.predict.labelling import find_defects, label_pixels
from napari_menndl.predict.prediction_spec import PredictionSpec, dose_of
from napari_menndl.predict.prediction_zarr import StoredFrames, not_this_one
from napari_menndl.predict.range import RangeCheck
from napari_menndl.predict.remote import LOOK, combine_errors, on_pool, take_next
from napari_menndl.tracks.tracks import track_defects
from napari_menndl.views import view

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from napari_menndl.layer_data import LayerData
    from napari_menndl.movie.movie import Movie
    from napari_menndl.pool.protocol import Pool
    from napari_menndl.predict.prediction_spec import Predictor
    from napari_menndl.tracks.settings import TrackSettings
    from napari_menndl.tracks.tracks import Tracks

#: Number of latest frames kept in memory, so that labels and probabilities of the frame in view share one prediction.
KEPT = 4


class Prediction:
    """Defects of a movie, as predicted by a network.

    Frames are predicted on access. Each is predicted once while it is among the latest few, and once for all if `write`
    has stored it, with the digest of the movie's frame, so that a prediction is never used for another frame.

    Parameters
    ----------
    network : TrainedNetwork or Ensemble
    movie : Movie

    Attributes
    ----------
    spec : PredictionSpec
        Classes, thresholds, pixel size and shape.

    Raises
    ------
    InputError
        If only one of movie and network has a pixel size; if the network was trained on averaged or binned frames and
        the movie is not prepared likewise.
    """

    def __init__(self, network: Predictor, movie: Movie) -> None:
        self._begin(PredictionSpec.of(network, movie), network, movie, None)

    def _begin(
        self, spec: PredictionSpec, network: Predictor | None, movie: Movie | None, stored: StoredFrames | None
    ) -> None:
        self.spec = spec
        self._network, self._movie, self._stored = network, movie, stored
        # Digests of the frames as read for prediction, and whether a stored frame matches the movie's.
        self._digests: dict[int, str] = {}
        self._same: dict[int, bool | None] = {}
        self._recent: OrderedDict[int, NDArray[np.float32]] = OrderedDict()
        # One frame at a time: torch uses all processors for each, and memory may suffice for one only.
        self._lock = threading.Lock()
        self._token = uuid.uuid4().hex
        self._borders_said = False

    @property
    def movie(self) -> Movie | None:
        """The movie as it is predicted, prepared like the one trained on; None of a stored prediction opened alone."""
        return self._movie

    @cached_property
    def range(self) -> RangeCheck:
        """Check that warns of frames unlike those the network was trained on."""
        return RangeCheck(self._source("every frame")[0])

    @staticmethod
    def exists_at(path: str | os.PathLike[str]) -> bool:
        """Whether `path` holds a prediction written by `write`, even a damaged one."""
        return StoredFrames.exists_at(path)

    @classmethod
    def open(cls, path: str | os.PathLike[str], movie: Movie | None = None) -> Prediction:
        """Open a prediction written by `write`; frames that were not written are not accessible.

        Parameters
        ----------
        path : path
        movie : Movie, optional
            The movie that the prediction must be of; frames that have changed since are not accessible either.

        Raises
        ------
        InputError
            If it is missing, damaged, not from napari-menndl, from a newer version, or of another movie.
        """
        stored = StoredFrames.open(path)
        prediction = cls.__new__(cls)
        spec = stored.spec
        if movie is not None and spec.frame_time is None:  # written by an older version
            spec = replace(spec, frame_time=movie.frame_time, dose=dose_of(movie))
        prediction._begin(spec, None, movie, stored)
        prediction._check_movie(stored)
        return prediction

    def frame_digest(self, t: int) -> str:
        """Return the digest of the movie's frame that a frame was predicted from; empty if unknown."""
        if t in self._digests:
            return self._digests[t]
        return self._stored.digest(t) if self._stored is not None and t in self._stored else ""

    def __len__(self) -> int:
        return self.spec.shape[0]

    def frame_probabilities(self, t: int) -> NDArray[np.float32]:
        """Return the probabilities of a frame, (C, Y, X) float32."""
        t = self._number(t)
        with self._lock:
            if t in self._recent:
                self._recent.move_to_end(t)
                return self._recent[t]
            if (stored := self._stored) is not None and t in stored and self._is_same(t, stored) is not False:
                found, self._digests[t] = stored.probabilities(t), stored.digest(t)
            else:
                network, movie = self._source(f"frame {t}")
                with self._borders_warned_of_once():
                    shown = read_frame(movie, t, network.reach)
                    self.range.check(t, shown, movie.pixel_size)
                    with self.range.predicting(t):
                        found = network.predict_frame(shown, movie.pixel_size)
                self._digests[t] = digest_of(shown)
            self._remember(t, found)
            return found

    def _number(self, t: int) -> int:
        return frame_number(t, len(self), "Choose one of the movie's frames.", from_end=True)

    def take(self, t: int, probabilities: NDArray[np.float32], digest: str) -> None:
        """Store the probabilities of a frame, (C, Y, X) float32, that were predicted part by part elsewhere.

        `digest` is that of the frame predicted from (`identity.digest_of`).
        """
        with self._lock:
            self._digests[t] = digest
            self._remember(t, probabilities)

    def _remember(self, t: int, probabilities: NDArray[np.float32]) -> None:
        self._recent[t] = probabilities
        while len(self._recent) > KEPT:
            self._recent.popitem(last=False)

    def _is_same(self, t: int, stored: StoredFrames) -> bool | None:
        """Whether a stored frame was predicted from the movie's present frame; None if unknown."""
        if self._movie is None or not (digest := stored.digest(t)):
            return None
        if t not in self._same:
            try:
                self._same[t] = frame_digest(self._movie, t) == digest
            except InputError:
                self._same[t] = None
        return self._same[t]

    def _check_movie(self, stored: StoredFrames) -> None:
        """Check with a few frames that a stored prediction is of this movie.

        Raises
        ------
        InputError
            If it is of another movie.
        """
        if self._movie is None:
            return
        done = [int(t) for t in np.flatnonzero(stored.done)]
        noted = [t for t in done if stored.digest(t)]
        if len(noted) < len(done):
            warnings.warn(
                f"{len(done) - len(noted)} of the frames at {stored.path} were predicted by an older version, which "
                "did not note of what: whether they are this movie's cannot be checked.",
                stacklevel=3,
            )
        compared = [t for t in few(noted) if self._is_same(t, stored) is not None]
        others = [t for t in compared if not self._same[t]]
        if 2 * len(others) > len(compared):
            found = f"the prediction of another movie at {stored.path}: its frame {others[0]} is another one"
            raise not_this_one(found, can_replace=self._network is not None)

    def _forget_others(self, stored: StoredFrames, frames: Iterable[int]) -> None:
        """Discard stored frames that were predicted from other frames than the movie has now."""
        network, movie = self._network, self._movie
        if network is None or movie is None:
            return
        compared = {t: self._is_same(t, stored) for t in frames if t in stored and stored.digest(t)}
        if unread := [t for t, same in compared.items() if same is None]:
            warnings.warn(
                f"{_frames(unread)} of {movie.name!r} cannot be read now: what was predicted before, at "
                f"{stored.path}, is kept unchecked.",
                stacklevel=3,
            )
        others = [t for t, same in compared.items() if same is False]
        if not others:
            return
        warnings.warn(
            f"{_frames(others)} of {movie.name!r} changed since the prediction at {stored.path} was made: "
            "predicted anew.",
            stacklevel=3,
        )
        reach = FARTHEST if network.reach else 0
        touched = {t for other in others for t in range(other - reach, other + reach + 1) if 0 <= t < len(self)}
        stored.forget(touched)
        for t in touched:
            self._recent.pop(t, None)

    def _source(self, wanted: str) -> tuple[Predictor, Movie]:
        """Return network and movie; InputError if they are not both available."""
        if self._network is None or self._movie is None:
            changed = any(same is False for same in self._same.values())
            raise InputError(
                f"{wanted} among those predicted",
                f"{self.written} of {len(self)} frames{', some of them of other frames' * changed}",
                "Predict the movie again into the same place: it goes on where it stopped.",
            )
        return self._network, self._movie

    def frame_labels(self, t: int) -> NDArray[np.uint8]:
        """Return the labels of a frame, (Y, X) uint8: 0 = no defect, c + 1 = class c."""
        return label_pixels(self.frame_probabilities(t), self.spec.thresholds, self.spec.min_areas)

    def frame_agreement(self, t: int) -> NDArray[np.float32] | None:
        """Return the agreement of an ensemble's members on a frame, (C, Y, X) float32; None for a single network.

        It takes as long as predicting the frame.

        Raises
        ------
        InputError
            If the network or the movie is not available.
        """
        network, movie = self._source(f"the agreement on frame {t}")
        if not hasattr(network, "agreement"):
            return None
        with self._lock, self._borders_warned_of_once():
            agreement: NDArray[np.float32] = network.agreement(read_frame(movie, t, network.reach), movie.pixel_size)
        return agreement

    def frame_defects(self, t: int, *, agreement: bool = False) -> pd.DataFrame:
        """Return the defect table of a frame; see `find_defects`, and `tracing.with_origin` for prepared movies.

        Parameters
        ----------
        t : int
        agreement : bool
            Whether to fill the column agreement, which takes as long again as the prediction.
        """
        spec = self.spec
        table = find_defects(
            self.frame_labels(t),
            self.frame_probabilities(t),
            spec.class_names,
            spec.pixel_size,
            t,
            spec.frame_time,
            self.frame_agreement(t) if agreement else None,
            self.frame_image(t),
        )
        return with_origin(table, spec.steps, spec.pixel_size)

    def frame_image(self, t: int) -> NDArray[np.float32] | None:
        """Return the movie's frame, (Y, X) float32; None where it is not available."""
        try:
            return None if self._movie is None else self._movie.frame(t)
        except InputError:
            return None

    @cached_property
    def probabilities(self) -> da.Array:
        """(T, C, Y, X) float32, lazy; one chunk per frame."""
        _, height, width = self.spec.shape
        return self._lazy(self.frame_probabilities, (len(self.spec.class_names), height, width), np.float32)

    @cached_property
    def labels(self) -> da.Array:
        """(T, Y, X) uint8, lazy; one chunk per frame."""
        return self._lazy(self.frame_labels, self.spec.shape[1:], np.uint8)

    @cached_property
    def defects(self) -> pd.DataFrame:
        """Defects of all frames, computed on first access."""
        return self.find_defects(range(len(self)))

    def find_defects(self, frames: Iterable[int], *, agreement: bool = False) -> pd.DataFrame:
        """Return the defect table of some frames; parameters as of `frame_defects`."""
        tables = (self.frame_defects(t, agreement=agreement) for t in frames)
        return joined(tables, lambda: with_origin(no_defects(), self.spec.steps))

    def tracks(self, settings: TrackSettings | None = None, **changed: Any) -> Tracks:
        """Follow the defects through the movie: trajectories, events and rates.

        Frames that are not predicted yet are predicted, if network and movie are available; else they are left out,
        with a warning.

        Parameters
        ----------
        settings : TrackSettings, optional
        **changed
            Single settings by name, such as ``reach=0.4``; or what the movie does not say, as for `track_defects`:
            frame_time, dose, drift.

        Returns
        -------
        Tracks

        Raises
        ------
        InputError
            As of `track_defects`.
        """
        spec = self.spec
        frames = self.available
        if missing := sorted(set(range(len(self))) - set(frames)):
            warnings.warn(f"{_frames(missing)} not predicted: left out.", stacklevel=2)
        known = {
            "shape": spec.shape[1:],
            "frames": frames,
            "pixel_size": spec.pixel_size,
            "frame_time": spec.frame_time,
            "dose": spec.dose,
            "recorded": spec.recorded and spec.recorded[1:],
        }
        return track_defects(self.find_defects(frames), settings, **known | changed)

    @property
    def written(self) -> int:
        """Number of frames on disk."""
        return int(np.count_nonzero(self._stored.done)) if self._stored is not None else 0

    @property
    def available(self) -> list[int]:
        """Frames that are on disk or can be predicted."""
        every = range(len(self))
        return list(every) if self._network is not None else [t for t in every if self.is_written(t)]

    def is_written(self, t: int) -> bool:
        """Whether a frame is on disk."""
        return self._stored is not None and t in self._stored

    def write(
        self,
        path: str | os.PathLike[str],
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        frames: Iterable[int] | None = None,
        *,
        pool: str | Pool | None = None,
        first: Callable[[], int | None] | None = None,
        on_frame: Callable[[int, InputError | None], None] | None = None,
        anew: bool = False,
    ) -> Path:
        """Predict every frame into a zarr group, and read the frames from there afterwards.

        The group holds ``probabilities`` (T, C, Y, X) float32, ``labels`` (T, Y, X) uint8, ``digests`` (T, 16) uint8,
        which identify the movie's frames (`movie.identity`), and ``done`` (T,) uint8, set after a frame's other arrays
        are complete. If the group already holds part of this prediction, writing continues, even if the movie has
        grown; frames that have changed since are predicted again, with a warning. Frames that cannot be predicted do
        not stop the others.

        Parameters
        ----------
        path : path
            Usually ``….zarr``.
        progress : callable, optional
            Called with the number of frames done and the total, first before any work.
        cancel : callable, optional
            Called before each frame, on a pool several times a second; if it returns True, writing stops.
        frames : iterable of int, optional
            Frames to predict, in this order; by default all.
        pool : str or Pool, optional
            Pool that predicts, as accepted by `open_pool`: ``"local"``, ``"tcp://127.0.0.1:8786"``; by default this
            process.
        first : callable, optional
            Called before each frame; returns the frame to predict first, followed by its neighbours, or None to pause.
        on_frame : callable, optional
            Called with each frame and None when it is on disk, or the error that prevented it.
        anew : bool
            Replace an existing prediction at the path, and predict every frame.

        Raises
        ------
        InputError
            If the path holds something else, including the prediction of another movie or network; if it cannot be
            written, or if frames could not be predicted.
        """
        wanted = list(dict.fromkeys(range(len(self)) if frames is None else map(self._number, frames)))
        stored = StoredFrames.take(path, self.spec, anew=anew)
        with self._lock:
            if self._stored is None or self._stored.path != stored.path:
                self._same = {}
                self._check_movie(stored)
            stored.fit(self.spec)
            self._forget_others(stored, wanted)
        done = stored.done
        count = int(done.sum())
        if progress:
            progress(count, len(self))
        with self._lock:
            self._stored = stored
        waiting = [t for t in wanted if not done[t]]
        failed: dict[int, InputError] = {}
        with self._borders_warned_of_once(), self._predicted(waiting, pool, first, cancel) as predicted:
            for t, found in predicted:
                if isinstance(found, InputError):
                    failed[t] = found
                else:
                    labels = label_pixels(found, self.spec.thresholds, self.spec.min_areas)
                    stored.put(t, found, labels, self._digests[t])
                    self._same[t] = True
                    count += 1
                if on_frame:
                    on_frame(t, failed.get(t))
                if progress and t not in failed:
                    progress(count, len(self))
        if failed:
            raise combine_errors(failed)
        return Path(path)

    def as_layers(self) -> list[LayerData]:
        """Return layers of napari, as ``Layer.create`` takes them: the labels (lazy), and the defects as points."""
        spec = self.spec
        return [
            self._labels_layer(),
            points_layer(self.defects, spec.pixel_size, spec.frame_time, f"{spec.movie} defects"),
        ]

    def _labels_layer(self) -> LayerData:
        spec = self.spec
        colours = [COLOURS[c % len(COLOURS)] for c in range(len(spec.class_names))]
        name = f"{spec.movie} labels"
        return labels_layer(self.labels, colours, spec.pixel_size, spec.frame_time, name)

    def view(self) -> Any:
        """Open napari with the labels over the movie, if it is there, and return the viewer; see `views.view`.

        A frame is predicted when it comes into view.
        """
        beneath = [] if self.movie is None else [movie_layer(self.movie)]
        return view([*beneath, self._labels_layer()], outlined=True)

    def _repr_html_(self) -> str:
        """Return what was predicted and by what, for a notebook; no frame is predicted for it."""
        spec, (count, height, width) = self.spec, self.spec.shape
        rows = [
            ("frames", f"{count} of {height} × {width} px, {self.written} of them on disk"),
            ("classes", ", ".join(f"{n} from {t:.2f}" for n, t in zip(spec.class_names, spec.thresholds, strict=True))),
            ("pixel size", "unknown" if spec.pixel_size is None else side_of_pixel(spec.pixel_size)),
        ]
        return html_table(rows, caption=f"Prediction of {spec.movie}")

    @contextmanager
    def _borders_warned_of_once(self) -> Iterator[None]:
        """Warn once, not per frame, of borders left by drift correction, which are not predicted."""
        if not leave_borders(self.spec.steps):
            yield
            return
        if not self._borders_said:
            self._borders_said = True
            warnings.warn(
                "Pixels without a value, such as the borders that drift correction leaves, count as unknown; nothing "
                "is predicted in them.",
                stacklevel=4,
            )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"(Frame \d+.*: )?Of a frame, .* have no value")
            yield

    @contextmanager
    def _predicted(
        self,
        waiting: list[int],
        pool: str | Pool | None,
        first: Callable[[], int | None] | None,
        cancel: Callable[[], bool] | None,
    ) -> Iterator[Iterable[tuple[int, NDArray[np.float32] | InputError]]]:
        """Yield frames with their probabilities, or the error that prevented them, in order of priority."""

        def here() -> Iterator[tuple[int, NDArray[np.float32] | InputError]]:
            while waiting and not (cancel and cancel()):
                if (t := take_next(waiting, first)) is None:
                    time.sleep(LOOK)
                    continue
                try:
                    found = self.frame_probabilities(t)
                except InputError as problem:
                    yield t, problem
                else:
                    yield t, found

        if pool is None or not waiting:
            yield here()
            return
        network, movie = self._source("every frame")
        with (
            on_pool(network, pool) as remote,
            closing(remote.predict(movie, waiting, self.range, first, cancel)) as predicted,
        ):

            def there() -> Iterator[tuple[int, NDArray[np.float32] | InputError]]:
                for t, found in predicted:
                    self._digests[t] = remote.digests.get(t, "")
                    yield t, found

            yield there()

    def _lazy(self, read: Callable[[int], NDArray[Any]], shape: tuple[int, ...], dtype: type) -> da.Array:
        # An explicit name: dask would otherwise hash network and movie.
        name = f"{read.__name__}-{self._token}"
        blocks = [
            da.from_delayed(
                delayed(read, name=name, pure=False, traverse=False)(t, dask_key_name=f"{name}-{t}"), shape, dtype
            )
            for t in range(len(self))
        ]
        return da.stack(blocks)


def _frames(numbers: list[int]) -> str:
    return f"{'Frame' if len(numbers) == 1 else 'Frames'} {spans(numbers)}"
