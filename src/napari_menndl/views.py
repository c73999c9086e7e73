"""Opening of napari with layers; napari is imported here when it is needed, and installed only by those who want it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable


def has_screen() -> bool:
    """Whether a window can be opened."""
    needed = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return not sys.platform.startswith("linux") or any(map(os.environ.get, needed))


def view(layers: Iterable[tuple[Any, dict[str, Any], str]], *, outlined: bool = False) -> Any:
    """Open napari with layers, the first at the bottom.

    In Jupyter the window lives beside the notebook; a script needs ``napari.run()`` after it.

    Parameters
    ----------
    layers : iterable of (data, attributes, kind)
        As ``Layer.create`` of napari takes them.
    outlined : bool
        Whether labels are drawn as outlines, so that what is under them can be judged.

    Returns
    -------
    napari.Viewer

    Raises
    ------
    InputError
        If napari or its window toolkit is not installed, or there is no screen.
    """
    try:
        import napari
        import qtpy  # noqa: F401 (napari alone cannot open a window)
    except ImportError as missing:
        raise InputError(
            "napari, to open a window", f"{missing}", "Install it: pip install 'napari-menndl[all]'"
        ) from missing
    if not has_screen():
        raise InputError(
            "a screen to open a window on", "none", "Run this where there is one, or draw with napari_menndl.notebook."
        )
    viewer = napari.Viewer(title="napari-menndl")
    for layer in layers:
        added = viewer.add_layer(napari.layers.Layer.create(*layer))
        if outlined and layer[2] == "labels":
            added.contour, added.opacity = 1, 1.0
    calibrated = any(str(layer.units[-1]) == "nanometer" for layer in viewer.layers)
    viewer.canvas.overlays.scale_bar.visible = calibrated
    viewer.dims.set_current_step(0, 0)
    return viewer
