"""Connected components of a mask, with centres and areas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Components:
    """The connected components of one mask, numbered 1 to n in `labels` and 0 to n - 1 everywhere else.

    Attributes
    ----------
    labels : (Y, X) int32
        0 where there is no component.
    centres : (n, 2) float64 [px]
        Centroids (y, x).
    areas : (n,) int64 [px]
    """

    labels: NDArray[np.int32]
    centres: NDArray[np.float64]
    areas: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.areas)

    def anchors(self) -> NDArray[np.intp]:
        """Return one pixel of each component, which represents its position.

        Returns
        -------
        (n, 2) intp [px]
            The rounded centroid or, if the component does not contain it, the pixel of it nearest to the centroid.
        """
        limit = np.array(self.labels.shape) - 1
        anchors = np.clip(np.rint(self.centres).astype(np.intp), 0, limit)
        astray = np.flatnonzero(self.labels[anchors[:, 0], anchors[:, 1]] != np.arange(1, len(self) + 1))
        if len(astray):
            boxes = ndimage.find_objects(self.labels)
            for index in astray:
                corner = [side.start for side in boxes[index]]
                pixels = np.argwhere(self.labels[boxes[index]] == index + 1) + corner
                anchors[index] = pixels[np.argmin(((pixels - self.centres[index]) ** 2).sum(axis=1))]
        return anchors

    def lie_inside(self, inside: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        """Return whether each component belongs to an area, that is, whether its anchor lies in it.

        Parameters
        ----------
        inside : (Y, X) bool, or None for everywhere

        Returns
        -------
        (n,) bool
        """
        if inside is None:
            return np.ones(len(self), dtype=bool)
        anchors = self.anchors()
        return np.asarray(inside[anchors[:, 0], anchors[:, 1]], dtype=bool)


def label_components(mask: NDArray[np.bool_], min_area: int = 3) -> Components:
    """Find the connected components of a mask; diagonal neighbours are connected.

    Parameters
    ----------
    mask : (Y, X) bool
    min_area : int [px]
        Smaller components are dropped, and the others renumbered.

    Returns
    -------
    Components
    """
    numbered, n = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    labels = np.asarray(numbered, dtype=np.int32)
    y, x = np.nonzero(labels)
    members = labels[y, x]
    areas = np.bincount(members, minlength=n + 1)
    kept = np.flatnonzero(areas[1:] >= min_area) + 1
    divisor = np.maximum(areas, 1)
    centres = np.stack([np.bincount(members, weights=axis, minlength=n + 1) / divisor for axis in (y, x)], axis=1)
    if len(kept) < n:
        renumbered = np.zeros(n + 1, dtype=np.int32)
        renumbered[kept] = np.arange(1, len(kept) + 1)
        labels = renumbered[labels]
    return Components(labels, centres[kept], areas[kept].astype(np.int64))
