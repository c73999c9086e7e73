"""Terminal output of the commands: results to standard output, errors and notes to standard error."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from napari_menndl.errors import InputError
from napari_menndl.progress import number
from napari_menndl.review.outcomes import OUTCOMES, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from rich.progress import TaskID

out = Console()
err = Console(stderr=True)


def echo(words: str) -> None:
    """Print a line without wrapping or markup, so that paths and commands can be copied from it."""
    out.print(words, markup=False, soft_wrap=True)


def _note(message: Warning | str, category: type[Warning], *_: Any) -> None:
    if issubclass(category, UserWarning):  # other warnings are for developers
        err.print("[yellow]Note[/]", escape(str(message)), highlight=False, soft_wrap=True)


@contextmanager
def report_errors() -> Iterator[None]:
    """Context that reports an InputError or OSError as a message with exit status 2, and warnings as notes."""
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
    """Context that yields a progress callback for `Movie.prepared`, with a bar while drift is measured."""
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


def scores_table(scores: pd.DataFrame) -> Table:
    """Return a table of a review's totals by scope and class, at most 80 characters wide to fit a pipe's output."""
    table = Table(box=box.SIMPLE, pad_edge=False, padding=0)
    columns = {
        "f1": "defect\nF1",
        "average_precision": "AP",
        "precision": "precision",
        "recall": "recall",
        "pixel_f1": "pixel\nF1",
    }
    for name in ("scope", "class", *(WORDS[outcome] for outcome in OUTCOMES.values()), *columns.values()):
        table.add_column(name, justify="left" if name in ("scope", "class") else "right")
    for row in scores[scores["frame"] == "all"].to_dict("records"):
        counts = (f"{row['tp']:.0f}", f"{row['fp']:.0f}", f"{row['fn']:.0f}")
        table.add_row(str(row["scope"]), str(row["class"]), *counts, *(number(row[name]) for name in columns))
    return table
