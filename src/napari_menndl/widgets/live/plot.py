"""Plot of the number of defects over time; a click goes to a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg  # type: ignore[import-untyped]

from napari_menndl.widgets.frame_plot import FramePlot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


#: Up to this number of frames, each has its own tick.
FEW = 10


class CountPlot(FramePlot):
    """Plot with one curve per class."""

    def __init__(self) -> None:
        super().__init__(320, 170, line=1)
        self.setToolTip("Defects in every predicted frame, by class. Click to go to a frame")
        self.item.setLabel("left", "defects")
        self._curves: dict[str, Any] = {}
        self._second, self._in_frames = 1.0, True

    def begin(self, classes: Mapping[str, str], frame_time: float | None) -> None:
        """Reset the plot; takes the classes with their colours, and the time between two frames [s]."""
        item = self.item
        for curve in self._curves.values():
            item.removeItem(curve)
        self._second, self._in_frames = frame_time or 1.0, not frame_time
        item.setLabel("bottom", "time [s]" if frame_time else "frame")
        self._curves = {
            name: item.plot(
                [], [], pen=pg.mkPen(colour, width=2), symbol="o", symbolSize=5, symbolBrush=colour, symbolPen=None
            )
            for name, colour in classes.items()
        }

    def show_counts(self, frames: Sequence[int], counts: Mapping[str, Sequence[int]]) -> None:
        """Draw the counts of the frames predicted so far."""
        x, top = np.asarray(frames) * self._second, 1
        for name, curve in self._curves.items():
            curve.setData(x, np.asarray(counts[name]))
            top = max(top, *counts[name]) if counts[name] else top
        item = self.item
        item.setYRange(0, top, padding=0.06)
        few = self._in_frames and len(frames) <= FEW  # there is no frame 0.5
        item.getAxis("bottom").setTicks([[(t, str(t)) for t in frames]] if few else None)

    def show_place(self, frame: int) -> None:
        """Mark the frame in view."""
        self._line.setValue(frame * self._second)

    def frame_of(self, x: float) -> int:
        return max(0, round(x / self._second))
