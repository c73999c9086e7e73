"""Terminal output: the status of a search, live or once, and tables of scores."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from napari_menndl.review.outcomes import OUTCOMES, WORDS
from napari_menndl.search.candidate import EvaluationKey
from napari_menndl.search.views.messages import came_to_nothing, learning, never_predicted_by, origins_line
from napari_menndl.search.views.totals import OriginTotals

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

_SHOWN = 5
#: A gain below this fraction of the fitness's standard error counts as negligible.
HARDLY = 0.25
_STYLES = {"running": "cyan", "finished": "green", "stopped": "yellow", "interrupted": "red", "new": "dim"}


class SearchProgress:
    """Live view of a search's status; if the output is not a terminal, a line every ten evaluations.

    Parameters
    ----------
    console : Console
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=False) if console.is_terminal else None
        self._printed = -1
        self._noted = ""

    def __enter__(self) -> SearchProgress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def update(self, status: dict[str, Any]) -> None:
        """Show a newer status."""
        if self._live:
            self._live.update(status_view(status))
            return
        if status["note"] != self._noted:
            self._noted = status["note"]
            if self._noted or status["state"] == "running":
                self._console.print(Text(self._noted or status["phase"]), soft_wrap=True)
        if status["evaluations"] // 10 > self._printed:
            self._printed = status["evaluations"] // 10
            self._console.print(headline(status))


class Pace:
    """Estimate of the remaining time from the time that the steps so far have taken."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, done: int) -> None:
        """Start measuring now, with `done` steps done already."""
        self._began, self._first = time.monotonic(), done

    def left(self, done: int, steps: int) -> float | None:
        """Return the time until all steps are done [s]; None before a step is done."""
        taken = done - self._first
        return (time.monotonic() - self._began) / taken * (steps - done) if taken > 0 else None


def headline(status: dict[str, Any]) -> Text:
    """Return one line: state, networks, evaluations, best fitness and elapsed time."""
    state = status["state"] if status["state"] != "running" else status["phase"]
    best = status["best_fitness"]
    parts = [
        f"{status['networks']} networks",
        f"{status['evaluations']} evaluations",
        f"best fitness {best:.3f}" if best is not None else "no fitness yet",
        f"{duration(status['elapsed'])} of {status['budget']}",
    ]
    line = Text(f"{state:<10} ", style=_STYLES.get(status["state"], ""))
    return line.append(" · ".join(parts), style="default")


def rates(status: dict[str, Any]) -> Text:
    """Return one line: networks per hour, slot utilisation, arithmetic rate and failures."""
    failures = {**status["failures"], **status["lost"]}
    named = ", ".join(f"{n} {kind}" for kind, n in sorted(failures.items())) or "no failures"
    return Text(
        f"{status['networks_per_hour']:.0f} networks/h · "
        f"{status['slots']} slot{'s' * (status['slots'] != 1)} {status['slots_busy']:.0%} busy · "
        f"{status['flops_per_second'] / 1e9:.2f} GFLOP/s · {named}",
        style="dim",
    )


def diminishing(elapsed: float, gain: float | None, error: float | None) -> str:
    """Return a hint that more time hardly pays, if the answer's gain is far below its uncertainty; else "".

    Parameters
    ----------
    elapsed : float
        Time searched [s].
    gain : float or None
        Gain of the answer's fitness in the second half of this time (`Totals.gain`).
    error : float or None
        Standard error of the answer's fitness.
    """
    if gain is None or error is None or gain >= HARDLY * error:
        return ""
    return (
        f"More time hardly pays: the last {duration(elapsed / 2)} raised the best score by {gain:.3f}; it is known to "
        f"± {error:.3f}."
    )


def pool_details(pool: dict[str, Any]) -> list[str]:
    """Return lines on the pool: workers, throughput, waiting and traffic; none if the journal has no telemetry.

    Parameters
    ----------
    pool : dict
        `Totals.pool_summary`.
    """
    if not pool:
        return []
    machines = f"{pool['workers']} worker{'s' * (pool['workers'] != 1)}"
    if pool["gpus"]:
        machines += f", {pool['gpus']} GPU{'s' * (pool['gpus'] != 1)}"
    lines = [machines]
    if pool["networks_per_gpu_hour"] is not None:
        lines.append(f"{pool['networks_per_gpu_hour']:.1f} networks per GPU-hour")
    lines.append(f"{pool['waited']:.1%} of slot time waiting for a job to arrive")
    if pool["bytes_per_network"]:
        lines.append(f"{size(pool['bytes_per_network'])} sent and received per network")
    if pool["staged_bytes"]:
        lines.append(f"{size(pool['staged_bytes'])} staged in {pool['staged_seconds']:.0f} s")
    return lines


def set_aside(pool: dict[str, Any]) -> str:
    """Return a line with the workers in quarantine, where every job fails; "" if there are none."""
    names = pool.get("quarantined", [])
    return f"Set aside, because everything fails there: {', '.join(names)}" if names else ""


def leaderboard(status: dict[str, Any]) -> Table:
    """Return a table of the best networks so far, headed by their mean if an ensemble is the answer."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("rank", "network", "rung", "fitness", "±", "parameters", "ms/Mpx"):
        table.add_column(name, justify="right")
    answer = status["answer"]
    if answer and len(answer["members"]) > 1:
        told = (f"{answer['fitness']:.3f}", f"{answer['error']:.3f}")
        table.add_row("", "mean", "", *told, "", "", style="bold")
    for rank, one in enumerate(status["leaders"][:_SHOWN], start=1):
        table.add_row(
            str(rank),
            str(one["id"]),
            EvaluationKey(one["key"]).rung,
            f"{one['fitness']:.3f}",
            f"{one['error']:.3f}",
            f"{one['parameters']:,}",
            f"{one['latency']:.0f}",
        )
    return table


