"""Layer diagram of a genome: its layers as a stack of slabs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from napari_menndl.genome.describe import describe_inputs, describe_layers
from napari_menndl.genome.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl.genome.genome import Genome

#: Colour of each kind of layer.
COLOURS = {
    "input": "#9aa0a6",
    "conv": "#4c8dd6",
    "pool": "#3fae7a",
    "upsample": "#d3b13f",
    "residual": "#8a6fd1",
    "branches": "#d67f4c",
    "head": "#9aa0a6",
}
#: Height of a row; width of a slab at full resolution; shift of its rear edge; smallest and largest thickness; width of
#: the arcs, of a letter, and of the whole on a page [px].
_ROW, _WIDTH, _LEAN, _THIN, _THICK, _ARCS, _LETTER, _PAGE = 34, 96, 12, 3, 15, 34, 5.6, 520
#: Pixels of a layer that the width of its slab stands for, beside which its kernel is drawn.
_KERNEL = 20


@dataclass(frozen=True)
class Slab:
    """A layer in the diagram.

    Attributes
    ----------
    kind : {"input", "conv", "pool", "upsample", "residual", "branches", "head"}
    words : str
        Short description of the layer; of the inputs for the first slab.
    channels : int
        Channels of its output, shown as thickness.
    stride : int
        Pixels of the network's input per pixel of its output [px]; 1 is full resolution.
    kernel : (y, x) int [px of its input]
        The largest window of its parts, including dilation.
    parts : int
        Number of its convolutions and poolings.
    parameters : int
    flops : float [FLOP per pixel of the network's input]
    """

    kind: str
    words: str
    channels: int
    stride: int
    kernel: tuple[int, int]
    parts: int
    parameters: int
    flops: float


@dataclass(frozen=True)
class Arc:
    """A skip connection between two slabs, given by their index in the stack, with ``"add"`` or ``"concat"``."""

    source: int
    target: int
    join: str


def layer_diagram(genome: Genome, classes: int = 1) -> tuple[list[Slab], list[Arc]]:
    """Return slabs and skip connections of a genome, from the input to the head.

    Parameters
    ----------
    genome : Genome
    classes : int
        Number of defect classes.

    Raises
    ------
    GenomeError
        If the network cannot be built.
    """
    plan = make_plan(genome, classes)
    kinds = ["input", *(layer.kind for layer in genome.layers), "head"]
    words = [
        describe_inputs(genome.inputs),
        *describe_layers(genome),
        f"1×1 to {classes} class{'es' if classes > 1 else ''}",
    ]
    slabs = []
    for place, (kind, text) in enumerate(zip(kinds, words, strict=True)):
        nodes = [node for node in plan.nodes if node.layer == place - 1]
        windows = [node for node in nodes if node.kind in ("conv", "pool")]
        reach = [[node.dilation * (size - 1) + 1 for size in node.kernel] for node in windows] or [[1, 1]]
        slabs.append(
            Slab(
                kind,
                text,
                nodes[-1].channels,
                nodes[-1].stride,
                (max(y for y, _ in reach), max(x for _, x in reach)),
                len(windows),
                sum(node.parameters for node in nodes),
                sum(node.flops_per_pixel for node in nodes),
            )
        )
    return slabs, [Arc(skip.source + 1, skip.target + 1, skip.join) for skip in genome.skips]


def draw_svg(slabs: Sequence[Slab], arcs: Sequence[Arc], width: float = _PAGE, ink: str = "currentColor") -> str:
    """Draw the layer diagram as SVG, the input on top: wide slabs are fine in resolution, thick ones have many filters.

    A white window is a layer's kernel, to the scale of its own pixels; skip connections are arcs, dashed where they are
    added.

    Parameters
    ----------
    slabs, arcs : sequence of Slab and Arc
        As from `layer_diagram`.
    width : float [px]
        Text that does not fit is cut.
    ink : str
        Colour of text and arcs; by default that of the text around the picture.
    """
    middle = (_ARCS if arcs else 6) + _WIDTH / 2
    letters = int((width - middle - _WIDTH / 2 - _LEAN - 12) / _LETTER)
    parts = [part for row, slab in enumerate(slabs) for part in _draw_slab(slab, middle, _top(row), letters)]
    parts += [_draw_arc(arc, slabs, middle, ink) for arc in arcs]
    size = f'viewBox="0 0 {width:.0f} {diagram_height(len(slabs))}"'
    style = f'font-family="sans-serif" fill="{ink}" stroke-linejoin="round"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{"".join(parts)}</svg>'


def diagram_height(slabs: int) -> int:
    """Return the height of a diagram of so many slabs [px]."""
    return _ROW * max(1, slabs) + 6


def slab_at(y: float) -> int:
    """Return the number of the slab at a height in the diagram [px]."""
    return max(0, int(y // _ROW))


def _draw_slab(slab: Slab, x: float, y: float, letters: int) -> list[str]:
    half, lean, thick = _half_width(slab), max(4.0, _LEAN / math.sqrt(slab.stride)), _thickness(slab)
    top = [(x - half, y), (x - half + lean, y - lean), (x + half + lean, y - lean), (x + half, y)]
    side = [top[3], top[2], (top[2][0], top[2][1] + thick), (top[3][0], top[3][1] + thick)]
    front = [(x - half, y), (x + half, y), (x + half, y + thick), (x - half, y + thick)]
    colour = COLOURS[slab.kind]
    drawn = [_polygon(front, colour, 0.8), _polygon(side, colour, 0.6), _polygon(top, colour, 1.0)]
    if slab.kernel != (1, 1):
        deep, wide = (min(1.0, size / _KERNEL) for size in slab.kernel)
        dx, dy = half * wide, lean / 2 * deep
        corners = [(-dx - dy, dy), (-dx + dy, -dy), (dx + dy, -dy), (dx - dy, dy)]
        drawn.append(_polygon([(x + lean / 2 + a, y - lean / 2 + b) for a, b in corners], "#ffffff", 1.0))
    maps = f"{slab.channels} map{'s' * (slab.channels != 1)}"
    resolution = "full size" if slab.stride == 1 else f"1/{slab.stride} size"
    weights = f", {slab.parameters:,} parameters" if slab.parameters else ""
    left = x + _WIDTH / 2 + _LEAN + 8
    words, below = (_cut(text, letters) for text in (slab.words, f"{maps}, {resolution}{weights}"))
    drawn.append(f'<text x="{left:.1f}" y="{y - 1:.1f}" font-size="11">{words}</text>')
    return [*drawn, f'<text x="{left:.1f}" y="{y + 12:.1f}" font-size="10" fill-opacity="0.65">{below}</text>']


def _cut(text: str, letters: int) -> str:
    return escape(text if len(text) <= letters else f"{text[: max(0, letters - 1)]}…")


def _draw_arc(arc: Arc, slabs: Sequence[Slab], middle: float, ink: str) -> str:
    (x1, y1), (x2, y2) = (_left_edge(slabs[row], row, middle) for row in (arc.source, arc.target))
    left = min(x1, x2) - min(_ARCS - 4.0, 10.0 + 5.0 * (arc.target - arc.source))
    dashes = ' stroke-dasharray="5 3"' if arc.join == "add" else ""
    path = f"M {x1:.1f} {y1:.1f} C {left:.1f} {y1:.1f} {left:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    end = f'<circle cx="{x2:.1f}" cy="{y2:.1f}" r="2.2"/>'
    return f'<path d="{path}" fill="none" stroke="{ink}" stroke-width="1.4"{dashes}/>{end}'


def _left_edge(slab: Slab, row: int, middle: float) -> tuple[float, float]:
    return middle - _half_width(slab), _top(row) + _thickness(slab) / 2


def _top(row: int) -> float:
    return 3.0 + row * _ROW + _LEAN


def _half_width(slab: Slab) -> float:
    """Half as wide at a quarter of the resolution."""
    return max(16.0, _WIDTH / math.sqrt(slab.stride)) / 2


def _thickness(slab: Slab) -> float:
    """By the logarithm of the number of filters, 1 to 256."""
    return _THIN + (_THICK - _THIN) * min(1.0, math.log2(max(1, slab.channels)) / 8)


def _polygon(corners: list[tuple[float, float]], colour: str, light: float) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    shade = "#" + "".join(f"{round(int(colour[place : place + 2], 16) * light):02x}" for place in (1, 3, 5))
    return f'<polygon points="{points}" fill="{shade}" stroke="#303030" stroke-width="0.6"/>'
