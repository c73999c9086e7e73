"""Identity of frames: by their grey values, not by the name, place or format of the file they lie in."""

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
#: Frames by which two movies are compared before either is read through.
FEW = 5
#: Frames that are tried for one that is not blank.
_MOST_BLANK = 8
_known: WeakKeyDictionary[Movie, str] = WeakKeyDictionary()


def digest_of(frame: NDArray[np.float32]) -> str:
    """Digest of a frame as networks see it: its shape and its grey values in float32.

    The same frame in another type of number, another format or another file has the same digest.

    Parameters
    ----------
    frame : (Y, X) or (5, Y, X) float32
        As from `Movie.frame` with its gaps as NaN, or from `neighbours.read_frame`, of which the frame itself counts.

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
    """Digest of one frame of a movie, which is read for it.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    return digest_of(movie.frame(t, gaps=True))


def movie_digest(movie: Movie) -> str:
    """Digest of the first frame that is not blank, by which a movie is known: it stays the same while the movie grows.

    Empty where none of the first frames can be read.
    """
    if movie not in _known:
        _known[movie] = _first_digest(movie)  # asked for whenever a layer comes or goes
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
    """A few of some frames, spread evenly, the first and the last among them."""
    if len(frames) <= most:
        return list(frames)
    return [frames[round(i * (len(frames) - 1) / (most - 1))] for i in range(most)]
