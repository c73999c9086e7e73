"""What an expert says about a movie, frame by frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from napari_menndl.annotation.classes import DefectClass, FrameStatus, as_classes
from napari_menndl.annotation.editing import EditedStatement
from napari_menndl.annotation.files import is_zarr_group, read_label_image
from napari_menndl.annotation.frame_cache import cached
from napari_menndl.annotation.history import History
from napari_menndl.annotation.points import points_to_labels
from napari_menndl.annotation.storage import HISTORY, open_stored, store
from napari_menndl.annotation.values import as_labels, place_frames
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import pandas as pd

    from napari_menndl.movie.simulation import SimulatedMovie

#: For point defects of simulated WS2 [nm]: below half the projected W-S distance of 0.184 nm.
SIMULATED_TOLERANCE = 0.09


class Annotation(EditedStatement):
    """Labels, defect classes, and how much of each frame they speak about.

    Opened with ``mode="r+"`` from our own format, its labels are those on disk (a `FrameCache`): what is
    painted into ``annotation.labels[t, y, x]``, and every change, is saved at once. Strokes that are told to it
    (`paint`, `record`) can be undone, also after it was closed and opened again.

    Parameters
    ----------
    labels : (T, Y, X) uint8
        numpy or zarr; 0 = nothing marked, c + 1 = class c.
    classes : sequence of DefectClass or str
    status : sequence of FrameStatus, optional
        One per frame; untouched when left out.
    regions : mapping of frame to regions (y0, x0, y1, x1), optional
        The parts that are fully annotated [px].
    pixel_size : (y, x) float [nm], optional

    Raises
    ------
    InputError
        Labels of another shape or type; more statuses than frames; regions outside the frame.
    """

    #: What was understood of the points that it was made from, in a line; empty for others.
    understood: str = ""

    @property
    def path(self) -> Path | None:
        """Where its changes are written; None in memory, or opened to read."""
        return None if self._history is None else Path(self._group.store.root)

    @classmethod
    def from_labels(
        cls,
        array: npt.ArrayLike,
        classes: Sequence[DefectClass | str] | None = None,
        frames: Sequence[int] | None = None,
        pixel_size: tuple[float, float] | None = None,
    ) -> Annotation:
        """From label images; the frames given are complete.

        Parameters
        ----------
        array : (T, Y, X) or (Y, X) bool, int or float
            0 = no defect; see `values.as_labels` for what else a file may hold.
        classes : sequence of DefectClass or str, optional
        frames : sequence of int, optional
            The movie's frames that are labelled; all by default. An array of just as many frames holds just those, in
            this order; any other holds the whole movie, and only these frames of it are taken.
        pixel_size : (y, x) float [nm], optional

        Raises
        ------
        InputError
            See `values.as_labels`; `frames` that the array does not have.
        """
        labels, named = as_labels(array, classes)
        labels, done = place_frames(labels, frames)
        return cls(labels, named, _complete(done, len(labels)), pixel_size=pixel_size)

    @classmethod
    def from_points(
        cls,
        points: str | PathLike[str] | pd.DataFrame | npt.ArrayLike,
        shape: tuple[int, ...],
        radius: float,
        classes: Sequence[DefectClass | str] | None = None,
        frame: int = 0,
        pixel_size: tuple[float, float] | None = None,
        unit: str | None = None,
    ) -> Annotation:
        """From clicked points, each a disc; the frames that have points are complete.

        What was understood of the points is in `understood`.

        Parameters
        ----------
        points : path of a file, DataFrame or (n, 2) array
            See `points.read_points`.
        shape : (T, Y, X) or (Y, X)
            Of the movie or of its frames.
        radius : float [px]
        classes : sequence of DefectClass or str, optional
            By default those in the column class, in the order in which they come, or one, "defect".
        frame : int
            Of points without a column frame.
        pixel_size : (y, x) float [nm], optional
            Of the movie. Points in a unit of length are converted by it.
        unit : str, optional
            Of the points: "px", "nm", "µm", … By default what the file says, and px where it says nothing.

        Raises
        ------
        InputError
            Unreadable points, points outside the frame or the movie, unnamed classes, a radius that is not positive;
            points that may be in nm rather than in px, where neither the file nor `unit` says it.
        """
        made = points_to_labels(points, shape, radius, classes, frame, pixel_size, unit)
        annotation = cls(made.labels, made.classes, _complete(made.done, len(made.labels)), pixel_size=pixel_size)
        annotation.understood = made.understood
        return annotation

    @classmethod
    def from_simulation(
        cls, simulated: SimulatedMovie, frames: Sequence[int] | None = None, classes: Sequence[str] | None = None
    ) -> Annotation:
        """The truth of a simulated movie.

        Parameters
        ----------
        simulated : SimulatedMovie
        frames : sequence of int, optional
            Frames to take over; the others stay untouched.
        classes : sequence of str, optional
            Classes to take over, in this order; the others count as no defect.

        Raises
        ------
        InputError
            Frames or classes that the simulation does not have.
        """
        names = tuple(simulated.class_names)
        wanted = names if classes is None else tuple(classes)
        if unknown := [n for n in wanted if n not in names]:
            raise InputError(f"classes among {', '.join(names)}", ", ".join(unknown), "Correct the class's name.")
        number = np.zeros(256, np.uint8)
        for value, name in enumerate(wanted, start=1):
            number[names.index(name) + 1] = value
        made = [
            replace(c, extended="hole" in c.name, tolerance=None if "hole" in c.name else SIMULATED_TOLERANCE)
            for c in as_classes(wanted)
        ]
        size = simulated.movie.pixel_size
        return cls.from_labels(number[np.asarray(simulated.labels)], made, frames, size)

    @classmethod
    def create(
        cls,
        path: str | PathLike[str],
        shape: tuple[int, int, int],
        classes: Sequence[DefectClass | str] = ("defect",),
        pixel_size: tuple[float, float] | None = None,
    ) -> Annotation:
        """A new one on disk, nothing looked at yet, opened to be edited.

        Parameters
        ----------
        path : path
            Ends in ``.zarr``.
        shape : (T, Y, X)
            Of the movie.
        classes : sequence of DefectClass or str
        pixel_size : (y, x) float [nm], optional

        Raises
        ------
        InputError
            Something stands at `path` already, or it cannot be written.
        """
        if Path(path).exists():
            raise InputError(
                "a place for a new annotation", f"{path}, which exists", "Open it, or choose another name."
            )
        cls(np.broadcast_to(np.uint8(0), shape), classes, pixel_size=pixel_size).save(path)
        return cls.open(path, mode="r+")

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        mode: Literal["r", "r+"] = "r",
        classes: Sequence[DefectClass | str] | None = None,
        pixel_size: tuple[float, float] | None = None,
    ) -> Annotation:
        """From a file: our own format (.zarr), or label images (TIFF, .npy, plain zarr) with every frame complete.

        Parameters
        ----------
        path : path
        mode : "r" or "r+"
            "r+" edits our own format on disk; with "r" nothing on disk changes.
        classes, pixel_size : optional
            For label images, which carry neither.

        Raises
        ------
        InputError
            Missing, unreadable, foreign or from a newer version; "r+" for a label image.
        """
        if not is_zarr_group(Path(path)):
            if mode != "r":
                raise InputError(
                    "an annotation in our own format to edit in place", str(path), "Open it and save it as .zarr first."
                )
            return cls.from_labels(read_label_image(Path(path)), classes, pixel_size=pixel_size)
        group, labels, attributes = open_stored(Path(path), mode)
        annotation = cls(cached(labels) if mode == "r+" else labels, **attributes)
        if mode == "r+":
            annotation._history = History(Path(path) / HISTORY)
        annotation._group = group
        return annotation

    def save(self, path: str | PathLike[str]) -> None:
        """Save in our own format: a zarr group, whole or not at all; an annotation of ours at `path` is replaced.

        Raises
        ------
        InputError
            Something else stands at `path`, or it cannot be written.
        """
        store(Path(path), self.labels, self._attributes())


def _complete(done: set[int], length: int) -> list[FrameStatus]:
    return [FrameStatus.COMPLETE if t in done else FrameStatus.UNTOUCHED for t in range(length)]
