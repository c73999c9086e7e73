"""Clicked points: each is a disc in the annotation, saved as soon as it is clicked."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer

from napari_menndl.annotation.clicked_frames import Click, ClickedFrames
from napari_menndl.errors import InputError
from napari_menndl.metrics.components import label_components
from napari_menndl.widgets.layers import PLACE

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

    from napari_menndl.annotation.annotation import Annotation

NAME = "clicked defects"
#: Smallest size of a point, so that it can be seen and grabbed [px].
LEAST_SIZE = 3.0
#: Metadata key of another points layer: its points at the time when discs were made of them.
MARKED = "menndl discs"
#: Opacity appended to the colour of a point, so that disc and frame below stay visible.
CLEAR = "30"


class ClickLayer:
    """Points layer over an annotation; each point is one defect of the class in its feature ``class``.

    Every change of the points changes their discs at once, as one stroke that can be undone; undoing or erasing a disc
    removes its point. If the layer is removed, the discs stay.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._points: Points | None = None
        self._annotation: Annotation | None = None
        self._over: Labels | None = None
        self._frames: ClickedFrames | None = None
        #: Clicks by the feature ``click`` of their points.
        self._known: dict[int, Click] = {}
        self._numbers = count(1)
        # Radius of the next disc, and of the discs of each class that was clicked [px].
        self._radius = 1.0
        self._radii: dict[int, float] = {}
        self._classes = 0
        self._busy = False

    @property
    def layer(self) -> Points | None:
        """The layer, if it is in the viewer."""
        if self._points is not None and self._points not in self._viewer.layers:
            self._forget()
        return self._points

    def follow(self, annotation: Annotation | None, over: Labels | None) -> None:
        """Switch to another annotation and its layer; None for none."""
        if annotation is self._annotation:
            return
        self.finish()
        if self._annotation is not None:
            self._annotation.changes.labels.disconnect(self._on_labels)
            self._annotation.changes.classes.disconnect(self._classes_changed)
        self._annotation, self._over, self._radii = annotation, over, {}
        if annotation is not None:
            self._classes = len(annotation.classes)
            annotation.changes.labels.connect(self._on_labels)
            annotation.changes.classes.connect(self._classes_changed)

    def click(self, value: int, radius: float) -> None:
        """Activate the tool that adds points of the class with label `value`, with discs of `radius` [px]."""
        layer = self._get()
        self._viewer.layers.selection.active = layer
        layer.mode = "add"
        self.take(value, radius)

    def take(self, value: int, radius: float) -> None:
        """Set the class of the next points, and the radius [px] of their discs."""
        self._radius = radius
        if (layer := self.layer) is not None and self._annotation is not None:
            layer.selected_data = set()
            layer.feature_defaults = {"class": [self._annotation.class_names[value - 1]], "click": [0]}
            layer.current_face_color = self._annotation.classes[value - 1].colour + CLEAR
            layer.current_size = _size(radius)

    def radius(self, value: int) -> float | None:
        """Return the radius of the discs of a class [px]; None if none was clicked yet."""
        return self._radii.get(value)

    def resize(self, value: int, radius: float) -> int:
        """Set the radius [px] of the discs of all points of a class; return their number.

        Raises
        ------
        InputError
            If the radius is not positive or exceeds the frame, or the discs cannot be written.
        """
        if self._annotation is None:
            return 0
        if not 0 < radius < max(self._annotation.shape[1:]):
            raise InputError("a radius, positive and below the frame's size", f"{radius:g} px", "Correct the radius.")
        self.take(value, radius)
        number = sum(click.value == value for click in self._known.values())
        if self.layer is None or not number:
            return 0
        self._radii[value] = radius
        wanted = {
            key: replace(click, radius=radius, pixels=None) if click.value == value else click
            for key, click in self._known.items()
        }
        self._change(wanted)
        self._show()
        return number

    def from_discs(self, t: int) -> int:
        """Make points of the point defects of a frame, to be moved or deleted; return their number.

        Raises
        ------
        InputError
            Without an annotation.
        """
        layer, annotation, frames = self._get(), self._annotation, self._frames
        assert annotation is not None
        assert frames is not None
        labels, clicks = annotation.frame(t), []
        for value in (v for v, one in enumerate(annotation.classes, start=1) if not one.extended):
            found = label_components(labels == value, min_area=1)
            for number, ((y, x), area) in enumerate(zip(found.centres, found.areas, strict=True), start=1):
                pixels = np.flatnonzero(found.labels == number)
                clicks.append(Click(t, float(y), float(x), value, float(np.sqrt(area / np.pi)), pixels))
        frames.adopt(t, clicks)
        self._show()
        self._viewer.layers.selection.active = layer
        layer.mode = "select"
        return len(clicks)

    def finish(self) -> int:
        """Remove the layer but keep the discs; return the number of points."""
        layer, number = self.layer, len(self._known)
        self._forget()
        if layer is not None:
            self._viewer.layers.remove(layer)
        return number

    def add_discs(self, points: Points, value: int, radius: float) -> int:
        """Draw discs around all points of another layer, one stroke per frame; return their number.

        Parameters
        ----------
        points : napari.layers.Points
            Over the same frames.
        value : int
            Label for points without a class.
        radius : float
            [nm] if the pixel size is known, else [px].

        Raises
        ------
        InputError
            For points outside the movie, or of a class that the annotation does not have.
        """
        annotation, over = self._annotation, self._over
        if annotation is None or over is None:
            raise InputError("an annotation", "none", "Make a new annotation first.")
        world = np.array([points.data_to_world(point) for point in points.data]).reshape(-1, points.ndim)
        if points.ndim < over.ndim:
            world = np.column_stack([np.full((len(world), over.ndim - points.ndim), self._viewer.dims.point[0]), world])
        places = np.array([over.world_to_data(point) for point in world]).reshape(-1, 3)
        given = points.features["class"] if "class" in points.features else [None] * len(places)
        values = np.array([annotation.class_index(n) + 1 if isinstance(n, str) else value for n in given], np.uint8)
        check_inside(places, annotation)
        frames = np.rint(places[:, 0]).astype(int)
        for t in np.unique(frames).tolist():
            here = frames == t
            annotation.draw_points(t, places[here, 1:], values[here], radius)
        points.metadata[MARKED] = np.asarray(points.data, float).tobytes()
        self._viewer.layers.selection.active = over
        return len(places)

    def unmarked(self) -> Points | None:
        """Return another points layer over the frames whose points are not discs yet; None if there is none."""
        over = self._over
        for layer in self._viewer.layers if over is not None else ():
            if not isinstance(layer, Points) or layer == self.layer or not layer.editable or not len(layer.data):
                continue
            if layer.metadata.get(MARKED) != np.asarray(layer.data, float).tobytes():
                return layer
        return None

    # Points and discs -------------------------------------------------------------------------------------------------

    def _changed(self, event: Any = None) -> None:
        """Apply changes that were made to the points."""
        action = "" if event is None else str(event.action)
        if self._busy or self.layer is None or action in ("adding", "changing", "removing"):
            return
        try:
            self._change(self._read())
        except InputError as error:
            show_error(str(error))
            self._show()  # as it was
            return
        self._number()

    def _read(self) -> dict[int, Click]:
        """Return the clicks that the layer shows; new points get new numbers."""
        layer, annotation = self._points, self._annotation
        assert layer is not None
        assert annotation is not None
        places = np.asarray(layer.data, float).reshape(-1, 3)
        check_inside(places, annotation)
        found: dict[int, Click] = {}
        for (t, y, x), name, given in zip(places, layer.features["class"], layer.features["click"], strict=True):
            value = annotation.class_index(str(name)) + 1
            number = int(given) if given in self._known and int(given) not in found else next(self._numbers)
            click = Click(round(t), float(y), float(x), value, self._radius)
            before = self._known.get(number)
            if before is not None and (before.frame, before.y, before.x, before.value) == (round(t), y, x, value):
                click = before
            elif before is not None and before.value == value:
                click = replace(click, radius=before.radius)
            elif before is None:
                self._radii[value] = click.radius
            found[number] = click
        return found

    def _change(self, wanted: dict[int, Click]) -> None:
        """Replace the discs by those of these points."""
        assert self._frames is not None
        touched = {
            click.frame
            for number in wanted.keys() | self._known.keys()
            if wanted.get(number) is not self._known.get(number)
            for click in (wanted.get(number), self._known.get(number))
            if click is not None
        }
        self._busy = True
        try:
            for t in sorted(touched):
                self._frames.change(t, [click for click in wanted.values() if click.frame == t])
        finally:
            self._busy = False
        self._known = wanted

    def _number(self) -> None:
        """Write the numbers of the points to the layer."""
        layer = self._points
        if layer is not None and list(layer.features["click"]) != list(self._known):
            layer.features = {"class": list(layer.features["class"]), "click": list(self._known)}

    def _on_labels(self, t: int) -> None:
        """Follow a change of a frame's labels by brush, eraser, undo or redo."""
        if not self._busy and self.layer is not None:
            self._follow(t)
            QTimer.singleShot(0, partial(self._follow, t))  # a bucket announces its change before it fills

    def _follow(self, t: int) -> None:
        if not self._busy and self.layer is not None and self._frames is not None and self._frames.follow(t):
            self._show()

    def _show(self) -> None:
        """Show the current points."""
        layer, annotation = self.layer, self._annotation
        if layer is None or annotation is None or self._frames is None:
            return
        numbers = {id(click): number for number, click in self._known.items()}
        self._known = {numbers.get(id(click)) or next(self._numbers): click for click in self._frames.clicks}
        clicks = list(self._known.values())
        self._busy = True
        try:
            layer.selected_data = set()
            layer.data = np.array([(click.frame, click.y, click.x) for click in clicks], float).reshape(-1, 3)
            layer.features = {
                "class": np.array([annotation.class_names[click.value - 1] for click in clicks], object),
                "click": np.array(list(self._known), int),
            }
            if clicks:
                layer.face_color = [annotation.classes[click.value - 1].colour + CLEAR for click in clicks]
                layer.size = [_size(click.radius) for click in clicks]
        finally:
            self._busy = False

    def _classes_changed(self) -> None:
        """Follow names and colours; finish if a class is removed, because labels are then renumbered."""
        before, self._classes = self._classes, 0 if self._annotation is None else len(self._annotation.classes)
        if self._classes < before:
            self._radii = {}
            self.finish()
        else:
            self._show()

    def _get(self) -> Points:
        over = self._over
        if self._annotation is None or over is None:
            raise InputError("an annotation", "none", "Make a new annotation first.")
        if self.layer is None:
            self._points = Points(
                ndim=over.ndim,
                name=NAME,
                features={"class": np.array([], object), "click": np.array([], int)},
                border_color="#ffffff",
                border_width=0.1,
                opacity=0.8,
                **{name: getattr(over, name) for name in PLACE},
            )
            self._frames = ClickedFrames(self._annotation)
            self._viewer.layers.append(self._points)
            self._points.events.data.connect(self._changed)
        assert self._points is not None
        return self._points

    def _forget(self) -> None:
        if self._points is not None:
            self._points.events.data.disconnect(self._changed)
        self._points, self._frames, self._known = None, None, {}


def check_inside(places: np.ndarray, annotation: Annotation) -> None:
    """Raise InputError unless points (n, 3) lie inside the frames of an annotation."""
    edge = np.array(annotation.shape) - 0.5
    outside = int(((places < -0.5) | (places >= edge)).any(axis=1).sum()) if len(places) else 0
    if outside:
        count, height, width = annotation.shape
        raise InputError(
            f"points inside the {count} frames of {height} x {width} px",
            f"{outside} outside",
            "Delete those points, or move them into the frame.",
        )


def _size(radius: float) -> float:
    return max(2 * radius, LEAST_SIZE)
