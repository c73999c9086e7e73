"""Neighbouring frames, registered to a frame; averaging them shows the same defects with less noise."""

from __future__ import annotations

import warnings
from functools import lru_cache
from itertools import chain, cycle, islice
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft, ndimage

from napari_menndl.errors import InputError
from napari_menndl.movie.absent import fill_gaps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_menndl.movie.movie import Movie

    Frame = NDArray[np.float32]

#: Offsets of the neighbours, in the order of the planes that follow the frame, and farthest neighbour that may stand in
#: for one that is missing.
OFFSETS, FARTHEST = (-2, -1, 1, 2), 4
#: Offsets from the nearest to the farthest.
_NEAREST = tuple(chain.from_iterable((-n, n) for n in range(1, FARTHEST + 1)))
#: Edge of the central square that shifts are measured in [px].
_SQUARE = 512
#: Spatial frequencies below this are ignored when a shift is measured [cycles/px].
_SLOWEST = 0.02
#: Two frames match if their correlation exceeds that of unrelated frames by this many standard deviations; the largest
#: of a million chance correlations reaches about five.
_BEYOND_CHANCE = 8.0
#: Bins of the Fourier transform around a Bragg spot.
_SPOT = 9
#: A shift is certain if no other correlation peak farther away than `_NEAR` [px] reaches the share `_RIVAL` of its
#: height.
_NEAR, _RIVAL = 4, 2 / 3
#: A shift must also be seen outside the one place that contributes most to it: without a square of `_ONE_PLACE` of the
#: frame's edges, the correlation must still exceed that of unrelated frames by `_ELSEWHERE` standard deviations. Long
#: waves, which the high-pass filter leaves around a bright atom, are removed first with a window of `_WAVES` [px].
_ELSEWHERE, _ONE_PLACE, _WAVES = 5.0, 0.25, 15


def read_frame(movie: Movie, t: int, reach: int) -> NDArray[np.float32]:
    """Read the network input for a `reach`, gaps as NaN: the frame (Y, X), or `with_neighbours`."""
    return with_neighbours(movie, t) if reach else movie.frame(t, gaps=True)


def with_neighbours(movie: Movie, t: int) -> NDArray[np.float32]:
    """Read a frame and its neighbours, shifted by whole pixels to align with it.

    Shifts are not interpolated, because that would correlate the noise of pixels. In place of a neighbour that does not
    exist, cannot be read, or does not match, comes the next nearest frame that does, up to `FARTHEST` away; if there
    are too few, they are repeated, in turn with the frame itself. Pixels that a shifted neighbour does not cover are
    taken from the frame.

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
        If the frame itself cannot be read.

    Warns
    -----
    UserWarning
        If a neighbour cannot be read.
    """
    t = int(t) % len(movie) if -len(movie) <= t < len(movie) else t
    frame = movie.frame(t, gaps=True)
    found = islice(_matching(movie, t, frame), len(OFFSETS))
    planes = dict(zip(_NEAREST, islice(cycle([*found, frame]), len(OFFSETS)), strict=False))
    return np.stack([frame, *(planes[offset] for offset in OFFSETS)])


