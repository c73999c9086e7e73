"""`Annotation`: an expert's labels of a movie, frame by frame; created, opened and saved."""

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

    from napari_menndl.movie.movie import Step
    from napari_menndl.simulation.simulate import SimulatedMovie

#: For point defects of simulated WS2 [nm]: below half the projected W-S distance of 0.184 nm.
SIMULATED_TOLERANCE = 0.09
#: At most this many frames are counted for the one-line description of an annotation.
MOST_COUNTED = 20


class Annotation(EditableAnnotation):
    """Labels, defect classes, and the annotated parts of each frame.

    If opened with ``mode="r+"`` from napari-menndl's own format, the labels are those on disk (a `FrameCache`):
    painting into ``annotation.labels[t, y, x]``, and every other change, is saved at once. Strokes made with `paint`
    or reported with `record` can be undone, also after the annotation was closed and opened again.

    Parameters
    ----------
    labels : (T, Y, X) uint8
        numpy or zarr; 0 = nothing marked, c + 1 = class c.
    classes : sequence of DefectClass or str
    status : sequence of FrameStatus, optional
        One per frame; untouched if omitted.
    regions : mapping of frame to regions (y0, x0, y1, x1), optional
        The fully annotated parts [px].
    pixel_size : (y, x) float [nm], optional
    steps : sequence of Step, optional
        Preparation steps of the annotated movie; see `AnnotationData`.
    digests : mapping of frame to str, optional
        Digests of the movie's annotated frames (`movie.identity`), as far as they are known.

    Raises
    ------
    InputError
        Labels of another shape or type; more statuses than frames; regions outside the frame.
    """

    #: The value for "no defect" in the source label image; empty without one.
    background: str = ""
    #: One-line summary of how the source points were interpreted; empty without points.
    understood: str = ""

    @property
    def path(self) -> Path | None:
        """Path that changes are written to; None for an annotation in memory or opened for reading."""
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
        """Create an annotation from label images; the labelled frames are complete, except for ignored pixels.

        Guesses are reported in a warning: numbered objects are taken as one class, one-hot planes and colours as
        classes, and a value other than 0 that covers most of the frame as the background.

        Parameters
        ----------
        array : (T, Y, X) or (Y, X) bool, int or float; with one more axis for one-hot planes, masks or colours
            0 = no defect; see `label_values.as_labels` for the other accepted values.
        classes : sequence of DefectClass or str, or mapping of str or int to str, optional
            In the order of their values; or names by value, ``{1: "S vacancy", 2: "Mo"}``.
        frames : sequence of int, optional
            The movie's labelled frames; all by default. An array with exactly this number of frames contains only
            these, in this order; any other array contains the whole movie, of which only these frames are taken.
        pixel_size : (y, x) float [nm], optional
        axes : str
            A letter per axis, such as "TYX" or "CYX"; guessed if omitted.
        one_class : bool
            Take everything except the background as one class: numbered objects, or grey masks, thresholded halfway
            between their darkest and brightest value.
        ignore : int, optional
            The value of unknown pixels, often 255.
        background : int, optional
            The value of "no defect"; determined from the labels if omitted.

        Raises
        ------
        InputError
            See `label_values.as_labels`; `frames` that the array does not have.
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
        """Create an annotation from clicked points, each drawn as a disc; the frames with points are complete.

        `understood` summarises how the points were interpreted.

        Parameters
        ----------
        points : path of a file, DataFrame or (n, 2) array
            See `points.read_points`.
        shape : (T, Y, X) or (Y, X)
            Shape of the movie or of its frames.
        radius : float [px]
        classes : sequence of DefectClass or str, or mapping of str or int to str, optional
            A mapping names classes that the points only number: ``{0: "S vacancy", 1: "Mo"}`` for "Counter 0" and
            "Counter 1". By default the classes in the column class, in order of appearance, or a single class "defect".
        frame : int
            Frame of points without a column frame.
        pixel_size : (y, x) float [nm], optional
            Pixel size of the movie; needed to convert points in a unit of length.
        unit : str, optional
            Unit of the points: "px", "nm", "µm", … By default that of the file, or px if it has none.

        Raises
        ------
        InputError
            Unreadable points, points outside the frame or the movie, unnamed classes, a radius that is not positive;
            points that may be in nm rather than in px, if neither the file nor `unit` gives the unit.
        """
        made = points_to_labels(points, shape, radius, classes, frame, pixel_size, unit)
        annotation = cls(made.labels, made.classes, _complete(made.done, len(made.labels)), pixel_size=pixel_size)
        annotation.understood = made.understood
        return annotation

    @classmethod
    def from_simulation(
        cls, simulated: SimulatedMovie, frames: Sequence[int] | None = None, classes: Sequence[str] | None = None
    ) -> Annotation:
        """Create an annotation from the ground truth of a simulated movie.

        Parameters
        ----------
        simulated : SimulatedMovie
        frames : sequence of int, optional
            Frames to annotate; the others stay untouched.
        classes : sequence of str, optional
            Classes to annotate, in this order; the others count as no defect.

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
        truth.background = ""  # there is no source label image to report on
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
        """Create a new annotation on disk, with all frames untouched, and open it for editing.

        Parameters
        ----------
        path : path
            Ends in ``.zarr``.
        shape : (T, Y, X)
            Shape of the movie.
        classes : sequence of DefectClass or str
        pixel_size : (y, x) float [nm], optional
        steps : sequence of Step, optional
            Preparation steps of the movie (`Movie.steps`).

        Raises
        ------
        InputError
            `path` exists already, or cannot be written.
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
        """Open an annotation in napari-menndl's format (.zarr), or label images, whose frames are all complete.

        Parameters
        ----------
        path : path
            Label images may also be given as a folder or a pattern of single frames.
        mode : "r" or "r+"
            "r+" edits an annotation in napari-menndl's format on disk; with "r" nothing on disk changes.
        classes, pixel_size, one_class, ignore, background : optional
            For label images: see `from_labels`.

        Raises
        ------
        InputError
            A file that is missing, unreadable, of another format or from a newer version; "r+" for a label image;
            options for label images with an annotation in napari-menndl's format.
        """
        path = Path(path).expanduser()
        if mode not in ("r", "r+"):  # zarr has others, which empty a group
            raise InputError('the mode "r" or "r+"', repr(mode), "Annotation.create makes a new annotation.")
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
        given = {
            "classes": classes is not None,
            "pixel_size": pixel_size is not None,
            "one_class": one_class,
            "ignore": ignore is not None,
            "background": background is not None,
        }
        if any(given.values()):
            raise InputError(
                "a label image, whose values can be read in several ways",
                f"{path}, an annotation in our own format",
                f"Leave out {' and '.join(name for name, asked in given.items() if asked)}.",
            )
        group, labels, attributes = open_stored(Path(path), mode)
        annotation = cls(cached(labels) if mode == "r+" else labels, **attributes)
        if mode == "r+":
            annotation._history = History(Path(path) / HISTORY)
        annotation._group = group
        return annotation

    def check(self, movie_shape: tuple[int, ...]) -> None:
        """Check that the annotation fits a movie; it may have fewer frames than the movie.

        Raises
        ------
        InputError
            Frames of another size, or more frames than the movie has.

        Warns
        -----
        UserWarning
            If it was made from a label image of several frames, but fewer than the movie has.
        """
        super().check(movie_shape)
        whole = all(status is FrameStatus.COMPLETE for status in self.status)
        if self.background and whole and len(movie_shape) == 3 and 1 < len(self) < movie_shape[0]:
            warnings.warn(
                f"Labels of {len(self)} frames for a movie of {movie_shape[0]}: they are taken as frames 0 to "
                f"{len(self) - 1}. If they are others, name them in Python: Annotation.from_labels(array, frames=[…]).",
                stacklevel=2,
            )

    def describe(self) -> str:
        """Return a one-line summary: frames, classes, defects on the first frames, and the background value."""
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
        """Save in napari-menndl's format, a zarr group, atomically; an annotation at `path` is replaced.

        Raises
        ------
        InputError
            `path` exists and is no annotation, or it cannot be written.
        """
        store(Path(path), self.labels, self._attributes())


def _complete(done: set[int], length: int) -> list[FrameStatus]:
    return [FrameStatus.COMPLETE if t in done else FrameStatus.UNTOUCHED for t in range(length)]
