"""The table of docs/benchmarks.md, made from finished cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cells import Numbers

_HEAD = ("fault", "times", "evaluations", "s to recover: median, longest", "starts wasted", "lost, doubled …", "")
#: What is to be 0, by the names the cells have for it.
_NONE = (
    "lost",
    "doubled",
    "innocent failed",
    "orphans",
    "stuck",
    "jobs failed",
    "jobs not come back",
    "not come back",
    "not said",
)


def table(cells: dict[str, Numbers]) -> str:
    """Return the table in Markdown, of cells by their titles."""
    lines = [_line(_HEAD), "|---" * len(_HEAD) + "|"]
    for name, cell in cells.items():
        lines += [_line(_row(title, one)) for title, one in _parts(name, cell)]
    return "\n".join(lines)


def _parts(title: str, cell: Numbers) -> Iterator[tuple[str, Numbers]]:
    """A cell, or the cells within it."""
    inner = {name: one for name, one in cell.items() if isinstance(one, dict) and "cuts" in one}
    yield from ((f"{title}: {name}", one) for name, one in inner.items())
    if not inner:
        yield title, cell


def _row(title: str, cell: Numbers) -> tuple[str, ...]:
    guilty = sum(cell.get("guilty", {}).values())
    counted = ("kills", "times full", "damaged", "stopped", "cuts", "out of memory")
    times = next((cell[name] for name in counted if name in cell), guilty or "–")
    recovered = [one for name, one in cell.items() if name.startswith("seconds to recover") and one]
    seconds = f"{cell['median seconds to resume']:.1f}, –" if "median seconds to resume" in cell else "–"
    if recovered:
        # Several kinds of one fault: the slowest of them.
        slowest = max(recovered, key=lambda one: one["median"])
        seconds = f"{slowest['median']:.1f}, {max(one['longest'] for one in recovered):.1f}"
    wrong = sum(cell[name] for name in _NONE if name in cell)
    return (
        title,
        str(times),
        str(cell.get("evaluations", "–")),
        seconds,
        str(cell.get("wasted starts", "–")),
        str(wrong),
        "; ".join(_said(cell, guilty)) or "–",
    )


def _said(cell: Numbers, guilty: int) -> Iterator[str]:
    if guilty:
        yield f"{guilty - cell['guilty not failed']} of {guilty} failed as {', '.join(cell['failures'])}"
    if "not noticed" in cell:
        total = cell.get("damaged", cell.get("out of memory"))
        yield f"{total - cell['not noticed']} noticed"
    if "starts on the sick machine" in cell:
        yield f"{cell['starts on the sick machine']} starts on it, then {cell['and afterwards']}"
    if "recorded meanwhile" in cell:
        yield f"{cell['recorded meanwhile']} evaluations recorded meanwhile"


def _line(fields: tuple[str, ...]) -> str:
    return f"| {' | '.join(fields)} |"
