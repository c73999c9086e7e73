"""Parts of the dock "Live review": form, button, messages, plot."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QFrame, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_menndl.errors import InputError
from napari_menndl.widgets.docking import NARROW, WIDE
from napari_menndl.widgets.form import fill_form, lay_out, make_form, read_form, remember_form
from napari_menndl.widgets.live.plot import CountPlot
from napari_menndl.widgets.live.settings import LiveSettings
from napari_menndl.widgets.paths import choose_by_menu
from napari_menndl.widgets.pixel_size import PixelSizeRow
from napari_menndl.widgets.shortcuts import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEPT = ("network", "source", "tables", "pixel_size", "fast", "existing", "newest")
PATHS = {"network": "run or saved network", "source": "or drop it here", "tables": "not written"}
FOLLOW, STOP = "Follow", "Stop following"


class LivePanel(QScrollArea):
    """Controls of the dock, without their actions.

    Parameters
    ----------
    images : callable
        Returns the layers that can be followed.
    """

    def __init__(self, images: Callable[[], list[Any]]) -> None:
        super().__init__()
        self.form = make_form(LiveSettings, layer={"choices": lambda _: images(), "nullable": True})
        self.menus = [choose_by_menu(self.form[name], name, example) for name, example in PATHS.items()]
        self.button = QPushButton(FOLLOW)
        self.button.setToolTip(explained("Predict and overlay every new frame as it arrives", "follow"))
        self.points = QPushButton("Defects as points")
        self.points.setToolTip("A layer with a point for every defect found so far, with the table's columns")
        self.points.setEnabled(False)
        self.status, self.behind, self.notice, self.legend = QLabel(), QLabel(), QLabel(), QLabel()
        self.status.setAccessibleName("What the live review is doing")
        self.plot = CountPlot()
        self.pixel_size = PixelSizeRow()
        self._lay_out()
        fill_form(self.form, {name: Path() for name in PATHS})
        remember_form(self.form, "live", KEPT)

    def _lay_out(self) -> None:
        body = QWidget()
        layout = QVBoxLayout(body)
        said = (self.status, self.behind, self.notice, self.plot, self.legend, self.points)
        for widget in (lay_out(self.form), self.pixel_size, self.button, *said):
            layout.addWidget(widget)
        for label in (self.status, self.behind, self.notice, self.legend):
            label.setWordWrap(True)
        for label in (self.behind, self.notice):
            label.hide()
        layout.addStretch()
        self.setWidget(body)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMinimumWidth(NARROW)
        self.setAcceptDrops(True)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return a size that leaves most of a small screen to the frame."""
        return QSize(WIDE, 560)

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        path = Path(event.mimeData().urls()[0].toLocalFile())
        run = path.suffix == ".safetensors" or (path / "search.json").is_file()
        self.form["network" if run else "source"].value = path

    # Settings ---------------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> LiveSettings:
        """Settings in the form."""
        settings: LiveSettings = read_form(self.form, LiveSettings)
        return settings

    def check(self) -> None:
        """Raise InputError if something is missing to begin with."""
        if not self.form["network"].line_edit.value:
            raise InputError("a network", "an empty field", "Choose the folder of a search or a saved network.")
        if self.form["layer"].value is None and not self.form["source"].line_edit.value:
            raise InputError("something to follow", "empty fields", "Choose a folder, a file or a layer.")

    # Messages ---------------------------------------------------------------------------------------------------------

    def begin(self, colours: Mapping[str, str], frame_time: float | None) -> None:
        """Reset messages and plot; takes the classes with their colours, and the time between two frames [s]."""
        self.show_backlog("")
        self.show_notice("")
        self.plot.begin(colours, frame_time)
        squares = (f'<span style="color:{colour}">■</span>&nbsp;{escape(name)}' for name, colour in colours.items())
        self.legend.setText("&nbsp;&nbsp; ".join(squares))

    def show_backlog(self, text: str) -> None:
        """Show a message about frames that wait."""
        self.behind.setText(text)
        self.behind.setVisible(bool(text))

    def show_notice(self, text: str) -> None:
        """Show a message about the source."""
        self.notice.setText(escape(text))
        self.notice.setVisible(bool(text))
