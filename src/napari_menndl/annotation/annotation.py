"""What an expert says about a movie, frame by frame."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from napari_menndl.annotation.classes import DefectClass, FrameStatus, as_classes, regions_of
from napari_menndl.annotation.editing import EditableAnnotation
from napari_menndl.annotation.files import is_label_image, read_label_image
from napari_menndl.annotation.frame_cache import cached
from napari_menndl.annotation.history import History
from napari_menndl.annotation.label_values import as_labels, place_frames
from napari_menndl.annotation.points import points_to_labels
from napari_menndl.annotation.storage import HISTORY, open_stored, store
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    import pandas as pd

    from napari_menndl.movie.preparation import Step
    from napari_menndl.simulation.simulate import SimulatedMovie

#: For point defects of simulated WS2 [nm]: below half the projected W-S distance of 0.184 nm.
SIMULATED_TOLERANCE = 0.09
#: Frames whose defects are counted to describe an annotation in one line.
MOST_COUNTED = 20


class Annotation(EditableAnnotation):
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
    steps : sequence of Step, optional
        What had been done to the movie that was annotated; see `AnnotationData`.
    digests : mapping of frame to str, optional
        Of the movie's frames that were annotated (`movie.identity`), as far as they were noted.

    Raises
    ------
    InputError
        Labels of another shape or type; more statuses than frames; regions outside the frame.
    """

    #: The value that meant "no defect" in the label image it was made of; empty where there was none.
    background: str = ""
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
        classes: Sequence[DefectClass | str] | Mapping[str | int, str] | None = None,
        frames: Sequence[int] | None = None,
        pixel_size: tuple[float, float] | None = None,
        *,
        axes: str = "",
        one_class: bool = False,
        ignore: int | None = None,
        background: int | None = None,
    ) -> Annotation:
        """From label images; the frames given are complete, but for what is to be ignored.

        What is guessed is said in a warning: numbered objects are taken as one class, one-hot planes and colours as
        classes, and the value that covers the frame as the background where it is not 0.

        Parameters
        ----------
        array : (T, Y, X) or (Y, X) bool, int or float; with an axis more of one-hot planes, masks or colours
            0 = no defect; see `values.as_labels` for what else a file may hold.
        classes : sequence of DefectClass or str, or mapping of str or int to str, optional
            In the order of their values; or names by value, ``{1: "S vacancy", 2: "Mo"}``.
        frames : sequence of int, optional
            The movie's frames that are labelled; all by default. An array of just as many frames holds just those, in
            this order; any other holds the whole movie, and only these frames of it are taken.
        pixel_size : (y, x) float [nm], optional
        axes : str
            A letter per axis, such as "TYX" or "CYX"; guessed when left out.
        one_class : bool
            Everything but the background is one class: numbered objects, or grey masks, cut at half of the brightest.
        ignore : int, optional
            The value of pixels that were not looked at, often 255: nothing is known of them.
        background : int, optional
            The value of "no defect"; found when left out.

        Raises
        ------
        InputError
            See `values.as_labels`; `frames` that the array does not have.
        """
        found = as_labels(array, classes, axes=axes, one_class=one_class, ignore=ignore, background=background)
        labels, done = place_frames(found.labels, frames)
        status, regions = _complete(done, len(labels)), {}
        if found.unknown is not None:
            unknown = place_frames(found.unknown.view(np.uint8), frames)[0] > 0
            for t in sorted(done):
                if unknown[t].all():
                    status[t] = FrameStatus.UNTOUCHED
                elif unknown[t].any():
                    regions[t] = regions_of(~unknown[t])
        annotation = cls(labels, found.classes, status, regions, pixel_size)
        annotation.background = found.background
        return annotation

    @classmethod
    def from_points(
        cls,
        points: str | PathLike[str] | pd.DataFrame | npt.ArrayLike,
        shape: tuple[int, ...],
        radius: float,
        classes: Sequence[DefectClass | str] | Mapping[str | int, str] | None = None,
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
        classes : sequence of DefectClass or str, or mapping of str or int to str, optional
            Or names for classes that the points only number: ``{0: "S vacancy", 1: "Mo"}`` for "Counter 0" and
            "Counter 1". By default those in the column class, in the order in which they come, or one, "defect".
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
        truth = cls.from_labels(number[np.asarray(simulated.labels)], made, frames, size, axes="TYX", background=0)
        truth.background = ""  # no file, and a frame without a label has no defect
        truth.steps = ()
        return truth

    @classmethod
    def create(
        cls,
        path: str | PathLike[str],
        shape: tuple[int, int, int],
        classes: Sequence[DefectClass | str] = ("defect",),
        pixel_size: tuple[float, float] | None = None,
        steps: Sequence[Step] | None = None,
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
        steps : sequence of Step, optional
            `Movie.steps` of the movie.

        Raises
        ------
        InputError
            Something stands at `path` already, or it cannot be written.
        """
        if Path(path).exists():
            raise InputError(
                "a place for a new annotation", f"{path}, which exists", "Open it, or choose another name."
            )
        cls(np.broadcast_to(np.uint8(0), shape), classes, pixel_size=pixel_size, steps=steps).save(path)
        return cls.open(path, mode="r+")

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        mode: Literal["r", "r+"] = "r",
        classes: Sequence[DefectClass | str] | Mapping[str | int, str] | None = None,
        pixel_size: tuple[float, float] | None = None,
        one_class: bool = False,
        ignore: int | None = None,
        background: int | None = None,
    ) -> Annotation:
        """From a file: our own format (.zarr), or label images, read as movies are, with every frame complete.

        Parameters
        ----------
        path : path
            For label images also a folder or a pattern of single frames.
        mode : "r" or "r+"
            "r+" edits our own format on disk; with "r" nothing on disk changes.
        classes, pixel_size, one_class, ignore, background : optional
            For label images: see `from_labels`.

        Raises
        ------
        InputError
            Missing, unreadable, foreign or from a newer version; "r+" for a label image; options that our own format
            leaves no room for.
        """
        path = Path(path).expanduser()
        if is_label_image(path):
            if mode != "r":
                raise InputError(
                    "an annotation in our own format to edit in place", str(path), "Open it and save it as .zarr first."
                )
            values, axes = read_label_image(path)
            return cls.from_labels(
                values,
                classes,
                pixel_size=pixel_size,
                axes=axes,
                one_class=one_class,
                ignore=ignore,
                background=background,
            )
        if one_class or ignore is not None or background is not None:
            raise InputError(
                "a label image, whose values can be read in several ways",
                f"{path}, an annotation in our own format",
                "Leave out one_class, ignore and background.",
            )
        group, labels, attributes = open_stored(Path(path), mode)
        annotation = cls(cached(labels) if mode == "r+" else labels, **attributes)
        if mode == "r+":
            annotation._history = History(Path(path) / HISTORY)
        annotation._group = group
        return annotation

    def check(self, movie_shape: tuple[int, ...]) -> None:
        """Make sure that it belongs to a movie; it may end before the movie does.

        Raises
        ------
        InputError
            Frames of another size, or more frames than the movie has.
        """
        super().check(movie_shape)
        whole = all(status is FrameStatus.COMPLETE for status in self.status)
        if self.background and whole and len(movie_shape) == 3 and 1 < len(self) < movie_shape[0]:
            warnings.warn(
                f"Labels of {len(self)} frames for a movie of {movie_shape[0]}: they are taken as frames 0 to "
                f"{len(self) - 1}. If they are others, name them: Annotation.from_labels(array, frames=[…]).",
                stacklevel=2,
            )

    def describe(self) -> str:
        """Summarise it in one line: frames, classes, defects on the first ones, and what meant the background."""
        if self.understood:
            return self.understood
        frames = [t for t, status in enumerate(self.status) if status is not FrameStatus.UNTOUCHED]
        defects = dict.fromkeys(self.class_names, 0)
        for t in frames[:MOST_COUNTED]:
            for name, count in self.counts(t).items():
                defects[name] += count
        classes = ", ".join(f"{name}: {n} defect{'' if n == 1 else 's'}" for name, n in defects.items())
        parts = [
            f"labels of {len(frames)} frame{'' if len(frames) == 1 else 's'}",
            f"{len(defects)} class{'' if len(defects) == 1 else 'es'} ({classes}"
            f"{f' on the first {MOST_COUNTED}' if len(frames) > MOST_COUNTED else ''})",
        ]
        if self.background:
            parts.append(f"background {self.background}")
        if limited := [t for t in frames if t in self.regions]:
            share = 1 - np.mean([self.known(t).mean() for t in limited])
            parts.append(
                f"{100 * share:.3g} % of frame{'' if len(limited) == 1 else 's'} "
                f"{', '.join(map(str, limited))} not looked at"
            )
        return ", ".join(parts)

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
