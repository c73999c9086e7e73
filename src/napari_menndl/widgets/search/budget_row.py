"""Form row for what ends the search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QHBoxLayout, QLineEdit, QSpinBox, QStackedWidget, QWidget

from napari_menndl.search.goals import Goal, parse_budget

if TYPE_CHECKING:
    from collections.abc import Callable

_TIME, _NETWORKS, _FITNESS, _PLATEAU, _SEVERAL = range(5)
_KINDS = (
    ("time", "Stop after this time, which includes the last training with all labels"),
    ("networks", "Stop after this many networks"),
    ("score", "Stop when the answer is as good as this; 1 is perfect"),
    ("plateau", "Stop after this many networks without a better one"),
    ("combined", 'Whichever comes first, as in "2h, fitness 0.95"'),
)


class BudgetRow(QWidget):
    """Kind of limit and its value; `text` is the budget as a search takes it.

    Attributes
    ----------
    changed : Signal()
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = QComboBox()
        for place, (title, note) in enumerate(_KINDS):
            self.kind.addItem(title)
            self.kind.setItemData(place, note, Qt.ItemDataRole.ToolTipRole)
        self.minutes = _spin(QSpinBox(), 10, 1, 100_000, " min")
        self.networks = _spin(QSpinBox(), 500, 1, 10_000_000, " networks")
        self.fitness = QDoubleSpinBox()
        self.fitness.setDecimals(3)
        self.fitness.setSingleStep(0.01)
        self.fitness.setRange(0.001, 1.0)
        self.fitness.setValue(0.9)
        self.plateau = _spin(QSpinBox(), 200, 1, 10_000_000, " networks")
        self.several = QLineEdit("2h, fitness 0.95")
        self._editors = (self.minutes, self.networks, self.fitness, self.plateau, self.several)
        self._stack = QStackedWidget()
        self._stack.setMinimumWidth(80)  # it would be as wide as the widest of all
        for editor in self._editors:
            self._stack.addWidget(editor)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.kind)
        layout.addWidget(self._stack, 1)
        self.kind.currentIndexChanged.connect(self._choose)
        for spin in (self.minutes, self.networks, self.plateau, self.fitness):
            spin.valueChanged.connect(self._change)
        self.several.textChanged.connect(self._change)
        self._choose(_TIME)

    @property
    def text(self) -> str:
        """Budget as in ``"10min"``, ``"500networks"``, ``"fitness 0.9"``."""
        words: dict[int, Callable[[], str]] = {
            _TIME: lambda: f"{self.minutes.value()}min",
            _NETWORKS: lambda: f"{self.networks.value()}networks",
            _FITNESS: lambda: f"fitness {self.fitness.value():g}",
            _PLATEAU: lambda: f"plateau {self.plateau.value()}",
            _SEVERAL: lambda: self.several.text().strip(),
        }
        return words[self.kind.currentIndex()]()

    @text.setter
    def text(self, budget: str) -> None:
        goal, none = parse_budget(budget), Goal()
        limits = [
            name for name in ("seconds", "networks", "fitness", "plateau") if getattr(goal, name) != getattr(none, name)
        ]
        kind = _SEVERAL
        if len(limits) == 1 and not (limits == ["seconds"] and goal.seconds % 60):
            kind = ("seconds", "networks", "fitness", "plateau").index(limits[0])
            if kind == _FITNESS:
                self.fitness.setValue(goal.fitness)
            else:
                value = goal.seconds / 60 if kind == _TIME else getattr(goal, limits[0])
                (self.minutes, self.networks, None, self.plateau)[kind].setValue(round(value))  # type: ignore[union-attr]
        else:
            self.several.setText(budget)
        self.kind.setCurrentIndex(kind)

    def _choose(self, kind: int) -> None:
        self._stack.setCurrentIndex(kind)
        for widget in (self.kind, self._editors[kind]):
            widget.setToolTip(_KINDS[kind][1])
        self.changed.emit()

    def _change(self, _: object) -> None:
        self.changed.emit()


def _spin(spin: QSpinBox, value: int, low: int, high: int, suffix: str) -> QSpinBox:
    spin.setRange(low, high)
    spin.setValue(value)
    spin.setSuffix(suffix)
    return spin
