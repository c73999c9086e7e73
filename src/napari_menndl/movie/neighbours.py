"""The frames before and after a frame, brought to lie on it: averaged, they show the same defects with less noise."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft, ndimage

from napari_menndl.errors import InputError
from napari_menndl.movie.movie import fill_gaps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_menndl.movie.movie import Movie

    Frame = NDArray[np.float32]

#: Neighbours on each side that are read.
REACH = 2
#: Which they are, in the order in which they follow the frame.
OFFSETS = (-2, -1, 1, 2)
#: Edge of the central square that shifts are measured in [px].
_SQUARE = 512
#: Slower changes say nothing about a shift [cycles/px].
_SLOWEST = 0.02
#: Frames belong together if they correlate by so many standard deviations of unrelated ones; the largest of a million
#: chance correlations reaches about five.
_BEYOND_CHANCE = 8.0
#: Bins of the Fourier transform around a Bragg spot.
_SPOT = 9


def read_frame(movie: Movie, t: int, reach: int) -> NDArray[np.float32]:
    """Read what a network with a `reach` looks at, gaps as NaN: the frame (Y, X), or `with_neighbours`."""
    return with_neighbours(movie, t) if reach else movie.frame(t, gaps=True)


def with_neighbours(movie: Movie, t: int) -> NDArray[np.float32]:
    """Read a frame and its neighbours, moved by whole pixels to lie on it.

    Interpolation would correlate the noise of pixels. Where a neighbour does not exist, cannot be read, or shows
    something else, the one on the other side stands in for it, or else the frame itself; so does the frame where a
    neighbour does not reach.

    Parameters
    ----------
    movie : Movie
    t : int

    Returns
    -------
    (5, Y, X) float32
        The frame, NaN where it has no value, then its neighbours as in `OFFSETS`.

    Raises
    ------
    InputError
        Where the frame itself cannot be read.

    Warns
    -----
    UserWarning
        Where a neighbour cannot be read.
    """
    t = int(t) % len(movie) if -len(movie) <= t < len(movie) else t
    frame = movie.frame(t, gaps=True)
    found = {offset: _neighbour(movie, t, offset, frame) for offset in OFFSETS}
    planes = [frame]
    for offset in OFFSETS:
        one = found[offset] if found[offset] is not None else found[-offset]
        planes.append(frame if one is None else one)
    return np.stack(planes)


def average(planes: NDArray[np.float32], reach: int) -> Frame:
    """Average a frame and its neighbours.

    Parameters
    ----------
    planes : (Y, X) or (5, Y, X) float32
        As from `with_neighbours`; a frame alone is its own average.
    reach : int
        Neighbours on each side, from 0 to `REACH`.

    Returns
    -------
    (Y, X) float32
    """
    if planes.ndim == 2:
        return planes
    taken = [0, *(1 + i for i, offset in enumerate(OFFSETS) if abs(offset) <= reach)]
    mean: Frame = planes[taken].mean(axis=0, dtype=np.float32)
    return mean


def find_shift(frame: Frame, other: Frame) -> tuple[int, int] | None:
    """Find by how many pixels another frame has to be moved to lie on a frame.

    The highest peak of the cross-correlation, under a Hann window and with Bragg spots cut down to what is around
    them: a lattice is the same after a shift by one of its steps, its defects are not.

    Parameters
    ----------
    frame, other : (Y, X) float32

    Returns
    -------
    (y, x) int [px], or None
        None where the two have nothing in common.
    """
    centre = tuple(slice((n - min(n, _SQUARE)) // 2, (n + min(n, _SQUARE)) // 2) for n in frame.shape)
    a, b = (_spectrum(one[centre]) for one in (frame, other))
    shape = frame[centre].shape
    correlation = fft.irfft2(a * np.conj(b), s=shape)
    size = np.sqrt(fft.irfft2(np.abs(a) ** 2, s=shape)[0, 0] * fft.irfft2(np.abs(b) ** 2, s=shape)[0, 0])
    peak = np.unravel_index(correlation.argmax(), shape)
    if not correlation[peak] * np.sqrt(correlation.size) > _BEYOND_CHANCE * size:
        return None
    y, x = (int(p) - n if p > n // 2 else int(p) for p, n in zip(peak, shape, strict=True))
    return y, x


def _spectrum(square: Frame) -> NDArray[np.complex64]:
    """The Fourier transform without what changes slowly and without Bragg spots."""
    window = np.multiply.outer(*(np.hanning(n + 2)[1:-1].astype(np.float32) for n in square.shape))
    spectrum: NDArray[np.complex64] = fft.rfft2((square - square.mean()) * window)
    slow = np.hypot(fft.fftfreq(square.shape[0])[:, None], fft.rfftfreq(square.shape[1])[None]) < _SLOWEST
    spectrum[slow] = 0
    amplitude = np.abs(spectrum)
    usual = ndimage.median_filter(amplitude, _SPOT, mode="nearest")
    return spectrum * np.minimum(1, usual / np.maximum(amplitude, 1e-20))


def _neighbour(movie: Movie, t: int, offset: int, frame: Frame) -> Frame | None:
    """A neighbour on the frame's place, or None."""
    if not 0 <= t + offset < len(movie):
        return None
    try:
        other = movie.frame(t + offset, gaps=True)
    except InputError as problem:
        warnings.warn(f"Frame {t} is shown without its neighbour {t + offset}: {problem}", stacklevel=4)
        return None
    shift = find_shift(fill_gaps(frame), fill_gaps(other))
    return None if shift is None else _moved(other, shift, frame)


def _moved(other: Frame, shift: tuple[int, int], frame: Frame) -> Frame:
    """`other` moved by (y, x) [px]; where nothing of it comes to lie, or no value, the frame."""
    result = frame.copy()
    to = tuple(slice(max(0, s), n + min(0, s)) for s, n in zip(shift, frame.shape, strict=True))
    of = tuple(slice(max(0, -s), n + min(0, -s)) for s, n in zip(shift, frame.shape, strict=True))
    result[to] = np.where(np.isnan(other[of]), result[to], other[of])
    return result
