"""The selected network: its layers as a stack of slabs, and its lineage back to the founders."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QPainter, QPainterPath, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QLabel, QScrollArea, QSizePolicy, QTabWidget, QTextBrowser, QVBoxLayout, QWidget

from napari_menndl.genome.describe import describe_training
from napari_menndl.genome.layer_diagram import layer_diagram
from napari_menndl.search.views.lineage import lineage
from napari_menndl.widgets.background import BackgroundTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl.genome.layer_diagram import Arc, Slab
    from napari_menndl.search.views.lineage import Step
    from napari_menndl.search.views.reader import RunReader

COLOURS = {
    "input": "#9aa0a6",
    "conv": "#4c8dd6",
    "pool": "#3fae7a",
    "upsample": "#d3b13f",
    "residual": "#8a6fd1",
    "branches": "#d67f4c",
    "head": "#9aa0a6",
}
#: Height of a row; width of a slab at full resolution; shift of its rear edge; smallest and largest thickness [px].
_ROW, _WIDTH, _LEAN, _THIN, _THICK = 34, 96, 12, 3, 15
_ARCS = 34
LEGEND = (
    "From the frame (top) to the classes (bottom). Wide: fine resolution. Thick: many filters. "
    "White window: the kernel. Arcs: skip connections"
)
GAIN, LOSS = "#2ea043", "#e5534b"
_PLEASE = "Choose a network in the table."


class LayerDiagramView(QWidget):
    """Layer diagram with the input on top and the head at the bottom.

    The width of a slab shows its resolution, the thickness its number of filters; the white window on it is its kernel,
    drawn to the scale of the slab's own pixels.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slabs: Sequence[Slab] = ()
        self.arcs: Sequence[Arc] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(LEGEND)
        self.setMouseTracking(True)

    def show_network(self, slabs: Sequence[Slab], arcs: Sequence[Arc]) -> None:
        """Draw another network."""
        self.slabs, self.arcs = slabs, arcs
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        return QSize(320, _ROW * max(1, len(self.slabs)) + 6)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        return QSize(260, self.sizeHint().height())

    def paintEvent(self, _: Any) -> None:  # noqa: N802 (Qt's name)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        for arc in self.arcs:
            self._draw_arc(painter, arc, ink)
        for place, slab in enumerate(self.slabs):
            self._draw_slab(painter, place, slab)
            self._write(painter, place, slab, ink)
        painter.end()

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Show the full text of the layer under the mouse as tooltip."""
        if self.slabs:
            place = min(len(self.slabs) - 1, max(0, int(event.position().y() // _ROW)))
            self.setToolTip(f"{self.slabs[place].words}\n\n{LEGEND}")

    def _middle(self) -> float:
        return (_ARCS if self.arcs else 6) + _WIDTH / 2

    def _top(self, place: int) -> float:
        return 3.0 + place * _ROW + _LEAN

    def _draw_slab(self, painter: QPainter, place: int, slab: Slab) -> None:
        x, y = self._middle(), self._top(place)
        half, lean, thick = width_of(slab.stride) / 2, lean_of(slab.stride), thickness_of(slab.channels)
        colour = QColor(COLOURS.get(slab.kind, "#9aa0a6"))
        front = QRectF(x - half, y, 2 * half, thick)
        plate = [
            QPointF(x - half, y),
            QPointF(x - half + lean, y - lean),
            QPointF(x + half + lean, y - lean),
            QPointF(x + half, y),
        ]
        side = [plate[3], plate[2], plate[2] + QPointF(0, thick), plate[3] + QPointF(0, thick)]
        painter.setPen(QPen(colour.darker(170), 0.8))
        painter.setBrush(colour.darker(125))
        painter.drawRect(front)
        painter.setBrush(colour.darker(155))
        painter.drawPolygon(QPolygonF(side))
        painter.setBrush(colour.lighter(112))
        painter.drawPolygon(QPolygonF(plate))
        if slab.kernel != (1, 1):
            self._draw_kernel(painter, QPointF(x + lean / 2, y - lean / 2), slab, half, lean)

    def _draw_kernel(self, painter: QPainter, centre: QPointF, slab: Slab, half: float, lean: float) -> None:
        """Draw the kernel on the top of a slab, whose width stands for 20 pixels of the layer."""
        wide, deep = (min(1.0, size / 20) for size in (slab.kernel[1], slab.kernel[0]))
        dx, dy = half * wide, lean / 2 * deep
        corners = [(-dx - dy, dy), (-dx + dy, -dy), (dx + dy, -dy), (dx - dy, dy)]
        painter.setPen(QPen(QColor("#202020"), 0.6))
        painter.setBrush(QColor("#ffffff"))
        painter.drawPolygon(QPolygonF([centre + QPointF(x, y) for x, y in corners]))

    def _draw_arc(self, painter: QPainter, arc: Arc, ink: QColor) -> None:
        ends = [self._edge(place) for place in (arc.source, arc.target)]
        bulge = min(_ARCS - 4.0, 10.0 + 5.0 * (arc.target - arc.source))
        left = min(ends[0].x(), ends[1].x()) - bulge
        path = QPainterPath(ends[0])
        path.cubicTo(QPointF(left, ends[0].y()), QPointF(left, ends[1].y()), ends[1])
        line = Qt.PenStyle.DashLine if arc.join == "add" else Qt.PenStyle.SolidLine
        painter.setPen(QPen(ink, 1.4, line))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(path)
        painter.setBrush(ink)
        painter.drawEllipse(ends[1], 2.2, 2.2)

    def _edge(self, place: int) -> QPointF:
        slab = self.slabs[place]
        return QPointF(self._middle() - width_of(slab.stride) / 2, self._top(place) + thickness_of(slab.channels) / 2)

    def _write(self, painter: QPainter, place: int, slab: Slab, ink: QColor) -> None:
        left = self._middle() + _WIDTH / 2 + _LEAN + 8
        room = int(self.width() - left - 4)
        y = self._top(place)
        font = painter.font()
        for line, (text, size, colour) in enumerate(_lines(slab, ink)):
            font.setPixelSize(size)
            painter.setFont(font)
            painter.setPen(colour)
            shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, room)
            painter.drawText(QPointF(left, y - 1 + 13 * line), shown)


def _lines(slab: Slab, ink: QColor) -> list[tuple[str, int, QColor]]:
    pale = QColor(ink)
    pale.setAlpha(165)
    maps = f"{slab.channels} map{'' if slab.channels == 1 else 's'}"
    resolution = "full size" if slab.stride == 1 else f"1/{slab.stride} size"
    weights = f", {slab.parameters:,} parameters" if slab.parameters else ""
    return [(slab.words, 11, ink), (f"{maps}, {resolution}{weights}", 10, pale)]


def width_of(stride: int) -> float:
    """Return the width of a slab [px]: half as wide at a quarter of the resolution."""
    return max(16.0, _WIDTH / math.sqrt(stride))


def lean_of(stride: int) -> float:
    """Return how far the rear edge of a slab's top is shifted [px]."""
    return max(4.0, _LEAN / math.sqrt(stride))


