"""Sources of a review: a network over the movie, a stored prediction, a second annotation."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.movie.identity import digest_of, movie_digest
from napari_menndl.movie.neighbours import read_frame
from napari_menndl.movie.preparation import AS_RECORDED, describe, same_frames
from napari_menndl.predict.labelling import label_pixels
from napari_menndl.widgets.layers import annotated_frame
from napari_menndl.widgets.pixel_size import with_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari.layers import Labels

    from napari_menndl.movie.movie import Movie
    from napari_menndl.network.tiling import Part
    from napari_menndl.predict.background import BackgroundWriter
    from napari_menndl.predict.prediction import Prediction
    from napari_menndl.predict.prediction_spec import Predictor
    from napari_menndl.widgets.pixel_size import Answer

#: Memory for predictions [byte]; where it is too small, they go to a folder that is removed at the end.
MEMORY = 512 * 2**20


class Source:
    """Labels of a movie's frames, for a review; by default without probabilities, and known everywhere.

    Attributes
    ----------
    class_names : tuple of str
    thresholds : tuple of float or None
        Thresholds of the network, by class.
    digest : str
        Digest of the network; empty without one.
    """

    class_names: tuple[str, ...] = ()
    thresholds: tuple[float, ...] | None = None
    digest: str = ""

    def labels(self, t: int, thresholds: Sequence[float] | None) -> np.ndarray:
        """Return labels (Y, X) uint8: 0 = no defect, c + 1 = class c; by default at the network's own thresholds."""
        raise NotImplementedError

    def probabilities(self, t: int) -> np.ndarray | None:
        """Return the probabilities of a frame, (C, Y, X) float32; None if there are none."""
        return None

    def predict_parts(
        self, t: int, thresholds: Sequence[float] | None, centre: tuple[float, float]
    ) -> Iterator[tuple[Part, np.ndarray, int]]:
        """Predict a large frame part by part, from a place (y, x) [px] on.

        Yields each part, its labels (y, x) uint8 as `labels` returns them, and the number of parts; nothing for a frame
        that is small, or known. After the last part the frame's probabilities need no other prediction.
        """
        return iter(())

    def agreement(self, t: int) -> np.ndarray | None:
        """Return the agreement (C, Y, X) float32, see `Ensemble.agreement`; None without several networks."""
        return None

    def image(self, t: int) -> np.ndarray | None:
        """Return a frame, (Y, X) float32; None where it is not at hand."""
        return None

    def known(self, t: int) -> np.ndarray | None:
        """Return where the labels are known, (Y, X) bool; None for everywhere."""
        return None

    def remembers(self, t: int) -> bool:
        """Whether a frame needs no prediction."""
        return True

    def prioritise(self, t: int) -> None:
        """Announce the frame in view."""

    def rest(self) -> None:
        """Predict only what is waited for."""

    def keep(self, place: Path | None) -> None:
        """Write predictions from now on to a place; None for a folder of ours, as far as memory does not suffice.

        Raises
        ------
        InputError
            If something else is there, or it cannot be written.
        """

    def close(self) -> None:
        """Stop predicting."""