def status_view(status: dict[str, Any]) -> Group:
    """Return the complete view: headline, rates, pool, notes, leaderboard and the answer."""
    lines: list[Any] = [headline(status), rates(status)]
    if details := pool_details(status["pool"]):
        lines.append(Text(" · ".join(details), style="dim"))
    if sick := set_aside(status["pool"]):
        lines.append(Text(sick, style="yellow"))
    if status["learns"]:
        lines.append(Text(learning(status["learns"]).capitalize(), style="dim"))
    if status["note"]:
        lines.append(Text(status["note"], style="yellow"))
    if status["leaders"]:
        lines.append(leaderboard(status))
        origins = {name: OriginTotals(**one) for name, one in status["origins"].items()}
        lines.append(Text(origins_line(origins), style="dim"))
    if answer := status["answer"]:
        members = ", ".join(str(one["id"]) for one in answer["members"])
        kind = "network" if len(answer["members"]) == 1 else "mean of networks"
        told = f"{answer['fitness']:.3f} ± {answer['error']:.3f}"
        lines.append(Text(f"Answer: {kind} {members}; out-of-fold fitness {told}, optimistic: it was chosen by it"))
        if silent := never_predicted_by(answer):
            lines.append(Text(silent, style="yellow"))
        if hint := diminishing(status["elapsed"], status["gain"], answer["error"]):
            lines.append(Text(hint, style="dim"))
    if nothing := came_to_nothing(status):
        lines.append(Text(nothing, style="red"))
    return Group(*lines)


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


def number(value: float) -> str:
    """Return a score with three decimals; a dash for NaN, where there is nothing to score."""
    return "–" if value != value else f"{value:.3f}"


def size(count: float) -> str:
    """Return ``"412 B"``, ``"3.1 kB"`` or ``"12 MB"``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return ``"1 h 02 min"``, ``"3 min 20 s"`` or ``"12 s"``."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
