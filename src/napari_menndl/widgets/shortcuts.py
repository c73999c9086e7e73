"""Every key that the docks take, in one place: what binds them, and what the help panel lists."""

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
    """One key.

    Attributes
    ----------
    id : str
        ``"next-error"``; what `bind` is called with.
    keys : str
        As napari writes them: ``"Shift-N"``.
    title : str
        What it does, for the help panel and tooltips.
    dock : str
        Title of the dock that it belongs to; empty: of all.
    """

    id: str
    keys: str
    title: str
    dock: str

    @property
    def shown(self) -> str:
        """The keys as a person reads them: ``"Shift+N"``."""
        return self.keys.replace("-", "+")


#: Plain letters and digits belong to napari's own tools; digits are bound on the annotation's layer alone, where the
#: same tools keep their letters (E, P, F, L, Z). A manifest's keybindings are read and ignored by napari 0.9.
SHORTCUTS = (
    Shortcut("next-unannotated", "Shift-N", "Go to the next frame that is not annotated", ANNOTATE),
    Shortcut("frame-complete", "Shift-C", "This frame is annotated completely, or not any more", ANNOTATE),
    *(Shortcut(f"class-{n}", str(n), f"Paint defect class {n}", ANNOTATE) for n in range(1, 10)),
    Shortcut("show-best", "Shift-B", "Show the best network's prediction on this frame, or hide it", SEARCH),
    Shortcut("next-error", "Shift-E", "Go to the next error", REVIEW),
    Shortcut("previous-error", "Shift-Q", "Go to the previous error", REVIEW),
    Shortcut("accept-defect", "Shift-Y", "Accept the defect: it goes into the annotation", REVIEW),
    Shortcut("reject-defect", "Shift-X", "Reject the defect: it leaves the annotation", REVIEW),
    Shortcut("outline", "Shift-O", "Show the review as outlines, or filled", REVIEW),
    Shortcut("follow", "Shift-F", "Follow new frames, or stop", LIVE),
    Shortcut("help", "Shift-H", "Show these shortcuts", ""),
)
_BY_ID = {shortcut.id: shortcut for shortcut in SHORTCUTS}


def shortcut(id: str) -> Shortcut:  # noqa: A002 (the registry's own word)
    """The shortcut of this id; KeyError where there is none."""
    return _BY_ID[id]


def bind(viewer: Any, id: str, callback: Callable[[], Any]) -> Callable[[], None]:  # noqa: A002
    """Give a shortcut its meaning in one viewer, or on one layer alone; a viewer gets the key for help with it.

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
        Takes the key back; for a dock that is closed. Whoever bound the key later keeps it.
    """
    keys = shortcut(id).keys
    # A viewer must not keep a dock that was closed.
    find = WeakMethod(callback) if ismethod(callback) else lambda: callback

    def press(_: Any) -> None:
        if (act := find()) is not None:
            act()

    viewer.bind_key(keys, press, overwrite=True)
    if hasattr(viewer, "window"):
        viewer.bind_key(shortcut("help").keys, _show_help, overwrite=True)

    def unbind() -> None:
        bound = viewer.bind_key(keys, None, overwrite=True)
        if bound is not None and bound is not press:
            viewer.bind_key(keys, bound, overwrite=True)

    return unbind


def _show_help(viewer: Any) -> None:
    from napari_menndl.widgets.help import show_shortcuts  # which lists what stands here

    show_shortcuts(viewer)


def explained(text: str, id: str) -> str:  # noqa: A002
    """A tooltip with its key: ``"Go to the next error (Shift+E)"``."""
    return f"{text} ({shortcut(id).shown})"
