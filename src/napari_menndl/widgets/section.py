"""Foldable sections of a dock, and labels whose text takes several lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QLabel
from superqt import QCollapsible

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

#: Qt's QWIDGETSIZE_MAX, which its bindings leave out.
_UNLIMITED = 2**24 - 1


class WrappedLabel(QLabel):
    """Label that takes as many lines as its text needs.

    A foldable section asks its parts how high they have to be, not how high at their width: those beside a text of
    several lines would be cut off.
    """

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setWordWrap(True)

    def setText(self, text: str | None) -> None:  # noqa: N802 (Qt's name)
        super().setText(text)
        self._fit()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setMinimumHeight(0)  # otherwise its present height counts as the least
        self.setMinimumHeight(max(0, self.heightForWidth(self.width())))


def section(title: str, body: QWidget, opened: bool = False, tip: str = "") -> QCollapsible:
    """Return a section whose title folds a widget away or out; folded out, the widget may grow."""
    # Its own icons are drawn once, in the colours of the theme of that moment: the arrow is in the title instead.
    none = QPixmap(1, 1)
    none.fill(QColor(0, 0, 0, 0))
    made = QCollapsible(title, expandedIcon=QIcon(none), collapsedIcon=QIcon(none))
    made.toggleButton().setIconSize(QSize(1, 1))
    made.setDuration(0)
    made.toggleButton().setToolTip(tip or "Fold out or away")
    made.toggleButton().setStyleSheet("text-align: left; border: none; background: transparent; font-weight: bold;")
    made.setContentsMargins(0, 0, 0, 0)
    if (layout := made.layout()) is not None:
        layout.setContentsMargins(0, 2, 0, 2)
    made.setContent(body)

    def fit(unfolded: bool) -> None:
        # The class itself keeps the height of that moment: a widget that grows later would be cut off.
        body.setMaximumHeight(_UNLIMITED if unfolded else 0)
        body.setVisible(unfolded)
        made.setText(f"{'▾' if unfolded else '▸'}  {title}")

    made.toggled.connect(fit)
    (made.expand if opened else made.collapse)(animate=False)
    return made
