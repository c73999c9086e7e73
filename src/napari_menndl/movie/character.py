"""Properties of a frame that a network depends on: sign of the contrast, noise, lattice spacing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import fft, ndimage

from napari_menndl.serialization import decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Edge of the central square that is measured [px].
EDGE = 384
#: Gaussian sigmas [px] whose differences are the bands that the skewness is measured in.
_BLURS = (0.5, 1.0, 2.0, 4.0, 8.0)
#: Skewness from which a band has a sign, and relative skewness below which the contrast counts as inverted. That of a
#: lattice of bright columns is about 2.5 in simulated movies at any SNR from 1.5 to 10, that of noise below 0.1.
#: Inverted, it is as far below 0; frames of a movie, even with holes, and fresh areas differ by a fifth of it.
_SIGNED, _TURNED = 0.4, -0.5
#: Ratio of the relative noise to that of the training frames from which a frame counts as noisier. Half the SNR, a
#: quarter of the dose, gives 1.7 (0.33 at SNR 3, 0.56 at 1.5; 0.21 at 5, 0.11 at 10); from the first to the last of 20
#: frames in which holes grow the ratio is up to 1.12, on a fresh area 1.05.
_NOISIER = 1.6
#: Smallest relative noise that counts as noise; compressed and smoothed frames lie below it, too.
_NOISE = 0.05
#: Rings of spatial frequency per octave; distance of the rings that a ring is compared with, a third of an octave below
#: and above; and the ratio of a ring's strongest pixel to their mean from which it has Bragg spots: the strongest of a
#: thousand pixels of speckle reach 7, Bragg spots hundreds.
_BINS, _AROUND, _SPOTTED = 12, 4, 20.0
#: Fewest periods of a lattice in the frame; the window alone has a width of two.
_LOWEST = 6.0
#: Highest spatial frequency [1/px]; fewest pixels in a ring for a mean.
_HIGHEST, _FEW = 0.48, 8
#: Smallest intensity of a spot relative to the strongest; largest difference in octaves (15 %) of spots of the same
#: lattice.
_SHARE, _SAME = 0.03, 0.2


@dataclass(frozen=True)
class Character:
    """Properties of a frame, in a few numbers.

    Attributes
    ----------
    skewness : tuple of float
        Skewness of the grey values in bands from fine to coarse; its sign is that of the contrast.
    noise : float
        Standard deviation of the noise, relative to that of the frame.
    spots : tuple of float [1/px]
        Spatial frequencies of the lattice's reflections, strongest first; empty without a lattice.
    """

    skewness: tuple[float, ...]
    noise: float
    spots: tuple[float, ...]

    @classmethod
    def of(cls, frame: NDArray[np.float32]) -> Character | None:
        """Measure a frame (Y, X); None if it is too small, has many gaps (NaN), or no contrast."""
        part = np.asarray(middle(frame, EDGE, EDGE), np.float32)
        gaps = np.isnan(part)
        if min(part.shape) < 32 or gaps.mean() > 0.2:
            return None
        part = np.where(gaps, np.float32(part[~gaps].mean()), part)
        spread = float(part.std())
        if not np.isfinite(spread) or spread <= 0:
            return None
        part = (part - part.mean()) / spread
        return cls(_skewness(part), _noise(part), _spots(part))

    def departures(self, frame: Character) -> dict[str, str]:
        """Describe how another frame differs, as far as it matters to a network: kind to description."""
        found = {}
        band = int(np.argmax(np.abs(self.skewness)))
        here, there = self.skewness[band], frame.skewness[band]
        if abs(here) > _SIGNED and there / here < _TURNED:
            now, then = ("dark", "bright") if here > 0 else ("bright", "dark")
            found["contrast"] = f"its contrast is turned over, {now} where it was {then}; invert the movie"
        if not (self.spots and frame.spots):
            return found  # without a lattice, noise relative to the contrast is meaningless
        noisier = frame.noise / max(self.noise, _NOISE)
        if noisier > _NOISIER:
            found["noise"] = (
                f"it is {noisier:.1f} times as noisy, against its contrast; average frames, or train on such a frame"
            )
        # Another reflection of the same lattice may be the strongest, but both are present.
        if not (_among(frame.spots[0], self.spots) and _among(self.spots[0], frame.spots)):
            ratio = self.spots[0] / frame.spots[0]
            found["lattice"] = f"its lattice is {ratio:.2g} times as wide in pixels; check the pixel size"
        return found

    def to_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = encode(self)
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Character:
        """Read what `to_json` wrote; raises ValueError for anything else."""
        read: Character = decode(cls, data, "character of a frame")
        if len(read.skewness) != len(_BLURS) or not all(spot > 0 for spot in read.spots):
            raise ValueError("no character of a frame")
        return read


def middle(frame: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return the centre of a frame (Y, X), at most this many pixels high and wide."""
    top, left = max(0, (frame.shape[0] - height) // 2), max(0, (frame.shape[1] - width) // 2)
    return frame[top : top + height, left : left + width]


def _skewness(part: NDArray[np.float32]) -> tuple[float, ...]:
    found, finer = [], part
    for blur in _BLURS:
        coarser = ndimage.gaussian_filter(part, blur)
        band = finer - coarser
        band -= band.mean()
        variance = float((band**2).mean())
        found.append(float((band**3).mean()) / variance**1.5 if variance > 0 else 0.0)
        finer = coarser
    return tuple(round(one, 4) for one in found)


def _noise(part: NDArray[np.float32]) -> float:
    """Estimate noise from second differences, small in a smooth image (Immerkær 1996, 10.1006/cviu.1996.0060)."""
    mask = np.outer((1, -2, 1), (1, -2, 1)).astype(np.float32)
    rough = ndimage.convolve(part, mask)
    return round(1.4826 * float(np.median(np.abs(rough - np.median(rough)))) / 6, 4)


def _spots(part: NDArray[np.float32]) -> tuple[float, ...]:
    window = np.outer(*(np.hanning(size) for size in part.shape)).astype(np.float32)
    power = np.abs(fft.rfft2(part * window)) ** 2
    rows, columns = fft.fftfreq(part.shape[0]), fft.rfftfreq(part.shape[1])
    frequency = np.hypot(rows[:, None], columns[None])
    lowest = _LOWEST / min(part.shape)
    inside = (frequency >= lowest) & (frequency < _HIGHEST)
    ring = np.floor(_BINS * np.log2(frequency[inside] / lowest)).astype(int)
    values = power[inside]
    count = np.bincount(ring)
    mean = np.where(count < _FEW, np.inf, np.bincount(ring, values) / np.maximum(count, 1))
    strongest = np.zeros(mean.size)
    np.maximum.at(strongest, ring, values)
    # A geometric mean, so that a slope over frequency, as from holes and thickness, cancels.
    around = np.sqrt(mean[: -2 * _AROUND] * mean[2 * _AROUND :])
    height = strongest[_AROUND:-_AROUND] / np.maximum(around, np.finfo(float).tiny)
    spotted = _AROUND + np.flatnonzero(height > _SPOTTED)
    if not spotted.size:
        return ()
    spotted = spotted[np.argsort(-strongest[spotted], kind="stable")]
    kept = [r for r in spotted if strongest[r] >= _SHARE * strongest[spotted[0]]]
    return tuple(round(float(lowest * 2 ** ((r + 0.5) / _BINS)), 5) for r in kept)


def _among(spot: float, spots: tuple[float, ...]) -> bool:
    return any(abs(np.log2(spot / one)) <= _SAME for one in spots)
