"""A prediction on disk: a zarr group with one chunk per frame, which knows what frames it has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_menndl.annotation.files import is_zarr_group, open_own_group, own_array, written_whole
from napari_menndl.errors import InputError
from napari_menndl.predict.outline import Outline

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

FORM = "napari-menndl prediction"
SCHEMA = 1


class StoredFrames:
    """The frames of a prediction that are on disk; made by `open` or `take`.

    Attributes
    ----------
    outline : Outline
    """

    def __init__(self, path: Path, group: Any) -> None:
        self._path, self._group = path, group
        self.outline = Outline.from_json(dict(group.attrs).get("outline"))
        own_array(group, "probabilities", "f", 4)
        own_array(group, "labels", "u", 3)
        own_array(group, "done", "u", 1)

    @staticmethod
    def stand_at(path: str | os.PathLike[str]) -> bool:
        """Whether there are some, or damaged ones."""
        return is_zarr_group(Path(path)) and zarr.open_group(path, mode="r").attrs.get("format") == FORM

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> StoredFrames:
        """Open them to be read.

        Raises
        ------
        InputError
            If they are missing, damaged, foreign, or newer.
        """
        return cls(Path(path), open_own_group(Path(path), FORM, SCHEMA))

    @classmethod
    def take(cls, path: str | os.PathLike[str], outline: Outline) -> StoredFrames:
        """Open them to be written, or make a place for them.

        Raises
        ------
        InputError
            If something else stands there, or the place cannot be written.
        """
        path = Path(path)
        if not path.exists():
            _create(path, outline)
        stored = cls(path, open_own_group(path, FORM, SCHEMA, "r+"))
        if stored.outline != outline:
            found = f"one of another network or movie at {path}"
            raise InputError("a new place, or this very prediction", found, "Choose another place, or remove it.")
        return stored

    @property
    def done(self) -> NDArray[np.bool_]:
        """(T,) bool: which frames there are."""
        return np.asarray(self._group["done"][:], bool)

    def __contains__(self, t: int) -> bool:
        return bool(self._group["done"][t])

    def probabilities(self, t: int) -> NDArray[np.float32]:
        """(C, Y, X) float32."""
        return np.asarray(self._group["probabilities"][t], np.float32)

    def put(self, t: int, probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> None:
        """Write a frame; it is there once both are complete.

        Raises
        ------
        InputError
            If there is no room.
        """
        try:
            self._group["probabilities"][t] = probabilities
            self._group["labels"][t] = labels
            self._group["done"][t] = 1
        except OSError as problem:
            raise InputError(
                "room for the prediction",
                f"{self._path}: {problem}",
                "Make room and call again: it goes on where it stopped.",
            ) from problem


def _create(path: Path, outline: Outline) -> None:
    count, height, width = outline.shape
    classes = len(outline.class_names)
    with written_whole(path) as folder:
        group = zarr.open_group(folder, mode="w")
        group.create_array(
            "probabilities", shape=(count, classes, height, width), chunks=(1, classes, height, width), dtype="f4"
        )
        group.create_array("labels", shape=(count, height, width), chunks=(1, height, width), dtype="u1")
        group.create_array("done", shape=(count,), chunks=(1,), dtype="u1")
        group.attrs.update({"format": FORM, "schema": SCHEMA, "outline": outline.to_json()})
