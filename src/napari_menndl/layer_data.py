"""Layers of napari as plain data, for scripts and docks alike; napari itself is not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

#: Data, attributes and kind, as ``Layer.create`` of napari takes them.
LayerData = tuple[Any, dict[str, Any], str]
AXES = ("t", "y", "x")


def grid(pixel_size: tuple[float, float] | None, frame_time: float | None) -> dict[str, Any]:
    """Return where the pixels of a movie lie, as attributes of a layer.

    Parameters
    ----------
    pixel_size : (y, x) float [nm], optional
    frame_time : float [s], optional

    Returns
    -------
    dict
        ``scale``, ``units`` and ``axis_labels``; unknown sizes count in pixels.
    """
    # With float32 sizes every product with a frame number is exact; otherwise napari 0.9 rounds the position of the
    # last frame down for about one frame time in fifteen, and its slider ends before that frame.
    exact = (float(np.float32(size)) for size in (frame_time or 1.0, *(pixel_size or (1.0, 1.0))))
    return {
        "scale": tuple(exact),
        "units": ("s" if frame_time else "pixel", *(("nm", "nm") if pixel_size else ("pixel", "pixel"))),
        "axis_labels": AXES,
    }


def movie_layer(movie: Any) -> LayerData:
    """Return a movie as an image layer; its frames stay lazy, and the contrast is that of its first frame."""
    first = np.asarray(movie.frames[0])
    low, high = np.nanpercentile(first[np.isfinite(first)], (0.1, 99.9)) if np.isfinite(first).any() else (0.0, 0.0)
    about: dict[str, Any] = {"name": movie.name, **grid(movie.pixel_size, movie.frame_time)}
    about["metadata"] = {
        "pixel_size": movie.pixel_size,
        "frame_time": movie.frame_time,
        "source": movie.source,
        "recording": movie.metadata,
    }
    if movie.steps:
        about["metadata"]["prepared"] = movie
    if high > low:
        about["contrast_limits"] = (float(low), float(high))
    return movie.frames, about, "image"


def annotation_layer(annotation: Any, frame_time: float | None = None, name: str = "annotation") -> LayerData:
    """Return an annotation as a labels layer in the colours of its classes; strokes change its own array."""
    colours = [defect.colour for defect in annotation.classes]
    labels, about, kind = labels_layer(annotation.labels, colours, annotation.pixel_size, frame_time, name)
    return labels, {**about, "metadata": {"annotation": annotation}}, kind


def labels_layer(
    labels: Any,
    colours: Sequence[str],
    pixel_size: tuple[float, float] | None = None,
    frame_time: float | None = None,
    name: str = "labels",
) -> LayerData:
    """Return labels (T, Y, X) as a layer: 0 is transparent, c + 1 has the colour c."""
    colormap: dict[int | None, str] = {None: "transparent", **dict(enumerate(colours, start=1))}
    return labels, {"name": name, **grid(pixel_size, frame_time), "colormap": colormap, "opacity": 0.6}, "labels"


def points_layer(
    defects: pd.DataFrame,
    pixel_size: tuple[float, float] | None = None,
    frame_time: float | None = None,
    name: str = "defects",
    colours: Mapping[str, str] | None = None,
) -> LayerData:
    """Return a table of defects as a layer of points, over the layer of their movie.

    Parameters
    ----------
    defects : DataFrame
        With `defect_table.DEFECT_COLUMNS`, all of which become features of the points.
    pixel_size : (y, x) float [nm], optional
    frame_time : float [s], optional
    name : str
    colours : mapping of str to str, optional
        Colour of each class.

    Returns
    -------
    data : (n, 3) float64
        Frame, y, x [px].
    attributes : dict
    kind : str
        ``"points"``; all three as ``Layer.create`` of napari takes them.
    """
    area = defects["area_px"].to_numpy(np.float64)
    about: dict[str, Any] = {
        "name": name,
        "features": defects.reset_index(drop=True),
        "size": np.maximum(2 * np.sqrt(np.nan_to_num(area) / np.pi), 3.0) if len(area) else 3.0,
        # Circles, so that what they mark is seen.
        "face_color": "transparent",
        "border_color": "class" if len(area) else "white",
        # A pixel wide: relative to the size, that of a hole would hide its edge.
        "border_width": 1.0,
        "border_width_is_relative": False,
        **grid(pixel_size, frame_time),
    }
    if colours and len(area):
        about["border_color_cycle"] = dict(colours)
    return defects[["frame", "y", "x"]].to_numpy(np.float64), about, "points"
