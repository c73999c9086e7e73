"""Leaderboard: the best networks as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QItemSelection, QModelIndex, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_menndl.search.facts import AnswerChosen
    from napari_menndl.search.views.monitor import RunSnapshot
    from napari_menndl.search.views.reader import Leader

#: Title, tooltip.
COLUMNS = (
    ("#", "Rank"),
    ("network", "Number of the network, counted from 0 as they were begun"),
    ("score", "(defect F1 + average precision) / 2, mean over classes, ± standard error; 1 is perfect"),
    ("F1", "Defect F1 on the part of the frame that was left out of training"),
    ("ms", "Time to predict one frame [ms], on the device it was trained on"),
    ("device", "What it was trained on"),
)


class LeaderModel(QAbstractTableModel):
    """Table model with rows of `Leader`, above them the mean of several networks if that is the answer."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.leaders: tuple[Leader, ...] = ()
        self.mean: AnswerChosen | None = None
        self.megapixels = 1.0

    @property
    def first(self) -> int:
        """Row of the best network."""
        return int(self.mean is not None)

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 (Qt's name)
        return 0 if parent is not None and parent.isValid() else self.first + len(self.leaders)

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return the flags of a cell; the mean has no layers to show, and cannot be selected."""
        return super().flags(index) if index.row() >= self.first else Qt.ItemFlag.ItemIsEnabled

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 (Qt's name)
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(  # noqa: N802 (Qt's name)
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section][0]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _side(section)
        return COLUMNS[section][1] if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.DisplayRole:
            return self._cell(index.row(), index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            if index.row() < self.first:
                return f"Mean of networks {self._members()}: what predicts"
            one = self.leaders[index.row() - self.first]
            share = f" for {100 * one.share:.0f} % of it" if one.share < 1 else ""
            trained = f"Network {one.id}, trained at level {one.rung}{share}"
            return f"{trained}: {one.parameters:,} trained numbers, {one.device}"
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _side(index.column())
        return None

    def _cell(self, row: int, column: int) -> str:
        if row < self.first and self.mean is not None:
            told = f"{self.mean.fitness:.3f} ± {self.mean.error:.3f}"
            return ("", "mean", told, "", "", f"of {self._members()}")[column]
        row -= self.first
        one = self.leaders[row]
        cells: tuple[Callable[[], str], ...] = (
            lambda: str(row + 1),
            lambda: str(one.id),
            lambda: f"{one.fitness:.3f} ± {one.error:.3f}",
            lambda: "–" if math.isnan(one.f1) else f"{one.f1:.2f}",
            lambda: _three_digits(one.latency * self.megapixels),
            lambda: one.device,
        )
        return cells[column]()

    def _members(self) -> str:
        return ", ".join(str(one.id) for one in self.mean.members) if self.mean else ""

    def show(self, leaders: tuple[Leader, ...], answer: AnswerChosen | None = None) -> bool:
        """Show newer rows; return whether they were reset, so that the selection must be restored."""
        mean = answer if answer is not None and len(answer.members) > 1 and leaders else None
        if (leaders, mean) == (self.leaders, self.mean):
            return False
        self.beginResetModel()
        self.leaders, self.mean = leaders, mean
        self.endResetModel()
        return True


class Leaderboard(QTableView):
    """Table of the best networks; the best is selected until a person selects another.

    Attributes
    ----------
    chosen : Signal(int)
        Id of the network to show.
    """

    chosen = Signal(int)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.rows = LeaderModel(self)
        self.network: int | None = None
        self._own_choice = False
        self._filling = False
        self.setModel(self.rows)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        rows: Any = self.verticalHeader()
        rows.hide()
        rows.setDefaultSectionSize(20)
        header: Any = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        header.setMinimumSectionSize(20)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setStyleSheet("* { font-size: 11px; } QHeaderView::section { padding: 2px 3px; }")
        selection: Any = self.selectionModel()
        selection.selectionChanged.connect(self._on_selection)

    def show_snapshot(self, snapshot: RunSnapshot) -> None:
        """Show the leaders of a snapshot."""
        if self.rows.show(snapshot.leaders, snapshot.answer):
            self._select()

    def clear(self) -> None:
        self.rows.show(())
        self.network, self._own_choice = None, False

    def _select(self) -> None:
        """Keep the selected network selected; without a selection, select the best."""
        ids = [one.id for one in self.rows.leaders]
        if not ids:
            return
        row = ids.index(self.network) if self._own_choice and self.network in ids else 0
        self._own_choice &= self.network in ids
        self._filling = True
        self.selectRow(self.rows.first + row)
        self._filling = False
        self._choose(ids[row])

    def _on_selection(self, selected: QItemSelection, _: QItemSelection) -> None:
        rows = [index.row() for index in selected.indexes()]
        if rows and not self._filling:
            row = rows[0] - self.rows.first
            self._own_choice = row != 0
            self._choose(self.rows.leaders[row].id)

    def _choose(self, network: int) -> None:
        if network != self.network:
            self.network = network
            self.chosen.emit(network)


def _side(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if COLUMNS[column][0] == "device" else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter


def short(number: float) -> str:
    """Format a number in short: ``"950"``, ``"12.3k"``, ``"4.56M"``."""
    for size, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{_three_digits(number / size)}{letter}"
    return f"{number:.0f}"


def _three_digits(number: float) -> str:
    return f"{number:.0f}" if number >= 99.95 else f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"
