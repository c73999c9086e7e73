"""Figure that a notebook displays by itself."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure

#: Pixels on a web page per inch of a figure.
_PAGE = 80


class Picture(Figure):
    """Figure that a notebook displays by itself; matplotlib's own needs pyplot for that."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        data = BytesIO()
        self.savefig(data, format="png")
        return data.getvalue(), {"width": round(self.get_figwidth() * _PAGE)}
