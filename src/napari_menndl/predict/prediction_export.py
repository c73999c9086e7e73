"""Export of a prediction for other programs: OME-Zarr 0.5 with smaller copies, and tables of its defects."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import zarr

from napari_menndl.annotation.classes import COLOURS
from napari_menndl.annotation.files import atomic_folder, is_zarr_group, open_own_group, own_array
from napari_menndl.files import check_new
from napari_menndl.layer_data import grid
from napari_menndl.movie.absent import spans
from napari_menndl.tables import parquet_is_installed, write_table

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_menndl.predict.prediction import Prediction

IMAGE, TABLE = "prediction.ome.zarr", "defects"
#: Name of the labels in the OME-Zarr image.
LABELS = "defects"
VERSION = "0.5"
FORM, SCHEMA = "napari-menndl exported prediction", 1
#: Each level has half the pixels of the one before along y and x; none is smaller than this, nor are there more.
_SMALLEST, _MOST_LEVELS = 64, 6


def export_prediction(
    prediction: Prediction,
    folder: str | os.PathLike[str],
    progress: Callable[[int, int], None] | None = None,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write a prediction into a folder, for other programs.

    ``prediction.ome.zarr`` is an OME-Zarr image of the probabilities (t, c, y, x) float32, a channel per class, with
    the labels (t, y, x) uint8 in it; ``defects.csv`` and, where pyarrow is installed, ``defects.parquet`` hold the
    table of defects. Levels of half the size are means of the probabilities, and maxima of the labels, so that no
    defect is lost.

    Parameters
    ----------
    prediction : Prediction
    folder : path
        Created if it does not exist.
    progress : callable, optional
        Called with the number of frames done and the total.
    overwrite : bool
        Whether to replace an earlier export.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        If there is an export already, or the folder cannot be written.

    Warns
    -----
    UserWarning
        Of frames that are not predicted: their probabilities are NaN.
    """
    place = Path(folder).expanduser()
    tables = [place / f"{TABLE}{suffix}" for suffix in ((".csv", ".parquet") if parquet_is_installed() else (".csv",))]
    written = [place / IMAGE, *tables]
    check_new(*written, overwrite=overwrite)
    frames = prediction.available
    if missing := sorted(set(range(len(prediction))) - set(frames)):
        named = f"Frame{'s' * (len(missing) > 1)} {spans(missing)}"
        warnings.warn(f"{named} not predicted: NaN in the export, without labels.", stacklevel=2)
    with atomic_folder(place / IMAGE) as beside:
        _write_ome(prediction, beside, frames, progress)
    table = prediction.find_defects(frames)
    for path in tables:
        write_table(table, path)
    return written


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Whether a path is an OME-Zarr image that `export_prediction` wrote."""
    return is_zarr_group(Path(path)) and zarr.open_group(path, mode="r").attrs.get("format") == FORM


def exported_layers(path: str | os.PathLike[str]) -> list[tuple[Any, dict[str, Any], str]]:
    """Return an exported prediction as layers of napari: the probabilities of each class, and the labels; lazy.

    Raises
    ------
    InputError
        If it is damaged, or from a newer version.
    """
    group = open_own_group(Path(path), FORM, SCHEMA)
    image = dict(group.attrs)["ome"]
    names = [channel["label"] for channel in image["omero"]["channels"]]
    colours = ["#" + channel["color"] for channel in image["omero"]["channels"]]
    levels = [level["path"] for level in image["multiscales"][0]["datasets"]]
    chances = [da.from_zarr(own_array(group, level, "f", 4)) for level in levels]
    labels = [da.from_zarr(own_array(group, f"labels/{LABELS}/{level}", "u", 3)) for level in levels]
    second, _, *size = image["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    axes = image["multiscales"][0]["axes"]
    place = grid(tuple(size) if "unit" in axes[2] else None, second if "unit" in axes[0] else None)
    layers: list[tuple[Any, dict[str, Any], str]] = [
        (
            [level[:, c] for level in chances],
            {
                "name": f"{name}: probability",
                "multiscale": True,
                "contrast_limits": (0.0, 1.0),
                "colormap": [(0.0, 0.0, 0.0, 1.0), colour],
                "blending": "additive",
                **place,
            },
            "image",
        )
        for c, (name, colour) in enumerate(zip(names, colours, strict=True))
    ]
    colour_of: dict[int | None, str] = {None: "transparent", **dict(enumerate(colours, start=1))}
    return [*layers, (labels, {"name": LABELS, "multiscale": True, "colormap": colour_of, **place}, "labels")]


def _write_ome(
    prediction: Prediction, folder: Path, frames: list[int], progress: Callable[[int, int], None] | None
) -> None:
    spec = prediction.spec
    count, height, width = spec.shape
    names = spec.class_names
    sizes = _levels(height, width)
    root = zarr.open_group(folder, mode="w", zarr_format=3)
    below = root.create_group("labels").create_group(LABELS)
    images = [_array(root, n, (count, len(names), *size), "f4", "tcyx", np.nan) for n, size in enumerate(sizes)]
    labels = [_array(below, n, (count, *size), "u1", "tyx", 0) for n, size in enumerate(sizes)]
    colours = [COLOURS[c % len(COLOURS)].lstrip("#") for c in range(len(names))]
    root.attrs.update({"format": FORM, "schema": SCHEMA})
    root.attrs["ome"] = {
        "version": VERSION,
        "multiscales": [_multiscale(f"{spec.movie} probabilities", "tcyx", prediction, len(sizes), "mean")],
        "omero": {
            "channels": [
                {
                    "label": name,
                    "color": colour.upper(),
                    "active": True,
                    "window": {"min": 0.0, "max": 1.0, "start": 0.0, "end": 1.0},
                }
                for name, colour in zip(names, colours, strict=True)
            ]
        },
    }
    root["labels"].attrs["ome"] = {"version": VERSION, "labels": [LABELS]}
    below.attrs["ome"] = {
        "version": VERSION,
        "multiscales": [_multiscale(LABELS, "tyx", prediction, len(sizes), "max")],
        "image-label": {
            "colors": [
                {"label-value": c, "rgba": [*bytes.fromhex(colour), 255]} for c, colour in enumerate(colours, start=1)
            ],
            "properties": [{"label-value": c, "class": name} for c, name in enumerate(names, start=1)],
            "source": {"image": "../../"},
        },
    }
    for done, t in enumerate(frames, start=1):
        chances, found = prediction.frame_probabilities(t), prediction.frame_labels(t)
        for image, label in zip(images, labels, strict=True):
            image[t], label[t] = chances, found
            chances, found = _halved(chances).mean(axis=(-3, -1)), _halved(found).max(axis=(-3, -1))
        if progress:
            progress(done, len(frames))


def _levels(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes of all levels, the largest first."""
    sizes = [(height, width)]
    while len(sizes) < _MOST_LEVELS and min(sizes[-1]) // 2 >= _SMALLEST:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


