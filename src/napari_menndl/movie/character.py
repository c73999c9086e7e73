"""Properties of a frame that a network depends on: sign of the contrast, noise, spacing and angles of the lattice."""

from __future__ import annotations

import math
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
#: Ratio below which it counts as smoother: ten times the dose gives 0.32 to 0.35 at any SNR from 2 to 5, three times
#: the dose 0.58, twice the SNR 0.53.
_SMOOTHER = 0.45
#: Smallest relative noise that counts as noise; compressed and smoothed frames lie below it, too.
_NOISE = 0.05
#: Rings of spatial frequency per octave; distance of the rings that a ring is compared with, a third of an octave below
#: and above; and the ratio of a ring's strongest pixel to their mean from which it has Bragg spots: the strongest of a
#: thousand pixels of speckle reach 7, Bragg spots hundreds.
_BINS, _AROUND, _SPOTTED = 12, 4, 20.0
#: Fewest periods of a lattice in the frame; the window alone has a width of two. Fewest of which a spot is surely seen:
#: it takes the rings `_AROUND` below, so 6 × 2^(4/12) = 7.6.
_LOWEST, _SEEN = 6.0, 8.0
#: Highest spatial frequency [1/px]; fewest pixels in a ring for a mean.
_HIGHEST, _FEW = 0.48, 8
#: Smallest intensity of a spot relative to the strongest; largest difference in octaves (9 %) of spots of the same
#: lattice: pixel sizes are often wrong by a few per cent, and drift and scan errors shear a lattice by as much.
_SHARE, _SAME = 0.03, 0.12
#: Width of a spot at half its height in pixels of the spectrum, by the window (Harris 1978, 10.1109/PROC.1978.10837):
#: nearer ones are not told apart, so that fewer than 17 planes in a frame allow a larger difference.
_WIDTH = 1.44
#: Smallest intensity, relative to the strongest, of the spots whose directions are compared; smallest angle between
#: two, since one spot may have two peaks; and largest difference of angles that are the same [°].
_FIRST, _APART, _TURNED_BY = 0.25, 15.0, 8.0
#: Number of peaks of the spectrum that are looked at.
_MOST = 64


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
    angles : tuple of float [°]
        Angles, up to 90°, between its strongest reflections of equal frequency: 60 for a hexagonal lattice; empty if
        there is only one, and in files of earlier versions.
    size : int [px]
        Shorter edge of what was measured: which lattices could be seen, and how exactly.
    """

    skewness: tuple[float, ...]
    noise: float
    spots: tuple[float, ...]
    angles: tuple[float, ...] = ()
    size: int = EDGE

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
        return cls(_skewness(part), _noise(part), *_reflections(part), min(part.shape))

    def departures(self, frame: Character) -> dict[str, str]:
        """Describe how another frame differs, as far as it matters to a network: kind to description."""
        found = {}
        band = int(np.argmax(np.abs(self.skewness)))
        here, there = self.skewness[band], frame.skewness[band]
        if abs(here) > _SIGNED and there / here < _TURNED:
            now, then = ("dark", "bright") if here > 0 else ("bright", "dark")
            found["contrast"] = f"its contrast is turned over, {now} where it was {then}; invert the movie"
        if not (self.spots and frame.spots):
            if self.spots and frame._sees(self.spots[0]):
                found["lattice"] = "no lattice is visible in it; check focus, material and field of view"
            elif frame.spots and self._sees(frame.spots[0]):
                found["lattice"] = "a lattice is visible in it, where there was none; check material and field of view"
            return found  # without a lattice, noise relative to the contrast is meaningless
        noisier = max(frame.noise, _NOISE) / max(self.noise, _NOISE)
        if noisier > _NOISIER:
            found["noise"] = (
                f"it is {noisier:.1f} times as noisy, against its contrast; average frames, or train on such a frame"
            )
        elif noisier < _SMOOTHER:
            found["noise"] = (
                f"it is {1 / noisier:.1f} times less noisy, against its contrast; check the thresholds on a frame, or "
                "train on such a frame"
            )
        # Another reflection of the same lattice may be the strongest, but both are present if they can be seen.
        size = min(self.size, frame.size)
        if any(
            other._sees(one.spots[0]) and not _among(one.spots[0], other.spots, size)
            for one, other in ((self, frame), (frame, self))
        ):
            ratio = self.spots[0] / frame.spots[0]
            found["lattice"] = f"its lattice is {ratio:.2g} times as wide in pixels; check pixel size and material"
        elif self.angles and frame.angles and not _alike(self.angles, frame.angles):
            found["lattice"] = (
                f"its lattice has an angle of {frame.angles[0]:.0f}°, not {self.angles[0]:.0f}°; check the material"
            )
        return found

    def _sees(self, spot: float) -> bool:
        """Whether the frame holds enough periods of a lattice for its spot to be noticed."""
        return spot * self.size >= _SEEN

    def lines(self, pixel_size: tuple[float, float] | None = None) -> list[str]:
        """Describe the frames that do not depart from this one, a line for each property.

        Parameters
        ----------
        pixel_size : (y, x) float [nm], optional
            Of this frame.
        """
        strongest = max(self.skewness, key=abs)
        sign = (
            ("bright on dark" if strongest > 0 else "dark on bright") if abs(strongest) > _SIGNED else "no clear sign"
        )
        lines = [f"contrast: {sign}"]
        if not self.spots:
            return [*lines, "no lattice"]
        # The relative noise goes as one over the square root of the dose.
        noise = max(self.noise, _NOISE)
        lines.append(
            f"noise of {_SMOOTHER * noise:.2g} to {_NOISIER * noise:.2g} times the frame's standard deviation, about "
            f"{_NOISIER**-2:.1f} to {_SMOOTHER**-2:.0f} times the dose; trained at {self.noise:.2g}"
        )
        period = 1 / self.spots[0]
        nm = f" = {period * math.sqrt(math.prod(pixel_size)):.3g} nm" if pixel_size else ""
        within = 100 * (2 ** _same(self.spots[0], self.size) - 1)
        angles = f", at {' and '.join(f'{angle:.0f}°' for angle in self.angles)}" if self.angles else ""
        return [*lines, f"lattice planes {period:.3g} px{nm} apart{angles}, within {within:.0f} %"]

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


def _reflections(part: NDArray[np.float32]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the `spots` and `angles` of a frame."""
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
        return (), ()
    inside[inside] = np.isin(ring, spotted)
    peaks = _peaks(power, inside, rows, columns)
    spots: list[float] = []
    for _, radius, _ in peaks:
        if not _among(radius, tuple(spots)):
            spots.append(radius)
    first = [turn for height, radius, turn in peaks if height >= _FIRST * peaks[0][0] and _among(radius, (spots[0],))]
    between = [abs((a - b + 90) % 180 - 90) for i, a in enumerate(first) for b in first[:i]]
    angles: list[float] = []
    for angle in between:
        if angle >= _APART and not _alike((angle,), tuple(angles)):
            angles.append(angle)
    return tuple(round(one, 5) for one in spots), tuple(round(one, 1) for one in sorted(angles))