class PredictedSource(Source):
    """Probabilities of a network, each frame predicted once as long as there is room for it.

    Parameters
    ----------
    prediction : Prediction
    network : TrainedNetwork or Ensemble, optional
        None for a stored prediction.
    movie : Movie
    capacity : int [bytes]
        Memory for predictions.

    Attributes
    ----------
    part : int [px]
        Edge of the parts in which a large frame is predicted while a person waits for it.
    """

    part = 512

    def __init__(self, prediction: Prediction, network: Predictor | None, movie: Movie, capacity: int = MEMORY) -> None:
        self._prediction, self._network, self._movie = prediction, network, movie
        self._capacity = capacity
        self._known: OrderedDict[tuple[str, int], np.ndarray] = OrderedDict()
        self._stored: set[int] = set()
        self._lock = threading.Lock()
        self._place: Path | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self.class_names = tuple(prediction.spec.class_names)
        self.thresholds = tuple(prediction.spec.thresholds)
        self.digest = prediction.spec.network

    @property
    def members(self) -> int:
        """Number of networks that predict together; 0 if none is available."""
        return 0 if self._network is None else len(getattr(self._network, "members", (self._network,)))

    def remembers(self, t: int) -> bool:
        return self._network is None or t in self._stored or ("probabilities", t) in self._known

    def probabilities(self, t: int) -> np.ndarray:
        return self._remembered(("probabilities", t), lambda: self._predict(t))

    def _predict(self, t: int) -> np.ndarray:
        if self._place is not None:
            self._prediction.write(self._place, frames=[t])
            self._stored.add(t)
        return self._prediction.frame_probabilities(t)

    def predict_parts(
        self, t: int, thresholds: Sequence[float] | None, centre: tuple[float, float]
    ) -> Iterator[tuple[Part, np.ndarray, int]]:
        _, height, width = self._movie.shape
        if self._network is None or self.remembers(t) or max(height, width) <= 2 * self.part:
            return
        from napari_menndl.network.tiling import cut_parts  # torch is there already

        network: Any = self._network
        movie = self._movie
        parts = cut_parts((height, width), centre, self.part)
        whole = np.zeros((len(self.class_names), height, width), np.float32)
        shown = read_frame(movie, t, network.reach)
        self._prediction.range.check(t, shown, movie.pixel_size)
        said = network.predict_parts(shown, parts, movie.pixel_size)
        for part, chances in zip(parts, said, strict=True):
            whole[:, *part] = chances
            yield part, label_pixels(chances, self._or_own(thresholds)), len(parts)
        self._prediction.take(t, whole, digest_of(shown))

    def agreement(self, t: int) -> np.ndarray | None:
        if self.members < 2:
            return None
        network: Any = self._network
        movie = self._movie
        return self._remembered(
            ("agreement", t), lambda: network.agreement(read_frame(movie, t, network.reach), movie.pixel_size)
        )

    def image(self, t: int) -> np.ndarray | None:
        return self._prediction.frame_image(t)

    def labels(self, t: int, thresholds: Sequence[float] | None) -> np.ndarray:
        return label_pixels(self.probabilities(t), self._or_own(thresholds), self._prediction.spec.min_areas)

    def _or_own(self, thresholds: Sequence[float] | None) -> Sequence[float]:
        return self._prediction.spec.thresholds if thresholds is None else thresholds

    def keep(self, place: Path | None) -> None:
        if self._network is None:
            return
        if place is None and self._temporary is None:
            size = 4 * len(self.class_names) * int(np.prod(self._movie.shape, dtype=np.int64))
            if size > self._capacity and size < shutil.disk_usage(tempfile.gettempdir()).free / 2:
                self._temporary = tempfile.TemporaryDirectory(prefix="menndl-", ignore_cleanup_errors=True)
        if place is None and self._temporary is not None:
            place = Path(self._temporary.name) / "prediction.zarr"
        if place is not None and place != self._place:
            self._prediction.write(place, frames=())
            with self._lock:
                self._known.clear()  # frames predicted already must be found there, too
            self._stored = set()
        self._place = place

    def _remembered(self, key: tuple[str, int], make: Callable[[], np.ndarray]) -> np.ndarray:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        made = make()
        with self._lock:
            self._known[key] = made
            while len(self._known) > 1 and sum(p.nbytes for p in self._known.values()) > self._capacity:
                self._known.popitem(last=False)
        return made


class AnnotatedSource(Source):
    """A second annotation in place of a prediction.

    Parameters
    ----------
    layer : napari.layers.Labels
    class_names : sequence of str, optional
        Classes of a layer that does not record its own.
    """

    def __init__(self, layer: Labels, class_names: tuple[str, ...] = ()) -> None:
        self._layer = layer
        annotation = layer.metadata.get("annotation")
        self.class_names = annotation.class_names if annotation else class_names or ("defect",)

    def labels(self, t: int, thresholds: Sequence[float] | None) -> np.ndarray:
        labels = annotated_frame(self._layer, t)[0]
        if labels.max(initial=0) > len(self.class_names):
            raise InputError(
                f"labels 1 … {len(self.class_names)} for the classes {', '.join(self.class_names)}",
                f"the label {labels.max()} in the layer {self._layer.name!r}",
                "Choose a second annotation in the same classes.",
            )
        return labels

    def known(self, t: int) -> np.ndarray | None:
        return annotated_frame(self._layer, t)[1]


