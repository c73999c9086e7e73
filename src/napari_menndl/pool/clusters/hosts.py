"""Hosts file of an SSH pool: one machine per line, with options."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from napari_menndl.errors import InputError
from napari_menndl.serialization import check_types, from_mapping
from napari_menndl.settings import setting


@dataclass(frozen=True, kw_only=True)
class Host:
    """A machine reachable by ssh.

    Attributes
    ----------
    name : str
        Argument of ssh: a name from ``~/.ssh/config``, ``host`` or ``user@host``.
    """

    name: str = setting("", "Name")
    slots: int | None = setting(None, "Slots", note="Networks trained there at a time", min=1, max=4096)
    python: str = setting("python3", "Python", note="What runs Python there: a path, or a command line")

    def __post_init__(self) -> None:
        check_types(self)
        if not self.name or self.name.startswith("-"):
            # ssh would take it for an option.
            raise InputError("a machine's name", repr(self.name), "Write one machine per line.")


def read_hosts(path: str | Path) -> tuple[Host, ...]:
    """Read a hosts file: ``name slots=4 python=/opt/env/bin/python``, one machine per line; ``#`` starts a comment.

    Raises
    ------
    InputError
        If there is no such file, it lists no machine or one twice, or a line is invalid.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"a hosts file at {path}", str(error), "Correct the path.") from error
    hosts: list[Host] = []
    for number, line in enumerate(lines, 1):
        try:
            words = shlex.split(line, comments=True)
            if words:
                hosts.append(_host(words))
        except (InputError, ValueError) as error:
            expected, found = "name slots=4 python=PATH", f"{line.strip()!r} ({error})"
            raise InputError(f"{expected} in line {number} of {path}", found, "Correct the line.") from error
    if not hosts:
        raise InputError(f"at least one machine in {path}", "none", "Write one machine per line.")
    names = [one.name for one in hosts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"each machine once in {path}", f"{', '.join(twice)} twice", "Raise its slots instead.")
    return tuple(hosts)


def _host(words: list[str]) -> Host:
    said: dict[str, object] = {"name": words[0]}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals or name == "name":
            raise ValueError(f"what is {word!r}?")
        said[name] = int(value) if name == "slots" else value
    return from_mapping(Host, said)
