"""The Jupyter kernel that this process may be: whether it is one, and how its widgets are heard while a cell runs."""

from __future__ import annotations

import sys
from concurrent.futures import Future
from functools import cache
from typing import Any

#: Longest time to start a thread of the kernel [s].
_PATIENCE = 5.0


def in_jupyter() -> bool:
    """Whether this process is a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None


def widgets() -> Any:
    """Return the module ipywidgets; None where there is none, or the kernel cannot hear widgets while a cell runs."""
    try:
        import ipywidgets
        from ipykernel._version import version_info
    except ImportError:
        return None
    return ipywidgets if version_info >= (7, 4) else None


def hear_while_busy(widget: Any) -> None:
    """Have what a person does with a widget handled at once, also while a cell runs; in another thread.

    By default the kernel hands each message of a widget to the thread that spoke to the widget last, where it waits for
    the end of the running cell.
    """
    widget.comm._reply_subshell_id = _subshell()


@cache
def _subshell() -> str:
    """Start a thread of the kernel that handles messages beside the main one, and return its name."""
    from ipykernel.kernelbase import Kernel

    channel = Kernel.instance().shell_channel_thread
    name: Future[str] = Future()
    channel.io_loop.add_callback(lambda: name.set_result(channel.manager._create_subshell()))
    return name.result(_PATIENCE)
