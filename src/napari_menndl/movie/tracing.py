"""Coordinates in a prepared movie, traced back to the recorded file and to the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_menndl.movie.preparation import Drift

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from napari_menndl.movie.movie import Step

#: Columns added to the defect table of a prepared movie, in frames and pixels of the file: the frame (the first of
#: those averaged), the centre in it, and the centre in the sample, with the drift undone to fractions of a pixel; both
#: [px] and, where the pixel size is known, [nm].
ORIGIN_COLUMNS = (
    "frame_file",
    *("y_file", "x_file", "y_file_nm", "x_file_nm"),
    *("y_sample", "x_sample", "y_sample_nm", "x_sample_nm"),
)


class Origin(NamedTuple):
    """Position of points of a prepared frame in the file.

    Attributes
    ----------
    frame : int
        Number in the file; the first of those that were averaged.
    in_file : (n, 2) float64
        (y, x) in that frame [px of the file].
    in_sample : (n, 2) float64
        (y, x) with the drift undone to fractions of a pixel: the position in the first frame [px of the file].
    """

    frame: int
    in_file: NDArray[np.float64]
    in_sample: NDArray[np.float64]


def recorded_frames(steps: Sequence[Step], t: int) -> list[int]:
    """Return the numbers of the recorded frames that a prepared frame is made of."""
    frames = [int(t)]
    for step in reversed(steps):
        frames = [k for after in frames for k in step.frames_before(after)]
    return frames


def trace(steps: Sequence[Step], t: int, points: NDArray[np.float64]) -> Origin:
    """Trace points in a prepared frame back to the file.

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


def with_origin(
    table: pd.DataFrame, steps: Sequence[Step], pixel_size: tuple[float, float] | None = None
) -> pd.DataFrame:
    """Add `ORIGIN_COLUMNS` to a table of defects if the movie was prepared; otherwise return it unchanged.

    Parameters
    ----------
    table : DataFrame
        Defects of one frame, whose number is in the column ``frame``; centres in ``y`` and ``x`` [px].
    steps : sequence of Step
    pixel_size : (y, x) float [nm], optional
        Pixel size of the prepared movie.
    """
    if not steps:
        return table
    if not len(table):
        kinds = ["int64", *["float64"] * (len(ORIGIN_COLUMNS) - 1)]
        return table.assign(**{n: np.empty(0, kind) for n, kind in zip(ORIGIN_COLUMNS, kinds, strict=True)})
    t = int(table["frame"].iloc[0])
    origin = trace(steps, t, table[["y", "x"]].to_numpy())
    corner, opposite = trace(steps, t, np.array([[0.0, 0.0], [1.0, 1.0]])).in_file
    scale = np.array(pixel_size or (np.nan, np.nan)) / (opposite - corner)  # [nm] per pixel of the file
    values = (
        np.full(len(table), origin.frame),
        *origin.in_file.T,
        *(origin.in_file * scale).T,
        *origin.in_sample.T,
        *(origin.in_sample * scale).T,
    )
    return table.assign(**dict(zip(ORIGIN_COLUMNS, values, strict=True)))
