"""Choice of the movie that is annotated and of the annotation that is painted on."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from napari_menndl.annotation.carrying import drawn_on
from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.annotation.movie_index import SUFFIX
from napari_menndl.errors import InputError
from napari_menndl.movie.absent import spans
from napari_menndl.widgets.annotate.opening import (
    begin_annotation,
    default_index,
    layer_name,
    open_annotation,
)
from napari_menndl.widgets.annotate.settings import AnnotateSettings
from napari_menndl.widgets.form import lay_out, make_form
from napari_menndl.widgets.layers import (
    PLACE,
    annotation_of,
    annotations_for,
    layer_over,
    movie_of,
    steps_of,
)
from napari_menndl.widgets.movie_line import MovieLine
from napari_menndl.widgets.preferences import preference

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.movie.movie import Movie


class AnnotationChooser(QWidget):
    """Choice of the two layers, with buttons that begin or open an annotation.

    Parameters
    ----------
    viewer : napari.Viewer
    ignored : callable
        Returns whether a layer belongs to a helper and must not be offered.

    Attributes
    ----------
    movie_chosen, annotation_chosen : Signal()
        Another layer, or none, was chosen.
    """

    movie_chosen = Signal()
    annotation_chosen = Signal()

    def __init__(self, viewer: Viewer, ignored: Callable[[Any], bool], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.index = default_index()
        self.offered: Path | None = None
        #: Annotation in the place where one of this movie is expected, but drawn on other frames.
        self.of_others: Path | None = None
        self._ignored = ignored
        self._movie: tuple[Any, str, Movie] | None = None
        self.form = make_form(
            AnnotateSettings,
            movie={"choices": lambda _: self._layers(Image), "nullable": True},
            annotation={
                "choices": lambda _: [one for one in self._layers(Labels) if self._fits(one)],
                "nullable": True,
            },
        )
        self.about = MovieLine()
        self.offer = QPushButton()
        self.offer.setToolTip("Open the annotation of this movie that is on disk")
        self.new = QPushButton()
        self.more = QPushButton("…")
        self.more.setToolTip("Begin an annotation in another place, or open one")
        self.more.setFixedWidth(36)
        self.menu = QMenu(self.more)
        self.more.setMenu(self.menu)
        self._arrange()
        self.form["movie"].changed.connect(self._movie_changed)
        self.form["annotation"].changed.connect(self._annotation_changed)

    def _arrange(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        form = lay_out(self.form)
        rows = form.layout()
        assert isinstance(rows, QFormLayout)
        rows.insertRow(1, self.about)
        layout.addWidget(form)
        layout.addWidget(self.offer)
        row = QHBoxLayout()
        row.addWidget(self.new, 1)
        row.addWidget(self.more)
        layout.addLayout(row)

    # Chosen layers ----------------------------------------------------------------------------------------------------

    @property
    def movie_layer(self) -> Image | None:
        layer: Image | None = self.form["movie"].value
        return layer

    @property
    def annotation_layer(self) -> Labels | None:
        """The chosen labels layer; it need not be one of our annotations."""
        layer: Labels | None = self.form["annotation"].value
        return layer

    @property
    def in_memory(self) -> bool:
        """Whether the strokes on the chosen layer are kept in memory only."""
        layer, annotation = self.annotation_layer, annotation_of(self.annotation_layer)
        return layer is not None and (annotation is None or annotation.path is None)

    def movie(self) -> Movie:
        """Return the movie that is annotated.

        Raises
        ------
        InputError
            If no layer is chosen, or it shows no movie.
        """
        layer = self.movie_layer
        if layer is None:
            raise InputError("a movie", "no image layer", "Open a movie, or File › Open Sample › MENNDL.")
        if self._movie is None or self._movie[0] is not layer.data or self._movie[1] != layer.name:
            self._movie = layer.data, layer.name, movie_of(layer)
        return self._movie[2]

    def movie_and_layer(self) -> tuple[Movie, Image]:
        """Return the movie that is annotated and its layer; raises InputError as `movie` does."""
        movie, layer = self.movie(), self.movie_layer
        assert layer is not None
        return movie, layer

    def choose_movie(self, layer: Image) -> None:
        """Annotate the movie of another layer."""
        self.reset_choices()
        self.form["movie"].value = layer

    def _layers(self, kind: type) -> list[Any]:
        return [layer for layer in self.viewer.layers if isinstance(layer, kind) and not self._ignored(layer)]

    def _fits(self, labels: Labels) -> bool:
        movie = self.movie_layer if hasattr(self, "form") else None  # called already while the form is made
        if movie is None or not labels.editable or labels.data.shape[-2:] != movie.data.shape[-2:]:
            return False
        annotation = annotation_of(labels)
        return annotation is None or drawn_on(annotation, steps_of(movie))

    # Changes ----------------------------------------------------------------------------------------------------------

    def reset_choices(self) -> None:
        """Update the choices after layers were added, removed or renamed."""
        for name in ("movie", "annotation"):
            row = self.form[name]
            layer = row.value
            # A drop-down loses its choice while it is refilled: only the outcome is a change.
            with row.changed.blocked():
                row.reset_choices()
                if layer in row.choices:
                    row.value = layer
                else:
                    row.value = self._suggested(name)
            if row.value != layer:
                row.changed.emit(row.value)
            elif layer is None and (suggested := self._suggested(name)) is not None:
                row.value = suggested
        self._offer()

    def _suggested(self, name: str) -> Any:
        """Return the layer to choose by default: any movie, but only an annotation of ours, of this movie."""
        choices = [one for one in self.form[name].choices if one is not None]
        if name == "annotation":
            choices = self._of_movie([one for one in choices if annotation_of(one) is not None])
        return next(iter(choices), None)

    def _of_movie(self, layers: list[Labels]) -> list[Labels]:
        try:
            return annotations_for(layers, self.movie())
        except InputError:  # no movie of frames: the hint says so
            return []

    def _movie_changed(self) -> None:
        row = self.form["annotation"]
        row.reset_choices()
        layer = row.value
        if layer is None or (annotation_of(layer) is not None and not self._of_movie([layer])):
            row.value = self._suggested("annotation")
        else:
            self._recognise()
        self._offer()
        self.movie_chosen.emit()

    def _annotation_changed(self, layer: Labels | None) -> None:
        movie = self.movie_layer
        if annotation_of(layer) is not None and layer is not None and movie is not None and movie.ndim == layer.ndim:
            for name in PLACE:
                setattr(layer, name, getattr(movie, name))  # an annotation does not know the time of a frame
        self._recognise()
        self._offer()
        self.annotation_chosen.emit()

    def _recognise(self) -> None:
        """Attach the movie to the annotation, and warn if frames are not those that were annotated."""
        annotation = annotation_of(self.annotation_layer)
        if annotation is None:
            return
        with suppress(InputError):
            annotation.movie = movie = self.movie()
            changed = annotation.changed_frames(movie)
            if annotation.is_of(movie) is False:
                show_warning(
                    f"This annotation was drawn on another movie than {movie.name!r}: its frame {changed[0]} is "
                    "another one. Choose the movie that it belongs to, or begin a new annotation."
                )
            elif changed:
                show_warning(
                    f"Frame {spans(changed)} of {movie.name!r} changed since it was annotated: look at its marks, then "
                    "set its status anew. Until then no search learns from it."
                )
            elif annotation.path is not None and not annotation.digests and any(map(_is_touched, annotation.status)):
                show_info(
                    "This annotation was begun with an older version, which did not note on which frames: whether they "
                    f"are those of {movie.name!r} cannot be checked."
                )

    def _offer(self) -> None:
        """Show what is known of the movie, and offer its annotation on disk as long as none is open."""
        self.about.show_movie(self.movie_layer)
        self.offered = self.of_others = None
        if self.movie_layer is not None and self.annotation_layer is None:
            with suppress(InputError):  # no movie of frames: the hint says so
                self.offered = next(iter(self.index.find(self.movie())), None)
                self.of_others = next(iter(self.index.others(self.movie())), None)
        self.offer.setVisible(self.offered is not None)
        if self.offered is not None:
            self.offer.setText(f"Continue {self.offered.name}")
            self.offer.setToolTip(f"Open the annotation of this movie that is kept at {self.offered}")
        self.more.setEnabled(self.movie_layer is not None)
        self.new.setEnabled(self.movie_layer is not None)
        self.new.setText("Save layer as annotation" if self.in_memory else "New annotation")
        self.new.setToolTip(
            "Save what the layer says, and from then on every stroke at once"
            if self.in_memory
            else "Begin an annotation beside the movie's file; every stroke is on disk at once"
        )

    # Annotations on disk ----------------------------------------------------------------------------------------------

    def begin(self, path: Path | None = None) -> None:
        """Begin an annotation of the movie, or save the labels of the chosen layer as one.

        Parameters
        ----------
        path : Path, optional
            By default beside the movie, or in napari's user data folder.

        Raises
        ------
        InputError
            If there is no movie, or the place cannot be written.
        """
        movie = self.movie()
        if path is None and not preference("autosave"):
            self.begin_elsewhere()
            return
        path = path or self.index.place(movie)
        layer = self.annotation_layer if self.in_memory else None
        annotation = begin_annotation(path, movie, layer)
        if layer is not None:
            self.viewer.layers.remove(layer)
        self._add(annotation, path, brush=layer is None)  # saving existing labels is no request to paint

    def begin_elsewhere(self) -> None:
        """Ask for the place first."""
        place = str(self.index.place(self.movie()))
        title, kinds = "Where to keep the annotation", f"Annotations (*{SUFFIX})"
        if path := QFileDialog.getSaveFileName(self, title, place, kinds)[0]:
            self.begin(Path(path if path.endswith(".zarr") else path + SUFFIX))

    def open(self, path: Path) -> None:
        """Open an annotation of the movie to continue it.

        Raises
        ------
        InputError
            If there is no annotation, or one of another movie.
        """
        self._add(open_annotation(path, self.movie()), path)

    def open_elsewhere(self) -> None:
        """Ask for the folder of an annotation and open it."""
        place = str(self.index.place(self.movie()).parent)
        if path := QFileDialog.getExistingDirectory(self, f"Folder of an annotation (*{SUFFIX})", place):
            self.open(Path(path))

    def open_offered(self) -> None:
        """Open the annotation that is offered."""
        if self.offered is not None:
            self.open(self.offered)

    def _add(self, annotation: Annotation, path: Path, brush: bool = True) -> None:
        image = self.movie_layer
        if image is None:
            return
        layer = layer_over(annotation, image, layer_name(path, self.movie()))
        layer.brush_size = 8
        self.viewer.layers.append(layer)
        self.reset_choices()
        row = self.form["annotation"]
        if layer in row.choices:
            row.value = layer
        if row.value != layer:  # another process paints it
            self.viewer.layers.remove(layer)
            return
        self.viewer.layers.selection.active = layer
        if brush:
            layer.mode = "paint"
        self.index.remember(self.movie(), path)


def _is_touched(status: FrameStatus) -> bool:
    return status is not FrameStatus.UNTOUCHED
