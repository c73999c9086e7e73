"""What a network says about a movie: frame by frame, when it is looked at, or kept on disk."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import dask.array as da
import numpy as np
import pandas as pd
import zarr
from dask.delayed import delayed

from napari_menndl.annotation.files import is_zarr_group, open_own_group, own_array, written_whole
from napari_menndl.errors import InputError
from napari_menndl.predict.labelling import find_defects, label_pixels, no_defects
from napari_menndl.predict.outline import Outline

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from numpy.typing import ArrayLike, NDArray

    from napari_menndl.metrics.detection import Detector
    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.scale import PixelSize

FORM = "napari-menndl prediction"
SCHEMA = 1
#: Frames kept in memory, so that labels and probabilities of a frame in view are predicted once.
KEPT = 4


class Predictor(Protocol):
    """What predicts: a `TrainedNetwork` or an `Ensemble`."""

    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def thresholds(self) -> tuple[float, ...]: ...
    @property
    def detectors(self) -> tuple[Detector, ...]: ...
    @property
    def pixel_size(self) -> PixelSize | None: ...
    @property
    def digest(self) -> str: ...

    def predict_frame(self, frame: ArrayLike, pixel_size: PixelSize | None = None) -> NDArray[np.float32]:
        """Probabilities (C, Y, X) of a frame (Y, X)."""
        ...


class Prediction:
    """The defects of a movie, as a network sees them.

    Nothing is computed before it is looked at. A frame is predicted once as long as it is among the last few, and once
    and for all where `write` has put it on disk.

    Parameters
    ----------
    network : TrainedNetwork or Ensemble
    movie : Movie

    Attributes
    ----------
    outline : Outline
        Classes, thresholds, pixel size, shape.

    Raises
    ------
    InputError
        If only one of movie and network knows its pixel size.
    """

    def __init__(self, network: Predictor, movie: Movie) -> None:
        def predict(t: int) -> NDArray[np.float32]:
            return network.predict_frame(movie.frame(t), movie.pixel_size)

        self._begin(Outline.of(network, movie), predict, None)

    def _begin(self, outline: Outline, predict: Callable[[int], NDArray[np.float32]] | None, group: Any) -> None:
        self.outline = outline
        self._predict, self._group = predict, group
        self._recent: OrderedDict[int, NDArray[np.float32]] = OrderedDict()
        # One frame at a time: torch uses all processors for it anyway, and memory is for one.
        self._lock = threading.Lock()
        self._token = uuid.uuid4().hex

    @staticmethod
    def stands_at(path: str | os.PathLike[str]) -> bool:
        """Whether `path` is a prediction that `write` wrote, or a damaged one."""
        return is_zarr_group(Path(path)) and zarr.open_group(path, mode="r").attrs.get("format") == FORM

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Prediction:
        """Open what `write` wrote; frames that it did not come to cannot be looked at.

        Raises
        ------
        InputError
            If it is missing, damaged, foreign, or newer.
        """
        group = open_own_group(Path(path), FORM, SCHEMA)
        outline = Outline.from_json(dict(group.attrs).get("outline"))
        own_array(group, "probabilities", "f", 4)
        own_array(group, "done", "u", 1)
        prediction = cls.__new__(cls)
        prediction._begin(outline, None, group)
        return prediction

    def __len__(self) -> int:
        return self.outline.shape[0]

    def frame_probabilities(self, t: int) -> NDArray[np.float32]:
        """Probabilities of a frame, (C, Y, X) float32."""
        if not -len(self) <= t < len(self):
            raise InputError(f"a frame from 0 to {len(self) - 1}", f"frame {t}", "Choose one of the movie's frames.")
        t = int(t) % len(self)
        with self._lock:
            if t in self._recent:
                self._recent.move_to_end(t)
                return self._recent[t]
            if self._group is not None and self._group["done"][t]:
                found = np.asarray(self._group["probabilities"][t], np.float32)
            elif self._predict is not None:
                found = self._predict(t)
            else:
                raise InputError(
                    f"frame {t} among those predicted",
                    f"{self.written} of {len(self)} frames",
                    "Predict the movie again into the same place: it goes on where it stopped.",
                )
            self._recent[t] = found
            while len(self._recent) > KEPT:
                self._recent.popitem(last=False)
            return found

    def frame_labels(self, t: int) -> NDArray[np.uint8]:
        """Labels of a frame, (Y, X) uint8: 0 = no defect, c + 1 = class c."""
        return label_pixels(self.frame_probabilities(t), self.outline.thresholds, self.outline.min_areas)

    def frame_defects(self, t: int) -> pd.DataFrame:
        """Table of the defects of a frame; see `find_defects`."""
        outline = self.outline
        return find_defects(
            self.frame_labels(t), self.frame_probabilities(t), outline.class_names, outline.pixel_size, frame=t
        )

    @cached_property
    def probabilities(self) -> da.Array:
        """(T, C, Y, X) float32, lazy; one chunk per frame."""
        _, height, width = self.outline.shape
        return self._lazy(self.frame_probabilities, (len(self.outline.class_names), height, width), np.float32)

    @cached_property
    def labels(self) -> da.Array:
        """(T, Y, X) uint8, lazy; one chunk per frame."""
        return self._lazy(self.frame_labels, self.outline.shape[1:], np.uint8)

    @cached_property
    def defects(self) -> pd.DataFrame:
        """All defects of all frames, found when first asked for."""
        return self.find_defects(range(len(self)))

    def find_defects(self, frames: Iterable[int]) -> pd.DataFrame:
        """Table of the defects of some frames."""
        tables = [table for t in frames if len(table := self.frame_defects(t))]
        return pd.concat(tables, ignore_index=True) if tables else no_defects()

    @property
    def written(self) -> int:
        """Frames that are on disk."""
        return int(np.count_nonzero(self._group["done"][:])) if self._group is not None else 0

    def write(
        self,
        path: str | os.PathLike[str],
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        frames: Iterable[int] | None = None,
    ) -> Path:
        """Predict every frame into a zarr group, and read from there ever after.

        Written are ``probabilities`` (T, C, Y, X) float32, ``labels`` (T, Y, X) uint8, and ``done`` (T,) uint8, set
        after a frame's other arrays are complete. Where the group holds a part of this very prediction, it goes on.

        Parameters
        ----------
        path : path
            Usually ``….zarr``.
        progress : callable, optional
            Called with (frames done, frames in all), first before any work.
        cancel : callable, optional
            Asked before each frame; True ends the writing there.
        frames : iterable of int, optional
            Only these, in this order.

        Raises
        ------
        InputError
            If something else stands there, if the place cannot be written, or if a frame cannot be predicted.
        """
        path = Path(path)
        if not path.exists():
            self._create(path)
        group = open_own_group(path, FORM, SCHEMA, "r+")
        if Outline.from_json(dict(group.attrs).get("outline")) != self.outline:
            found = f"one of another network or movie at {path}"
            raise InputError("a new place, or this very prediction", found, "Choose another place, or remove it.")
        done = np.asarray(group["done"][:], bool)
        if progress:
            progress(int(done.sum()), len(self))
        with self._lock:
            self._group = group
        for t in range(len(self)) if frames is None else frames:
            if done[t]:
                continue
            if cancel and cancel():
                break
            probabilities, labels = self.frame_probabilities(t), self.frame_labels(t)
            try:
                group["probabilities"][t] = probabilities
                group["labels"][t] = labels
                group["done"][t] = 1
            except OSError as problem:
                raise InputError(
                    "room for the prediction",
                    f"{path}: {problem}",
                    "Make room and call again: it goes on where it stopped.",
                ) from problem
            done[t] = True
            if progress:
                progress(int(done.sum()), len(self))
        return path

    def _create(self, path: Path) -> None:
        count, height, width = self.outline.shape
        classes = len(self.outline.class_names)
        with written_whole(path) as folder:
            group = zarr.open_group(folder, mode="w")
            group.create_array(
                "probabilities", shape=(count, classes, height, width), chunks=(1, classes, height, width), dtype="f4"
            )
            group.create_array("labels", shape=(count, height, width), chunks=(1, height, width), dtype="u1")
            group.create_array("done", shape=(count,), chunks=(1,), dtype="u1")
            group.attrs.update({"format": FORM, "schema": SCHEMA, "outline": self.outline.to_json()})

    def _lazy(self, read: Callable[[int], NDArray[Any]], shape: tuple[int, ...], dtype: type) -> da.Array:
        # Named by hand: dask would otherwise hash network and movie to find a name.
        name = f"{read.__name__}-{self._token}"
        blocks = [
            da.from_delayed(
                delayed(read, name=name, pure=False, traverse=False)(t, dask_key_name=f"{name}-{t}"), shape, dtype
            )
            for t in range(len(self))
        ]
        return da.stack(blocks)
