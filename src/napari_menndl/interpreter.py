"""Python processes that import nothing from the current folder.

A data folder may contain a ``json.py`` or a ``torch.py``. ``python -m`` and empty entries of ``PYTHONPATH`` put the
current folder before the standard library, and importing such a file executes it.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

TYPE_CHECKING = False  # not imported from typing, which might be found in the current folder too
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PACKAGE = __name__.partition(".")[0]
_PROGRAM = _PACKAGE.replace("_", "-")


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package; start it with `python_environment`."""
    return [sys.executable, "-P", "-m", module, *arguments]


def python_environment(**more: str) -> dict[str, str]:
    """Return an environment in which neither a process nor its children import from the current folder."""
    environment = os.environ | {"PYTHONSAFEPATH": "1"} | more
    named = _named_places(environment)
    environment.pop("PYTHONPATH", None)
    return environment | {"PYTHONPATH": os.pathsep.join(named)} if named else environment


@contextmanager
def safe_to_start_from() -> Iterator[None]:
    """Context in which libraries can start Python processes, which inherit a safe environment and import path."""
    before, path = {name: os.environ.get(name) for name in ("PYTHONSAFEPATH", "PYTHONPATH")}, sys.path[:]
    safe = python_environment()
    os.environ["PYTHONSAFEPATH"] = safe["PYTHONSAFEPATH"]
    if before["PYTHONPATH"] is not None:
        os.environ["PYTHONPATH"] = safe.get("PYTHONPATH", "")
    leave_out_current_folder()
    try:
        yield
    finally:
        sys.path[:] = path
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def leave_out_current_folder() -> None:
    """Remove the current folder from ``sys.path`` before the standard library, unless the user put it there."""
    here = _current_folder()
    named = {os.path.abspath(place) for place in _named_places(os.environ)}
    main = sys.modules.get("__main__")
    if main is not None and getattr(main, "__file__", None) and getattr(main, "__spec__", None) is None:
        named.add(os.path.dirname(os.path.abspath(main.__file__ or "")))  # a script's own folder
    library = os.path.dirname(os.__file__)
    # Entries after the standard library are installed packages; the current folder may be one of them.
    first = sys.path.index(library) if library in sys.path else len(sys.path)
    mine = [place for place in sys.path[:first] if place and (os.path.abspath(place) != here or here in named)]
    sys.path[:first] = mine


def is_program() -> bool:
    """Whether this process runs a command of this package, not a script or notebook that imports it."""
    command = sys.argv[0] if sys.argv else ""
    if command == "-m":  # the value while Python looks for the module, which imports its package first
        after = sys.orig_argv[sys.orig_argv.index("-m") + 1 :] if "-m" in sys.orig_argv else []
        return bool(after) and after[0].partition(".")[0] == _PACKAGE
    return os.path.basename(command).partition(".")[0] == _PROGRAM


def _named_places(environment: Mapping[str, str]) -> list[str]:
    """Return the non-empty entries of PYTHONPATH: an empty one, as of ``$PYTHONPATH:/mine``, is unintended."""
    return [place for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]


def _current_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # the folder was removed
        return ""
