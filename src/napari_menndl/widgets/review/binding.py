"""Bindings of a dock to its viewer, released when the dock is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_menndl.widgets.shortcuts import bind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.viewer import Viewer
    from qtpy.QtWidgets import QWidget


def bind_viewer(
    dock: QWidget,
    viewer: Viewer,
    keys: Mapping[str, Callable[[], Any]],
    *,
    moved: Callable[..., Any],
    themed: Callable[..., Any],
    clicked: Callable[..., Any],
) -> None:
    """Bind shortcuts and events until a dock is destroyed.

    Parameters
    ----------
    dock : QWidget
    viewer : napari.Viewer
    keys : mapping of shortcut to callable
    moved, themed : callable
        Called when another frame comes into view, and when the theme changes.
    clicked : callable
        A mouse callback of napari.
    """
    unbind = [bind(viewer, name, act) for name, act in keys.items()]
    viewer.dims.events.current_step.connect(moved)
    viewer.events.theme.connect(themed)
    viewer.mouse_drag_callbacks.append(clicked)

    def release() -> None:
        viewer.dims.events.current_step.disconnect(moved)
        viewer.events.theme.disconnect(themed)
        if clicked in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(clicked)
        for act in unbind:
            act()

    dock.destroyed.connect(release)
