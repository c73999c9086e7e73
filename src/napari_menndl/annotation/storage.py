"""Our own format of an annotation: one zarr group with the labels and, as attributes, all that is not an image."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import zarr

from napari_menndl.annotation.classes import DefectClass, FrameStatus, Region
from napari_menndl.annotation.files import open_own_group, own_array, written_whole
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FORM = "napari-menndl annotation"
SCHEMA = 1


def to_attributes(
    classes: Sequence[DefectClass],
    status: Sequence[FrameStatus],
    regions: Mapping[int, Sequence[Region]],
    pixel_size: tuple[float, float] | None,
) -> dict[str, Any]:
    """What stands beside the labels, as JSON."""
    return {
        "format": FORM,
        "schema": SCHEMA,
        "classes": [asdict(c) for c in classes],
        "status": [str(s) for s in status],
        "regions": {str(t): [list(r) for r in rectangles] for t, rectangles in regions.items()},
        "pixel_size": None if pixel_size is None else list(pixel_size),
    }


def store(path: Path, labels: Any, attributes: Mapping[str, Any]) -> None:
    """Write a whole annotation, frame by frame, in place of one of ours.

    Raises
    ------
    InputError
        Something else stands at `path`, or it cannot be written.
    """
    if path.exists():
        open_own_group(path, FORM, SCHEMA)
    with written_whole(path) as folder:
        group = zarr.open_group(folder, mode="w")
        stored = group.create_array("labels", shape=labels.shape, chunks=(1, *labels.shape[1:]), dtype="uint8")
        for t in range(labels.shape[0]):
            stored[t] = np.asarray(labels[t])
        group.attrs.update(attributes)


def open_stored(path: Path, mode: Literal["r", "r+"]) -> tuple[Any, Any, dict[str, Any]]:
    """Open what `store` wrote.

    Returns
    -------
    group : zarr.Group
    labels : zarr.Array
        (T, Y, X) uint8, not read yet.
    attributes : dict
        ``classes``, ``status``, ``regions``, ``pixel_size``, ready for `Annotation`.

    Raises
    ------
    InputError
        No annotation of ours, from a newer version, or damaged.
    """
    group = open_own_group(path, FORM, SCHEMA, mode)
    labels = own_array(group, "labels", "u", 3)
    data = dict(group.attrs)
    try:
        attributes = {
            "classes": [DefectClass(**c) for c in data["classes"]],
            "status": list(data["status"]),
            "regions": {int(t): [Region(*r) for r in rectangles] for t, rectangles in data["regions"].items()},
            "pixel_size": data["pixel_size"],
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "an annotation with classes, status, regions and pixel size",
            f"{path}: {type(error).__name__}: {error}",
            "Take a fresh copy; this one is damaged.",
        ) from error
    return group, labels, attributes
