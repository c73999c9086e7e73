"""Selection of defects, by click or from error to error, and decisions about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget

from napari_menndl.errors import InputError
from napari_menndl.metrics.components import label_components
from napari_menndl.review import corrections
from napari_menndl.review.compare import renumbered
from napari_menndl.review.error_list import errors_in, next_error
from napari_menndl.review.outcomes import ALONE, MISSED, OUTCOMES, WORDS
from napari_menndl.widgets.review.annotated import classes_of
from napari_menndl.widgets.review.overlay import Ring
from napari_menndl.widgets.shortcuts import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from napari.layers import Image, Labels
    from napari.viewer import Viewer

    from napari_menndl.widgets.review.frame_review import FrameReview
    from napari_menndl.widgets.review.inputs import Inputs
    from napari_menndl.widgets.review.messages import Notifier
    from napari_menndl.widgets.review.movie_review import MovieReview

#: Smallest radius of a selected error on the screen, and largest movement of the mouse in a click [px].
LEAST_RADIUS, STILL = 12.0, 4.0
HINT = "Click a defect, or go from error to error."


@dataclass(frozen=True)
class SelectedDefect:
    """Defect of one frame, as selected in the dock.

    Attributes
    ----------
    frame : int
    name : str
        Its class, as the prediction names it.
    outcome : str
    centre : (y, x) float [px]
    confidence : float
        Mean probability; NaN where unknown.
    agreement : float
        Of the ensemble's networks on it; NaN where unknown, as in frames that are annotated.
    pixels : (Y, X) bool
    """

    frame: int
    name: str
    outcome: str
    centre: tuple[float, float]
    confidence: float
    agreement: float
    pixels: np.ndarray = field(repr=False)

    @property
    def radius(self) -> float:
        """Radius of a disc of the same area [px]."""
        return float(np.sqrt(self.pixels.sum() / np.pi))

    def describe(self) -> str:
        """Describe the defect: ``"missed: S vacancy"``, ``"predicted: hole, confidence 0.61, agreement 0.50"``."""
        known = {"confidence": self.confidence, "agreement": self.agreement}
        sure = (f", {name} {value:.2f}" for name, value in known.items() if not np.isnan(value))
        return f"{WORDS[self.outcome]}: {self.name}{''.join(sure)}"


def choose_at(review: FrameReview, y: int, x: int) -> SelectedDefect | None:
    """Return the defect whose colour is visible at a pixel; None if there is none."""
    overlay = review.overlay
    if not (0 <= y < overlay.shape[0] and 0 <= x < overlay.shape[1]) or not overlay[y, x]:
        return None
    seen = OUTCOMES.get(int(overlay[y, x]), ALONE)
    labels = review.true if seen == MISSED else review.predicted
    if not labels[y, x]:
        return None
    pixels = corrections.defect_at(labels, y, x)
    name = review.class_names[labels[y, x] - 1]
    centre = tuple(np.argwhere(pixels).mean(axis=0).tolist())
    listed = review.defects[(review.defects["class"] == name) & (review.defects["outcome"] == seen)]
    apart = np.hypot(listed["y"] - centre[0], listed["x"] - centre[1])
    nan = float("nan")
    sure, agreed = listed[["confidence", "agreement"]].iloc[int(np.argmin(apart))] if len(listed) else (nan, nan)
    return SelectedDefect(review.frame, name, seen, (centre[0], centre[1]), float(sure), float(agreed), pixels)


def choose_row(review: FrameReview, row: pd.Series) -> SelectedDefect:
    """Return the defect of a row of the review's table."""
    name, outcome, centre = str(row["class"]), str(row["outcome"]), (float(row["y"]), float(row["x"]))
    wanted = (review.true if outcome == MISSED else review.predicted) == review.class_names.index(name) + 1
    found = label_components(wanted, 1)
    pixels = np.zeros(wanted.shape, bool)
    if len(found):
        nearest = int(np.argmin(np.hypot(*(found.centres - centre).T)))
        pixels = found.labels == nearest + 1
    sure, agreed = float(row["confidence"]), float(row["agreement"])
    return SelectedDefect(review.frame, name, outcome, centre, sure, agreed, pixels)


def decide(chosen: SelectedDefect, layer: Labels | None, class_names: tuple[str, ...], accept: bool) -> None:
    """Record in the annotation of its frame that there is such a defect, or that there is none.

    Parameters
    ----------
    chosen : SelectedDefect
    layer : napari.layers.Labels or None
        The layer of the annotation.
    class_names : C str
        Classes of the prediction.
    accept : bool

    Raises
    ------
    InputError
        Without an annotation, or if it does not have the class or cannot be written.
    """
    if layer is None:
        raise InputError(
            "an annotation that the correction goes into",
            "none",
            "Press 'New annotation' in the dock 'Annotate defects', and choose it under 'Annotation'.",
        )
    given, annotation = classes_of(layer, class_names), layer.metadata.get("annotation")
    if accept and chosen.name not in given:
        raise InputError(
            f"the class {chosen.name!r} in the annotation",
            ", ".join(given),
            "Add the class in the dock 'Annotate defects', then accept the defect.",
        )
    if annotation is not None and annotation.labels is layer.data:
        if accept:
            corrections.accept(annotation, chosen.frame, chosen.pixels, chosen.name)
        else:
            corrections.reject(annotation, chosen.frame, chosen.pixels)
        layer.refresh()
        return
    before = np.asarray(layer.data[chosen.frame] if layer.ndim > 2 else layer.data)
    label = given.index(chosen.name) + 1 if accept else 0
    after = (
        corrections.accepted(before, chosen.pixels, label) if accept else corrections.rejected(before, chosen.pixels)
    )
    where = np.nonzero(after != before)
    if len(where[0]):
        axes = (np.full(len(where[0]), chosen.frame), *where) if layer.ndim > 2 else where
        layer.data_setitem(axes, after[where])


