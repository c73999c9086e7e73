"""HTML of the objects that a notebook displays: tables and pictures, without any script."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike

#: Longest side of a picture [px].
_PICTURE = 256


def html_table(rows: Iterable[Sequence[object]], titles: Sequence[str] = (), caption: str = "") -> str:
    """Return a table; every cell is text, and never markup."""
    style = ' style="text-align:left"'
    head = f"<tr>{''.join(f'<th{style}>{escape(title)}</th>' for title in titles)}</tr>" if titles else ""
    body = "".join(f"<tr>{''.join(f'<td{style}>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    above = f'<caption style="text-align:left"><b>{escape(caption)}</b></caption>' if caption else ""
    return f"<table>{above}{head}{body}</table>"


def html_picture(frame: ArrayLike) -> str:
    """Return a frame (Y, X) as a grey picture, with the darkest and brightest 0.5 % clipped."""
    from PIL import Image  # here, as most of what imports this module shows nothing

    values = np.asarray(frame, np.float32)
    step = max(1, -(-max(values.shape) // (2 * _PICTURE)))
    values = values[::step, ::step]
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite if finite.size else [0.0], (0.5, 99.5))
    grey = np.clip((np.nan_to_num(values, nan=low) - low) / max(high - low, 1e-12), 0, 1)
    image = Image.fromarray(np.round(255 * grey).astype(np.uint8))
    image.thumbnail((_PICTURE, _PICTURE))
    image.save(data := io.BytesIO(), "PNG")
    return f'<img src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}">'


def html_beside(*parts: str) -> str:
    """Return several parts side by side."""
    return f'<div style="display:flex;gap:1em;align-items:flex-start">{"".join(parts)}</div>'
