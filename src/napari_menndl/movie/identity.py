"""Identity of frames by their grey values, whatever the name, location or format of their file."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_menndl.movie.movie import Movie

#: Bytes of a digest.
SIZE = 16
#: Frames by which two movies are compared before either is read completely.
FEW = 5
#: Frames searched for one that is not blank.
_MOST_BLANK = 8
_known: WeakKeyDictionary[Movie, str] = WeakKeyDictionary()


def digest_of(frame: NDArray[np.float32]) -> str:
    """Return the digest of a frame as networks see it: of its shape and its grey values in float32.

    The digest does not depend on dtype, file format or file.

    Parameters
    ----------
    frame : (Y, X) or (5, Y, X) float32
        As from `Movie.frame` with gaps as NaN, or from `neighbours.read_frame`, of which only the frame itself is used.

    Returns
    -------
    str
        Hexadecimal, 2 `SIZE` digits.
    """
    alone = np.ascontiguousarray(frame[0] if frame.ndim == 3 else frame, np.dtype("<f4"))
    made = hashlib.blake2b(f"{alone.shape}".encode(), digest_size=SIZE)
    made.update(alone.view(np.uint8).data)
    return made.hexdigest()


def frame_digest(movie: Movie, t: int) -> str:
    """Read a frame of a movie and return its digest.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    return digest_of(movie.frame(t, gaps=True))


def movie_digest(movie: Movie) -> str:
    """Return the digest of the first frame that is not blank; it identifies a movie even while it grows.

    Empty if none of the first frames can be read.
    """
    if movie not in _known:
        _known[movie] = _first_digest(movie)  # cached: needed whenever a layer is added or removed
    return _known[movie]


def _first_digest(movie: Movie) -> str:
    found = ""
    for t in range(min(len(movie), _MOST_BLANK)):
        with suppress(InputError):
            frame = movie.frame(t, gaps=True)
            found = found or digest_of(frame)
            if np.nanmin(frame) < np.nanmax(frame):
                return digest_of(frame)
    return found


def few(frames: Sequence[int], most: int = FEW) -> list[int]:
    """Return a few of some frames, evenly spread, including the first and the last."""
    if len(frames) <= most:
        return list(frames)
    return [frames[round(i * (len(frames) - 1) / (most - 1))] for i in range(most)]
