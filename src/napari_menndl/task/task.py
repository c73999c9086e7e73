"""The training task of a search: labelled frames, known pixels, classes, match rules and folds."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import zarr

from napari_menndl.annotation.files import atomic_folder, open_own_group, own_array
from napari_menndl.errors import InputError, frame_number
from napari_menndl.metrics.components import label_components
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.movie.absent import describe_gaps, fill_gaps
from napari_menndl.movie.identity import digest_of, frame_digest
from napari_menndl.movie.neighbours import OFFSETS, with_neighbours
from napari_menndl.movie.preparation import steps_from_json
from napari_menndl.movie.tracing import recorded_frames
from napari_menndl.serialization import decode, encode
from napari_menndl.task.checks import check_frame, check_labels, check_pixel_sizes
from napari_menndl.task.folds import Split, cut_folds
from napari_menndl.task.pasting import paste_defects
from napari_menndl.task.tiles import SMALLEST_TILE, Tiles, choose_tiles, fit_tile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.movie.movie import Movie, Step

FORM = "napari-menndl training task"
SCHEMA = 1
#: Narrowest guard band [px].
LEAST_GUARD = 8
#: Most copies of the frames with pasted defects, and most pixels of all of them.
COPIES, COPIED = 8, 2**20
_ARRAYS = {"frames": "float32", "labels": "uint8", "known": "bool"}


@dataclass(frozen=True)
class Origin:
    """Origin of the labelled frames of a task; not part of its digest.

    Attributes
    ----------
    frames : tuple of int
        Frame numbers in the movie.
    digests : tuple of str
        Digests of these frames (`movie.identity`).
    annotation : str
        Path of the annotation; empty for an annotation in memory.
    movie : str
        Name of the movie; empty in tasks of earlier versions.
    recorded : tuple of (int, str)
        Number and digest of each recorded frame that these are made of; empty in tasks of earlier versions.
    """

    frames: tuple[int, ...]
    digests: tuple[str, ...]
    annotation: str = ""
    movie: str = ""
    recorded: tuple[tuple[int, str], ...] = ()

    @classmethod
    def from_json(cls, data: Any) -> Origin | None:
        """Restore what `encode` made; None if the data are missing or invalid."""
        try:
            origin: Origin = decode(cls, data, "origin")
        except InputError:
            return None
        return origin if len(origin.frames) == len(origin.digests) and min(origin.frames, default=0) >= 0 else None


@dataclass(frozen=True, eq=False)
class TrainingTask:
    """Labelled frames with classes, match rules and folds; immutable, and identified by a digest.

    Attributes
    ----------
    frames : (N, Y, X) float32
        Raw.
    labels : (N, Y, X) uint8
        0 = no defect, c + 1 = class c.
    known : (N, Y, X) bool
        Pixels whose labels are known; the others are used neither in training nor in validation.
    class_names : tuple of str
    match_rules : tuple of MatchRule
        Match rule of each class [px].
    pixel_size : (y, x) float [nm] or None
    folds : int
        Number of rectangles that a frame is cut into; each is validated on once per split.
    guard : int
        Width of the guard band around a validation block, which no tile may touch [px].
    neighbours : (N, 4, Y, X) float32, or None
        The neighbouring frames of each, registered to it (`movie.neighbours.with_neighbours`); None if there are none.
    steps : tuple of Step
        Preparation steps of the movie, see `Movie.prepared`.
    origin : Origin or None
        Origin of the frames, if known.
    """

    frames: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    known: npt.NDArray[np.bool_]
    class_names: tuple[str, ...]
    match_rules: tuple[MatchRule, ...]
    pixel_size: tuple[float, float] | None = None
    folds: int = 4
    guard: int = LEAST_GUARD
    neighbours: npt.NDArray[np.float32] | None = None
    steps: tuple[Step, ...] = ()
    origin: Origin | None = None

    def __post_init__(self) -> None:
        shape = self.frames.shape
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        if len(shape) != 3 or any(a.shape != shape or a.dtype != _ARRAYS[name] for name, a in arrays.items()):
            found = ", ".join(f"{name} {a.dtype} {a.shape}" for name, a in arrays.items())
            raise InputError("frames float32, labels uint8 and known bool, all (N, Y, X)", found, "Convert them.")
        beside = (shape[0], len(OFFSETS), *shape[1:])
        if (near := self.neighbours) is not None and (near.shape != beside or near.dtype != np.float32):
            raise InputError(f"neighbours float32 {beside}", f"{near.dtype} {near.shape}", "Convert them.")
        if len(self.class_names) != len(self.match_rules):
            raise InputError(
                "one match rule per class",
                f"{len(self.match_rules)} for {len(self.class_names)}",
                "Give one for each.",
            )
        for rule in self.match_rules:
            rule.check()
        if not 2 <= self.folds <= 64 or self.guard < 0:
            raise InputError(
                "2 to 64 folds, a guard band of 0 px or more",
                f"{self.folds} folds, {self.guard} px",
                "Correct them.",
            )

    @classmethod
    def from_movie(
        cls,
        movie: Movie,
        annotation: Annotation,
        frames: int | Sequence[int] = (0,),
        *,
        folds: int = 4,
        guard: int | None = None,
    ) -> TrainingTask:
        """Create a task from the labelled frames of a movie.

        Parameters
        ----------
        movie : Movie
        annotation : Annotation
        frames : int or sequence of int
            The labelled frames to train on.
        folds : int
        guard : int, optional
            Width of the guard band [px]; by default 8 px or, if larger, twice the largest tolerance of a point defect.

        Raises
        ------
        InputError
            If training is impossible: an annotation of another shape, a frame that does not exist, is not annotated,
            constant or not finite, no defect, no background, a label without a class, a frame too small to be split.
        """
        from napari_menndl.annotation.carrying import fitted  # here, to keep the start of trainers fast

        given_frames = frames if isinstance(frames, Iterable) else [frames]
        chosen = [frame_number(t, len(movie), "Count frames from 0.") for t in given_frames]
        given, annotation = annotation, fitted(annotation, movie.steps, movie.shape, movie.raw.shape)
        if not chosen or len(set(chosen)) < len(chosen):
            raise InputError("labelled frames to train on, each once", f"{chosen}", "Name at least one, for example 0.")
        for t in chosen:
            if t >= len(annotation) or not annotation.known(t).any():
                raise InputError(
                    f"an annotation of frame {t}",
                    "none",
                    "Annotate it and mark it complete, or draw a region.",
                )
            drawn_on = [t] if given is annotation else recorded_frames(movie.steps, t)
            for k in (k for k in drawn_on if given.is_same_frame(k, movie) is False):
                raise InputError(
                    f"frame {k} as it was annotated",
                    f"another frame {k} in {movie.name!r}",
                    "Choose the movie that was annotated. If this is it, changed since, look at the annotation over it "
                    "in napari, and set the frame to Complete anew.",
                )
        pixel_size = check_pixel_sizes(movie.pixel_size, annotation.pixel_size)
        labels = np.stack([annotation.frame(t) for t in chosen])
        known = np.stack([annotation.known(t) for t in chosen])
        planes = np.stack([with_neighbours(movie, t) for t in chosen])
        digests = tuple(digest_of(shown) for shown in planes)
        gaps = np.isnan(planes[:, 0])
        for t, missing in zip(chosen, gaps, strict=True):
            if missing.any():
                warnings.warn(f"Frame {t}: {describe_gaps(missing)}.", stacklevel=2)
        known &= ~gaps
        check_labels(labels, known, annotation.class_names)
        planes = np.stack([[fill_gaps(one) for one in frame] for frame in planes])
        raw = np.stack([check_frame(one[0], t) for one, t in zip(planes, chosen, strict=True)])
        neighbours = planes[:, 1:]
        alone = (neighbours == raw[:, None]).all()
        match_rules = tuple(annotation.match_rule(name) for name in annotation.class_names)
        if guard is None:
            # Without extended defects: they are matched by overlap, and their tolerance is no distance.
            tolerances = [d.tolerance for d in match_rules if not d.extended]
            guard = max([LEAST_GUARD, *(math.ceil(2 * tolerance) for tolerance in tolerances)])
        # Labels outside the known area must have no effect, not even on the digest.
        labels = np.where(known, labels, 0).astype(np.uint8)
        task = cls(
            raw,
            labels,
            known,
            annotation.class_names,
            match_rules,
            pixel_size,
            folds,
            guard,
            None if alone else neighbours,
            movie.steps,
            Origin(
                tuple(chosen),
                digests,
                "" if given.path is None else str(given.path.resolve()),
                movie.name,
                _recorded(movie, chosen, digests),
            ),
        )
        for split in (0, 1):
            for fold in range(folds):
                part = task.split(split, fold)
                fit_tile(SMALLEST_TILE, part.area, part.train)
        return task

    @cached_property
    def digest(self) -> str:
        """SHA-256 of arrays and attributes, except the origin, as hexadecimal digits."""
        sha = hashlib.sha256(json.dumps(self._attributes(), sort_keys=True).encode())
        for name, values in self._arrays().items():
            array = np.ascontiguousarray(values)
            sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
            sha.update(array.view(np.uint8).data)
        return sha.hexdigest()

    def fold_map(self, split: int) -> npt.NDArray[np.uint8]:
        """(Y, X) uint8: the fold that validates each pixel; equal in all frames, since defects persist."""
        points, kinds = self._defects
        return cut_folds(self.known.sum(axis=0), points, kinds, self.folds, split)

    def split(self, split: int, fold: int) -> Split:
        """Return the pixels to train on and to validate on.

        Parameters
        ----------
        split : int
            Number of the way in which the frame is cut, from 0.
        fold : int
            Number of the rectangle to validate on, from 0.

        Raises
        ------
        InputError
            If there is no such fold or split.
        """
        if not 0 <= fold < self.folds or split < 0:
            raise InputError(
                f"a fold from 0 to {self.folds - 1}, a split from 0", f"fold {fold}, split {split}", "Choose another."
            )
        block = self.fold_map(split) == fold
        rows, columns = np.flatnonzero(block.any(axis=1)), np.flatnonzero(block.any(axis=0))
        area = np.ones(block.shape, bool)
        area[
            max(0, rows[0] - self.guard) : rows[-1] + self.guard + 1,
            max(0, columns[0] - self.guard) : columns[-1] + self.guard + 1,
        ] = False
        return Split(self.known & area, self.known & block, area)

    def everything(self) -> Split:
        """Return the split to train on all known pixels, without validation."""
        return Split(self.known, np.zeros_like(self.known), np.ones(self.known.shape[1:], bool))

    def with_copies(self, split: int, fold: int | None) -> TrainingTask:
        """Return the task with copies of its frames into which labelled defects are pasted (`task.pasting`).

        Parameters
        ----------
        split, fold : int
            As in `split`: pasted is what is to be trained on, and on this alone; a fold None stands for everything.

        Returns
        -------
        TrainingTask
            The frames, followed by copies of all of them: fewer of large frames, which have many defects, and none
            where nothing can be pasted.
        """
        return _with_copies(self, split, fold, min(COPIES, COPIED // self.frames.size))

    def tile_size(self, split: Split, size: int) -> int:
        """Return the size of the tiles of one split [px]: smaller than `size` if that does not fit (`fit_tile`)."""
        return fit_tile(size, split.area, split.train)

    def tiles(self, split: Split, size: int, rng: np.random.Generator) -> Tiles:
        """Choose the tiles of one split (`choose_tiles`), smaller than `size` if that does not fit."""
        return choose_tiles(self.labels, split.train, split.area, self.tile_size(split, size), rng)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the task as a zarr group, atomically.

        Raises
        ------
        InputError
            If `path` exists already, or cannot be written.
        """
        path = Path(path)
        if path.exists():
            raise InputError("a new path for the training task", f"{path}, which exists", "Choose another path.")
        with atomic_folder(path) as folder:
            group = zarr.open_group(folder, mode="w")
            for name, array in self._arrays().items():
                group.create_array(name, data=array, chunks=(1, *array.shape[1:]))
            origin = encode(self.origin)
            group.attrs.update(self._attributes() | {"digest": self.digest, "origin": origin})

    @classmethod
    def open(cls, path: str | PathLike[str]) -> TrainingTask:
        """Open a task written by `save`, and check that it is unchanged.

        Raises
        ------
        InputError
            A file that is no training task, from a newer version, damaged or changed.
        """
        path = Path(path)
        group = open_own_group(path, FORM, SCHEMA)
        attributes: dict[str, Any] = dict(group.attrs)
        stored = {name: own_array(group, name, np.dtype(dtype).kind, 3) for name, dtype in _ARRAYS.items()}
        if (path / "neighbours").exists():  # the folder tells a damaged array from one that was never written
            stored["neighbours"] = own_array(group, "neighbours", "f", 4)
        try:
            pixel_size = attributes["pixel_size"]
            task = cls(
                **{name: np.asarray(array[:]) for name, array in stored.items()},
                class_names=tuple(attributes["class_names"]),
                match_rules=tuple(MatchRule(**d) for d in attributes["detectors"]),
                pixel_size=None if pixel_size is None else (float(pixel_size[0]), float(pixel_size[1])),
                folds=attributes["folds"],
                guard=attributes["guard"],
                steps=steps_from_json(attributes.get("steps")),
                origin=Origin.from_json(attributes.get("origin")),
            )
            found = task.digest
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        if found != attributes.get("digest"):
            raise InputError(
                f"the training task that was saved, digest {attributes.get('digest')}",
                f"{path}: {found}",
                "It was changed or damaged; take a fresh copy or start a new search.",
            )
        return task

    @property
    def planes(self) -> npt.NDArray[np.float32]:
        """(N, Y, X) or (N, 5, Y, X) float32: the frames, each with its neighbours if there are any."""
        if self.neighbours is None:
            return self.frames
        return np.concatenate([self.frames[:, None], self.neighbours], axis=1)

    @property
    def counts(self) -> dict[str, int]:
        """Number of labelled defects of each class, over all frames."""
        kinds = self._defects[1]
        return {name: int(np.count_nonzero(kinds == c)) for c, name in enumerate(self.class_names)}

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return arrays if self.neighbours is None else arrays | {"neighbours": self.neighbours}

    @cached_property
    def _defects(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int_]]:
        """Centres (n, 2) [px] and class (n,) of the known defects of all frames."""
        points, kinds = [np.zeros((0, 2))], [np.zeros(0, int)]
        for c in range(len(self.class_names)):
            for labels, known in zip(self.labels, self.known, strict=True):
                centres = label_components((labels == c + 1) & known, 1).centres
                points.append(centres)
                kinds.append(np.full(len(centres), c))
        return np.concatenate(points), np.concatenate(kinds)

    def _attributes(self) -> dict[str, Any]:
        return {
            "format": FORM,
            "schema": SCHEMA,
            "class_names": list(self.class_names),
            "detectors": [asdict(d) for d in self.match_rules],
            "pixel_size": None if self.pixel_size is None else list(self.pixel_size),
            "folds": self.folds,
            "guard": self.guard,
            **({"steps": [step.to_json() for step in self.steps]} if self.steps else {}),
        }


