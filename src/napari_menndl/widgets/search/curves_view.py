"""Plot of best and median score over networks begun, or over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg  # type: ignore[import-untyped]
from qtpy.QtCore import QEvent
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_menndl.search.views.curves import BIRTHS, ELAPSED, FITNESS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_menndl.search.views.monitor import RunSnapshot

BEST, MEDIAN, EVERY = "#2bd4d9", "#f2a93b", "#8a8f99"
#: Up to this number of networks, each has its own tick.
FEW = 10
#: Title, column of a curve, axis title.
_AXES = (("networks", BIRTHS, "networks begun"), ("time", ELAPSED, "time searched"))


class CurvesView(QWidget):
    """Plot of the curves of a `RunSnapshot`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._snapshot: RunSnapshot | None = None
        self._drawn: object = ()
        self.axis = QComboBox()
        for title, *_ in _AXES:
            self.axis.addItem(title)
        self.axis.setToolTip("What the score is drawn against")
        self.key = QLabel(f"{_dot(BEST)} best &nbsp; {_dot(MEDIAN)} median &nbsp; {_dot(EVERY)} each")
        self.key.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.plot = pg.PlotWidget()
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.setFixedHeight(170)
        self.plot.setLimits(yMin=0.0, yMax=1.05)
        self.plot.getAxis("left").enableAutoSIPrefix(False)
        self.plot.getAxis("bottom").enableAutoSIPrefix(False)
        self.plot.setToolTip("Score: (defect F1 + average precision) / 2; the median is that of possible parents")
        self.plot.setLabel("left", "score")
        self.plot.showGrid(x=False, y=True, alpha=0.2)
        pen = {"width": 2}
        self.every = self.plot.plot(pen=None, symbol="o", symbolSize=3, symbolPen=None, symbolBrush=EVERY)
        self.median = self.plot.plot(pen=pg.mkPen(MEDIAN, **pen))
        self.best = self.plot.plot(pen=pg.mkPen(BEST, **pen), stepMode="right")
        top = QHBoxLayout()
        top.addWidget(self.key, 1)
        top.addWidget(self.axis)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self.plot)
        self.axis.currentIndexChanged.connect(self._on_axis)
        self._on_axis(0)
        self._adopt_theme()

    def show_snapshot(self, snapshot: RunSnapshot | None) -> None:
        """Draw the curves of a snapshot; None clears the plot."""
        self._snapshot = snapshot
        _, column, _ = _AXES[self.axis.currentIndex()]
        drawn = (column, snapshot and (snapshot.births, snapshot.evaluations, snapshot.median, round(snapshot.elapsed)))
        if drawn == self._drawn:
            return  # drawing takes longer than all the rest of an update
        self._drawn = drawn
        scale = 1 / self._unit()[1] if column == ELAPSED else 1.0
        curves = snapshot.curves if snapshot else {name: np.zeros((0, 4)) for name in ("best", "median", "evaluations")}
        best = curves["best"]
        if snapshot and len(best):
            now = (snapshot.births, snapshot.elapsed, *best[-1, FITNESS:])
            best = np.vstack([best, now])
        for item, points in ((self.best, best), (self.median, curves["median"]), (self.every, curves["evaluations"])):
            item.setData(*_xy(points, column, scale))
        self.plot.setLabel("bottom", self._title())
        births = snapshot.births if snapshot and column == BIRTHS else FEW + 1
        ticks = [[(n, str(n)) for n in range(births + 1)]] if births <= FEW else None  # there is no network 0.5
        self.plot.getAxis("bottom").setTicks(ticks)

    def _unit(self) -> tuple[str, float]:
        seconds = self._snapshot.elapsed if self._snapshot else 0.0
        return ("h", 3600.0) if seconds > 2 * 3600 else ("min", 60.0) if seconds > 120 else ("s", 1.0)

    def _title(self) -> str:
        _, column, title = _AXES[self.axis.currentIndex()]
        return f"{title} [{self._unit()[0]}]" if column == ELAPSED else title

    def _on_axis(self, _: int) -> None:
        self.show_snapshot(self._snapshot)

    def changeEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._adopt_theme()

    def _adopt_theme(self) -> None:
        if not hasattr(self, "plot"):
            return
        palette = self.key.palette()
        ground, ink = palette.color(QPalette.ColorRole.Window), palette.color(QPalette.ColorRole.WindowText)
        self.plot.setBackground(ground)
        for side in ("left", "bottom"):
            self.plot.getAxis(side).setPen(pg.mkPen(ink, width=1))
            self.plot.getAxis(side).setTextPen(ink)


def _xy(points: NDArray[np.float64], column: int, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return points[:, column] * scale, points[:, FITNESS]


def _dot(colour: str) -> str:
    return f'<span style="color:{colour}">●</span>'
