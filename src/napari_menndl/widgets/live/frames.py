"""Frames of a live review: those that wait, those predicted, and their defects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.metrics.defect_table import joined

if TYPE_CHECKING:
    import pandas as pd

    from napari_menndl.predict.live import LiveFrame
    from napari_menndl.widgets.live.feed import NewFrame


@dataclass(frozen=True, eq=False)
class PackedLabels:
    """Labels of a frame, stored as the pixels of its defects, a few per cent of all.

    Attributes
    ----------
    shape : (Y, X)
    where : (n,) int
        Indices into the flattened frame.
    values : (n,) uint8
    """

    shape: tuple[int, ...]
    where: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray) -> PackedLabels:
        """Pack labels (Y, X) uint8."""
        where = np.flatnonzero(labels)
        return cls(labels.shape, where, labels.flat[where])

    def unpack(self) -> np.ndarray:
        """Return the labels (Y, X) uint8."""
        labels = np.zeros(self.shape, np.uint8)
        labels.flat[self.where] = self.values
        return labels


@dataclass
class LiveFrames:
    """Frames by number; the newest is predicted first, those that came meanwhile wait for a pause.

    Attributes
    ----------
    waiting : list of NewFrame
        The newest last.
    counts : dict of int to dict of str to int
        Number of defects by class, for every predicted frame.
    labels : dict of int to PackedLabels
        For every predicted frame.
    defects : dict of int to DataFrame
        For every predicted frame, with `defect_table.DEFECT_COLUMNS`.
    latencies : list of float [s]
        From a frame's appearance to its defects on the screen.
    seconds : float [s]
        Duration of the latest prediction.
    """

    waiting: list[NewFrame] = field(default_factory=list)
    counts: dict[int, dict[str, int]] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    labels: dict[int, PackedLabels] = field(default_factory=dict)
    defects: dict[int, pd.DataFrame] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, new: NewFrame) -> None:
        """Add a new frame; one that arrives again is predicted again."""
        self.waiting = [one for one in self.waiting if one.number != new.number]
        self.waiting.append(new)

    def enter(self, frame: LiveFrame) -> None:
        """Add a predicted frame."""
        self.labels[frame.number] = PackedLabels.of(frame.labels)
        self.counts[frame.number] = frame.counts
        self.defects[frame.number] = frame.defects
        self.seconds = frame.seconds

    @property
    def table(self) -> pd.DataFrame:
        """The defects of all predicted frames, in the order of the frames."""
        return joined(self.defects[t] for t in sorted(self.defects))

    def curves(self) -> tuple[list[int], dict[str, list[int]]]:
        """Return the numbers of the predicted frames in order, and the counts of each class."""
        numbers = sorted(self.counts)
        names = self.counts[numbers[-1]] if numbers else {}
        return numbers, {name: [self.counts[t].get(name, 0) for t in numbers] for name in names}

    def behind(self) -> str:
        """Return a message about the frames that wait; empty if none does."""
        count = len(self.waiting)
        if count == 0:
            return ""
        frames = "1 frame waits" if count == 1 else f"{count} frames wait"
        return (
            f"{frames}: they come faster than the network predicts, {self.seconds:.2g} s each. "
            "The newest is predicted first, the others in the next pause."
        )
