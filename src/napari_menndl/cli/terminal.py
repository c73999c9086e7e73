"""How the command line speaks: results to standard output, errors to standard error."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import TaskID

out = Console()
err = Console(stderr=True)


def say(words: str) -> None:
    """Print a line as it is: paths and commands in it are to be copied, whatever the terminal's width."""
    out.print(words, markup=False, soft_wrap=True)


def _note(message: Warning | str, category: type[Warning], *_: Any) -> None:
    if issubclass(category, UserWarning):  # others are for developers
        err.print("[yellow]Note[/]", escape(str(message)), highlight=False, soft_wrap=True)


@contextmanager
def told() -> Iterator[None]:
    """Turn an InputError into its message and exit status 2; a disk that fails is one too. Warnings become notes."""
    try:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _note  # type: ignore[assignment]
                yield
        except OSError as error:
            raise InputError(
                "files that can be read and written", str(error), "Check the path, its permissions and the disk."
            ) from error
    except InputError as error:
        err.print("[bold red]Error[/]", escape(str(error)), highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        err.print("Interrupted.")
        raise typer.Exit(130) from None


@contextmanager
def measuring_drift() -> Iterator[Callable[[int, int], None]]:
    """Yield a progress for `Movie.prepared`, whose bar is there while drift is measured, if any is."""
    from rich.progress import Progress

    bar = Progress(console=out, transient=True)
    tasks: list[TaskID] = []

    def progress(done: int, total: int) -> None:
        if not tasks:
            bar.start()
            tasks.append(bar.add_task("Measuring the drift", total=total))
        bar.update(tasks[0], completed=done)

    try:
        yield progress
    finally:
        if tasks:
            bar.stop()
