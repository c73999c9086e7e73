"""Match rule of an annotated class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.metrics.detection import MatchRule

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_menndl.annotation.classes import DefectClass

#: Tolerance of a class that has neither a tolerance nor annotated defects [px].
FALLBACK = 3.0


def make_detector(
    defect: DefectClass, areas: npt.NDArray[np.int64], pixel_size: tuple[float, float] | None
) -> MatchRule:
    """Return the match rule of a class, with its own tolerance or one from the size of its annotated defects.

    Parameters
    ----------
    defect : DefectClass
    areas : (n,) int64 [px]
        Areas of its annotated defects.
    pixel_size : (y, x) float [nm] or None

    Returns
    -------
    MatchRule
        Tolerance in px. The smallest area is 3 px, or the median area of the annotated defects if that is smaller, so
        that these are not too small to be found.
    """
    area = float(np.median(areas)) if len(areas) else None
    if defect.tolerance is None:
        tolerance = FALLBACK if area is None else max(1.0, 1.5 * float(np.sqrt(area / np.pi)))
    else:
        tolerance = defect.tolerance / (1.0 if pixel_size is None else float(np.sqrt(np.prod(pixel_size))))
    return MatchRule(float(tolerance), defect.extended, 3 if area is None else max(1, min(3, int(area))))
