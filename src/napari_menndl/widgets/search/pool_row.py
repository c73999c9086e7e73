"""One row of the form: where the networks are trained, and whether that answers."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QLineEdit, QPushButton, QWidget

from napari_menndl.errors import InputError
from napari_menndl.pool.kinds import PoolKind, pool_kinds
from napari_menndl.widgets.search.jobs import Job

if TYPE_CHECKING:
    from napari_menndl.pool.check import Connection

GOOD, BAD = "#2ea043", "#e5534b"


class PoolRow(QWidget):
    """A kind of pool, its address where it has one, and "Test connection".

    Attributes
    ----------
    tested : Signal(Connection or exception)
    """

    tested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kinds = pool_kinds()
        self.kind = QComboBox()
        for place, kind in enumerate(self.kinds):
            self.kind.addItem(kind.title)
            self.kind.setItemData(place, kind.note, Qt.ItemDataRole.ToolTipRole)
        self.address = QLineEdit()
        self.button = QPushButton("Test connection")
        self.button.setToolTip("Ask for its workers, slots and versions, and how fast it answers; nothing is started")
        self.answer = QLabel()
        self.answer.setWordWrap(True)
        self.answer.setTextFormat(Qt.TextFormat.RichText)
        self.answer.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.answer.hide()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.kind, 0, 0)
        layout.addWidget(self.button, 0, 1)
        layout.addWidget(self.address, 1, 0, 1, 2)
        layout.addWidget(self.answer, 2, 0, 1, 2)
        layout.setColumnStretch(0, 1)
        self._job = Job(self)
        self._job.done.connect(self._on_answer)
        self._job.failed.connect(self._on_failure)
        self.kind.currentIndexChanged.connect(self._on_kind)
        self.address.textChanged.connect(self._on_address)
        self.button.clicked.connect(self.test)
        self._on_kind(0)

    @property
    def chosen(self) -> PoolKind:
        return self.kinds[self.kind.currentIndex()]

    @property
    def spec(self) -> str:
        """What a search understands: ``"local"``, ``"tcp://127.0.0.1:8786"``; raises InputError when it is missing."""
        return self.chosen.spec_from(self.address.text())

    @spec.setter
    def spec(self, spec: str) -> None:
        place = next((i for i, kind in enumerate(self.kinds) if kind.owns(spec)), 0)
        if not self.kinds[place].spec:
            self.address.setText(spec)
        self.kind.setCurrentIndex(place)

    def test(self) -> None:
        """Ask the pool, away from this thread."""
        try:
            spec = self.spec
        except InputError as error:
            self._on_failure(error)
            return
        self.button.setEnabled(False)
        self._say("asking …")
        self._job.begin(self.chosen.check, spec)

    def _on_kind(self, _: int) -> None:
        self.address.setVisible(not self.chosen.spec)
        self.address.setPlaceholderText(self.chosen.example)
        self.address.setToolTip(f"{self.chosen.note}; as in {self.chosen.example}")
        self.kind.setToolTip(self.chosen.note)
        self._rest()

    def _on_address(self, _: str) -> None:
        self._rest()

    def _rest(self) -> None:
        """What was tested is not what is chosen now."""
        self._job.forget()
        self.button.setEnabled(True)
        self.answer.hide()

    def _on_answer(self, connection: Connection) -> None:
        self.button.setEnabled(True)
        self._say(describe(connection))
        self.tested.emit(connection)

    def _on_failure(self, error: Exception) -> None:
        self.button.setEnabled(True)
        text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        self._say(f'<span style="color:{BAD}">✗</span> {escape(text)}')
        self.tested.emit(error)

    def _say(self, text: str) -> None:
        self.answer.setText(text)
        self.answer.show()


def describe(connection: Connection) -> str:
    """A pool's answer as rich text."""
    plural = "" if connection.workers == 1 else "s"
    gpus = f", {connection.gpus} GPU{'' if connection.gpus == 1 else 's'}" if connection.gpus else ""
    took = f", answered in {1000 * connection.seconds:.0f} ms" if connection.seconds else ""
    versions = ", ".join(f"{name} {version}" for name, version in connection.there.items())
    same = "as here" if connection.matches else "other than here"
    mark = f'<span style="color:{GOOD if connection.matches else BAD}">{"✓" if connection.matches else "✗"}</span>'
    return (
        f"{mark} {connection.workers} worker{plural}, {connection.slots} slot{'' if connection.slots == 1 else 's'}"
        f"{gpus}{took}<br><small>{escape(versions)}: {same}</small>"
    )
