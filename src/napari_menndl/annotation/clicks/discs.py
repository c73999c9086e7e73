"""Discs around points, and how many defects they make."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_menndl.metrics.components import label_components

#: Clicks of one class nearer than this are one defect [px]: a gap between them would leave too little of two.
SAME_DEFECT = 4.0


def draw_discs(
    centres: npt.NDArray[np.float64],
    values: npt.NDArray[np.uint8],
    shape: tuple[int, int],
    radius: float | npt.NDArray[np.float64],
) -> npt.NDArray[np.uint8]:
    """Discs around points, one defect each.

    Where discs meet, a pixel belongs to the nearest point, and between discs of one class a line of zeros is left so
    that they stay two components: as wide as blocking an 8-connected path at its angle takes. Clicks nearer than
    `SAME_DEFECT` are one defect.

    Parameters
    ----------
    centres : (n, 2) float64
        (y, x) [px].
    values : (n,) uint8
        Label of each disc.
    shape : (Y, X)
    radius : float or (n,) float [px]

    Returns
    -------
    (Y, X) uint8
    """
    labels = np.zeros(shape, np.uint8)
    if not len(centres):
        return labels
    radii = np.broadcast_to(radius, len(centres))
    reach = int(np.ceil(radii.max())) + 1
    steps = np.indices((2 * reach + 1, 2 * reach + 1)).reshape(2, -1).T - reach
    pixels = np.unique((np.rint(centres).astype(int)[:, None] + steps).reshape(-1, 2), axis=0)
    pixels = pixels[((pixels >= 0) & (pixels < shape)).all(axis=1)]
    neighbours = min(len(centres), 6)
    distance, index = map(np.asarray, cKDTree(centres).query(pixels, k=np.arange(1, neighbours + 1)))
    near = index[:, 0]
    keep = distance[:, 0] <= radii[near]
    # A click between four pixels, or with a radius below half a pixel's diagonal, still marks the pixel it hit.
    keep |= (np.rint(centres[near]).astype(int) == pixels).all(axis=1)
    for k in range(1, neighbours):
        apart = centres[index[:, k]] - centres[near]
        separation = np.hypot(*apart.T)
        with np.errstate(divide="ignore", invalid="ignore"):
            to_border = (distance[:, k] ** 2 - distance[:, 0] ** 2) / (2 * separation)
            half_width = np.abs(apart).sum(axis=1) / (2 * separation)
            gap = (
                (to_border <= half_width + 1e-9)
                & (separation >= SAME_DEFECT)
                & (distance[:, k] <= radii[index[:, k]] + 2)
            )
        keep &= ~(gap & (values[index[:, k]] == values[near]))
    pixels, near = pixels[keep], near[keep]
    labels[pixels[:, 0], pixels[:, 1]] = values[near]
    return labels


def count_defects(labels: npt.NDArray[np.uint8]) -> int:
    """Count the defects in a frame's labels (Y, X): connected pixels of one class are one."""
    return sum(len(label_components(labels == value, min_area=1)) for value in np.unique(labels[labels > 0]))