def average(planes: NDArray[np.float32], reach: int) -> Frame:
    """Average a frame and its neighbours.

    Parameters
    ----------
    planes : (Y, X) or (5, Y, X) float32
        As from `with_neighbours`; a frame alone is its own average.
    reach : int
        Neighbours on each side, from 0 to 2.

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
    """Return the whole-pixel shift (y, x) that aligns another frame with a frame: `measure_shift`, rounded."""
    found = measure_shift(frame, other)
    return None if found is None else (round(found[0]), round(found[1]))


def measure_shift(frame: Frame, other: Frame, sure: bool = False) -> tuple[float, float] | None:
    """Measure the shift that aligns another frame with a frame.

    It is the highest peak of the cross-correlation, under a Hann window and with Bragg spots reduced to the level
    around them: a lattice is unchanged by a shift of one lattice vector, but its defects are not. The position between
    pixels is that of the parabola through the three highest values on each axis.

    Parameters
    ----------
    frame, other : (Y, X) float32
    sure : bool
        Accept only a shift without rival peaks that is seen in more than one place: a single hopping atom is not drift.

    Returns
    -------
    (y, x) float [px], or None
        None if the two do not match or, with `sure`, if the shift is not certain.
    """
    centre = tuple(slice((n - min(n, _SQUARE)) // 2, (n + min(n, _SQUARE)) // 2) for n in frame.shape)
    a, b = (_spectrum(one[centre]) for one in (frame, other))
    shape = frame[centre].shape
    correlation = fft.irfft2(a * np.conj(b), s=shape)
    size = np.sqrt(fft.irfft2(np.abs(a) ** 2, s=shape)[0, 0] * fft.irfft2(np.abs(b) ** 2, s=shape)[0, 0])
    peak = np.unravel_index(correlation.argmax(), shape)
    if not correlation[peak] * np.sqrt(correlation.size) > _BEYOND_CHANCE * size:
        return None
    if sure and not (_without_rival(correlation, peak) and _seen_elsewhere(a, b, peak, shape)):
        return None
    y, x = (
        (int(p) - n if p > n // 2 else int(p)) + _top(np.take(values, [p - 1, p, p + 1], mode="wrap"))
        for p, n, values in zip(peak, shape, (correlation[:, peak[1]], correlation[peak[0]]), strict=True)
    )
    return y, x


def _without_rival(correlation: NDArray[np.float32], peak: tuple[np.intp, ...]) -> bool:
    """Whether all high values of the correlation lie around its peak."""
    centred = np.roll(correlation, [n // 2 - p for n, p in zip(correlation.shape, peak, strict=True)], (0, 1))
    high = ndimage.maximum_filter(centred > _RIVAL * correlation[peak], 2 * _NEAR + 1)
    return bool(ndimage.label(high)[1] == 1)


def _seen_elsewhere(
    a: NDArray[np.complex64], b: NDArray[np.complex64], peak: tuple[np.intp, ...], shape: tuple[int, ...]
) -> bool:
    """Whether two spectra still correlate at a shift without the place that contributes most to it."""
    images = (fft.irfft2(spectrum, s=shape) for spectrum in (a, b))
    one, other = (image - ndimage.uniform_filter(image, _WAVES) for image in images)
    other = np.roll(other, peak, (0, 1))
    side = [max(1, round(n * _ONE_PLACE)) for n in shape]
    agreement = ndimage.uniform_filter(one * other, side, mode="constant")
    y, x = np.unravel_index(agreement.argmax(), shape)
    one[
        max(0, y - side[0] // 2) : y + side[0] // 2 + 1,
        max(0, x - side[1] // 2) : x + side[1] // 2 + 1,
    ] = 0
    rest = one != 0
    size = np.sqrt((one[rest] ** 2).sum() * (other[rest] ** 2).sum())
    return bool((one * other).sum() * np.sqrt(np.count_nonzero(rest)) > _ELSEWHERE * size)


def _top(values: NDArray[np.float32]) -> float:
    """Return the offset of the vertex of the parabola through a peak and its two neighbours, within ±0.5 px."""
    before, at, after = (float(value) for value in values)
    bend = before + after - 2 * at
    # Just below one half, which might round to a pixel other than the peak's.
    return float(np.clip((before - after) / (2 * bend), -0.499, 0.499)) if bend < 0 else 0.0


def _spectrum(square: Frame) -> NDArray[np.complex64]:
    """Return the Fourier transform without low frequencies and Bragg spots, (Y, X // 2 + 1) complex64, read-only."""
    return _spectrum_of(square.astype(np.float32, copy=False).tobytes(), square.shape)


# A frame is registered to all of its neighbours, and they to it. The key is the frame's content, never its number: a
# file may have changed. Each takes 2 MB at most.
@lru_cache(maxsize=4 * FARTHEST)
def _spectrum_of(content: bytes, shape: tuple[int, int]) -> NDArray[np.complex64]:
    square = np.frombuffer(content, np.float32).reshape(shape)
    window = np.multiply.outer(*(np.hanning(n + 2)[1:-1].astype(np.float32) for n in square.shape))
    spectrum: NDArray[np.complex64] = fft.rfft2((square - square.mean()) * window)
    slow = np.hypot(fft.fftfreq(square.shape[0])[:, None], fft.rfftfreq(square.shape[1])[None]) < _SLOWEST
    spectrum[slow] = 0
    amplitude = np.abs(spectrum)
    usual = ndimage.median_filter(amplitude, _SPOT, mode="nearest")
    spectrum *= np.minimum(1, usual / np.maximum(amplitude, 1e-20))
    spectrum.flags.writeable = False
    return spectrum


def _matching(movie: Movie, t: int, frame: Frame) -> Iterator[Frame]:
    """Yield the frames around a frame that match, aligned with it, the nearest first."""
    for other in (t + offset for offset in _NEAREST if 0 <= t + offset < len(movie)):
        try:
            shown = movie.frame(other, gaps=True)
        except InputError as problem:
            warnings.warn(f"Frame {t} is shown without its neighbour {other}: {problem}", stacklevel=3)
            continue
        shift = find_shift(fill_gaps(frame), fill_gaps(shown))
        if shift is not None:
            yield moved_onto(shown, shift, frame)


def moved_onto(other: Frame, shift: tuple[int, int], frame: Frame) -> Frame:
    """Return `other` shifted by (y, x) [px]; where it does not reach or has no value, the frame's pixels."""
    result = frame.copy()
    to, of = overlap(shift, frame.shape)
    result[to] = np.where(np.isnan(other[of]), result[to], other[of])
    return result


def overlap(shift: tuple[int, int], shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the slices that an image shifted by (y, x) [px] covers in a frame, and those it came from."""
    within = [max(-n, min(n, s)) for s, n in zip(shift, shape, strict=True)]
    to = tuple(slice(max(0, s), n + min(0, s)) for s, n in zip(within, shape, strict=True))
    of = tuple(slice(max(0, -s), n + min(0, -s)) for s, n in zip(within, shape, strict=True))
    return to, of
