"""Selection of defects, by click or by next error, and decisions about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_menndl.errors import InputError
from napari_menndl.review.error_list import errors_in, next_error
from napari_menndl.widgets.review.chosen import SelectedDefect, choose_at, choose_row, decide
from napari_menndl.widgets.review.expert import classes_of
from napari_menndl.widgets.review.overlay import Ring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_menndl.widgets.review.frame_review import FrameReview
    from napari_menndl.widgets.review.inputs import Inputs
    from napari_menndl.widgets.review.movie_review import MovieReview

#: Smallest radius of a selected error on the screen, and largest movement of the mouse in a click [px].
LEAST_RADIUS, STILL = 12.0, 4.0


class ErrorNavigator(QObject):
    """Navigation from error to error; decisions are written to the annotation.

    Parameters
    ----------
    viewer : napari.Viewer
    movie : MovieReview
        Its reviews contain the errors.
    inputs : Inputs
        Layers of the movie and the annotation, and the frame in view.
    go_to : callable
        Brings a frame into view.

    Attributes
    ----------
    chosen : SelectedDefect or None
    changed : Signal(place)
        Another defect, or none, is selected; `place` is its number among the errors, another message, or empty.
    decided : Signal(frame)
        The annotation of a frame was corrected.
    failed : Signal(exception)
    """

    changed = Signal(str)
    decided = Signal(int)
    failed = Signal(object)

    def __init__(
        self,
        viewer: Viewer,
        movie: MovieReview,
        inputs: Inputs,
        go_to: Callable[[int], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._movie, self._inputs, self._go_to = viewer, movie, inputs, go_to
        self._ring = Ring(viewer)
        self.chosen: SelectedDefect | None = None

    def step(self, direction: int) -> None:
        """Select the next error (1) or the previous one (-1), and centre the view on it."""
        image, layer = self._inputs.image, self._inputs.annotation
        errors = errors_in(review.defects for review in self._movie.reviews.values())
        beyond = -1.0 if direction > 0 else float("inf")
        here = (self._inputs.frame, beyond, beyond)
        if self.chosen is not None:
            here = (self.chosen.frame, *self.chosen.centre)
        number = next_error(errors, here, direction)
        if number is None or image is None:
            self.let_go()
            self.changed.emit("No error in the frames reviewed so far.")
            return
        row = errors.iloc[number]
        self._go_to(int(row["frame"]))
        self._choose(
            choose_row(self._movie.reviews[int(row["frame"])], layer, row), f"error {number + 1} of {len(errors)}"
        )
        self._centre(image)

    def accept(self) -> None:
        """Accept the selected defect."""
        self._decide(True)

    def reject(self) -> None:
        """Reject the selected defect."""
        self._decide(False)

    def repaint(self) -> None:
        """Select the brush of the selected defect's class on the annotation."""
        layer = self._inputs.annotation
        if self.chosen is None:
            return
        if layer is None:
            self.failed.emit(
                InputError("an annotation to paint on", "none", "Press 'New annotation' in 'Annotate defects'.")
            )
            return
        names = self._review(self.chosen.frame).class_names
        given = classes_of(layer, names)
        layer.selected_label = given.index(self.chosen.name) + 1 if self.chosen.name in given else 1
        layer.visible, layer.mode = True, "paint"
        self._viewer.layers.selection.active = layer

    def let_go(self) -> None:
        """Clear the selection."""
        self._ring.hide()
        if self.chosen is not None:
            self.chosen = None
            self.changed.emit("")

    def clicked(self, viewer: Viewer, event: Any) -> Iterator[None]:
        """Select the defect under a click, not a drag; mouse callback of napari."""
        start = np.asarray(event.pos, float)
        yield
        while event.type == "mouse_move":
            yield
        moved = np.hypot(*(np.asarray(event.pos, float) - start))
        active = viewer.layers.selection.active
        painting = active is not None and str(getattr(active, "mode", "pan_zoom")) not in ("pan_zoom", "transform")
        image, layer = self._inputs.image, self._inputs.annotation
        review = self._movie.now(self._inputs.frame)
        if moved > STILL or painting or image is None or review is None or event.button != 1:
            return
        if viewer.dims.ndisplay == 2:
            y, x = np.rint(image.world_to_data(event.position)[-2:]).astype(int)
            chosen = choose_at(review, layer, int(y), int(x))
            if chosen is None:
                self.let_go()
            else:
                self._choose(chosen, "")

    def _choose(self, chosen: SelectedDefect, place: str) -> None:
        image = self._inputs.image
        self.chosen = chosen
        if image is not None:
            self._ring.show(chosen.frame, chosen.centre, chosen.radius, image)
        self.changed.emit(place)

    def _centre(self, image: Image) -> None:
        assert self.chosen is not None
        place = image.data_to_world((*(0,) * (image.ndim - 2), *self.chosen.centre))[-2:]
        camera, scale = self._viewer.scene.camera, float(np.mean(np.abs(image.scale[-2:])))
        camera.center = (0.0, *map(float, place))
        camera.zoom = max(camera.zoom, LEAST_RADIUS / (max(self.chosen.radius, 1.0) * scale))

    def _decide(self, accept: bool) -> None:
        chosen = self.chosen
        if chosen is None:
            self.changed.emit("Click a defect first, or go to an error.")
            return
        try:
            decide(chosen, self._inputs.annotation, self._review(chosen.frame).class_names, accept)
        except InputError as error:
            self.failed.emit(error)
            return
        self.let_go()
        self.decided.emit(chosen.frame)

    def _review(self, frame: int) -> FrameReview:
        return self._movie.reviews[frame]
