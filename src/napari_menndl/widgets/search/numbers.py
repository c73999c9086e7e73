"""Main figures of a search, and text about failures and workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_menndl.progress import duration
from napari_menndl.search.views.messages import diminishing, excluded_workers, origins_line, pool_details
from napari_menndl.widgets.search.leaderboard import short

if TYPE_CHECKING:
    from napari_menndl.search.views.monitor import RunSnapshot

_BUSY = "Share of slot time spent on evaluations, over the last minutes"
#: Name, title and tooltip of figures that are always visible, and of those that are folded under "Details".
FIGURES = (
    ("best", "best score", "Of the networks that are best together, on what they were not trained on; 1 is perfect"),
    ("networks", "networks tried", "Networks that were trained and judged, however far"),
    ("left", "time left", "Until the budget is used up, as far as can be told; a score comes when it comes"),
    ("elapsed", "searched for", "Time searched, over all resumes"),
)
DETAILS = (
    ("rate", "networks/h", "Networks judged per hour, over the last minutes"),
    ("busy", "slots busy", _BUSY),
    ("flops", "FLOP/s", "Training arithmetic sustained over the last minutes"),
    ("failures", "failures", "By kind: what counts against a network, and what was lost and tried again"),
)
_COLUMNS = 2


class Numbers(QWidget):
    """Four figures, and below them failures, excluded workers, and whether more time pays; pool details as tooltip.

    Attributes
    ----------
    details : QWidget
        Four more figures, to be placed elsewhere.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.figures: dict[str, QLabel] = {}
        self.details = QWidget()
        self.kinds = QLabel()
        self.kinds.setWordWrap(True)
        self.kinds.setStyleSheet("font-size: 11px;")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._rows(FIGURES))
        layout.addWidget(self.kinds)
        self.details.setLayout(self._rows(DETAILS))
        self.clear()

    def _rows(self, figures: tuple[tuple[str, str, str], ...]) -> QGridLayout:
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        for place, (name, title, note) in enumerate(figures):
            figure = QLabel()
            figure.setTextFormat(Qt.TextFormat.RichText)
            figure.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            figure.setToolTip(note)
            figure.setProperty("title", title)
            self.figures[name] = figure
            grid.addWidget(figure, place // _COLUMNS, place % _COLUMNS)
            grid.setColumnStretch(place % _COLUMNS, 1)
        return grid

    def clear(self) -> None:
        for figure in self.figures.values():
            self._write(figure, "–")
        self.kinds.hide()

    def show_snapshot(self, snapshot: RunSnapshot) -> None:
        """Show the figures of a snapshot."""
        failed = sum(snapshot.failures.values()) + sum(snapshot.lost.values())
        texts = {
            "best": _fitness(snapshot),
            "networks": f"{snapshot.networks:,}",
            "left": _left(snapshot),
            "elapsed": duration(snapshot.elapsed),
            "rate": _rate(snapshot.rate.networks_per_hour),
            "busy": f"{snapshot.rate.slots_busy:.0%} of {snapshot.slots}",
            "flops": _rate(snapshot.rate.flops_per_second),
            "failures": f"{failed:,}",
        }
        for name, text in texts.items():
            self._write(self.figures[name], text)
        self.figures["busy"].setToolTip("\n".join([_BUSY, *pool_details(snapshot.pool)]))
        hint = diminishing(snapshot.elapsed, snapshot.gain, snapshot.answer.error if snapshot.answer else None)
        told = [failures_text(snapshot), excluded_workers(snapshot.pool), origins_line(snapshot.origins), hint]
        kinds = "\n".join(filter(None, told))
        self.kinds.setText(kinds)
        self.kinds.setVisible(bool(kinds))

    def _write(self, figure: QLabel, text: str) -> None:
        title = figure.property("title")
        text = f'<span style="font-size:10px">{title}</span><br><b>{text}</b>'
        if text != figure.text():
            figure.setText(text)


def failures_text(snapshot: RunSnapshot) -> str:
    """Format the failures by kind, the most frequent first; empty without any."""
    named = [(count, f"{count} {kind.replace('_', ' ')}") for kind, count in snapshot.failures.items()]
    named += [(count, f"{count} {kind.replace('_', ' ')} (tried again)") for kind, count in snapshot.lost.items()]
    return "Failures: " + ", ".join(text for _, text in sorted(named, reverse=True)) if named else ""


def _fitness(snapshot: RunSnapshot) -> str:
    return "–" if snapshot.best_fitness is None else f"{snapshot.best_fitness:.3f}"


def _rate(value: float) -> str:
    return short(value) if value else "–"  # nothing is known before the first telemetry


def _left(snapshot: RunSnapshot) -> str:
    if snapshot.state != "running":
        return "–"
    return "unknown" if snapshot.left is None else duration(snapshot.left)
