"""How the defects of an annotated class are to be counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.metrics.detection import MatchRule

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_menndl.annotation.classes import DefectClass

#: Where nothing is annotated to take a tolerance from [px].
FALLBACK = 3.0


def make_detector(
    defect: DefectClass, areas: npt.NDArray[np.int64], pixel_size: tuple[float, float] | None
) -> MatchRule:
    """A detector with the class's own tolerance or, where it has none, one from the size of what is annotated.

    Parameters
    ----------
    defect : DefectClass
    areas : (n,) int64 [px]
        Of its annotated defects.
    pixel_size : (y, x) float [nm] or None

    Returns
    -------
    MatchRule
        Tolerance in px. Smallest area 3 px, or less where the annotated ones are mostly smaller: they must not be too
        small to be found.
    """
    area = float(np.median(areas)) if len(areas) else None
    if defect.tolerance is None:
        tolerance = FALLBACK if area is None else max(1.0, 1.5 * float(np.sqrt(area / np.pi)))
    else:
        tolerance = defect.tolerance / (1.0 if pixel_size is None else float(np.sqrt(np.prod(pixel_size))))
    return MatchRule(float(tolerance), defect.extended, 3 if area is None else max(1, min(3, int(area))))
