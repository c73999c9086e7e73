"""View of the selected network: its layer diagram, and its lineage back to the founders."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QLabel, QScrollArea, QTabWidget, QTextBrowser, QVBoxLayout, QWidget

from napari_menndl.genome.describe import describe_training
from napari_menndl.genome.layer_diagram import layer_diagram
from napari_menndl.search.views.lineage import lineage
from napari_menndl.widgets.background import BackgroundTask
from napari_menndl.widgets.search.layer_diagram_view import LayerDiagramView

if TYPE_CHECKING:
    from napari_menndl.genome.layer_diagram import Arc, Slab
    from napari_menndl.search.views.lineage import Step
    from napari_menndl.search.views.reader import RunReader

GAIN, LOSS = "#2ea043", "#e5534b"
_PLEASE = "Choose a network in the table."


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
