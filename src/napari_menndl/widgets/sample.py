"""Samples in File › Open Sample › MENNDL."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QEventLoop, QObject
from qtpy.QtWidgets import QApplication, QProgressDialog

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.errors import InputError
from napari_menndl.samples import PLATINUM
from napari_menndl.simulation.simulate import simulate_movie
from napari_menndl.widgets.background import begin, in_window
from napari_menndl.widgets.layers import annotation_layer, movie_layer

if TYPE_CHECKING:
    from napari_menndl.movie.movie import Movie
    from napari_menndl.samples import ImageSet
    from napari_menndl.widgets.layers import LayerData


def simulated_ws2() -> list[LayerData]:
    """Return a simulated movie of Mo-doped WS2 under the beam, and its true defects."""
    simulated = simulate_movie(frames=20, shape=(256, 256))
    movie = simulated.movie
    truth = Annotation.from_simulation(simulated)
    return [movie_layer(movie), annotation_layer(truth, movie.frame_time)]


def platinum_on_carbon() -> list[LayerData]:
    """Return real images of single Pt atoms on N-doped carbon, one per frame, and where experts clicked.

    Raises
    ------
    InputError
        If they cannot be downloaded.
    """
    return image_set_layers(PLATINUM)


def image_set_layers(images: ImageSet) -> list[LayerData]:
    """Return images and their annotation as layers; the window stays responsive during the download."""
    movie, annotation = Download(images).wait() if QApplication.instance() else images.fetch()
    data, about, kind = movie_layer(movie)
    return [(data, about | {"name": images.name}, kind), annotation_layer(annotation)]


class Download(QObject):
    """Download of images in a thread, with a progress bar that can be cancelled.

    Parameters
    ----------
    images : ImageSet
    """

    def __init__(self, images: ImageSet) -> None:
        super().__init__()
        self._images = images
        self._result: tuple[Movie, Annotation] | Exception | None = None
        self._cancelled = threading.Event()
        self._loop = QEventLoop()
        self.bar = QProgressDialog(f"Downloading {images.name} …", "Cancel", 0, 0, QApplication.activeWindow())
        self.bar.setWindowTitle("MENNDL")
        self.bar.setMinimumDuration(400)
        self.bar.setModal(True)
        self.bar.canceled.connect(self._cancelled.set)
        self._tell, self._say_end = in_window(self._advance), in_window(self._end)

    def wait(self) -> tuple[Movie, Annotation]:
        """Return the images after the download; events are processed meanwhile.

        Raises
        ------
        InputError
            If it cannot be downloaded, was cancelled, or napari was closed meanwhile.
        """
        begin(self._fetch)
        self._loop.exec()
        self._cancelled.set()
        if isalive(self.bar):
            self.bar.close()
            self.bar.deleteLater()
        if self._result is None:
            raise InputError(f"the images of {self._images.name}", "napari closed before they came", "Open them again.")
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def _fetch(self) -> None:
        try:
            self._say_end(self._images.fetch(None, self._progress))
        except Exception as error:
            self._say_end(error)

    def _progress(self, done: int, of: int) -> bool:
        self._tell(done, of)
        return not self._cancelled.is_set()

    def _advance(self, done: int, of: int) -> None:
        if isalive(self.bar):
            self.bar.setMaximum(of)
            self.bar.setValue(done)

    def _end(self, result: tuple[Movie, Annotation] | Exception) -> None:
        self._result = result
        self._loop.quit()
