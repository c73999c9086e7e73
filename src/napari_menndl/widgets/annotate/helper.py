"""Helper that proposes defects by a method: adjust its settings, preview what it would mark, accept that."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.notifications import show_error
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_menndl.annotation.columns import ColumnSettings, FrameColumns, tune_columns
from napari_menndl.annotation.fourier import FourierSettings, FrameSpectrum
from napari_menndl.annotation.fourier_tuning import tune_fourier
from napari_menndl.annotation.proposals import SMALLEST, merge_proposals, surroundings
from napari_menndl.errors import InputError
from napari_menndl.metrics.components import label_components
from napari_menndl.widgets.background import LatestTask
from napari_menndl.widgets.form import lay_out, make_form, read_form
from napari_menndl.widgets.frame_layer import FrameLayer
from napari_menndl.widgets.section import section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.movie.movie import Movie

#: Number of random Fourier settings to try, and of changes after that: about ten seconds at 1024².
SAMPLES, STEPS = 24, 12
COLOUR = "#ff4df0"


@dataclass(frozen=True)
class Scene:
    """Input of a helper.

    Attributes
    ----------
    layer : napari.layers.Image
        Image layer of the movie.
    movie : Movie
    annotation : Annotation
    frame : int
        The frame in view.
    value : int
        Label of the class to propose defects of.
    """

    layer: Image
    movie: Movie
    annotation: Annotation
    frame: int
    value: int


class Responding(Protocol):
    """Frame opened by a method, for repeated use while settings are adjusted."""

    def response(self, settings: Any) -> np.ndarray:
        """Return the response (Y, X) float32; there is a defect where it reaches the threshold of the settings."""


@dataclass(frozen=True)
class Method:
    """Method of proposing defects.

    Attributes
    ----------
    name : str
    settings : type
        A dataclass of settings, `threshold` among them.
    sliders : mapping of str to (low, high)
        Settings that are always visible, with their range; the others are folded away.
    shown : tuple of str
        Further visible settings, without a slider.
    open : callable
        Opens a raw frame (Y, X) as a `Responding`.
    tune : callable
        Returns the settings that come nearest to what is marked in a `Scene` for its class.
    finds : str
        Description of what it finds, for a tooltip.
    """

    name: str
    settings: type
    sliders: Mapping[str, tuple[float, float]]
    shown: tuple[str, ...]
    open: Callable[[np.ndarray], Responding]
    tune: Callable[[Scene], Any]
    finds: str


class Proposal(FrameLayer):
    """Outlines of a proposal over the frame in view: labels (Y, X) uint8."""

    def __init__(self, viewer: Viewer, name: str) -> None:
        super().__init__(viewer)
        self.name = name

    def make(self, data: np.ndarray, place: dict[str, Any]) -> Labels:
        colours = DirectLabelColormap(color_dict={1: COLOUR, None: "transparent", 0: "transparent"})
        layer = Labels(data, name=self.name, opacity=0.9, colormap=colours, **place)
        layer.editable = False
        return layer


class Previewer:
    """Computation of proposals frame by frame; keeps the latest frame open. For one thread at a time."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._known: tuple[Any, int, Responding] | None = None

    def answer(self, question: tuple[Scene, Any]) -> tuple[np.ndarray, np.ndarray, int]:
        """Return a proposal and its outline, each (Y, X) bool, and the number of its defects."""
        scene, settings = question
        known = self._known
        if known is None or known[0] is not scene.movie or known[1] != scene.frame:
            known = scene.movie, scene.frame, self._method.open(scene.movie.frame(scene.frame))
            self._known = known
        proposed = known[2].response(settings) >= settings.threshold
        return proposed, _outline(proposed), len(label_components(proposed, SMALLEST))


