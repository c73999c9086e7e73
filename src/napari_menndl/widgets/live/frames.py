"""What is known of the frames of a live review: which wait, which are predicted, what is in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_menndl.predict.live import LiveFrame
    from napari_menndl.widgets.live.feed import NewFrame


@dataclass
class LiveFrames:
    """Frames by number. The newest is predicted first; those that came meanwhile wait for a pause.

    Attributes
    ----------
    waiting : list of NewFrame
        The newest last.
    counts : dict of int to dict of str to int
        Defects by class, of every predicted frame.
    latencies : list of float [s]
        From a frame's appearance to its defects on the screen.
    seconds : float [s]
        What the latest prediction took.
    """

    waiting: list[NewFrame] = field(default_factory=list)
    counts: dict[int, dict[str, int]] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    _labels: dict[int, tuple[tuple[int, int], np.ndarray, np.ndarray]] = field(default_factory=dict)

    def add(self, new: NewFrame) -> None:
        """A frame has arrived; one that came again is predicted again."""
        self.waiting = [one for one in self.waiting if one.number != new.number]
        self.waiting.append(new)

    def enter(self, frame: LiveFrame) -> None:
        """A frame was predicted; only its defects are kept, a few per cent of its pixels."""
        where = np.flatnonzero(frame.labels)
        self._labels[frame.number] = frame.labels.shape, where, frame.labels.flat[where]
        self.counts[frame.number] = frame.counts
        self.seconds = frame.seconds

    def labels(self, number: int) -> np.ndarray | None:
        """(Y, X) uint8, or None where the frame is not predicted."""
        if number not in self._labels:
            return None
        shape, where, values = self._labels[number]
        labels = np.zeros(shape, np.uint8)
        labels.flat[where] = values
        return labels

    def curves(self) -> tuple[list[int], dict[str, list[int]]]:
        """Numbers of the predicted frames in order, and the counts of each class."""
        numbers = sorted(self.counts)
        names = self.counts[numbers[-1]] if numbers else {}
        return numbers, {name: [self.counts[t].get(name, 0) for t in numbers] for name in names}

    def behind(self) -> str:
        """What to say of frames that wait; empty where none does."""
        count = len(self.waiting)
        if count == 0:
            return ""
        frames = "1 frame waits" if count == 1 else f"{count} frames wait"
        return (
            f"{frames}: they come faster than the network predicts, {self.seconds:.2g} s each. "
            "The newest is predicted first, the others in the next pause."
        )
