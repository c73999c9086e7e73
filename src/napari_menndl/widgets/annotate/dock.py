"""Dock "Annotate defects": whatever is painted or clicked over a movie is saved at once."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.errors import InputError
from napari_menndl.widgets.annotate.class_table import Counter
from napari_menndl.widgets.annotate.helper import Scene
from napari_menndl.widgets.annotate.messages import next_step, no_discs_yet
from napari_menndl.widgets.annotate.opening import length_unit
from napari_menndl.widgets.annotate.panel import Panel
from napari_menndl.widgets.annotate.strokes import AnnotationBinding
from napari_menndl.widgets.annotate.tools import Tools, guarded
from napari_menndl.widgets.docking import Docking
from napari_menndl.widgets.layers import annotation_of, frame_in_view
from napari_menndl.widgets.shortcuts import bind

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari.viewer
    from napari.layers import Image, Labels

    from napari_menndl.annotation.annotation import Annotation


class AnnotateDefects(QWidget):
    """Dock "Annotate defects".

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    hint_changed : Signal(str)
        The next step.
    annotation_changed : Signal(object)
        The layer that is painted on, or None.
    """

    hint_changed = Signal(str)
    #: Whether the hint is shown above the dock already.
    hint_above = False
    annotation_changed = Signal(object)

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.painted: AnnotationBinding | None = None
        self.panel = Panel(viewer, self)
        self.choice = self.panel.choice
        self.tools = Tools(viewer, self.panel, lambda: self.frame, self)
        self.regions, self.clicks = self.tools.regions, self.tools.clicks
        self.counter = Counter(self.panel.classes.model, self)
        self._hint = ""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)
        self.docking = Docking(self, viewer)
        self._connect()
        self.reset_choices()
        self._annotation_chosen()

    def _connect(self) -> None:
        panel, choice, viewer = self.panel, self.panel.choice, self.viewer
        choice.movie_chosen.connect(self._movie_chosen)
        choice.annotation_chosen.connect(self._annotation_chosen)
        choice.menu.addAction("New annotation elsewhere…", self._guarded(choice.begin_elsewhere))
        choice.menu.addAction("Open an annotation…", self._guarded(choice.open_elsewhere))
        for button, act in (
            (choice.new, choice.begin),
            (choice.offer, choice.open_offered),
            (panel.frames.next, self.go_to_next),
        ):
            button.clicked.connect(self._guarded(act))
        self.tools.said.connect(self._show_message)
        panel.prepare.prepared.connect(choice.choose_movie)
        panel.frames.chosen.connect(self.show_frame)
        panel.next_region.frame_chosen.connect(self.show_frame)
        panel.next_region.frame_chosen.connect(panel.show_next_region)
        panel.frames.status_chosen.connect(self.set_status)
        panel.classes.chosen.connect(self._class_chosen)
        for helper in panel.helpers:
            helper.accepted.connect(self._show_message)
        step, moved = viewer.dims.events.current_step, self._moved
        step.connect(moved)
        unbind = [bind(viewer, "next-unannotated", self.go_to_next), bind(viewer, "frame-complete", self.complete)]
        for undo in (partial(step.disconnect, moved), self._release, *unbind):
            self.destroyed.connect(lambda *_, undo=undo: undo())

    def _guarded(self, act: Callable[[], Any]) -> Callable[..., None]:
        return guarded(act, self._show_message)

    def reset_choices(self, event: Any = None) -> None:
        """Update the choices after layers were added, removed or renamed; called by napari."""
        self.choice.reset_choices()
        self.panel.prepare.reset_choices()
        self._show_message()

    # Interface for other docks ----------------------------------------------------------------------------------------

    @property
    def hint(self) -> str:
        """Next step, in one sentence."""
        return self._hint

    @property
    def movie_layer(self) -> Image | None:
        return self.choice.movie_layer

    @property
    def annotation_layer(self) -> Labels | None:
        """Layer that is painted on; its ``metadata["annotation"]`` is the `Annotation`."""
        return None if self.painted is None else self.painted.layer

    @property
    def annotation(self) -> Annotation | None:
        return None if self.painted is None else self.painted.annotation

    @property
    def frame(self) -> int:
        """The frame in view."""
        layer = self.movie_layer
        return 0 if layer is None else frame_in_view(layer, self.viewer.dims.point)

    # Layers -----------------------------------------------------------------------------------------------------------

    def _movie_chosen(self) -> None:
        self.panel.name_unit(length_unit(self.movie_layer))
        self._moved()

    def _annotation_chosen(self) -> None:
        layer = self.choice.annotation_layer
        annotation = annotation_of(layer)
        self._release()
        if layer is not None and annotation is not None:
            try:
                self.painted = AnnotationBinding(layer, annotation, self.show_frame)
            except InputError as error:
                layer.editable = False
                show_error(str(error))
                self.reset_choices()
                return
            self.tools.painted = self.painted
            annotation.changes.labels.connect(self._labels_changed)
            annotation.changes.status.connect(self._status_changed)
            annotation.changes.classes.connect(self._show_classes)
            layer.events.selected_label.connect(self._label_chosen)
        self.regions.follow(annotation, layer)
        self.clicks.follow(None if self.painted is None else annotation, layer)
        self.panel.frames.show_frames(annotation)
        self.panel.next_region.follow(None if self.painted is None else annotation)
        self._show_classes()
        self._moved()
        self.annotation_changed.emit(self.annotation_layer)

    def _release(self) -> None:
        """Disconnect from the annotation."""
        painted, self.painted, self.tools.painted = self.painted, None, None
        if painted is not None:
            painted.release()
            painted.annotation.changes.labels.disconnect(self._labels_changed)
            painted.annotation.changes.status.disconnect(self._status_changed)
            painted.annotation.changes.classes.disconnect(self._show_classes)
            painted.layer.events.selected_label.disconnect(self._label_chosen)

    # Frames -----------------------------------------------------------------------------------------------------------

    def show_frame(self, frame: int) -> None:
        """Bring a frame into view."""
        layer = self.movie_layer
        if layer is not None and layer.ndim == 3 and frame != self.frame:
            self.viewer.dims.set_point(self.viewer.dims.ndim - 3, layer.data_to_world((frame, 0, 0))[0])

    def go_to_next(self) -> None:
        """Bring the next frame that is not complete into view."""
        if self.annotation is None:
            self._show_message()
            return
        following = self.annotation.next_unannotated(self.frame)
        if following is None:
            self._show_message("Every other frame is complete.")
        else:
            self.show_frame(following)

    def complete(self) -> None:
        """Set the frame in view to complete or, if it is, back to in progress."""
        if self.annotation is not None and self.frame < len(self.annotation):
            done = self.annotation.status[self.frame] is FrameStatus.COMPLETE
            self.set_status(FrameStatus.IN_PROGRESS if done else FrameStatus.COMPLETE)

    def set_status(self, status: str) -> None:
        """Set the status of the frame in view."""
        if self.annotation is not None:
            self._guarded(partial(self.annotation.set_status, self.frame, status))()
            if status == FrameStatus.COMPLETE and (name := self._unmarked):
                show_warning(no_discs_yet(name))

    @property
    def _unmarked(self) -> str:
        """Name of another points layer over the movie whose points are not discs yet; empty without one."""
        layer = self.clicks.unmarked()
        return "" if layer is None else layer.name

    def _moved(self) -> None:
        """Update the dock for another frame or movie in view."""
        self.panel.frames.show_frame(self.frame)
        self.panel.classes.model.show_counts({})
        self._lead()
        self.counter.count(self.annotation, self.frame)
        self._show_message()

    def _lead(self) -> None:
        """Pass what is in view to the helpers."""
        scene = self._scene()
        for helper in self.panel.helpers:
            helper.follow(scene)

    def _status_changed(self, frame: int) -> None:
        self.panel.frames.model.renew(frame)
        self.panel.frames.show_frame(self.frame)
        self._show_message()

    def _labels_changed(self, _: int) -> None:
        self.counter.count(self.annotation, self.frame)
        self._show_message()

    def _scene(self) -> Scene | None:
        layer, annotation, frame = self.movie_layer, self.annotation, self.frame
        if layer is None or annotation is None or frame >= len(annotation):
            return None
        try:
            return Scene(layer, self.choice.movie(), annotation, frame, self.tools.value)
        except InputError:
            return None

    # Classes ----------------------------------------------------------------------------------------------------------

    def _show_classes(self) -> None:
        layer = self.annotation_layer
        self.panel.classes.show_classes(self.annotation, 1 if layer is None else max(1, layer.selected_label))
        self._show_matching()
        self.tools.enable()
        self.counter.count(self.annotation, self.frame)

    def _label_chosen(self) -> None:
        layer = self.annotation_layer
        if layer is not None and layer.selected_label > 0:
            self.panel.classes.select(layer.selected_label)

    def _class_chosen(self, value: int) -> None:
        if self.painted is not None:
            self.tools.choose(value)
            self._lead()
            self._show_matching()

    def _show_matching(self) -> None:
        self.panel.matching.show_class(self.annotation, self.tools.value - 1)

    # Status and hint --------------------------------------------------------------------------------------------------

    def _show_message(self, said: str = "") -> None:
        """Show a message or else the next step, and whether there is anything to undo or redo."""
        annotation = self.annotation
        self.panel.undo.setEnabled(annotation is not None and annotation.can_undo)
        self.panel.redo.setEnabled(annotation is not None and annotation.can_redo)
        hint, button = next_step(self.choice, self.annotation, self.frame, self._unmarked)
        told = said or ("" if self.hint_above else hint)
        self.panel.status.setText(escape(told))
        self.panel.status.setVisible(bool(told))
        if hint != self._hint:
            self._hint = hint
            self.docking.point_to(self.panel.buttons.get(button))
            self.hint_changed.emit(hint)