class PooledSource(PredictedSource):
    """`PredictedSource` on a pool: the whole movie is predicted in the background, frames in view first.

    The pool does not compute the agreement of an ensemble's networks.

    Parameters
    ----------
    prediction : Prediction
    network : TrainedNetwork or Ensemble
    movie : Movie
    pool : str
        As `open_pool` takes it.
    """

    members = 0

    def __init__(self, prediction: Prediction, network: Predictor, movie: Movie, pool: str) -> None:
        super().__init__(prediction, network, movie)
        self._pool = pool
        self._writer: BackgroundWriter | None = None

    def remembers(self, t: int) -> bool:
        return self._prediction.is_written(t)

    def prioritise(self, t: int) -> None:
        if self._writer is not None:
            self._writer.prioritise(t)

    def predict_parts(
        self, t: int, thresholds: Sequence[float] | None, centre: tuple[float, float]
    ) -> Iterator[tuple[Part, np.ndarray, int]]:
        """Return no parts, because the pool predicts whole frames."""
        return iter(())

    def keep(self, place: Path | None) -> None:
        """Write what the pool predicts to a place; None for a folder that is removed at the end.

        Raises
        ------
        InputError
            If something else is there, or it cannot be written.
        """
        if place is None:
            if self._temporary is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="menndl-", ignore_cleanup_errors=True)
            place = Path(self._temporary.name) / "prediction.zarr"
        if place != self._place or self._writer is None:
            self.close()
            self._prediction.write(place, frames=())
            from napari_menndl.predict.background import BackgroundWriter

            self._place, self._writer = place, BackgroundWriter(self._prediction, place, self._pool)

    def rest(self) -> None:
        if self._writer is not None:
            self._writer.rest()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _predict(self, t: int) -> np.ndarray:
        writer = self._writer
        if writer is not None:
            writer.wait_for(t)
        return self._prediction.frame_probabilities(t)


def open_source(
    path: Path, movie: Movie, capacity: int = MEMORY, pool: str = "", answer: Answer = None
) -> PredictedSource:
    """Open a source: a run folder, a saved network or ensemble, or a stored prediction of this movie.

    If a pool is named, as `open_pool` takes it, the pool predicts. `answer` is a person's answer about the movie's
    pixel size.

    Raises
    ------
    InputError
        If it is none of them, or does not fit the movie; a `PixelSizeError` if a person can say whether it does.
    """
    # Imported here, in a thread: it takes a moment that a person would notice in the window.
    from napari_menndl.opening import open_network
    from napari_menndl.predict.prediction import Prediction

    if path.is_dir() and Prediction.exists_at(path):
        stored = Prediction.open(path, movie)
        if stored.spec.shape != movie.shape:
            raise InputError(
                f"a prediction of {_times(movie.shape)} frames and px, as the movie has",
                f"one of {_times(stored.spec.shape)} at {path}",
                "Choose the prediction of this movie, or the network that made it.",
            )
        if not same_frames(stored.spec.steps, movie.steps):
            raise InputError(
                f"a prediction of these frames: {describe(movie.steps) or AS_RECORDED}",
                f"one of others: {describe(stored.spec.steps) or AS_RECORDED}",
                "Prepare the movie as it was for the prediction, in the dock 'Annotate defects', and choose its layer.",
            )
        return PredictedSource(stored, None, movie, capacity)
    network, movie = with_answer(open_network(path), movie, answer)
    if pool:
        return PooledSource(Prediction(network, movie), network, movie, pool)
    return PredictedSource(Prediction(network, movie), network, movie, capacity)


def place_beside(path: Path, movie: Movie, digest: str) -> Path:
    """Return where the prediction of a movie is kept: beside its run or network, one for each movie and network."""
    name = re.sub(r"[^\w.-]+", "-", Path(movie.name).stem).strip("-.") or "movie"
    return path.with_name(f"{path.stem}.{name}.{movie_digest(movie)[:8]}.{digest[:8]}.prediction.zarr")


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
