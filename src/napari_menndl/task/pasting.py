"""Copies of a labelled frame with its defects pasted at other places whose surroundings look alike.

Copy-paste augmentation (Ghiasi et al. 2021, https://doi.org/10.1109/CVPR46437.2021.00294), but where the same sites of
a lattice are: elsewhere a pasted defect would be recognised by columns that do not continue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft, ndimage

from napari_menndl.metrics.components import label_components

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Labels = NDArray[np.uint8]
    Mask = NDArray[np.bool_]

#: Number of times that each class is pasted at least into one copy, if it has fewer defects; most defects of a class
#: that are copied.
LEAST, _MOST = 12, 24
#: What is pasted: a disc this much larger than the defect, and a rim over which it passes into the frame [px]; larger
#: defects are not pasted [px].
_MARGIN, _RIM, _LARGEST = 2, 3, 25
#: Width of the surroundings that are compared [px], after smoothing by a Gaussian [px].
_SURROUNDINGS, _SMOOTHING = 12, 1.0
#: Least correlation of places alike (between the same sites of a lattice it is 0.9 and more, on an amorphous support
#: 0.6), side of the square in which one is the best [px], and number of places: with fewer it is by chance that they
#: are alike, and nothing is pasted.
_ALIKE, _APART, _FEWEST, _PLACES = 0.9, 9, 8, 40


@dataclass(frozen=True, eq=False)
class _Donor:
    """A defect that can be pasted.

    Attributes
    ----------
    value : int
        Its label.
    centre : (2,) int [px]
    radius : float [px]
        Of the disc that is pasted, without its rim.
    drawn : (D, D) bool
        Its labelled pixels in a square around the centre.
    places : (n, 2) int [px]
        Centres of the places alike.
    """

    value: int
    centre: NDArray[np.intp]
    radius: float
    drawn: Mask
    places: NDArray[np.intp]


def paste_defects(
    planes: Image, labels: Labels, known: Mask, copies: int, rng: np.random.Generator
) -> tuple[Image, Labels]:
    """Make copies of a frame with defects pasted at other places.

    Parameters
    ----------
    planes : (P, Y, X) float32
        A frame, with its neighbours if it has any; what is pasted is taken from all of them.
    labels : (Y, X) uint8
    known : (Y, X) bool
        Pixels whose labels are known; only these are looked at, copied and pasted on.
    copies : int
    rng : Generator

    Returns
    -------
    planes : (copies, P, Y, X) float32
    labels : (copies, Y, X) uint8
    """
    donors = list(_donors(planes, labels, known, rng))
    many = np.repeat(planes[None], copies, axis=0)
    drawn = np.repeat(labels[None], copies, axis=0)
    for copy, marked in zip(many, drawn, strict=True):
        free = labels == 0
        for donor in _drawn_often(donors, rng):
            for place in rng.permutation(donor.places):
                square = _square(place, len(donor.drawn) // 2)
                if free[square].all():
                    _paste(copy, planes, donor.centre, place, donor.radius)
                    marked[square][donor.drawn] = donor.value
                    free[square] = False
                    break
    return many, drawn


def _drawn_often(donors: list[_Donor], rng: np.random.Generator) -> list[_Donor]:
    """Draw as many defects of each class as there are, at least `LEAST`, in random order."""
    values = np.array([donor.value for donor in donors])
    kinds = [np.flatnonzero(values == value) for value in np.unique(values)]
    chosen = [rng.choice(own, max(LEAST, len(own))) for own in kinds]
    return [donors[number] for number in rng.permutation(np.concatenate(chosen))] if chosen else []


def _paste(onto: Image, planes: Image, centre: NDArray[np.intp], place: NDArray[np.intp], radius: float) -> None:
    """Paste the disc around a centre of planes (P, Y, X) onto a place, at the grey level around that."""
    size = math.ceil(radius + _RIM)
    distance = _distances(size)
    share = np.clip((radius + _RIM - distance) / _RIM, 0, 1).astype(np.float32)
    rim = (distance > radius) & (share > 0)
    disc, there = planes[:, *_square(centre, size)], onto[:, *_square(place, size)]
    level = (there[:, rim] - disc[:, rim]).mean(axis=1)
    there += share * (disc + level[:, None, None] - there)


def _donors(planes: Image, labels: Labels, known: Mask, rng: np.random.Generator) -> Iterator[_Donor]:
    """Find the defects that can be pasted somewhere."""
    labels = np.where(known, labels, 0)
    if not labels.any():
        return
    image = planes.mean(axis=0, dtype=np.float64)
    level, spread = image[known].mean(), image[known].std()
    image = ndimage.gaussian_filter(np.where(known, image - level, 0) / max(spread, 1e-12), _SMOOTHING)
    room = ndimage.distance_transform_edt((labels == 0) & known)
    for value in np.unique(labels[labels > 0]):
        defects = label_components(labels == value, 1)
        for number in rng.permutation(len(defects))[:_MOST]:
            centre, mask = np.rint(defects.centres[number]).astype(np.intp), defects.labels == number + 1
            extent = float(np.hypot(*(np.argwhere(mask) - centre).T).max())
            radius = max(extent, 2) + _MARGIN
            size = math.ceil(radius + _RIM)
            if extent > _LARGEST or (centre < size).any() or (centre + size >= labels.shape).any():
                continue
            square = _square(centre, size)
            others = (labels[square] > 0) & ~mask[square] & (_distances(size) <= radius)
            if known[square].all() and not others.any():
                places = _places_alike(image, known, room > radius + _RIM, centre, radius)
                if len(places) >= _FEWEST:
                    yield _Donor(int(value), centre, radius, mask[square], places)


def _places_alike(
    image: NDArray[np.float64], known: Mask, free: Mask, centre: NDArray[np.intp], radius: float
) -> NDArray[np.intp]:
    """Return (n, 2) int: free places whose surroundings correlate with those of a centre, the most alike first."""
    size = math.ceil(radius + _SURROUNDINGS)
    square = _square(centre + size, size)
    distance = _distances(size)
    # Of the surroundings, what is known.
    ring = ((distance > radius) & (distance <= radius + _SURROUNDINGS)) * np.pad(known.astype(float), size)[square]
    count = ring.sum()
    template = np.pad(image, size)[square]
    template = (template - (template * ring).sum() / count) * ring
    spread = _correlate(image**2, ring) - _correlate(image, ring) ** 2 / count
    # The image has a standard deviation of 1; where the surroundings are flat, nothing is alike.
    alike = _correlate(image, template) / np.sqrt(np.maximum(spread * (template**2).sum(), 1e-6))
    edge = math.ceil(radius + _RIM)
    free = free & (_correlate(known.astype(float), ring) > count - 0.5)
    alike[~np.pad(free[edge:-edge, edge:-edge], edge)] = -1
    peaks = np.argwhere((ndimage.maximum_filter(alike, _APART) == alike) & (alike > _ALIKE))
    return peaks[np.argsort(-alike[tuple(peaks.T)], kind="stable")][:_PLACES]


def _correlate(image: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlate with a kernel of odd sides; the image is 0 outside."""
    # Not by scipy.signal, whose import takes a trainer half a second.
    size, (y, x) = len(kernel) // 2, image.shape
    padded = (fft.next_fast_len(y + 2 * size, real=True), fft.next_fast_len(x + 2 * size, real=True))
    full: NDArray[np.float64] = fft.irfft2(fft.rfft2(image, padded) * fft.rfft2(kernel[::-1, ::-1], padded), padded)
    return full[size : size + y, size : size + x]


def _square(centre: NDArray[np.intp], size: int) -> tuple[slice, slice]:
    y, x = (slice(int(c) - size, int(c) + size + 1) for c in centre)
    return y, x


def _distances(size: int) -> NDArray[np.float64]:
    """(2 * size + 1, 2 * size + 1) float64: distance from the centre [px]."""
    distance: NDArray[np.float64] = np.hypot(*np.mgrid[-size : size + 1, -size : size + 1])
    return distance
