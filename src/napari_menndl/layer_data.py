"""Layers of napari as plain data, for scripts and docks alike; napari itself is not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

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


def points_layer(
    defects: pd.DataFrame,
    pixel_size: tuple[float, float] | None = None,
    frame_time: float | None = None,
    name: str = "defects",
    colours: Mapping[str, str] | None = None,
) -> tuple[NDArray[np.float64], dict[str, Any], str]:
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
        "border_width": 0.15,
        **grid(pixel_size, frame_time),
    }
    if colours and len(area):
        about["border_color_cycle"] = dict(colours)
    return defects[["frame", "y", "x"]].to_numpy(np.float64), about, "points"
