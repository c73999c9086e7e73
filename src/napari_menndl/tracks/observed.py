"""Observed part of the sample in each frame: elsewhere, the absence of a defect says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_menndl.errors import InputError
from napari_menndl.movie.absent import spans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

#: With so many defects in a usual frame, a frame without any was not looked at, rather than empty.
_NEVER_EMPTY = 10


@dataclass(frozen=True, eq=False)
class Observed:
    """Frames that were looked at, the part of the sample that each shows, time and dose.

    Attributes
    ----------
    frames : (K,) int64
        Numbers of the frames, ascending.
    views : (K, 4) float64 [px]
        Top, left, bottom and right border of what a frame shows, drift removed.
    shifts : (K, 2) float64 [px]
        Drift of the sample since the first frame (y, x).
    pixel_size : (y, x) float [nm] or None
    frame_time : float [s] or None
    dose : float or None
        Electrons on an area in one frame [e⁻/nm²].
    """

    frames: NDArray[np.int64]
    views: NDArray[np.float64]
    shifts: NDArray[np.float64]
    pixel_size: tuple[float, float] | None = None
    frame_time: float | None = None
    dose: float | None = None

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def side(self) -> float:
        """Side of a square of a pixel's area [nm], or 1 if the pixel size is unknown."""
        return float(np.sqrt(np.prod(self.pixel_size))) if self.pixel_size else 1.0

    @property
    def units(self) -> tuple[str, str]:
        """Units of lengths and of times."""
        return "nm" if self.pixel_size else "px", "s" if self.frame_time else "frame"

    @property
    def times(self) -> NDArray[np.float64]:
        """(K,) float64: times of the frames [s], NaN if the frame time is unknown."""
        return np.asarray(self.frames * (self.frame_time or np.nan), np.float64)

    def shows(self, k: ArrayLike, places: NDArray[np.float64], edge: ArrayLike) -> NDArray[np.bool_]:
        """Return whether places (n, 2), drift removed, lie in frames k and not within `edge` [px] of their border."""
        views, margin = self.views[np.asarray(k)], np.asarray(edge, np.float64)[..., None]
        inside = (places >= views[..., :2] + margin) & (places <= views[..., 2:] - margin)
        return np.asarray(inside.all(axis=-1), bool)

    def areas(self, edge: float) -> NDArray[np.float64]:
        """Return the area that each frame and the one before show both, without a border of `edge` [px].

        Returns
        -------
        (K,) float64
            [nm²], or [px²] if the pixel size is unknown; 0 for the first frame.
        """
        inner = self.views + np.array([edge, edge, -edge, -edge])
        corner = np.maximum(inner[1:, :2], inner[:-1, :2])
        opposite = np.minimum(inner[1:, 2:], inner[:-1, 2:])
        shared = np.clip(opposite - corner, 0, None).prod(axis=1) * self.side**2
        return np.concatenate([[0.0], shared])

    @property
    def steps(self) -> NDArray[np.float64]:
        """(K,) time since the frame before [s], or frames if the frame time is unknown; 0 for the first."""
        return np.concatenate([[0.0], np.diff(self.frames) * (self.frame_time or 1.0)])

    @property
    def doses(self) -> NDArray[np.float64]:
        """(K,) dose since the frame before [e⁻/nm²]; 0 for the first, NaN if unknown."""
        each = np.nan if self.dose is None else self.dose
        return np.concatenate([[0.0], np.diff(self.frames) * each])


def frames_looked_at(
    table: pd.DataFrame, frames: Iterable[int] | int | None, note: Callable[[str], None]
) -> NDArray[np.int64]:
    """Return the numbers of the frames looked at, ascending."""
    found = np.unique(table["frame"].to_numpy(np.int64))
    if frames is not None:
        given = range(frames) if isinstance(frames, int | np.integer) else frames
        looked_at = np.unique(np.array(list(given), np.int64))
        if beyond := sorted(set(found.tolist()) - set(looked_at.tolist())):
            raise InputError(
                f"defects in the frames looked at, {spans(looked_at.tolist()) or 'none'}",
                f"some in {spans(beyond)}",
                "Correct the frames, or leave them out.",
            )
        return looked_at
    if not len(found):
        raise InputError("at least one defect in the table", "none", "Give the frames that were looked at: frames=.")
    between = np.arange(found[0], found[-1] + 1)
    if empty := sorted(set(between.tolist()) - set(found.tolist())):
        named = f"Frame{'s' * (len(empty) > 1)} {spans(empty)}"
        usual = len(table) / len(found)
        if usual >= _NEVER_EMPTY:
            note(f"{named} without a defect, where others have {usual:.0f}: taken as not looked at. Else say frames.")
            return found
        note(f"{named} without a defect: taken as empty. If they were not looked at, say which were.")
    return between


def frame_shape(table: pd.DataFrame, shape: tuple[int, int] | None, note: Callable[[str], None]) -> tuple[int, int]:
    """Return the shape of the frames: as given, or the smallest that holds all defects."""
    least = np.ceil(table[["y", "x"]].max().to_numpy(float)).astype(int) + 1 if len(table) else np.ones(2, int)
    if shape is None:
        note(
            f"The size of the frames is unknown: taken as {least[0]} × {least[1]} px, which just hold all defects. "
            "Rates per area are too high by as much as they are larger: say it (--size, shape=)."
        )
        return int(least[0]), int(least[1])
    height, width = shape
    if height < least[0] - 1 or width < least[1] - 1:
        raise InputError(
            f"frames of {height} × {width} px that hold all defects",
            f"defects at up to y = {least[0] - 1}, x = {least[1] - 1}",
            "Correct the size (height, width).",
        )
    return height, width


def borders_of_frames(
    table: pd.DataFrame,
    order: NDArray[np.int64],
    frames: NDArray[np.int64],
    shape: tuple[int, int],
    recorded: Sequence[int] | None,
) -> NDArray[np.float64]:
    """Return the borders of each frame (K, 4) [px]: of a prepared movie where the recorded frame has pixels."""
    whole = np.tile([-0.5, -0.5, shape[0] - 0.5, shape[1] - 0.5], (len(frames), 1))
    if not {"y_file", "x_file"} <= set(table.columns):
        return whole
    for axis, (name, side) in enumerate((("y", shape[0]), ("x", shape[1]))):
        here, there = table[name].to_numpy(np.float64), table[f"{name}_file"].to_numpy(np.float64)
        # A pixel of a prepared frame is `zoom` pixels of the file, from an origin that moves with the drift.
        by_frame = pd.DataFrame({"k": order, "here": here, "there": there})
        centred = by_frame - by_frame.groupby("k").transform("mean").assign(k=0)
        spread = float((centred["here"] ** 2).sum())
        zoom = max(1.0, np.rint(float((centred["here"] * centred["there"]).sum()) / spread)) if spread > 0 else 1.0
        origin = (by_frame["there"] - zoom * by_frame["here"]).groupby(by_frame["k"]).median()
        start = np.interp(np.arange(len(frames)), origin.index.to_numpy(float), origin.to_numpy(float))
        end = float(tuple(recorded)[-2:][axis]) if recorded is not None else max(float(there.max()) + 1, side * zoom)
        whole[:, axis] = np.maximum(whole[:, axis], (-0.5 - start) / zoom)
        whole[:, axis + 2] = np.minimum(whole[:, axis + 2], (end - 0.5 - start) / zoom)
    return whole
