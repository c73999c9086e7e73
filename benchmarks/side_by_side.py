"""Two commits that do the same work by turns, each in a process of its own that answers lines with JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def sources_of(before: str | None) -> dict[str, str]:
    """The source folders to import from, by name: ``now``, and ``before`` if given."""
    return {"now": str(Path(__file__).parents[1] / "src")} | ({"before": before} if before else {})


@contextmanager
def servers(sources: Mapping[str, str], *arguments: str) -> Iterator[Callable[..., Any]]:
    """Start a Python process with these arguments for each source folder; yield what asks one of them.

    Asked with a name and a line, a server gets the line and its next line is returned, read as JSON; asked with the
    name alone, it gets nothing.
    """
    running = {
        name: subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
        )
        for name, source in sources.items()
    }

    def ask(name: str, line: object = None) -> Any:
        stdin, stdout = running[name].stdin, running[name].stdout
        assert stdin is not None
        assert stdout is not None
        if line is not None:
            stdin.write(f"{line}\n")
            stdin.flush()
        return json.loads(stdout.readline())

    try:
        yield ask
    finally:
        for server in running.values():
            server.terminate()
            server.wait()