@lru_cache(maxsize=8)  # all folds of a task
def _with_copies(task: TrainingTask, split: int, fold: int | None, count: int) -> TrainingTask:
    if count < 1:
        return task
    shape = task.frames.shape[1:]
    planes = task.planes.reshape(len(task.frames), -1, *shape)
    train = (task.everything() if fold is None else task.split(split, fold)).train
    rng = np.random.default_rng([count, split, *([] if fold is None else [fold])])
    pasted = [paste_defects(*one, count, rng) for one in zip(planes, task.labels, train, strict=True)]
    copies, labels = (np.stack(part, axis=1) for part in zip(*pasted, strict=True))
    if (labels == task.labels).all():
        return task
    every = np.concatenate([planes, copies.reshape(-1, *planes.shape[1:])])
    return replace(
        task,
        frames=every[:, 0],
        labels=np.concatenate([task.labels, labels.reshape(-1, *shape)]),
        known=np.tile(task.known, (1 + count, 1, 1)),
        neighbours=None if task.neighbours is None else every[:, 1:],
        origin=None,
    )


def _recorded(movie: Movie, frames: Sequence[int], digests: Sequence[str]) -> tuple[tuple[int, str], ...]:
    """Return number and digest of the recorded frames that frames of a movie, with their digests, are made of."""
    if not movie.steps:
        return tuple(zip(frames, digests, strict=True))
    numbers = sorted({k for t in frames for k in recorded_frames(movie.steps, t)})
    return tuple((k, frame_digest(movie.raw, k)) for k in numbers if k not in movie.raw.absent)
