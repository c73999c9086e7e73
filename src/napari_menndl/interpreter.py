"""Python processes that import nothing from the folder they happen to be started in.

A folder of data may hold a ``json.py`` or a ``torch.py``. ``python -m`` and empty parts of ``PYTHONPATH`` put the
current folder before the standard library, and what a process imports it executes.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

TYPE_CHECKING = False  # in front of whatever may be found in the wrong place, typing included
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PACKAGE = __name__.partition(".")[0]
_PROGRAM = _PACKAGE.replace("_", "-")


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of ours; to be started with `python_environment`."""
    return [sys.executable, "-P", "-m", module, *arguments]


def python_environment(**more: str) -> dict[str, str]:
    """Return the environment of such a process: what it starts itself imports nothing from its folder either."""
    environment = os.environ | {"PYTHONSAFEPATH": "1"} | more
    named = _named_places(environment)
    environment.pop("PYTHONPATH", None)
    return environment | {"PYTHONPATH": os.pathsep.join(named)} if named else environment


@contextmanager
def safe_to_start_from() -> Iterator[None]:
    """Let libraries start Python processes that take over our environment and places to import from."""
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
    """Take the current folder out of the places that come before the standard library, unless a person named it."""
    here = _current_folder()
    named = {os.path.abspath(place) for place in _named_places(os.environ)}
    main = sys.modules.get("__main__")
    if main is not None and getattr(main, "__file__", None) and getattr(main, "__spec__", None) is None:
        named.add(os.path.dirname(os.path.abspath(main.__file__ or "")))  # a script's own folder
    library = os.path.dirname(os.__file__)
    # What comes after the standard library was installed: it may be where we happen to be.
    first = sys.path.index(library) if library in sys.path else len(sys.path)
    mine = [place for place in sys.path[:first] if place and (os.path.abspath(place) != here or here in named)]
    sys.path[:first] = mine


def is_program() -> bool:
    """Whether this process is a command of ours, not a script or a notebook of somebody else that imports us."""
    command = sys.argv[0] if sys.argv else ""
    if command == "-m":  # until the module is found, which begins with the import of its package
        after = sys.orig_argv[sys.orig_argv.index("-m") + 1 :] if "-m" in sys.orig_argv else []
        return bool(after) and after[0].partition(".")[0] == _PACKAGE
    return os.path.basename(command).partition(".")[0] == _PROGRAM


def _named_places(environment: Mapping[str, str]) -> list[str]:
    """The parts of PYTHONPATH that name a place: an empty one, as of ``$PYTHONPATH:/mine``, is nobody's wish."""
    return [place for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]


def _current_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""
