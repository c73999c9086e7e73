"""Tools of the dock "Annotate defects": actions of its buttons on the annotation that is painted on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_menndl.errors import InputError
from napari_menndl.widgets.annotate.clicks import ClickLayer
from napari_menndl.widgets.annotate.regions import RegionLayer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

    from napari_menndl.widgets.annotate.panel import Panel
    from napari_menndl.widgets.annotate.strokes import AnnotationBinding


class Tools(QObject):
    """Brush, eraser, points, discs, regions, undo and redo.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    panel : Panel
        The panel with the buttons.
    frame : callable
        Returns the frame in view.

    Attributes
    ----------
    said : Signal(str)
        A message, or how to use the tool that was activated.
    painted : AnnotationBinding or None
        The annotation that the tools work on.
    """

    said = Signal(str)

    def __init__(self, viewer: Viewer, panel: Panel, frame: Callable[[], int], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._panel, self._frame = viewer, panel, frame
        self.regions = RegionLayer(viewer)
        self.clicks = ClickLayer(viewer)
        self.painted: AnnotationBinding | None = None
        for button, act in (
            (panel.undo, self.undo),
            (panel.redo, self.redo),
            (panel.tools["brush"], partial(self.take, "paint")),
            (panel.tools["eraser"], partial(self.take, "erase")),
            (panel.tools["points"], self.click_points),
            (panel.tools["region"], self.draw_region),
            (panel.to_discs, self.to_discs),
            (panel.to_points, self.to_points),
        ):
            button.clicked.connect(guarded(act, self.said.emit))
        panel.click_form["radius"].changed.connect(guarded(self.resize, self.said.emit))

    def enable(self) -> None:
        """Enable the tools if there is an annotation to paint on."""
        panel = self._panel
        for part in (*panel.tools.values(), panel.to_discs, panel.to_points):
            part.setEnabled(self.painted is not None)

    @property
    def value(self) -> int:
        """Label of the selected class."""
        return self._panel.classes.row + 1

    @property
    def radius(self) -> float:
        """Radius of the disc around a click, from the form: [nm] if the pixel size is known, else [px]."""
        return float(self._panel.click_form["radius"].value)

    @property
    def pixel(self) -> float:
        """Edge of a pixel, in the unit of `radius`."""
        size = None if self.painted is None else self.painted.annotation.pixel_size
        return 1.0 if size is None else float(np.sqrt(np.prod(size)))

    def choose(self, value: int) -> None:
        """Select a class for brush and clicks."""
        if self.painted is not None:
            if self.painted.layer.selected_label != value:
                self.painted.layer.selected_label = value
            if (radius := self.clicks.radius(value)) is not None:
                with self._panel.click_form["radius"].changed.blocked():
                    self._panel.click_form["radius"].value = radius * self.pixel
            self.clicks.take(value, self.radius / self.pixel)

    def resize(self) -> None:
        """Apply the radius in the form to the clicked discs of the selected class."""
        if self.painted is not None:
            number = self.clicks.resize(self.value, self.radius / self.pixel)
            self.said.emit(f"{number} discs have another radius." if number else "")

    def take(self, mode: str) -> None:
        """Activate a tool of the annotation's layer."""
        if self.painted is not None:
            self._viewer.layers.selection.active = self.painted.layer
            self.painted.layer.mode = mode

    def undo(self) -> None:
        if self.painted is not None:
            self.painted.undo()

    def redo(self) -> None:
        if self.painted is not None:
            self.painted.redo()

    def draw_region(self) -> None:
        self.regions.draw()
        self.said.emit("Drag a rectangle; everything inside it counts as annotated.")

    def click_points(self) -> None:
        if self.painted is not None:
            self.clicks.click(self.value, self.radius / self.pixel)
            self._panel.show_section("Points")
            self.said.emit("Click the middle of each defect: each click is a disc at once. Their radius is below.")

    def to_discs(self) -> None:
        active, ours = self._viewer.layers.selection.active, self.clicks.layer
        if isinstance(active, Points) and active != ours:
            number = self.clicks.add_discs(active, self.value, self.radius)
            self.said.emit(f"{number} points became discs.")
        elif ours is not None and self.painted is not None:
            number = self.clicks.finish()
            self._viewer.layers.selection.active = self.painted.layer
            self.said.emit(f"{number} points are discs; “Discs → points” brings them back to be moved or deleted.")
        else:
            raise InputError("a points layer", "none", "Click “Points”, then the middle of each defect.")

    def to_points(self) -> None:
        if self.painted is not None:
            number = self.clicks.from_discs(self._frame())
            self._panel.show_section("Points")
            self.said.emit(f"{number} discs as points: move or delete them; the discs follow at once.")


def guarded(act: Callable[[], Any], show_message: Callable[[str], Any]) -> Callable[..., None]:
    """Return the action of a button, with errors shown in napari and in the dock."""

    def run(*_: Any) -> None:
        try:
            act()
        except InputError as error:
            show_error(str(error))
            show_message(str(error))

    return run
