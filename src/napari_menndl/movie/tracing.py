"""Where something in a prepared movie is in its file, and in the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_menndl.movie.preparation import Drift

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_menndl.movie.preparation import Step


class Origin(NamedTuple):
    """Where something in a prepared frame is in the file.

    Attributes
    ----------
    frame : int
        Of the file; the first of those that were averaged.
    in_file : (n, 2) float64
        (y, x) in that frame [px of the file].
    in_sample : (n, 2) float64
        (y, x) with the drift undone to fractions of a pixel: where it lies in the first frame [px of the file].
    """

    frame: int
    in_file: NDArray[np.float64]
    in_sample: NDArray[np.float64]


def trace(steps: Sequence[Step], t: int, points: NDArray[np.float64]) -> Origin:
    """Find where points in a prepared frame are in the file.

    Parameters
    ----------
    steps : sequence of Step
        Settled, as those of a `Movie`.
    t : int
        Frame of the prepared movie.
    points : (n, 2) float
        (y, x) [px].

    Returns
    -------
    Origin
    """
    frames = [int(t)]
    in_file = in_sample = np.asarray(points, np.float64).reshape(-1, 2)
    for step in reversed(steps):
        frames = [k for after in frames for k in step.frames_before(after)]
        in_file = step.points_before(in_file, frames[0])
        in_sample = (
            in_sample + step.rest(frames) if isinstance(step, Drift) else step.points_before(in_sample, frames[0])
        )
    return Origin(frames[0], in_file, in_sample)