def _outline(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask (Y, X) bool with a neighbour outside; a layer would block the window for it."""
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    return mask & ~inner


def _labelled(scene: Scene) -> tuple[Any, ...]:
    """Return the frame, the labels of the class, where labels are known around them, and the match rule."""
    annotation, t = scene.annotation, scene.frame
    marked = annotation.frame(t) == scene.value
    return scene.movie.frame(t), marked, surroundings(annotation, t), annotation.match_rule(scene.value - 1)


def _tune_fourier(scene: Scene) -> FourierSettings:
    return tune_fourier(*_labelled(scene), rng=np.random.default_rng(0), samples=SAMPLES, steps=STEPS)


FOURIER = Method(
    "Fourier",
    FourierSettings,
    {"inner": (0.0, 0.2), "outer": (0.01, 0.71), "threshold": (-2.0, 15.0)},
    (),
    FrameSpectrum,
    _tune_fourier,
    "what is left when the lattice is filtered out",
)
COLUMNS = Method(
    "Column",
    ColumnSettings,
    {"threshold": (0.0, 30.0), "ceiling": (0.0, 100.0)},
    ("sign", "kind"),
    FrameColumns,
    lambda scene: tune_columns(*_labelled(scene)),
    "atomic columns that are brighter or darker than their kind",
)


class Helper(QWidget):
    """Part of the dock for one method.

    Parameters
    ----------
    viewer : napari.Viewer
    method : Method

    Attributes
    ----------
    accepted : Signal(str)
        Message about a proposal that was turned into labels.
    """

    accepted = Signal(str)

    def __init__(self, viewer: Viewer, method: Method, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.method = method
        self.preview = Proposal(viewer, f"{method.name} proposal")
        self.scene: Scene | None = None
        self.proposed: tuple[Scene, Any, np.ndarray] | None = None
        self.latest = LatestTask(Previewer(method).answer, self)
        self.tuner = LatestTask(method.tune, self)
        self._build()
        self.latest.answered.connect(self._show)
        self.latest.failed.connect(self._fail)
        self.tuner.answered.connect(self._tuned)
        self.tuner.failed.connect(self._fail)
        self.form.changed.connect(self.ask)
        self.button.toggled.connect(self._toggled)
        self.tune_button.clicked.connect(self._tune)
        self.accept_button.clicked.connect(self.accept)

    def _build(self) -> None:
        sliders = {
            name: {"widget_type": "FloatSlider", "min": low, "max": high, "step": (high - low) / 200}
            for name, (low, high) in self.method.sliders.items()
        }
        self.form = make_form(self.method.settings, **sliders)
        self.button = QPushButton("Preview on the frame in view")
        self.button.setCheckable(True)
        self.button.setToolTip(f"Outline {self.method.finds}; it follows the settings and the frame")
        self.tune_button = QPushButton("Tune to my labels")
        self.tune_button.setToolTip("Find the settings that come nearest to what is marked for the selected class here")
        self.accept_button = QPushButton("Accept as labels")
        self.accept_button.setToolTip("Mark what is outlined with the selected class, where nothing is marked yet")
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.bar.hide()
        in_sight = {*self.method.sliders, *self.method.shown}
        shown = lay_out([row for row in self.form if row.name in in_sight])
        rows: QFormLayout = shown.layout()  # type: ignore[assignment]
        rows.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)  # sliders as wide as the dock
        more = section("More settings", lay_out([row for row in self.form if row.name not in in_sight]))
        buttons = QHBoxLayout()
        for button in (self.tune_button, self.accept_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.button)
        layout.addWidget(shown)
        layout.addWidget(more)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)

    # Following the view -----------------------------------------------------------------------------------------------

    def follow(self, scene: Scene | None) -> None:
        """Follow the frame, class or annotation in view; None for none."""
        moved = (
            self.scene is None or scene is None or (scene.movie, scene.frame) != (self.scene.movie, self.scene.frame)
        )
        self.scene = scene
        self.setEnabled(scene is not None)
        if moved:
            self._forget()
            self.ask()

    @property
    def settings(self) -> Any:
        """Settings in the form; raises InputError if they contradict each other."""
        return read_form(self.form, self.method.settings)

    def ask(self) -> None:
        """Update the preview, if it is on."""
        if self.scene is None or not self.button.isChecked():
            return
        try:
            self.latest.ask((self.scene, self.settings))
        except InputError as error:
            self._forget()
            self.status.setText(str(error))

    def accept(self) -> None:
        """Turn the outlined proposal into labels, as one stroke."""
        scene, proposed = self.scene, self.proposed
        if scene is None or proposed is None:
            self.status.setText("Nothing is outlined yet: switch the preview on first.")
            return
        labels, added = merge_proposals(scene.annotation.frame(scene.frame), proposed[2], scene.value)
        try:
            scene.annotation.paint(scene.frame, labels)
        except InputError as error:
            show_error(str(error))
            return
        name = scene.annotation.class_names[scene.value - 1]
        self.button.setChecked(False)
        self.status.setText(f"{added} marked as {name}. Correct them with the brush, or undo.")
        self.accepted.emit(self.status.text())

    def _toggled(self, on: bool) -> None:
        if on:
            self.status.setText("")
            self.ask()
        else:
            self.latest.forget()
            self.proposed = None
            self.preview.remove()

    def _show(self, question: tuple[Scene, Any], answer: tuple[np.ndarray, np.ndarray, int]) -> None:
        scene, settings = question
        now = self.scene
        if now is None or not self.button.isChecked() or (now.movie, now.frame) != (scene.movie, scene.frame):
            return
        proposed, outline, number = answer
        self.proposed = scene, settings, proposed
        self.preview.show(outline.view(np.uint8), now.layer)
        self.status.setText(f"{number} outlined. Accept them, or turn the settings.")

    def _forget(self) -> None:
        self.proposed = None
        self.latest.forget()
        if self.preview.removed:
            self.preview.layer = None
        self.preview.clear()

    # Tuning -----------------------------------------------------------------------------------------------------------

    def _tune(self) -> None:
        if self.scene is None:
            return
        self._at_work(True)
        self.status.setText("Trying settings on this frame; you can go on painting.")
        self.tuner.ask(self.scene)

    def _tuned(self, scene: Scene, settings: Any) -> None:
        self._at_work(False)
        if not np.isfinite(settings.threshold):
            self.status.setText("No settings find these labels: mark more defects of this class, or paint the rest.")
            return
        with self.form.changed.blocked():
            for field in fields(settings):
                row, value = self.form[field.name], getattr(settings, field.name)
                if field.name in self.method.sliders:
                    row.min, row.max = min(row.min, value), max(row.max, value)
                row.value = value
        self.status.setText("Tuned to the labels of this frame.")
        if self.button.isChecked():
            self.ask()
        else:
            self.button.setChecked(True)

    def _fail(self, _: Any, error: Exception) -> None:
        self._at_work(False)
        self._forget()
        text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        self.status.setText(text)
        show_error(text)

    def _at_work(self, on: bool) -> None:
        self.bar.setVisible(on)
        self.tune_button.setEnabled(not on)
