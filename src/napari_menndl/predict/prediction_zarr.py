"""Storage of a prediction: a zarr group with one chunk per frame, and a record of the frames predicted.

The attribute ``whole`` means that each predicted frame has files, even where its probabilities are 0, so that a lost
file is not mistaken for a frame without defects; older predictions have none for empty frames.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_menndl.annotation.files import atomic_folder, empty_chunks_too, is_zarr_group, open_own_group, own_array
from napari_menndl.errors import InputError
from napari_menndl.movie.absent import AbsentWarning, spans
from napari_menndl.movie.identity import SIZE
from napari_menndl.movie.ome_zarr import unwritten
from napari_menndl.predict.prediction_spec import PredictionSpec

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from numpy.typing import NDArray

FORM = "napari-menndl prediction"
SCHEMA = 1
#: Array with the digest of the movie's frame that each frame was predicted from; 0 if unknown.
DIGESTS = "digests"


class StoredFrames:
    """Stored frames of a prediction; created by `open` or `take`.

    Attributes
    ----------
    path : Path
    spec : PredictionSpec
    """

    def __init__(self, path: Path, group: Any) -> None:
        self.path, self._group = path, group
        self.spec = PredictionSpec.from_json(dict(group.attrs).get("outline"))
        with empty_chunks_too():
            self._probabilities = own_array(group, "probabilities", "f", 4)
        own_array(group, "labels", "u", 3)
        own_array(group, "done", "u", 1)
        self._lost: frozenset[int] = frozenset()
        if group.attrs.get("whole") is True:
            self._lost = frozenset(unwritten(self._probabilities, 0)) & frozenset(
                np.flatnonzero(group["done"][:]).tolist()
            )
        if self._lost:
            one = len(self._lost) == 1
            warnings.warn(
                f"The prediction of frame{'' if one else 's'} {spans(self._lost)} in {path.name} is lost: "
                f"{'its file is' if one else 'their files are'} not there any more. Predict "
                f"{'it' if one else 'them'} again, or restore the folder from a copy.",
                AbsentWarning,
                stacklevel=4,
            )

    @staticmethod
    def exists_at(path: str | os.PathLike[str]) -> bool:
        """Whether a path holds a stored prediction, even a damaged one."""
        return is_zarr_group(Path(path)) and zarr.open_group(path, mode="r").attrs.get("format") == FORM

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> StoredFrames:
        """Open a stored prediction for reading.

        Raises
        ------
        InputError
            If it is missing, damaged, not from napari-menndl, or from a newer version.
        """
        return cls(Path(path), open_own_group(Path(path), FORM, SCHEMA))

    @classmethod
    def take(cls, path: str | os.PathLike[str], spec: PredictionSpec, *, anew: bool = False) -> StoredFrames:
        """Open a stored prediction for writing, or create it; it may have fewer frames than the movie (`fit`).

        Parameters
        ----------
        path : path
        spec : PredictionSpec
        anew : bool
            Replace an existing prediction by an empty one.

        Raises
        ------
        InputError
            If the path holds something else, or cannot be written.
        """
        path = Path(path)
        if not path.exists() or (anew and cls.exists_at(path)):
            _create(path, spec)
        elif not cls.exists_at(path):
            raise InputError(
                "a new place, or a prediction to go on with", f"something else at {path}", "Choose another place."
            )
        stored = cls(path, open_own_group(path, FORM, SCHEMA, "r+"))
        if differs := stored.spec.differs(spec):
            raise not_this_one(f"one of another network or movie at {path}: {differs}")
        return stored

    def fit(self, spec: PredictionSpec) -> None:
        """Extend the arrays for a movie that has grown, and store its present name."""
        if self.spec == spec:
            return
        others = ("labels", "done", *([DIGESTS] if DIGESTS in self._group else []))
        for array in (self._probabilities, *(self._group[name] for name in others)):
            array.resize((spec.shape[0], *array.shape[1:]))
        self._group.attrs["outline"] = spec.to_json()
        self.spec = spec

    @property
    def done(self) -> NDArray[np.bool_]:
        """(T,) bool: frames that are stored."""
        done = np.asarray(self._group["done"][:], bool)
        done[list(self._lost)] = False
        return done

    def __contains__(self, t: int) -> bool:
        return t not in self._lost and bool(self._group["done"][t])

    def probabilities(self, t: int) -> NDArray[np.float32]:
        """Return the probabilities of a frame, (C, Y, X) float32."""
        return np.asarray(self._probabilities[t], np.float32)

    def digest(self, t: int) -> str:
        """Return the digest of the movie's frame that a frame was predicted from; empty if unknown."""
        if DIGESTS not in self._group:
            return ""
        noted = np.asarray(self._group[DIGESTS][t], np.uint8)
        return noted.tobytes().hex() if noted.any() else ""

    def forget(self, frames: Iterable[int]) -> None:
        """Mark frames as not predicted."""
        for t in frames:
            self._group["done"][t] = 0

    def put(self, t: int, probabilities: NDArray[np.float32], labels: NDArray[np.uint8], digest: str) -> None:
        """Write a frame; it is marked as done when all of it is complete.

        Parameters
        ----------
        t : int
        probabilities : (C, Y, X) float32
        labels : (Y, X) uint8
        digest : str
            Digest of the frame predicted from (`identity.digest_of`); empty if unknown.

        Raises
        ------
        InputError
            If it cannot be written, for lack of disk space for example.
        """
        try:
            self._probabilities[t] = probabilities
            self._group["labels"][t] = labels
            if DIGESTS not in self._group:  # created by an older version
                _add_digests(self._group, self.spec.shape[0])
            self._group[DIGESTS][t] = np.frombuffer(bytes.fromhex(digest), np.uint8) if digest else 0
            self._group["done"][t] = 1
            self._lost -= {t}
        except OSError as problem:
            raise InputError(
                "room for the prediction",
                f"{self.path}: {problem}",
                "Make room and call again: it goes on where it stopped.",
            ) from problem


def _create(path: Path, spec: PredictionSpec) -> None:
    count, height, width = spec.shape
    classes = len(spec.class_names)
    with atomic_folder(path) as folder:
        group = zarr.open_group(folder, mode="w")
        group.create_array(
            "probabilities", shape=(count, classes, height, width), chunks=(1, classes, height, width), dtype="f4"
        )
        group.create_array("labels", shape=(count, height, width), chunks=(1, height, width), dtype="u1")
        group.create_array("done", shape=(count,), chunks=(1,), dtype="u1")
        _add_digests(group, count)
        group.attrs.update({"format": FORM, "schema": SCHEMA, "outline": spec.to_json(), "whole": True})


def _add_digests(group: Any, count: int) -> None:
    group.create_array(DIGESTS, shape=(count, SIZE), chunks=(1, SIZE), dtype="u1")


def not_this_one(found: str, *, can_replace: bool = True) -> InputError:
    """Return the error for a path that holds another prediction than the requested one."""
    if not can_replace:
        remedy = "Choose the prediction of this movie, or the network that made it."
        return InputError("the prediction of this movie", found, remedy)
    return InputError(
        "a new place, or the prediction of this movie by this network",
        found,
        "Choose another place, or have it replaced: --anew, write(…, anew=True).",
    )
