"""What an expert says about a movie, frame by frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_menndl.annotation.classes import DefectClass, FrameStatus, Region, as_classes, as_pixel_size, as_status
from napari_menndl.annotation.files import is_zarr_group, read_label_image
from napari_menndl.annotation.points import points_to_labels
from napari_menndl.annotation.storage import open_stored, store, to_attributes
from napari_menndl.annotation.tolerance import make_detector
from napari_menndl.annotation.values import as_labels, place_frames
from napari_menndl.errors import InputError
from napari_menndl.metrics.components import label_components

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from os import PathLike

    from napari_menndl.metrics.detection import Detector
    from napari_menndl.movie.simulation import SimulatedMovie

#: For point defects of simulated WS2 [nm]: below half the projected W-S distance of 0.184 nm.
SIMULATED_TOLERANCE = 0.09


class Annotation:
    """Labels, defect classes, and how much of each frame they speak about.

    Opened with ``mode="r+"`` from our own format, its labels are the array on disk: what is painted into
    ``annotation.labels[t, y, x]``, and every setter, is saved at once.

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

    def __init__(
        self,
        labels: Any,
        classes: Sequence[DefectClass | str],
        status: Sequence[FrameStatus | str] | None = None,
        regions: Mapping[int, Iterable[Sequence[int]]] | None = None,
        pixel_size: tuple[float, float] | None = None,
    ) -> None:
        if getattr(labels, "ndim", None) != 3 or labels.dtype != np.uint8 or 0 in labels.shape:
            raise InputError(
                "labels of (T, Y, X) uint8",
                f"{getattr(labels, 'dtype', type(labels).__name__)} of shape {getattr(labels, 'shape', None)}",
                "Use Annotation.from_labels(array), which converts.",
            )
        self.labels = labels
        self._group: Any = None
        self._classes = as_classes(classes)
        given = [FrameStatus.UNTOUCHED] * len(self) if status is None else status
        self._status = tuple(as_status(s) for s in given)
        if len(self._status) != len(self):
            raise InputError(
                f"one status per frame, {len(self)} in all", f"{len(self._status)}", "Give one for each frame."
            )
        self._regions = {self._frame_index(t): self._as_regions(r) for t, r in (regions or {}).items()}
        self.pixel_size = as_pixel_size(pixel_size)

    # What it says -----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    def __repr__(self) -> str:
        names = ", ".join(c.name for c in self._classes)
        touched = sum(s is not FrameStatus.UNTOUCHED for s in self._status)
        return f"Annotation({touched} of {len(self)} frames, {self.shape[1]} x {self.shape[2]} px, classes: {names})"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, Y, X)."""
        t, y, x = self.labels.shape
        return int(t), int(y), int(x)

    @property
    def classes(self) -> tuple[DefectClass, ...]:
        """Class c has the label c + 1. Setting it writes through."""
        return self._classes

    @classes.setter
    def classes(self, classes: Sequence[DefectClass | str]) -> None:
        self._write(classes=as_classes(classes))

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self._classes)

    @property
    def status(self) -> tuple[FrameStatus, ...]:
        """One per frame; set by `set_status`."""
        return self._status

    @property
    def regions(self) -> dict[int, tuple[Region, ...]]:
        """A copy; set by `set_regions`."""
        return dict(self._regions)

    def frame(self, t: int) -> npt.NDArray[np.uint8]:
        """(Y, X) uint8: the labels of one frame."""
        labels: npt.NDArray[np.uint8] = np.asarray(self.labels[self._frame_index(t)])
        return labels

    def known(self, t: int) -> npt.NDArray[np.bool_]:
        """(Y, X) bool: where the annotation says something; there, 0 means "no defect".

        Untouched: nowhere. With regions: inside them, and nowhere else. Complete without regions: everywhere.
        In progress without regions: only where something is marked, since the rest may not have been looked at.
        """
        t = self._frame_index(t)
        status, regions = self._status[t], self._regions.get(t, ())
        known = np.zeros(self.shape[1:], bool)
        if status is FrameStatus.UNTOUCHED:
            return known
        if regions:
            for y0, x0, y1, x1 in regions:
                known[y0:y1, x0:x1] = True
            return known
        return ~known if status is FrameStatus.COMPLETE else self.frame(t) > 0

    def check(self, movie_shape: tuple[int, ...]) -> None:
        """Make sure that it belongs to a movie; it may end before the movie does.

        Raises
        ------
        InputError
            Frames of another size, or more frames than the movie has.
        """
        if tuple(movie_shape[-2:]) != self.shape[1:]:
            raise InputError(
                f"an annotation of frames of {movie_shape[-2]} x {movie_shape[-1]} px, as in the movie",
                f"one of {self.shape[1]} x {self.shape[2]} px",
                "Open the annotation that belongs to this movie; neither may be cropped or binned alone.",
            )
        if len(movie_shape) == 3 and len(self) > movie_shape[0]:
            raise InputError(
                f"an annotation of at most {movie_shape[0]} frames, as in the movie",
                f"one of {len(self)}",
                "Open the annotation that belongs to this movie.",
            )

    def class_index(self, name: str | int | DefectClass) -> int:
        """Index of a class by its name.

        Raises
        ------
        InputError
            No such class.
        """
        if isinstance(name, int) and 0 <= name < len(self._classes):
            return name
        wanted = name.name if isinstance(name, DefectClass) else name
        if wanted in self.class_names:
            return self.class_names.index(str(wanted))
        raise InputError(f"one of the classes {', '.join(self.class_names)}", repr(name), "Correct the class's name.")

    def detector(self, name: str | int | DefectClass) -> Detector:
        """How defects of a class are counted: tolerance in px, from the class or from what is annotated."""
        index = self.class_index(name)
        defect = self._classes[index]
        areas = [
            label_components(self.frame(t) == index + 1, min_area=1).areas
            for t, status in enumerate(self._status)
            if status is not FrameStatus.UNTOUCHED
        ]
        return make_detector(defect, np.concatenate([np.zeros(0, np.int64), *areas]), self.pixel_size)

    def to_points(self, t: int | None = None) -> pd.DataFrame:
        """Centres of the marked defects.

        Parameters
        ----------
        t : int, optional
            One frame; all that are not untouched when left out.

        Returns
        -------
        DataFrame
            Columns y, x : float [px], class : str, frame : int; what `from_points` reads, also through ``to_csv``.
        """
        frames = [t for t, s in enumerate(self._status) if s is not FrameStatus.UNTOUCHED] if t is None else [t]
        rows = [
            (y, x, defect.name, self._frame_index(t))
            for t in frames
            for c, defect in enumerate(self._classes)
            for y, x in label_components(self.frame(t) == c + 1, min_area=1).centres
        ]
        return pd.DataFrame(rows, columns=["y", "x", "class", "frame"])

    # Where it comes from ----------------------------------------------------------------------------------------------

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
    ) -> Annotation:
        """From clicked points, each a disc; the frames that have points are complete.

        Parameters
        ----------
        points : path of a CSV file, DataFrame or (n, 2) array
            See `points.read_points`.
        shape : (T, Y, X) or (Y, X)
            Of the movie or of its frames.
        radius : float [px]
        classes : sequence of DefectClass or str, optional
            By default those in the column class, in the order in which they come, or one, "defect".
        frame : int
            Of points without a column frame.
        pixel_size : (y, x) float [nm], optional

        Raises
        ------
        InputError
            Unreadable points, points outside the frame or the movie, unnamed classes, a radius that is not positive.
        """
        labels, named, done = points_to_labels(points, shape, radius, classes, frame)
        return cls(labels, named, _complete(done, len(labels)), pixel_size=pixel_size)

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
        annotation = cls(labels, **attributes)
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

    # Editing ----------------------------------------------------------------------------------------------------------

    def set_status(self, t: int, status: FrameStatus | str) -> None:
        """Say how far the annotation of a frame is; writes through."""
        t = self._frame_index(t)
        self._write(status=(*self._status[:t], as_status(status), *self._status[t + 1 :]))

    def set_regions(self, t: int, regions: Iterable[Sequence[int]]) -> None:
        """Replace the fully annotated parts (y0, x0, y1, x1) [px] of a frame; an untouched one is then in progress."""
        t = self._frame_index(t)
        made = self._as_regions(regions)
        kept = {k: r for k, r in self._regions.items() if k != t}
        status = list(self._status)
        if made and status[t] is FrameStatus.UNTOUCHED:
            status[t] = FrameStatus.IN_PROGRESS
        self._write(regions={**kept, t: made} if made else kept, status=tuple(status))

    def _write(self, **changed: Any) -> None:
        before = {name: getattr(self, f"_{name}") for name in changed}
        for name, value in changed.items():
            setattr(self, f"_{name}", value)
        if self._group is None:
            return
        try:
            self._group.attrs.update(self._attributes())
        except (OSError, ValueError) as error:
            for name, value in before.items():
                setattr(self, f"_{name}", value)
            raise InputError(
                "an annotation that can be written", str(error), "Open it with mode='r+', or save a copy elsewhere."
            ) from error

    def _attributes(self) -> dict[str, Any]:
        return to_attributes(self._classes, self._status, self._regions, self.pixel_size)

    def _as_regions(self, regions: Iterable[Sequence[int]]) -> tuple[Region, ...]:
        return tuple(Region(*r).clipped(*self.shape[1:]) for r in regions)

    def _frame_index(self, t: int) -> int:
        if not 0 <= t < len(self):
            raise InputError(f"a frame from 0 to {len(self) - 1}", f"frame {t}", "Choose a frame of the annotation.")
        return int(t)


def _complete(done: set[int], length: int) -> list[FrameStatus]:
    return [FrameStatus.COMPLETE if t in done else FrameStatus.UNTOUCHED for t in range(length)]
