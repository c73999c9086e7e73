"""Which pixels teach and which ones judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Split:
    """One fold of one split.

    Attributes
    ----------
    train : (N, Y, X) bool
        Known pixels to learn from.
    validate : (N, Y, X) bool
        Known pixels to be judged on; none when training on everything.
    area : (Y, X) bool
        Where tiles may lie, known or not: everything but the validation block and the guard band around it.
    """

    train: npt.NDArray[np.bool_]
    validate: npt.NDArray[np.bool_]
    area: npt.NDArray[np.bool_]
