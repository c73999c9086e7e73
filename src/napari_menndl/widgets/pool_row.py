"""Form row for the pool that networks are trained on, with a test of the connection."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QFileDialog, QGridLayout, QHBoxLayout, QLineEdit, QPushButton, QWidget

from napari_menndl.errors import InputError
from napari_menndl.pool.check import probe_pool
from napari_menndl.pool.kinds import PoolKind, pool_kinds
from napari_menndl.widgets.background import BackgroundTask
from napari_menndl.widgets.preferences import with_certificates
from napari_menndl.widgets.section import WrappedLabel

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

    from napari_menndl.pool.report import PoolReport

GOOD, BAD = "#2ea043", "#e5534b"


class PoolRow(QWidget):
    """Kind of pool, its address or file if it has one, and "Test connection".

    Attributes
    ----------
    tested : Signal(PoolReport or exception)
    """

    tested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kinds = pool_kinds()
        self._given: dict[str, str] = {}
        self.kind = QComboBox()
        for place, kind in enumerate(self.kinds):
            self.kind.addItem(kind.title)
            self.kind.setItemData(place, kind.note, Qt.ItemDataRole.ToolTipRole)
        self.address = QLineEdit()
        self.button = QPushButton("Test connection")
        self.button.setToolTip(
            "Ask for its workers, slots, memory and versions, and how fast it answers; over SSH and on SLURM a worker "
            "is started for that, and ended again"
        )
        self.choose = QPushButton("…")
        self.choose.setMaximumWidth(32)
        self.choose.setToolTip("Choose the file")
        self.answer = WrappedLabel()
        self.answer.setTextFormat(Qt.TextFormat.RichText)
        self.answer.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.answer.hide()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.kind, 0, 0, 1, 2)
        given = QHBoxLayout()
        given.addWidget(self.address)
        given.addWidget(self.choose)
        layout.addLayout(given, 1, 0, 1, 2)
        layout.addWidget(self.button, 2, 0, 1, 2)
        layout.addWidget(self.answer, 3, 0, 1, 2)
        layout.setColumnStretch(0, 1)
        self._job = BackgroundTask(self)
        self._job.done.connect(self._on_answer)
        self._job.failed.connect(self._on_failure)
        self.kind.currentIndexChanged.connect(self._on_kind)
        self.address.textChanged.connect(self._on_address)
        self.button.clicked.connect(self.test)
        self.choose.clicked.connect(self._on_choose)
        self._on_kind(0)

    @property
    def chosen(self) -> PoolKind:
        return self.kinds[self.kind.currentIndex()]

    @property
    def spec(self) -> str:
        """Specification of the pool: ``"local"``, ``"tcp://127.0.0.1:8786"``; raises InputError if it is missing.

        For ``tls://`` it includes the certificate folder of the Preferences, unless another was typed.
        """
        return with_certificates(self.chosen.spec_from(self.address.text()))

    @spec.setter
    def spec(self, spec: str) -> None:
        place = next((i for i, kind in enumerate(self.kinds) if kind.owns(spec)), 0)
        self.kind.setCurrentIndex(place)
        bare = spec.partition("?")[0]
        self.address.setText(self.kinds[place].given_in(bare if with_certificates(bare) == spec else spec))

    def test(self) -> None:
        """Test the pool, in a thread."""
        try:
            spec = self.spec
        except InputError as error:
            self._on_failure(error)
            return
        self.button.setEnabled(False)
        self._show_message("asking …")
        self._job.begin(probe_pool, spec)

    def _on_kind(self, _: int) -> None:
        self.address.setVisible(bool(self.chosen.example))
        self.choose.setVisible(bool(self.chosen.files))
        self.address.setPlaceholderText(self.chosen.example)
        self.address.setToolTip(f"{self.chosen.note}; as in {self.chosen.example}")
        self.address.setText(self._given.get(self.chosen.title, ""))
        self.kind.setToolTip(self.chosen.note)
        self._rest()

    def _on_choose(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, self.chosen.title, self.address.text(), f"{self.chosen.title} ({self.chosen.files})"
        )
        if path:
            self.address.setText(path)

    def _on_address(self, text: str) -> None:
        self._given[self.chosen.title] = text
        self._rest()

    def _rest(self) -> None:
        """Clear the test result, because it is about another pool."""
        self._job.forget()
        self.button.setEnabled(True)
        self.answer.hide()

    def _on_answer(self, connection: PoolReport) -> None:
        self.button.setEnabled(True)
        self._show_message(describe(connection))
        self.tested.emit(connection)

    def _on_failure(self, error: Exception) -> None:
        self.button.setEnabled(True)
        text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        self._show_message(f'<span style="color:{BAD}">✗</span> {escape(text)}')
        self.tested.emit(error)

    def _show_message(self, text: str) -> None:
        self.answer.setText(text)
        self.answer.show()
        self._fit_answer()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit_answer()

    def _fit_answer(self) -> None:
        """Reserve the height of all lines of the answer: a form gives a row of several widgets less."""
        self.answer.setMinimumHeight(max(0, self.answer.heightForWidth(self.answer.width())))


def describe(connection: PoolReport) -> str:
    """Format the report of a pool as rich text."""
    counts = [_count(connection.workers, "worker"), _count(connection.slots, "slot")]
    counts += [_count(connection.gpus, "GPU")] if connection.gpus else []
    counts += [f"{connection.memory / 2**30:.0f} GiB of memory"]
    if connection.seconds:
        counts += [f"answers in {1000 * connection.seconds:.0f} ms", f"{connection.bytes_per_second / 1e6:.0f} MB/s"]
    versions = ", ".join(f"{name} {version}" for name, version in connection.there.items())
    same = "as here" if connection.matches else "other than here"
    mark = f'<span style="color:{GOOD if connection.matches else BAD}">{"✓" if connection.matches else "✗"}</span>'
    notes = "".join(f'<br><span style="color:{BAD}">!</span> {escape(note)}' for note in connection.notes)
    return f"{mark} {', '.join(counts)}<br><small>{escape(versions)}: {same}</small>{notes}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