def _peaks(
    power: NDArray[np.floating], inside: NDArray[np.bool_], rows: NDArray[np.floating], columns: NDArray[np.floating]
) -> list[tuple[float, float, float]]:
    """Return local maxima of half a power spectrum in a mask, highest first, down to `_SHARE` of the highest.

    Returns
    -------
    list of (float, float, float)
        Height, spatial frequency [1/px] and direction [°].
    """
    once = np.where(inside, power, 0.0)
    once[rows < 0, 0] = 0  # of two opposite ones along the axis, one
    highest = np.flatnonzero((once == ndimage.maximum_filter(power, 3, mode="wrap")) & (once >= _SHARE * once.max()))
    highest = highest[np.argsort(-once.ravel()[highest], kind="stable")][:_MOST]
    found = []
    for y, x in zip(*np.unravel_index(highest, once.shape), strict=True):
        # The centre of gravity of the peak: between the pixels of the spectrum.
        near = np.ix_([y - 1, y, (y + 1) % len(rows)], [abs(x - 1), x, min(x + 1, len(columns) - 1)])
        weight = power[near] / power[near].sum()
        dy, dx = (weight * [[-1], [0], [1]]).sum(), (weight * [[-1, 0, 1]]).sum()
        ky, kx = rows[y] + dy * abs(rows[1]), columns[x] + dx * columns[1]
        found.append((float(power[y, x]), math.hypot(ky, kx), math.degrees(math.atan2(ky, kx))))
    return found


def _same(spot: float, size: float) -> float:
    """Return the difference [octaves] up to which a spot may be another's, in a spectrum of `size` pixels."""
    return max(_SAME, math.log2(1 + _WIDTH / (spot * size)))


def _among(spot: float, spots: tuple[float, ...], size: float = math.inf) -> bool:
    return any(abs(math.log2(spot / one)) <= _same(spot, size) for one in spots)


def _alike(angles: tuple[float, ...], others: tuple[float, ...]) -> bool:
    return any(abs(one - other) <= _TURNED_BY for one in angles for other in others)
