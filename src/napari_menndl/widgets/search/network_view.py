"""The selected network: its layers as a stack of slabs, and its lineage back to the founders."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QByteArray, QRectF, QSize
from qtpy.QtGui import QPainter, QPalette
from qtpy.QtSvg import QSvgRenderer
from qtpy.QtWidgets import QLabel, QScrollArea, QSizePolicy, QTabWidget, QTextBrowser, QVBoxLayout, QWidget

from napari_menndl.genome.describe import describe_training
from napari_menndl.genome.layer_diagram import diagram_height, draw_svg, layer_diagram, slab_at
from napari_menndl.search.views.lineage import lineage
from napari_menndl.widgets.background import BackgroundTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl.genome.layer_diagram import Arc, Slab
    from napari_menndl.search.views.lineage import Step
    from napari_menndl.search.views.reader import RunReader

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
        return QSize(320, diagram_height(len(self.slabs)))

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        return QSize(260, self.sizeHint().height())

    def paintEvent(self, _: Any) -> None:  # noqa: N802 (Qt's name)
        painter = QPainter(self)
        ink = self.palette().color(QPalette.ColorRole.WindowText).name()
        svg = draw_svg(self.slabs, self.arcs, self.width(), ink)
        QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(0, 0, self.width(), self.sizeHint().height()))
        painter.end()

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Show the full text of the layer under the mouse as tooltip."""
        if self.slabs:
            slab = self.slabs[min(len(self.slabs) - 1, slab_at(event.position().y()))]
            self.setToolTip(f"{slab.words}\n\n{LEGEND}")


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