def _halved(image: NDArray[Any]) -> NDArray[Any]:
    """Return squares of 2 × 2 pixels (…, Y / 2, 2, X / 2, 2); an odd last row or column is left out."""
    height, width = image.shape[-2] // 2, image.shape[-1] // 2
    return image[..., : 2 * height, : 2 * width].reshape(*image.shape[:-2], height, 2, width, 2)


def _array(group: Any, level: int, shape: tuple[int, ...], dtype: str, axes: str, fill: float) -> Any:
    return group.create_array(
        str(level),
        shape=shape,
        chunks=(*(1,) * (len(shape) - 2), *shape[-2:]),
        dtype=dtype,
        fill_value=fill,
        dimension_names=list(axes),
    )


def _multiscale(name: str, axes: str, prediction: Prediction, levels: int, kind: str) -> dict[str, Any]:
    spec = prediction.spec
    y, x = spec.pixel_size or (1.0, 1.0)
    units = {
        "t": "second" if spec.frame_time else "",
        **dict.fromkeys("yx", "nanometer" if spec.pixel_size else ""),
    }
    kinds = {"t": "time", "c": "channel", "y": "space", "x": "space"}
    first = {"t": spec.frame_time or 1.0, "c": 1.0, "y": y, "x": x}
    datasets = []
    for level in range(levels):
        zoom = 2**level
        scale = [first[axis] * (zoom if axis in "yx" else 1) for axis in axes]
        # Of a larger pixel, the centre lies between those of the pixels that it is made of.
        start = [first[axis] * (zoom - 1) / 2 if axis in "yx" else 0.0 for axis in axes]
        moves: list[dict[str, Any]] = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": start}]
        datasets.append({"path": str(level), "coordinateTransformations": moves if level else moves[:1]})
    return {
        "name": name,
        "axes": [
            {"name": axis, "type": kinds[axis]} | ({"unit": units[axis]} if units.get(axis) else {}) for axis in axes
        ],
        "datasets": datasets,
        "type": kind,
    }
