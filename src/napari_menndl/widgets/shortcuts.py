"""Registry of all keys that the docks use, from which they are bound and listed in the help."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import ismethod
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Callable

ANNOTATE, SEARCH, REVIEW, LIVE = "Annotate defects", "Search networks", "Review frames", "Live review"


@dataclass(frozen=True)
class Shortcut:
    """Shortcut of a dock.

    Attributes
    ----------
    id : str
        Such as ``"next-error"``; the id that `bind` takes.
    keys : str
        As napari writes them: ``"Shift-N"``.
    title : str
        Its action, for the help panel and tooltips.
    dock : str
        Title of the dock that it belongs to; empty for all docks.
    """

    id: str
    keys: str
    title: str
    dock: str

    @property
    def shown(self) -> str:
        """Keys as shown to a person: ``"Shift+N"``."""
        return self.keys.replace("-", "+")


#: Plain letters and digits belong to napari's own tools; digits are bound on the annotation's layer only, where these
#: tools keep their letters (E, P, F, L, Z). Keybindings in a manifest are read and ignored by napari 0.9.
SHORTCUTS = (
    Shortcut("next-unannotated", "Shift-N", "Go to the next frame that is not annotated", ANNOTATE),
    Shortcut("frame-complete", "Shift-C", "Toggle frame complete", ANNOTATE),
    *(Shortcut(f"class-{n}", str(n), f"Paint defect class {n}", ANNOTATE) for n in range(1, 10)),
    Shortcut("show-best", "Shift-B", "Toggle the best network's prediction on this frame", SEARCH),
    Shortcut("next-error", "Shift-E", "Go to the next error", REVIEW),
    Shortcut("previous-error", "Shift-Q", "Go to the previous error", REVIEW),
    Shortcut("accept-defect", "Shift-Y", "Accept the defect: it goes into the annotation", REVIEW),
    Shortcut("reject-defect", "Shift-X", "Reject the defect: it leaves the annotation", REVIEW),
    Shortcut("outline", "Shift-O", "Show the review as outlines, or filled", REVIEW),
    Shortcut("follow", "Shift-F", "Start or stop following new frames", LIVE),
    Shortcut("help", "Shift-H", "Show these shortcuts", ""),
)
_BY_ID = {shortcut.id: shortcut for shortcut in SHORTCUTS}


def shortcut(id: str) -> Shortcut:  # noqa: A002 (the registry's own word)
    """Return the shortcut of this id; raises KeyError if there is none."""
    return _BY_ID[id]


def bind(viewer: Any, id: str, callback: Callable[[], Any]) -> Callable[[], None]:  # noqa: A002
    """Bind a shortcut in one viewer, or on one layer only; a viewer also gets the key for help.

    Parameters
    ----------
    viewer : napari.Viewer or Layer
        Where the key is pressed.
    id : str
    callback : callable
        Called without arguments.

    Returns
    -------
    callable
        Unbinds the key, when a dock is closed; if it was bound again since, that binding stays.
    """
    keys = shortcut(id).keys
    # A viewer must not keep a dock that was closed.
    find = WeakMethod(callback) if ismethod(callback) else lambda: callback

    def press(_: Any) -> None:
        if (act := find()) is not None:
            act()

    viewer.bind_key(keys, press, overwrite=True)
    if hasattr(viewer, "window"):
        viewer.bind_key(shortcut("help").keys, show_shortcuts, overwrite=True)

    def unbind() -> None:
        bound = viewer.bind_key(keys, None, overwrite=True)
        if bound is not None and bound is not press:
            viewer.bind_key(keys, bound, overwrite=True)

    return unbind


def show_shortcuts(viewer: Any) -> None:
    """Open the dock, or bring it to the front."""
    dock, _ = viewer.window.add_plugin_dock_widget("napari-menndl", "Shortcuts")
    dock.show()
    dock.raise_()


def explained(text: str, id: str) -> str:  # noqa: A002
    """Return a tooltip with its key: ``"Go to the next error (Shift+E)"``."""
    return f"{text} ({shortcut(id).shown})"
