"""The figures of a search at a glance, and its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_menndl.progress import diminishing, duration, pool_details, set_aside
from napari_menndl.widgets.search.leaderboard import short

if TYPE_CHECKING:
    from napari_menndl.search.outlook import Sight

_BUSY = "Share of slot time spent on evaluations, over the last minutes"
#: Name, title, tooltip; in rows of four.
FIGURES = (
    ("best", "best fitness", "Out of fold, of the answer: the networks that are best together"),
    ("networks", "networks", "Born so far; evaluations at all rungs"),
    ("left", "time left", "Until the budget is used up, as far as can be told; a fitness comes when it comes"),
    ("elapsed", "searched", "Time searched, over all resumes"),
    ("rate", "networks/h", "Networks evaluated per hour, over the last minutes"),
    ("busy", "slots busy", _BUSY),
    ("flops", "FLOP/s", "Training arithmetic sustained over the last minutes"),
    ("failures", "failures", "By kind: what counts against a network, and what was lost and tried again"),
)
_COLUMNS = 4


class Numbers(QWidget):
    """Eight figures; below them failures, workers set aside, whether more time pays. Details of the pool: a tooltip."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        self.figures: dict[str, QLabel] = {}
        for place, (name, title, note) in enumerate(FIGURES):
            figure = QLabel()
            figure.setTextFormat(Qt.TextFormat.RichText)
            figure.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            figure.setToolTip(note)
            figure.setProperty("title", title)
            self.figures[name] = figure
            grid.addWidget(figure, place // _COLUMNS, place % _COLUMNS)
            grid.setColumnStretch(place % _COLUMNS, 1)
        self.kinds = QLabel()
        self.kinds.setWordWrap(True)
        self.kinds.setStyleSheet("font-size: 11px;")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        layout.addWidget(self.kinds)
        self.clear()

    def clear(self) -> None:
        for figure in self.figures.values():
            self._write(figure, "–")
        self.kinds.hide()

    def show_sight(self, sight: Sight) -> None:
        """Show the figures of a sight."""
        failed = sum(sight.failures.values()) + sum(sight.lost.values())
        texts = {
            "best": _fitness(sight),
            "networks": f"{sight.births:,}",
            "left": _left(sight),
            "elapsed": duration(sight.elapsed),
            "rate": _rate(sight.rate.networks_per_hour),
            "busy": f"{sight.rate.slots_busy:.0%} of {sight.slots}",
            "flops": _rate(sight.rate.flops_per_second),
            "failures": f"{failed:,}",
        }
        for name, text in texts.items():
            self._write(self.figures[name], text)
        self.figures["busy"].setToolTip("\n".join([_BUSY, *pool_details(sight.pool)]))
        hint = diminishing(sight.elapsed, sight.gain, sight.answer)
        kinds = "\n".join(filter(None, [failures_text(sight), set_aside(sight.pool), hint]))
        self.kinds.setText(kinds)
        self.kinds.setVisible(bool(kinds))

    def _write(self, figure: QLabel, text: str) -> None:
        title = figure.property("title")
        text = f'<span style="font-size:10px">{title}</span><br><b>{text}</b>'
        if text != figure.text():
            figure.setText(text)


def failures_text(sight: Sight) -> str:
    """Failures by kind, the most frequent first; empty without any."""
    named = [(count, f"{count} {kind.replace('_', ' ')}") for kind, count in sight.failures.items()]
    named += [(count, f"{count} {kind.replace('_', ' ')} (tried again)") for kind, count in sight.lost.items()]
    return "Failures: " + ", ".join(text for _, text in sorted(named, reverse=True)) if named else ""


def _fitness(sight: Sight) -> str:
    return "–" if sight.best_fitness is None else f"{sight.best_fitness:.3f}"


def _rate(value: float) -> str:
    return short(value) if value else "–"  # nothing is known before the first telemetry


def _left(sight: Sight) -> str:
    if sight.state != "running":
        return "–"
    return "open" if sight.left is None else duration(sight.left)