def accept_rest(review: FrameReview, layer: Labels | None) -> None:
    """Accept what is predicted where the annotation is not known yet, and mark the frame as complete.

    Raises
    ------
    InputError
        Without an annotation that records which frames are complete, if it lacks a class that is predicted in the
        frame, or if it cannot be written.
    """
    annotation = None if layer is None else layer.metadata.get("annotation")
    if layer is None or annotation is None:
        raise InputError(
            "an annotation that knows which frames are complete",
            "none" if layer is None else f"the labels layer {layer.name!r}",
            "Press 'New annotation' in the dock 'Annotate defects', and choose it under 'Annotation'.",
        )
    given = classes_of(layer, review.class_names)
    lacking = [n for c, n in enumerate(review.class_names, start=1) if n not in given and (review.predicted == c).any()]
    if lacking:
        raise InputError(
            f"the class {' and '.join(map(repr, lacking))} in the annotation",
            ", ".join(given),
            "Add it in the dock 'Annotate defects', or raise its threshold until nothing of it is predicted here.",
        )
    corrections.complete(annotation, review.frame, renumbered(review.predicted, review.class_names, given))
    layer.refresh()


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
    teller : Notifier
        Shows errors.

    Attributes
    ----------
    chosen : SelectedDefect or None
    changed : Signal(place)
        Another defect, or none, is selected; `place` is its number among the errors, another message, or empty.
    decided : Signal(frame)
        The annotation of a frame was corrected.
    """

    changed = Signal(str)
    decided = Signal(int)

    def __init__(
        self,
        viewer: Viewer,
        movie: MovieReview,
        inputs: Inputs,
        go_to: Callable[[int], None],
        teller: Notifier,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._movie, self._inputs, self._go_to = viewer, movie, inputs, go_to
        self._fail = teller.error
        self._ring = Ring(viewer)
        self.chosen: SelectedDefect | None = None

    def step(self, direction: int) -> None:
        """Select the next error (1) or the previous one (-1), and centre the view on it."""
        image = self._inputs.image
        errors = errors_in(review.defects for review in self._movie.reviews.values())
        beyond = -1.0 if direction > 0 else float("inf")
        here = (self._inputs.frame, beyond, beyond)
        if self.chosen is not None:
            here = (self.chosen.frame, *self.chosen.centre)
        number = next_error(errors, here, direction)
        if number is None or image is None:
            self.clear_selection()
            self.changed.emit("No error in the frames reviewed so far.")
            return
        row = errors.iloc[number]
        self._go_to(int(row["frame"]))
        self._choose(choose_row(self._movie.reviews[int(row["frame"])], row), f"error {number + 1} of {len(errors)}")
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
            self._fail(InputError("an annotation to paint on", "none", "Press 'New annotation' in 'Annotate defects'."))
            return
        names = self._review(self.chosen.frame).class_names
        given = classes_of(layer, names)
        layer.selected_label = given.index(self.chosen.name) + 1 if self.chosen.name in given else 1
        layer.visible, layer.mode = True, "paint"
        self._viewer.layers.selection.active = layer

    def clear_selection(self) -> None:
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
        image = self._inputs.image
        review = self._movie.now(self._inputs.frame)
        if moved > STILL or painting or image is None or review is None or event.button != 1:
            return
        if viewer.dims.ndisplay == 2:
            y, x = np.rint(image.world_to_data(event.position)[-2:]).astype(int)
            chosen = choose_at(review, int(y), int(x))
            if chosen is None:
                self.clear_selection()
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
            self._fail(error)
            return
        self.clear_selection()
        self.decided.emit(chosen.frame)

    def _review(self, frame: int) -> FrameReview:
        return self._movie.reviews[frame]


class ErrorBar(QWidget):
    """Buttons previous, next, accept, reject and repaint.

    Attributes
    ----------
    previous, next, accept, reject, repaint_button : QPushButton
    about : QLabel
        The defect that the buttons apply to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.previous = self._button("◀ Previous error", "Go to the error before", "previous-error")
        self.next = self._button("Next error ▶", "Go to the next error, across frames", "next-error")
        self.accept = self._button("✓ Accept", "There is such a defect: put it into the annotation", "accept-defect")
        self.reject = self._button("✗ Reject", "There is no defect: take it out of the annotation", "reject-defect")
        self.repaint_button = QPushButton("Edit with brush")
        self.repaint_button.setToolTip(
            "Take the brush of this class on the annotation; what is painted is reviewed at once"
        )
        self.about = QLabel(HINT)
        self.about.setWordWrap(True)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.previous, 0, 0, 1, 3)
        layout.addWidget(self.next, 0, 3, 1, 3)
        layout.addWidget(self.about, 1, 0, 1, 6)
        for column, button in enumerate((self.accept, self.reject, self.repaint_button)):
            layout.addWidget(button, 2, 2 * column, 1, 2)
        self.show_chosen(None)

    def show_chosen(self, chosen: SelectedDefect | None, place: str = "") -> None:
        """Show a defect; `place` is a text such as ``"error 3 of 12"``, or another message."""
        for button in (self.accept, self.reject, self.repaint_button):
            button.setEnabled(chosen is not None)
        parts = [place, "" if chosen is None else chosen.describe()]
        self.about.setText(": ".join(filter(None, parts)) or HINT)

    @staticmethod
    def _button(text: str, help_text: str, key: str) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(explained(help_text, key))
        return button
