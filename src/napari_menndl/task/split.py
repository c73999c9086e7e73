"""Division of the pixels into those for training and those for validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Split:
    """Training and validation pixels of one fold of one split.

    Attributes
    ----------
    train : (N, Y, X) bool
        Known pixels to train on.
    validate : (N, Y, X) bool
        Known pixels to validate on; none when training on all labels.
    area : (Y, X) bool
        Area for tiles, known or not: everything except the validation block and the guard band around it.
    """

    train: npt.NDArray[np.bool_]
    validate: npt.NDArray[np.bool_]
    area: npt.NDArray[np.bool_]
