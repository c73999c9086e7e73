"""Drawing of discs around points, and counting of defects."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_menndl.metrics.components import label_components

#: Clicks of one class closer than this are one defect [px]: with a gap between them too little of two would be left.
SAME_DEFECT = 4.0


def draw_discs(
    centres: npt.NDArray[np.float64],
    values: npt.NDArray[np.uint8],
    shape: tuple[int, int],
    radius: float | npt.NDArray[np.float64],
) -> npt.NDArray[np.uint8]:
    """Draw discs around points, one defect each.

    Where discs overlap, a pixel belongs to the nearest point. Discs of one class are separated by a line of zeros, just
    wide enough at its angle to block an 8-connected path, so that they stay two components. Clicks closer than
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
    # The clicked pixel is always marked, even by a click between four pixels with a radius below half a diagonal.
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
    """Return the number of defects in a frame's labels (Y, X): connected components of each class."""
    return sum(len(label_components(labels == value, min_area=1)) for value in np.unique(labels[labels > 0]))
