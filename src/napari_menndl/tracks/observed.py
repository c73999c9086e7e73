"""What of the sample was looked at, and when: without it an absent defect says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


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
