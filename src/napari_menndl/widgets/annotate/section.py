"""A part of a dock that can be folded away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtGui import QIcon
from superqt import QCollapsible

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


def section(title: str, part: QWidget, opened: bool = False) -> QCollapsible:
    """A title that opens and folds a part."""
    folded = QCollapsible()
    folded.setDuration(0)
    button = folded.toggleButton()
    button.setToolTip(f"Show or fold “{title}”")
    button.setStyleSheet("text-align: left; font-weight: bold; background: transparent; padding: 3px;")
    # Its own arrows are drawn in the palette's colour, which napari's dark theme does not set.
    for set_icon in (folded.setCollapsedIcon, folded.setExpandedIcon):
        set_icon(QIcon())
    folded.toggled.connect(lambda on: folded.setText(f"{'▾' if on else '▸'}  {title}"))
    folded.setText(f"▸  {title}")
    folded.layout().setContentsMargins(0, 0, 0, 0)  # type: ignore[union-attr]
    folded.content().layout().setContentsMargins(6, 0, 0, 4)  # type: ignore[union-attr]
    folded.addWidget(part)
    if opened:
        folded.expand(animate=False)
    return folded