def thickness_of(channels: int) -> float:
    """Return the thickness of a slab [px], from the logarithm of its number of filters, 1 to 256."""
    return _THIN + (_THICK - _THIN) * min(1.0, math.log2(max(1, channels)) / 8)


class NetworkView(QTabWidget):
    """Two tabs about one network of a search."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.network: int | None = None
        self.steps: list[Step] = []
        self.layer_diagram = LayerDiagramView()
        self.training = QLabel(_PLEASE)
        self.training.setWordWrap(True)
        self.training.setStyleSheet("font-size: 11px;")
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.layer_diagram)
        layout.addWidget(self.training)
        layout.addStretch()
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(page)
        self.line = QTextBrowser()
        self.line.setHtml(_PLEASE)
        self.addTab(scroll, "Layers")
        self.addTab(self.line, "Ancestors")
        self.setTabToolTip(0, "The network's layers, from the frame on top to the classes")
        self.setTabToolTip(1, "Its line back to the founders: what each change was, and the score gained")
        self.setMinimumHeight(230)
        self._job = BackgroundTask(self)
        self._job.done.connect(self._show)
        self._job.failed.connect(self._fail)

    def show_network(self, reader: RunReader, network: int, classes: int) -> None:
        """Read a network's birth and lineage from the journal in a thread, and show them."""
        self._job.begin(_read, reader, network, classes)

    def clear(self) -> None:
        """Show no network."""
        self._job.forget()
        self.network, self.steps = None, []
        self.layer_diagram.show_network((), ())
        self.training.setText(_PLEASE)
        self.line.setHtml(_PLEASE)

    def _show(self, read: tuple[int, list[Slab], list[Arc], str, list[Step]]) -> None:
        self.network, slabs, arcs, training, self.steps = read
        self.layer_diagram.show_network(slabs, arcs)
        self.training.setText(f"Trained with {training}")
        self.line.setHtml(_table(self.steps))
        self.setTabText(0, f"Layers of network {self.network}")
        self.setTabText(1, f"Ancestors ({len(self.steps)})")

    def _fail(self, error: Exception) -> None:
        self.clear()
        self.training.setText(escape(str(error)))


def _read(reader: RunReader, network: int, classes: int) -> tuple[int, list[Slab], list[Arc], str, list[Step]]:
    genome = reader.birth(network).candidate.genome
    slabs, arcs = layer_diagram(genome, classes)
    return network, slabs, arcs, describe_training(genome.training), lineage(reader, network)


def _table(steps: list[Step]) -> str:
    rows = "".join(
        f'<tr><td align="right"><b>{step.id}</b></td><td align="right">{_number(step.fitness)}</td>'
        f'<td align="right">{_gain(step.gained)}</td><td>{escape(_origin(step))}</td></tr>'
        for step in steps
    )
    titles = "".join(f'<th align="{side}">{word}</th>' for word, side in _TITLES)
    return f'<table cellpadding="3" width="100%"><tr>{titles}</tr>{rows}</table>'


_TITLES = (("network", "right"), ("score", "right"), ("gained", "right"), ("what changed", "left"))


def _origin(step: Step) -> str:
    if len(step.parents) > 1:
        return f"crossover with {step.parents[1]}"
    return step.origin


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _gain(value: float | None) -> str:
    if value is None:
        return ""
    return f'<span style="color:{GAIN if value >= 0 else LOSS}">{value:+.3f}</span>'
