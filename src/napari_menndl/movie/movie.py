"""A STEM time series: lazy frames and what is known of their scale."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray


def lazy_frames(read: Callable[[int], NDArray[Any]], shape: tuple[int, int, int], dtype: DTypeLike) -> da.Array:
    """Frames that are read when they are looked at, one chunk each.

    Parameters
    ----------
    read : callable
        ``read(t)`` yields frame `t`, (Y, X); can be pickled.
    shape : (T, Y, X)
    dtype : dtype of the frames

    Returns
    -------
    (T, Y, X) dask array
    """
    count, height, width = shape
    return da.arange(count, chunks=1).map_blocks(
        partial(_read_block, read, dtype),
        new_axis=[1, 2],
        chunks=((1,) * count, (height,), (width,)),
        dtype=dtype,
        meta=np.empty((0, 0, 0), dtype),
        # A name of its own: otherwise Dask hashes what is read from, a whole array in memory even.
        name=f"frames-{uuid.uuid4().hex}",
    )


def _read_block(read: Callable[[int], NDArray[Any]], dtype: DTypeLike, numbers: NDArray[Any]) -> NDArray[Any]:
    return np.stack([np.asarray(read(int(t)), dtype) for t in numbers])


@dataclass(frozen=True, eq=False)
class Movie:
    """A STEM time series.

    Attributes
    ----------
    frames : (T, Y, X) dask array, real numbers or bool
        One frame is one chunk; nothing is read before it is looked at.
    pixel_size : (y, x) float [nm] or None
        None where unknown.
    frame_time : float [s] or None
        From the start of one frame to the start of the next; None where unknown.
    name : str
        For a person to read.
    source : str
        The file, folder or pattern it came from; ``"memory"`` or ``"simulation"`` where there is none.
    """

    frames: da.Array
    pixel_size: tuple[float, float] | None = None
    frame_time: float | None = None
    name: str = "movie"
    source: str = "memory"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, Y, X)."""
        count, height, width = self.frames.shape
        return int(count), int(height), int(width)

    def __len__(self) -> int:
        return self.shape[0]

    def frame(self, t: int) -> NDArray[np.float32]:
        """One frame, read now.

        Parameters
        ----------
        t : int
            From 0; negative numbers count from the end.

        Returns
        -------
        (Y, X) float32

        Raises
        ------
        InputError
            If there is no such frame, if it cannot be read, or if a pixel of it is NaN or infinite.
        """
        count = len(self)
        if not -count <= t < count:
            raise InputError(
                f"a frame from 0 to {count - 1} of {self.name!r}", f"frame {t}", "Choose one of the movie's frames."
            )
        t = int(t) % count
        try:
            # In this thread: a Dask client that happens to be open must not be sent the file.
            raw = self.frames[t].compute(scheduler="synchronous")
        except InputError:
            raise
        except Exception as error:  # each file library has its own kinds of error for a damaged or vanished file
            raise InputError(
                f"frame {t} of {self.source} to be readable",
                f"{type(error).__name__}: {error}",
                "Copy the file anew from where it was recorded, or check that it is still there.",
            ) from error
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is reported as such
            frame = np.asarray(raw).astype(np.float32)
        finite = np.isfinite(frame)
        if not finite.all():
            raise InputError(
                f"finite numbers in frame {t} of {self.name!r}",
                f"{_percent(1 - finite.mean())} of its pixels are NaN, infinite or too large for float32",
                "Leave this frame out, or replace these pixels by their neighbours' median before opening the movie.",
            )
        return frame


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
