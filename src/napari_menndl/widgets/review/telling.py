"""Notifications of napari, each shown once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QObject

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable


class Notifier(QObject):
    """Notifier that shows a message once, not for every frame passed while scrubbing."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._said = ""

    def error(self, error: Exception) -> str:
        """Show an error and return its text; errors other than input errors are also logged in full."""
        if not isinstance(error, InputError):
            logging.getLogger(__name__).error("Reviewing a frame failed", exc_info=error)
        text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        self._say(text, show_error)
        return text

    def warn(self, text: str) -> None:
        self._say(text, show_warning)

    def begin(self) -> None:
        """Allow earlier messages to be shown again."""
        self._said = ""

    def _say(self, text: str, notify: Callable[[str], None]) -> None:
        if text != self._said:
            self._said = text
            notify(text)
