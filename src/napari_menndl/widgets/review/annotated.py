"""The annotation of a review: in the classes of the prediction, and as a run learned from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import DefectClass, FrameStatus, make_match_rule, regions_of
from napari_menndl.annotation.files import open_own_group, own_array
from napari_menndl.errors import InputError
from napari_menndl.metrics.components import label_components
from napari_menndl.movie.identity import frame_digest
from napari_menndl.review.compare import SharedClasses, renumbered
from napari_menndl.task.task import FORM, SCHEMA, Origin
from napari_menndl.widgets.layers import annotated_frame

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Labels

    from napari_menndl.metrics.detection import MatchRule
    from napari_menndl.movie.movie import Movie


def annotation_in(
    names: tuple[str, ...], layer: Labels | None, frame: int, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the annotation in a prediction's classes.

    Parameters
    ----------
    names : C str
    layer : napari.layers.Labels, optional
    frame : int
    shape : (Y, X)
        Shape of the movie's frames.

    Returns
    -------
    labels : (Y, X) uint8
    known : (Y, X) bool
        Where the labels are known; nowhere without an annotation.

    Raises
    ------
    InputError
        If the layer is not an annotation of such a movie in such classes.
    """
    if layer is None:
        return np.zeros(shape, np.uint8), np.zeros(shape, bool)
    labels, known = annotated_frame(layer, frame)
    if labels.shape != shape:
        raise InputError(
            f"an annotation of {shape[0]} × {shape[1]} px, as the movie has",
            f"{labels.shape[0]} × {labels.shape[1]} px in the layer {layer.name!r}",
            "Choose the annotation of this movie, or none.",
        )
    given = classes_of(layer, names)
    if labels.max(initial=0) > len(given):
        raise InputError(
            f"labels 1 … {len(given)} for the classes {', '.join(given)}",
            f"the label {labels.max()} in the layer {layer.name!r}",
            "Choose the annotation that this run learned from, or one with the same classes.",
        )
    return SharedClasses(names, given).as_predicted(labels, known)


def classes_of(layer: Labels, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes of a layer's labels 1, 2, …: by default those of the prediction, `names`."""
    annotation = layer.metadata.get("annotation")
    return annotation.class_names if annotation else names


def match_rules(
    names: tuple[str, ...], layer: Labels | None, pixel_size: tuple[float, float] | None
) -> tuple[MatchRule | None, ...]:
    """Return the match rule of each class as the annotation has it; None for a class that it lacks.

    Of a layer that records no classes, the rules are derived from all that is drawn on it.
    """
    if layer is None:
        return (None,) * len(names)
    if (annotation := layer.metadata.get("annotation")) is not None:
        return tuple(annotation.match_rule(name) if name in annotation.class_names else None for name in names)
    frames = [annotated_frame(layer, t)[0] for t in range(layer.data.shape[0] if layer.ndim > 2 else 1)]
    return tuple(
        make_match_rule(
            DefectClass(name), np.concatenate([label_components(one == c, 1).areas for one in frames]), pixel_size
        )
        for c, name in enumerate(names, start=1)
    )


@dataclass(frozen=True, eq=False)
class Learned:
    """Labels of a training task.

    Attributes
    ----------
    name : str
        Name of the run.
    labels : (N, Y, X) uint8
        0 where unknown.
    known : (N, Y, X) bool
    class_names : C str
    origin : Origin or None
        None in runs of older versions.
    """

    name: str
    labels: np.ndarray
    known: np.ndarray
    class_names: tuple[str, ...]
    origin: Origin | None

    @classmethod
    def open(cls, run: Path) -> Learned | None:
        """Read what a run learned from; None if `run` is no run folder, or damaged."""
        path = run / "task.zarr"
        if not path.is_dir():
            return None
        try:
            group = open_own_group(path, FORM, SCHEMA)
            labels, known = (np.asarray(own_array(group, *one, 3)[:]) for one in (("labels", "u"), ("known", "b")))
            names = tuple(map(str, dict(group.attrs)["class_names"]))
        except (InputError, KeyError, TypeError):  # damaged: reported when the run is opened
            return None
        return cls(run.name, labels, known, names, Origin.from_json(dict(group.attrs).get("origin")))

    def is_of(self, movie: Movie) -> bool | None:
        """Whether frames that were learned from are in this movie; None if that was not recorded."""
        return None if self.origin is None else bool(self.frames_in(movie))

    def frames_in(self, movie: Movie) -> tuple[int, ...]:
        """Return the frames of this movie that were learned from, as far as that was recorded."""
        frames = () if self.origin is None else zip(self.origin.frames, self.origin.digests, strict=True)
        try:
            return tuple(sorted(t for t, digest in frames if t < len(movie) and frame_digest(movie, t) == digest))
        except InputError:
            return ()

    def is_in(self, layer: Labels) -> bool:
        """Whether a labels layer has the same labels on the frames that were learned from."""
        if layer.data.shape[-2:] != self.labels.shape[1:]:
            return False
        annotation, count = layer.metadata.get("annotation"), layer.data.shape[0] if layer.ndim > 2 else 1
        names = self.class_names if annotation is None else annotation.class_names

        def same(t: int, labels: np.ndarray, known: np.ndarray) -> bool:
            drawn = renumbered(annotated_frame(layer, t)[0], names, self.class_names)
            return np.array_equal(np.where(known, drawn, 0), labels)

        tried: list[tuple[int, ...]]
        if self.origin is not None:
            tried = [(t,) for t in self.origin.frames]
        else:  # older versions: on any frame
            tried = [tuple(range(count))] * len(self.labels)
        try:
            return all(
                any(t < count and same(t, labels, known) for t in frames)
                for frames, labels, known in zip(tried, self.labels, self.known, strict=True)
            )
        except (InputError, IndexError):  # labels that are no classes
            return False

    def was(self, annotation: Annotation | None) -> bool:
        """Whether the labels came from an annotation in the place of this one."""
        place = "" if annotation is None or annotation.path is None else str(annotation.path.resolve())
        return self.origin is not None and bool(place) and self.origin.annotation == place

    def as_annotation(self, movie: Movie) -> Annotation:
        """Return the labels as an annotation of the movie, in memory."""
        assert self.origin is not None
        labels = np.zeros(movie.shape, np.uint8)
        status = [FrameStatus.UNTOUCHED] * len(movie)
        regions = {}
        for t, one, known in zip(self.origin.frames, self.labels, self.known, strict=True):
            labels[t], status[t] = one, FrameStatus.COMPLETE
            if not known.all():
                regions[t] = regions_of(known)
        digests = dict(zip(self.origin.frames, self.origin.digests, strict=True))
        return Annotation(labels, self.class_names, status, regions, movie.pixel_size, movie.steps, digests)
