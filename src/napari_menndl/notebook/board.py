"""The state of a search and its best networks, as HTML."""

from __future__ import annotations

from html import escape
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from napari_menndl.genome.describe import describe
from napari_menndl.search.views.messages import (
    excluded_workers,
    explain_no_network,
    headline,
    learning,
    never_predicted_by,
    pool_details,
    rates,
)

if TYPE_CHECKING:
    from napari_menndl.search.views.reader import RunReader

_LEADERS = 5
#: Number of characters of a network's layers to show; the tooltip shows all.
_LETTERS = 110
_COLUMNS = ("rank", "network", "fitness", "parameters", "ms/Mpx", "layers")


def board(status: dict[str, Any], reader: RunReader) -> str:
    """Return a search's headline, rates and leaderboard as HTML.

    Parameters
    ----------
    status : dict
        `Run.status`.
    reader : RunReader
        Must have read at least as much of the journal as the status.
    """
    details = escape(" · ".join(pool_details(status["pool"])))
    state, _, words = headline(status).partition(" ")
    lines = [
        f"<b>{escape(f'{state}: {words.strip()}')}</b>",
        f'<small title="{details}">{escape(rates(status))}</small>',
    ]
    if sick := excluded_workers(status["pool"]):
        lines.append(f"<b>{escape(sick)}</b>")
    if status["learns"]:
        lines.insert(1, f"<small>{escape(learning(status['learns']))}</small>")
    lines += [f"<b>{escape(words)}</b>" for words in (status["note"], explain_no_network(status)) if words]
    if silent := never_predicted_by(status["answer"]):
        lines.append(escape(silent))
    rows = [_row(rank, one, reader) for rank, one in enumerate(status["leaders"][:_LEADERS], start=1)]
    if (answer := status["answer"]) and len(answer["members"]) > 1:
        told = f"{answer['fitness']:.3f} ± {answer['error']:.3f}"
        rows.insert(0, f"<tr><td></td><td>mean</td><td><b>{told}</b></td><td></td><td></td><td></td></tr>")
    table = f"<table><tr>{''.join(map(_head, _COLUMNS))}</tr>{''.join(rows)}</table>" if rows else ""
    return "<br>".join(lines) + table


def _row(rank: int, one: dict[str, Any], reader: RunReader) -> str:
    cells = (
        str(rank),
        f"#{one['id']}",
        f"{one['fitness']:.3f} ± {one['error']:.3f}",
        f"{one['parameters']:,}",
        f"{one['latency']:.0f}",
    )
    layers = " → ".join(describe(reader.birth(one["id"]).candidate.genome)[:-1])
    start = shorten(layers, _LETTERS, placeholder=" …")
    layers = f'<td style="text-align:left" title="{escape(layers)}"><small>{escape(start)}</small></td>'
    numbers = "".join(f'<td style="white-space:nowrap">{escape(cell)}</td>' for cell in cells)
    return f"<tr>{numbers}{layers}</tr>"


def _head(word: str) -> str:
    return f'<th style="text-align:{"left" if word == "layers" else "right"}">{word}</th>'
