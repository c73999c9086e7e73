"""Frames of NumPy files, ``.npy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.movie.axes import FrameAxes, check_dtype, frame_axes
from napari_menndl.movie.movie import Movie, lazy_frames
from napari_menndl.movie.signals import Wanted, only_one

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class NpyFrames:
    """Reads single frames of a ``.npy`` file, which is open only during reads."""

    def __init__(self, path: Path, axes: FrameAxes) -> None:
        self.path = path
        self.axes = axes

    def __call__(self, t: int) -> NDArray[Any]:
        return np.array(self.axes.cut(np.load(self.path, mmap_mode="r", allow_pickle=False), t))


def read_npy(path: Path, signal: Wanted = None) -> Movie:
    """Open a ``.npy`` file as a movie; InputError if it is damaged or holds Python objects.

    Parameters
    ----------
    path : Path
    signal : str, int, callable or None
        None or 0: the file holds one array.
    """
    only_one(signal, str(path))
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # damaged headers cause many types of error, such as tokenize.TokenError
        raise InputError(
            f"a complete .npy file of numbers at {path}", str(error), "Save it again: np.save(path, frames)."
        ) from error
    check_dtype(mapped.dtype, str(path))
    axes = frame_axes(mapped.shape, None, str(path))
    return Movie(lazy_frames(NpyFrames(path, axes), axes.shape, mapped.dtype), name=path.stem, source=str(path))
