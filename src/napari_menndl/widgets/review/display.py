"""Display of a review: overlay, probabilities, scores, plot, progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_menndl.progress import duration
from napari_menndl.widgets.background import LatestTask
from napari_menndl.widgets.review.controls import GO, STOP
from napari_menndl.widgets.review.frame_review import AGREEMENT, ANY, NOTHING, FrameReview, PartialFrame
from napari_menndl.widgets.review.overlay import HideAnnotation, Overlay, Shading
from napari_menndl.widgets.review.palette import class_colours, overlay_colours

if TYPE_CHECKING:
    import numpy as np
    from napari.viewer import Viewer

    from napari_menndl.widgets.review.controls import Controls
    from napari_menndl.widgets.review.inputs import Inputs
    from napari_menndl.widgets.review.messages import Notifier
    from napari_menndl.widgets.review.movie_review import MovieReview


class Display(QObject):
    """Display of the review of the frame in view, and of all frames so far.

    Attributes
    ----------
    overlay : Overlay
    shading : Shading
        Probabilities or agreement, on demand.
    shown : FrameReview or None
        The review that the overlay shows.
    """

    def __init__(
        self,
        viewer: Viewer,
        controls: Controls,
        inputs: Inputs,
        movie: MovieReview,
        teller: Notifier,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._fail = teller.error
        self._viewer, self._controls, self._inputs, self._movie = viewer, controls, inputs, movie
        self._view = controls.view
        #: Colours of the predicted classes, by name.
        self.classes: dict[str, str] = {}
        self.overlay = Overlay(viewer, overlay_colours(self._view["colours"].value, {}), self._seen)
        self.shading = Shading(viewer)
        self.cover = HideAnnotation(viewer, self)
        self.shown: FrameReview | None = None
        self._reported: FrameReview | None = None
        self._blank = True
        self._glow = LatestTask(self._shade, self)
        self._glow.answered.connect(self._show_shading)
        self._glow.failed.connect(self._shading_failed)
        for name, act in (
            ("colours", self._recolour),
            ("outlines", self.overlay.outline),
            ("shading", self._ask_shading),
        ):
            self._view[name].changed.connect(act)
        self._view["quantity"].changed.connect(self.show_movie)

    def owns(self, layer: object) -> bool:
        """Whether a layer belongs to this display."""
        return self.overlay.owns(layer) or self.shading.owns(layer)

    def move(self, frame: int) -> None:
        """Follow the view to another frame: a known overlay comes with it; the rest follows with `show`."""
        self.shown, self._reported = self._known(frame), None
        if self.shading.frame != frame:
            self.shading.clear()  # never the probabilities of one frame over another

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the view, (y, x) [px] of the frame in view."""
        image = self._inputs.image
        if image is None:
            return 0.0, 0.0
        y, x = image.world_to_data((0,) * (image.ndim - 2) + tuple(self._viewer.scene.camera.center[-2:]))[-2:]
        return float(y), float(x)

    def show_part(self, frame: int) -> None:
        """Show one more predicted part of the frame in view."""
        image, part = self._inputs.image, self._movie.partial
        if image is None or part is None or frame != self._inputs.frame:
            return
        self.cover.lay(self._inputs.annotation)
        self._blank = False
        self._colour_classes(part.class_names)
        self.overlay.show(image)
        left = self._movie.part_left
        soon = "" if left is None else f", about {duration(left)} left"
        self._controls.status.setText(
            f"Predicting frame {frame}: {part.done} of {part.parts} parts{soon}; not judged yet"
        )
        self._controls.scores.show_key((colour, name) for name, colour in self.classes.items())
        self._controls.scores.legend.show()

    def show(self, review: FrameReview) -> None:
        """Show the review of the frame in view."""
        image = self._inputs.image
        if image is None:
            return
        self.cover.lay(self._inputs.annotation)
        self.shown, self._blank = review, False
        self._colour_classes(review.class_names)
        self.overlay.show(image)
        if review is self._reported:
            return
        self._reported = review
        if review.thresholds is not None:
            self._inputs.show_thresholds(review.class_names, review.thresholds)
        took = f", predicted in {_time(review.seconds)}" if review.seconds else ""
        why = "Its annotation has none of these classes" if review.known.any() else "It has no annotation"
        alone = "" if review.annotated else f" {why}: the prediction is shown alone."
        self._controls.status.setText(f"Frame {review.frame}{took}.{alone}")
        self._show_scores()
        self._ask_shading()

    def show_movie(self) -> None:
        """Show everything about all frames: progress, table, plot."""
        controls, movie, view = self._controls, self._movie, self._view
        frames = 0 if movie.setting is None else len(movie.setting.movie)
        controls.progress.setRange(0, max(frames, 1))
        controls.progress.setValue(movie.done)
        left = movie.left
        counted = f"{movie.done} of {frames} frames reviewed"
        controls.left.setText(counted + ("" if left is None else f", about {duration(left)} left"))
        controls.left.setVisible(movie.going)
        controls.button.setText(STOP if movie.going else GO)
        controls.show_parts(bool(movie.reviews))
        controls.scores.legend.setVisible(bool(movie.reviews) or movie.partial is not None)
        controls.scores.show_movie(movie.reviews, view["colours"].value, view["quantity"].value, frames)
        controls.scores.plot.show_place(self._inputs.frame)
        if movie.reviews and self.shadings() != list(view["shading"].choices):
            view["shading"].reset_choices()

    def clear(self) -> None:
        """Show no frame, until `show` is called."""
        self.shown = self._reported = None
        self._blank = True
        self.overlay.redraw()
        self.shading.clear()

    def forget_removed(self) -> bool:
        """Notice that our layers were removed from the viewer; return whether the overlay was."""
        if self.shading.removed:
            self.shading.layer = None
            self._view["shading"].value = NOTHING
        if not self.overlay.removed:
            return False
        self.overlay.layer = None
        return True

    def shadings(self) -> list[str]:
        """Return what can be shown as shading."""
        review = next(iter(self._movie.reviews.values()), None)
        return [NOTHING, ANY, *(review.class_names if review is not None else ()), AGREEMENT]

    def retheme(self) -> None:
        """Follow napari's theme."""
        self._controls.scores.recolour(self._viewer.theme)
        self._controls.tracks.recolour(self._viewer.theme)

    def _known(self, frame: int) -> FrameReview | None:
        return None if self._blank else self._movie.now(frame)

    def _seen(self, frame: int) -> FrameReview | PartialFrame | None:
        part = None if self._blank else self._movie.partial
        return part if part is not None and part.frame == frame else self._known(frame)

    def _show_scores(self) -> None:
        self._controls.scores.show_frame(self.shown, self._view["colours"].value, self.classes)

    def _colour_classes(self, names: tuple[str, ...]) -> None:
        """Give each predicted class its own colour: that of the annotation, unless an outcome has it."""
        palette = self._view["colours"].value
        classes = class_colours(names, self._inputs.annotation, palette)
        if classes != self.classes:
            self.classes = classes
            self.overlay.recolour(overlay_colours(palette, classes))

    def _recolour(self) -> None:
        self._colour_classes(tuple(self.classes))
        self.overlay.recolour(overlay_colours(self._view["colours"].value, self.classes))
        self._show_scores()
        self.show_movie()

    def _ask_shading(self) -> None:
        what, setting, shown = self._view["shading"].value, self._movie.setting, self.shown
        if what == NOTHING:
            self.shading.remove()
        elif what is not None and setting is not None and shown is not None:
            self._glow.ask((setting, shown.frame, what))

    def _shade(self, question: Any) -> np.ndarray:
        return self._movie.reviewer.shading(*question)

    def _show_shading(self, question: Any, image: np.ndarray) -> None:
        wanted = self._movie.setting, self._inputs.frame, self._view["shading"].value
        if question[1:] == wanted[1:] and self._inputs.image is not None and wanted[0] is not None:
            self.shading.show(image, self._inputs.image)
            self.shading.frame = question[1]

    def _shading_failed(self, question: Any, error: Exception) -> None:
        self._view["shading"].value = NOTHING
        self._fail(error)


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
