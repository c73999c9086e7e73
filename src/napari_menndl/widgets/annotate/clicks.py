"""Clicked points and the discs that they become."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Points

from napari_menndl.errors import InputError
from napari_menndl.widgets.layers import PLACE

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

    from napari_menndl.annotation.annotation import Annotation

NAME = "clicked defects"


class ClickLayer:
    """A points layer over an annotation; each point is one defect of the class in its feature ``class``.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._points: Points | None = None
        self._frames: set[int] = set()

    @property
    def layer(self) -> Points | None:
        """The layer, if there is one in the viewer."""
        if self._points is not None and self._points not in self._viewer.layers:
            self._points, self._frames = None, set()
        return self._points

    def click(self, annotation: Annotation, over: Labels, value: int, radius: float) -> None:
        """Take up the tool that adds points of a class, `value` being its label and `radius` that of its discs."""
        layer = self._get(annotation, over, radius)
        self._viewer.layers.selection.active = layer
        layer.mode = "add"
        self.take(annotation, value)

    def take(self, annotation: Annotation, value: int) -> None:
        """The class of the points that come next."""
        if layer := self.layer:
            layer.selected_data = set()
            layer.feature_defaults = {"class": [annotation.class_names[value - 1]]}
            layer.current_face_color = annotation.classes[value - 1].colour

    def from_discs(self, annotation: Annotation, over: Labels, t: int, radius: float) -> int:
        """Points in place of the discs of a frame, to be moved or deleted; how many.

        The discs stay until `to_discs` replaces them.
        """
        layer = self._get(annotation, over, radius)
        table = annotation.to_points(t)
        point_like = [c.name for c in annotation.classes if not c.extended]
        table = table[table["class"].isin(point_like)]
        colours = {c.name: c.colour for c in annotation.classes}
        others = np.rint(layer.data[:, 0]) != t
        names = [*np.asarray(layer.features["class"])[others], *table["class"]]
        layer.data = np.concatenate([layer.data[others], table[["frame", "y", "x"]].to_numpy(float)])
        layer.features = {"class": names}
        layer.face_color = [colours[name] for name in names] if names else "white"
        self._frames.add(t)
        self._viewer.layers.selection.active = layer
        layer.mode = "select"
        return len(table)

    def to_discs(self, annotation: Annotation, over: Labels, points: Points, value: int, radius: float) -> int:
        """Discs in place of all points of a layer, each frame one stroke; how many.

        Parameters
        ----------
        annotation : Annotation
        over : napari.layers.Labels
            Its layer.
        points : napari.layers.Points
            Ours, or any other over the same frames.
        value : int
            Label of the points without a class.
        radius : float
            [nm] where the pixel size is known, else [px].

        Raises
        ------
        InputError
            Points outside the movie, or of a class that the annotation does not have.
        """
        ours = self.layer is not None and points == self.layer
        world = np.array([points.data_to_world(point) for point in points.data]).reshape(-1, points.ndim)
        if points.ndim < over.ndim:
            world = np.column_stack([np.full((len(world), over.ndim - points.ndim), self._viewer.dims.point[0]), world])
        places = np.array([over.world_to_data(point) for point in world]).reshape(-1, 3)
        given = points.features["class"] if "class" in points.features else [None] * len(places)
        values = np.array([annotation.class_index(n) + 1 if isinstance(n, str) else value for n in given], np.uint8)
        frames = np.rint(places[:, 0]).astype(int)
        edge = np.array(annotation.shape) - 0.5
        if len(places) and ((places < -0.5) | (places >= edge)).any():
            raise InputError(
                f"points inside the {annotation.shape[0]} frames of {annotation.shape[1]} x {annotation.shape[2]} px",
                f"{int(((places < -0.5) | (places >= edge)).any(axis=1).sum())} outside",
                "Delete those points, or move them into the frame.",
            )
        replaced = self._frames if ours else set()
        for t in sorted({*frames.tolist(), *replaced}):
            here = frames == t
            annotation.draw_points(t, places[here, 1:], values[here], radius, instead=t in replaced)
        if ours:
            self._frames = set()
            self._viewer.layers.remove(points)
        self._viewer.layers.selection.active = over
        return len(places)

    def _get(self, annotation: Annotation, over: Labels, radius: float) -> Points:
        if self.layer is None:
            pixel = 1.0 if annotation.pixel_size is None else float(np.sqrt(np.prod(annotation.pixel_size)))
            self._points = Points(
                ndim=over.ndim,
                name=NAME,
                size=max(2 * radius / pixel, 3.0),
                features={"class": np.array([], object)},
                border_color="#ffffff",
                border_width=0.1,
                opacity=0.8,
                **{name: getattr(over, name) for name in PLACE},
            )
            self._viewer.layers.append(self._points)
        return self._points
