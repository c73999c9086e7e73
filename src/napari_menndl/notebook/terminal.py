"""Terminal view of a search's status, live or once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from napari_menndl.search.candidate import EvaluationKey
from napari_menndl.search.views.messages import (
    diminishing,
    excluded_workers,
    explain_no_network,
    headline,
    learning,
    never_predicted_by,
    origins_line,
    pool_details,
    rates,
)
from napari_menndl.search.views.totals import OriginTotals

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN = 5
_STYLES = {"running": "cyan", "finished": "green", "stopped": "yellow", "interrupted": "red", "new": "dim"}


class SearchProgress:
    """Live view of a search's status; otherwise, as in a log file, a line per minute, ten evaluations or new state.

    Parameters
    ----------
    console : Console
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=False) if console.is_terminal else None
        self._printed: tuple[str, int, int] | None = None
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
        now = status["state"], status["evaluations"] // 10, int(status["elapsed"] // 60)
        if now != self._printed:
            self._printed = now
            self._console.print(_headline(status), soft_wrap=True)


def _headline(status: dict[str, Any]) -> Text:
    """Return the headline with the state in its colour."""
    line = Text(headline(status))
    line.stylize(_STYLES.get(status["state"], ""), 0, line.plain.index(" "))
    return line


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
            EvaluationKey(one["key"]).rung + (f" ({100 * one['share']:.0f} % of it)" if one["share"] < 1 else ""),
            f"{one['fitness']:.3f}",
            f"{one['error']:.3f}",
            f"{one['parameters']:,}",
            f"{one['latency']:.0f}",
        )
    return table


def status_view(status: dict[str, Any]) -> Group:
    """Return the complete view: headline, rates, pool, notes, leaderboard and the answer."""
    lines: list[Any] = [_headline(status), Text(rates(status), style="dim")]
    if details := pool_details(status["pool"]):
        lines.append(Text(" · ".join(details), style="dim"))
    if sick := excluded_workers(status["pool"]):
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
    if nothing := explain_no_network(status):
        lines.append(Text(nothing, style="red"))
    return Group(*lines)
