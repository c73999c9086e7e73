"""Files of the dock: what to review, and tables, pictures and networks to save."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog

from napari_menndl.errors import InputError
from napari_menndl.review.outcomes import in_words
from napari_menndl.tables import PARQUET, write_table
from napari_menndl.widgets.background import BackgroundTask
from napari_menndl.widgets.layers import points_over
from napari_menndl.widgets.review.palette import class_colours, picture_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from napari.viewer import Viewer

    from napari_menndl.movie.movie import Movie
    from napari_menndl.widgets.review.controls import Controls
    from napari_menndl.widgets.review.display import Display
    from napari_menndl.widgets.review.frame_review import FrameReview
    from napari_menndl.widgets.review.inputs import Inputs
    from napari_menndl.widgets.review.messages import Notifier
    from napari_menndl.widgets.review.movie_review import MovieReview


class Files(QObject):
    """Dialogs for the buttons and the menu of the dock.

    Parameters
    ----------
    viewer, controls, inputs, movie, display
        Of the dock.
    teller : Notifier
        Shows errors.
    """

    def __init__(
        self,
        viewer: Viewer,
        controls: Controls,
        inputs: Inputs,
        movie: MovieReview,
        display: Display,
        teller: Notifier,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._controls, self._inputs, self._movie, self._display = controls, inputs, movie, display
        self._viewer, self._fail = viewer, teller.error
        controls.menu.addAction("Run folder …", self.choose_folder)
        controls.menu.addAction("Saved network …", self.choose_network)
        controls.menu.addAction("Stored prediction …", self.choose_folder)
        controls.csv.clicked.connect(self.export_defects)
        controls.points.clicked.connect(self.add_points)
        controls.png.clicked.connect(self.export_png)
        controls.network.clicked.connect(self.export_network)
        self._job = BackgroundTask(self, to_finish=True)
        self._job.done.connect(lambda place: show_info(f"Wrote {place}"))
        self._job.failed.connect(self._fail)

    def choose_folder(self) -> None:
        if path := QFileDialog.getExistingDirectory(self._controls, "Choose a run folder or a stored prediction"):
            self._controls.what["source"].value = path

    def choose_network(self) -> None:
        kinds = "Networks (*.safetensors)"
        path, _ = QFileDialog.getOpenFileName(self._controls, "Choose a saved network", "", kinds)
        if path:
            self._controls.what["source"].value = path

    def export_defects(self) -> None:
        kinds = f"Tables (*.csv);;Parquet tables ({' '.join(f'*{suffix}' for suffix in PARQUET)})"
        path, kind = QFileDialog.getSaveFileName(self._controls, "Defects as a table", "defects.csv", kinds)
        if path:
            suffix = PARQUET[0] if "Parquet" in kind else ".csv"
            place = Path(path) if path.lower().endswith((".csv", *PARQUET)) else Path(path + suffix)
            self._write(lambda: write_table(self._defects(), place))

    def add_points(self) -> None:
        """Add the defects of the frames reviewed so far as a layer of points."""
        image = self._inputs.image
        try:
            defects = self._defects()
        except InputError as error:
            self._fail(error)
            return
        if image is not None:
            names = list(dict.fromkeys(defects["class"]))
            colours = self._display.classes or class_colours(names, self._inputs.annotation)
            self._viewer.add_layer(points_over(image, defects, colours))

    def _defects(self) -> pd.DataFrame:
        """Return the table of the frames reviewed so far; InputError if there are none."""
        if self._movie.setting is None:
            raise InputError("frames that are reviewed", "none", "Press 'Review movie' first.")
        return self._movie.reviewer.defects(self._movie.setting, [*self._movie.reviews.values()])

    def export_png(self) -> None:
        shown, colours = self._display.shown, self._controls.view["colours"].value
        if shown is None:
            self._fail(InputError("a frame that is reviewed", "none", "Press 'Review movie' first."))
            return
        path, _ = QFileDialog.getSaveFileName(self._controls, "Frame as PNG", "review.png", "Pictures (*.png)")
        if path:
            self._write(lambda: export_picture(shown, self._inputs.movie, colours, self._display.classes, path))

    def export_network(self) -> None:
        source = self._controls.what["source"]
        if not source.line_edit.value:
            self._fail(InputError("a run or a network to export", "an empty field", "Choose one above."))
            return
        path, _ = QFileDialog.getSaveFileName(
            self._controls,
            "Network as a file",
            "network.safetensors",
            "Networks (*.safetensors);;ONNX, for other programs (*.onnx);;Packages for bioimage.io (*.zip)",
        )
        if path:
            self._job.begin(_export_network, str(source.value), path)

    def _write(self, write: Callable[[], Any]) -> None:
        try:
            show_info(f"Wrote {write()}")
        except InputError as error:
            self._fail(error)


def _export_network(source: str, path: str) -> Path:
    """Save the best of a run, or a copy of a saved network; the dialog has asked whether to replace a file."""
    from napari_menndl.opening import export_network, open_network  # called in a thread: importing torch takes a moment

    return export_network(open_network(source), path, overwrite=True)


def export_picture(review: FrameReview, movie: Movie, palette: str, classes: Mapping[str, str], path: str) -> Path:
    """Write a frame and its review side by side as PNG; `classes` are the colours of predicted classes.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    from napari_menndl.review.picture import overlay_picture  # here, as matplotlib is slow to import

    number = len(review.defects)
    return overlay_picture(
        movie.frame(review.frame),
        review.overlay,
        with_suffix(path, ".png"),
        key=picture_key(palette, review, classes),
        pixel_size=movie.pixel_size,
        heading=f"frame {review.frame}" + (f": F1 {review.total.f1:.2f}" if review.annotated else ""),
        below=in_words(review.total) if review.annotated else f"{number} predicted, not annotated",
    )


def with_suffix(path: str, suffix: str) -> Path:
    """Return the path with this suffix, unless it has it already; other dots in the name stay."""
    return Path(path) if path.lower().endswith(suffix) else Path(path + suffix)
