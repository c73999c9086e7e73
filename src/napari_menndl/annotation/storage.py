"""File format of annotations: one zarr group with the labels as an array and everything else as attributes.

The attribute ``array`` is the name of the labels' array (by default ``labels``): renumbered labels are written to a new
array, and then this name is changed. The attribute ``whole`` means that each annotated frame has a file of labels, even
an empty one, so that a lost file is not mistaken for a frame without defects; older annotations have no files for
empty frames.
"""

from __future__ import annotations

import uuid
import warnings
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import zarr

from napari_menndl.annotation.classes import DefectClass, FrameStatus, Region
from napari_menndl.annotation.files import atomic_folder, empty_chunks_too, open_own_group, own_array
from napari_menndl.errors import InputError
from napari_menndl.movie.absent import AbsentWarning, spans
from napari_menndl.movie.ome_zarr import unwritten
from napari_menndl.movie.preparation import steps_from_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_menndl.movie.movie import Step

FORM = "napari-menndl annotation"
SCHEMA = 1
#: Subgroup with the undo history, files of `history.History`.
HISTORY = "history"


def to_attributes(
    classes: Sequence[DefectClass],
    status: Sequence[FrameStatus],
    regions: Mapping[int, Sequence[Region]],
    pixel_size: tuple[float, float] | None,
    steps: Sequence[Step] | None = None,
    digests: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """Return the attributes of the zarr group, JSON-serialisable: everything except the labels."""
    return {
        "format": FORM,
        "schema": SCHEMA,
        "classes": [asdict(c) for c in classes],
        "status": [str(s) for s in status],
        "regions": {str(t): [list(r) for r in rectangles] for t, rectangles in regions.items()},
        "pixel_size": None if pixel_size is None else list(pixel_size),
        **({} if steps is None else {"steps": [step.to_json() for step in steps]}),
        "digests": {str(t): digest for t, digest in (digests or {}).items()},
    }


def _fill(array: Any, labels: Any, status: Sequence[FrameStatus | str], numbers: npt.NDArray[np.uint8]) -> None:
    """Write renumbered labels of all frames that have labels or are not untouched."""
    for t, said in enumerate(status):
        frame = np.asarray(labels[t])
        if frame.any() or said != FrameStatus.UNTOUCHED:
            array[t] = numbers[frame]


def store(path: Path, labels: Any, attributes: Mapping[str, Any]) -> None:
    """Write a complete annotation, frame by frame; an annotation at `path` is replaced.

    Raises
    ------
    InputError
        `path` exists and is no annotation, or it cannot be written.
    """
    if path.exists():
        open_own_group(path, FORM, SCHEMA)
    with atomic_folder(path) as folder:
        group = zarr.open_group(folder, mode="w")
        with empty_chunks_too():
            stored = group.create_array("labels", shape=labels.shape, chunks=(1, *labels.shape[1:]), dtype="uint8")
        _fill(stored, labels, attributes["status"], np.arange(256, dtype=np.uint8))
        group.create_group(HISTORY)
        group.attrs.update({**attributes, "whole": True})


def renumber(group: Any, labels: Any, numbers: npt.NDArray[np.uint8], attributes: Mapping[str, Any]) -> Any:
    """Renumber the labels of all frames atomically.

    Parameters
    ----------
    group : zarr.Group
    labels : zarr.Array
        Its labels; deleted afterwards.
    numbers : (256,) uint8
        The new number of each label.
    attributes : mapping
        New attributes of the group.

    Returns
    -------
    zarr.Array
        (T, Y, X) uint8: the new array of labels.
    """
    old = labels.basename
    new = f"labels-{uuid.uuid4().hex[:8]}"
    with empty_chunks_too():
        renumbered = group.create_array(new, shape=labels.shape, chunks=labels.chunks, dtype="uint8")
    _fill(renumbered, labels, attributes["status"], numbers)
    group.attrs.update({**attributes, "array": new})
    del group[old]
    return renumbered


def open_stored(path: Path, mode: Literal["r", "r+"]) -> tuple[Any, Any, dict[str, Any]]:
    """Open an annotation written by `store`.

    Returns
    -------
    group : zarr.Group
    labels : zarr.Array
        (T, Y, X) uint8, not read yet.
    attributes : dict
        ``classes``, ``status``, ``regions``, ``pixel_size``, ``steps``, ``digests``, ready for `Annotation`.

    Raises
    ------
    InputError
        A file that is no annotation, from a newer version, or damaged.

    Warns
    -----
    AbsentWarning
        For annotated frames whose labels are lost: they become untouched.
    """
    group = open_own_group(path, FORM, SCHEMA, mode)
    data = dict(group.attrs)
    with empty_chunks_too():
        labels = own_array(group, str(data.get("array", "labels")), "u", 3)
    try:
        attributes = {
            "classes": [DefectClass(**c) for c in data["classes"]],
            "status": list(data["status"]),
            "regions": {int(t): [Region(*r) for r in rectangles] for t, rectangles in data["regions"].items()},
            "pixel_size": data["pixel_size"],
            "steps": steps_from_json(data["steps"]) if "steps" in data else None,
            "digests": {int(t): str(digest) for t, digest in data.get("digests", {}).items()},
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "an annotation with classes, status, regions and pixel size",
            f"{path}: {type(error).__name__}: {error}",
            "Take a fresh copy; this one is damaged.",
        ) from error
    if data.get("whole") is True:
        attributes["status"] = _without_lost(path, labels, attributes["status"])
    return group, labels, attributes


def _without_lost(path: Path, labels: Any, status: list[str]) -> list[str]:
    """Return the statuses of frames, untouched if the file of their labels is lost."""
    annotated = {t for t, said in enumerate(status) if said != FrameStatus.UNTOUCHED}
    if lost := annotated & set(unwritten(labels, 0)):
        one = len(lost) == 1
        warnings.warn(
            f"The labels of frame{'' if one else 's'} {spans(lost)} in {path.name} are lost: "
            f"{'its file is' if one else 'their files are'} not there any more. The frame{'' if one else 's'} "
            f"count{'s' if one else ''} as not annotated. Restore the folder from a copy, or annotate "
            f"{'it' if one else 'them'} anew.",
            AbsentWarning,
            stacklevel=4,
        )
    return [FrameStatus.UNTOUCHED if t in lost else said for t, said in enumerate(status)]
