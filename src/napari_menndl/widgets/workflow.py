"""Dock "MENNDL workflow": annotate, search and review as numbered steps, each of which continues the one before."""

from __future__ import annotations

from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QHBoxLayout, QLabel, QScrollArea, QTabWidget, QToolButton, QVBoxLayout, QWidget

from napari_menndl.search.frame_numbers import finished_frames
from napari_menndl.widgets.docking import NARROW, WIDE, Docking
from napari_menndl.widgets.preferences import recall, remember
from napari_menndl.widgets.shortcuts import explained, show_shortcuts

if TYPE_CHECKING:
    import napari.viewer

ANNOTATE, SEARCH, REVIEW = range(3)
#: Title, purpose, and class of the dock.
STEPS = (
    ("1  Annotate", "Mark the defects of one frame, or of a few", "annotate.dock:AnnotateDefects"),
    ("2  Search", "Evolve networks that find such defects", "search.dock:SearchNetworks"),
    ("3  Review", "See what the best network finds in every frame, and correct it", "review.dock:ReviewFrames"),
)


class Workflow(QWidget):
    """Dock "MENNDL workflow".

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    hint_changed : Signal(text)
    """

    hint_changed = Signal(str)

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self._docks: dict[int, Any] = {}
        self._run: Any = None
        self._proposed: Any = None
        self._tools: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._hint = ""
        self.tabs, self._pages = QTabWidget(), [QScrollArea() for _ in STEPS]
        self.tabs.setDocumentMode(True)
        if (bar := self.tabs.tabBar()) is not None:
            bar.setDrawBase(False)
        for page, (title, tooltip, _) in zip(self._pages, STEPS, strict=True):
            page.setWidgetResizable(True)
            page.setFrameShape(QScrollArea.Shape.NoFrame)
            page.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            self.tabs.setTabToolTip(self.tabs.addTab(page, title), tooltip)
        self.next = QLabel()
        self.next.setWordWrap(True)
        self.next.setTextFormat(Qt.TextFormat.RichText)
        self.next.setAccessibleName("What to do next")
        self.help = QToolButton()
        self.help.setText("?")
        self.help.setToolTip(explained("Show all shortcuts", "help"))
        line = QHBoxLayout()
        line.addWidget(self.next, 1)
        line.addWidget(self.help, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(line)
        layout.addWidget(self.tabs, 1)
        self.setMinimumWidth(NARROW + 20)
        self.docking = Docking(self, viewer)
        self._connect()
        self.tabs.setCurrentIndex(int(recall("workflow/step", ANNOTATE)))
        self._enter(self.step)

    def _connect(self) -> None:
        self.tabs.currentChanged.connect(self._enter)
        self.help.clicked.connect(self._show_help)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return a size that leaves most of a small screen to the frame."""
        return QSize(WIDE, 640)

    # Steps ------------------------------------------------------------------------------------------------------------

    @property
    def step(self) -> int:
        """Index in `STEPS` of the step in front."""
        return int(self.tabs.currentIndex())

    def go_to(self, step: int) -> None:
        """Bring a step to the front."""
        self.tabs.setCurrentIndex(step)

    def dock(self, step: int) -> Any:
        """Return the dock of a step, made when it is first needed, so that the first step is shown at once."""
        if step not in self._docks:
            module, _, name = STEPS[step][2].partition(":")
            dock = getattr(import_module(f"napari_menndl.widgets.{module}"), name)(self.viewer)
            self._docks[step] = dock
            dock.hint_above = True
            dock.reset_choices()  # this makes it update its hint
            self._pages[step].setWidget(dock)
            dock.hint_changed.connect(self._show_hint)
            if step == SEARCH:
                dock.run_opened.connect(self._run_opened)
            elif step == REVIEW:
                dock.search_again.connect(self._search_again)
        return self._docks[step]

    def _enter(self, step: int) -> None:
        remember("workflow/step", step)
        dock = self.dock(step)
        self._lay_down_or_take_up(step)
        if step == SEARCH:
            self._propose(dock)
        elif step == REVIEW:
            if SEARCH in self._docks:  # the review shows it in colours of its own
                self._docks[SEARCH].best_box.setChecked(False)
            if self._run is not None:
                run, self._run = self._run, None
                dock.open_run(run.path)
        self._show_hint()

    def reset_choices(self, event: Any = None) -> None:
        """Update the choices after layers were added, removed or renamed; called by napari."""
        for dock in self._docks.values():
            dock.reset_choices(event)

    def _lay_down_or_take_up(self, step: int) -> None:
        """Deactivate the annotation's tool outside step 1: clicks must not paint, and a review hides the layer."""
        annotate: Any = self._docks.get(ANNOTATE)
        layer = None if annotate is None else annotate.annotation_layer
        if layer is None:
            return
        if step == ANNOTATE:
            layer.mode = self._tools.pop(layer, str(layer.mode))
        elif str(layer.mode) != "pan_zoom":
            self._tools[layer], layer.mode = str(layer.mode), "pan_zoom"

    # Handing over -----------------------------------------------------------------------------------------------------

    def _propose(self, search: Any) -> None:
        """Propose what was annotated in step 1, unless a person chose something else since."""
        annotate: Any = self._docks.get(ANNOTATE)
        if annotate is None or (layer := annotate.annotation_layer) is None:
            return
        frames = finished_frames(layer.metadata["annotation"])
        if frames and (layer, frames) != self._proposed:
            self._proposed = layer, frames
            search.propose(annotate.movie_layer, layer)
        else:
            search.setup.offer_in_view()

    def _run_opened(self, run: Any) -> None:
        self._run = run  # reviewed when that step is opened: a search just started has no network yet

    def _search_again(self, frames: list[int]) -> None:
        inputs = self.dock(REVIEW).inputs
        search = self.dock(SEARCH)
        self.go_to(SEARCH)
        search.propose(inputs.image, inputs.annotation, sorted({*search.setup.frames, *frames}))

    # Next step --------------------------------------------------------------------------------------------------------

    @property
    def hint(self) -> str:
        """The next step."""
        return self._hint

    def _show_hint(self, _: str = "") -> None:
        hint = self.dock(self.step).hint
        self.next.setText(f"<b>Next:</b> {escape(hint)}")
        if hint != self._hint:
            self._hint = hint
            self.hint_changed.emit(hint)

    def _show_help(self) -> None:
        show_shortcuts(self.viewer)
