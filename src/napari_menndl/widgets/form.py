"""Forms made from settings dataclasses: a setting is described once, on its field."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, get_type_hints

from magicgui.types import Undefined
from magicgui.widgets import Container, create_widget
from magicgui.widgets.bases import ButtonWidget
from qtpy.QtWidgets import QFormLayout, QWidget


def make_form(settings: type, **options: dict[str, Any]) -> Container[Any]:
    """One row per field of a dataclass, titled, limited and explained by the field's metadata.

    Parameters
    ----------
    settings : type
        A dataclass; ``metadata`` of its fields may hold ``title``, ``unit``, ``help``, ``min`` and ``max``, and
        ``form`` with further options of magicgui.
    **options
        By field: options of magicgui that only the view knows, such as ``choices``.

    Returns
    -------
    magicgui.widgets.Container
        Its widgets bear the names of the fields.
    """
    hints = get_type_hints(settings)
    rows = []
    for field in fields(settings):
        about = field.metadata
        unit = f" [{about['unit']}]" if "unit" in about else ""
        given = {"tooltip": about["help"]} if "help" in about else {}
        given |= {k: about[k] for k in ("min", "max") if k in about}
        title = f"{about.get('title', field.name)}{unit}"
        row = create_widget(
            Undefined if field.default is MISSING else field.default,
            annotation=hints[field.name],
            name=field.name,
            label=title or None,
            options=given | about.get("form", {}) | options.get(field.name, {}),
        )
        rows.append(row)
    return Container(widgets=rows, labels=False)


def lay_out(form: Container[Any]) -> QWidget:
    """Rows with their titles in a column of its own; magicgui measures titles in another font than napari draws."""
    body = QWidget()
    layout = QFormLayout(body)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for row in form:
        layout.addRow("" if isinstance(row, ButtonWidget) else row.label, row.native)
    return body


def read_form(form: Container[Any], settings: type) -> Any:
    """The settings that a form holds."""
    return settings(**{field.name: form[field.name].value for field in fields(settings)})
