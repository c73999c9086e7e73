"""Forms made from settings dataclasses; a setting is described once, on its field."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import MISSING, Field, fields
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin, get_type_hints

from magicgui.types import Undefined
from magicgui.widgets import Container, FloatSpinBox, Widget, create_widget
from magicgui.widgets.bases import ButtonWidget
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_menndl.settings import unit_of
from napari_menndl.widgets.preferences import recall, remember

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Options of magicgui, and the metadata of a setting that they are taken from.
OPTIONS = {"tooltip": "help", "min": "min", "max": "max", "choices": "options"}


def make_form(settings: type, **options: dict[str, Any]) -> Container[Any]:
    """Make a form with one row per field of a dataclass; title, limits and help come from the field's metadata.

    Parameters
    ----------
    settings : type
        A dataclass; the metadata of its fields are those of `napari_menndl.settings`, where ``form`` holds further
        options of magicgui.
    **options
        By field: options of magicgui that are known only to the view, such as ``choices``.

    Returns
    -------
    magicgui.widgets.Container
        Its widgets have the names of the fields.
    """
    hints = get_type_hints(settings)
    rows = [_make_row(field, hints[field.name], options.get(field.name, {})) for field in fields(settings)]
    return Container(widgets=rows, labels=False)


def _make_row(field: Field[Any], hint: Any, options: dict[str, Any]) -> Widget:
    about = field.metadata
    unit = f" [{unit}]" if (unit := unit_of(about)) else ""
    given = {name: about[key] for name, key in OPTIONS.items() if about.get(key, "") != ""}
    if get_origin(hint) is tuple:
        # The limits apply to each value, which magicgui's rows of several values cannot express.
        given = {name: one for name, one in given.items() if name not in ("min", "max")}
        given |= {"widget_type": "Select"} if "choices" in given else {}
        inner = get_args(hint)
        hint = list[inner[0]] if inner[1:] == (Ellipsis,) else hint  # type: ignore[valid-type]
    default = Undefined if field.default is MISSING else field.default
    title = f"{about.get('title', field.name)}{unit}"
    row = create_widget(
        default,
        annotation=hint,
        name=field.name,
        label=title or None,
        options=given | about.get("form", {}) | options,
    )
    if type(row) is FloatSpinBox and isinstance(default, float):
        # The initial two decimals would round the value: a temporary step makes the field hold more.
        finest = min(0.01, 10.0 ** cast("int", Decimal(repr(default)).as_tuple().exponent))
        row.step = about.get("form", {}).get("step", finest)
        row.step = None
        row.value = default
    return row


def lay_out(form: Iterable[Any]) -> QWidget:
    """Lay out rows with their titles in a column; magicgui measures titles in another font than napari draws."""
    body = QWidget()
    layout = QFormLayout(body)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for row in form:
        if isinstance(row, ButtonWidget):
            layout.addRow(row.native)
        else:
            layout.addRow(row.label, row.native)
    return body


def remember_form(form: Container[Any], place: str, names: Iterable[str]) -> dict[str, Any]:
    """Restore the values that rows had when napari was last closed, and keep their changes.

    Default values are not kept, so that a better default reaches everybody.

    Parameters
    ----------
    form : Container
    place : str
        Name in the file of `preferences.remember`.
    names : iterable of str
        Names of the rows.

    Returns
    -------
    dict
        Their default values.
    """
    defaults = {name: form[name].value for name in names}
    for name, default in defaults.items():
        row, key = form[name], f"{place}/{name}"
        if (kept := recall(key)) is not None:
            with suppress(ValueError, TypeError):  # no longer a valid choice
                row.value = kept
        row.changed.connect(partial(_keep, row, key, default))
    return defaults


def changes(form: Container[Any], defaults: dict[str, Any]) -> list[str]:
    """Return titles and values of the rows that differ from their defaults."""
    return [f"{form[name].label} {form[name].value}" for name, one in defaults.items() if form[name].value != one]


def fill_form(form: Container[Any], values: dict[str, Any]) -> None:
    """Set rows; an empty path leaves its row empty."""
    for name, value in values.items():
        row = form[name]
        if value == Path():
            row.line_edit.value = ""
        else:
            row.value = value


def _keep(row: Any, key: str, default: Any, *_: Any) -> None:
    value = row.value
    remember(key, None if value == default else str(value) if isinstance(value, Path) else value)


def read_form(form: Container[Any], settings: type) -> Any:
    """Return the settings that a form holds."""
    hints = get_type_hints(settings)
    values = {field.name: form[field.name].value for field in fields(settings)}
    return settings(**{name: tuple(one) if get_origin(hints[name]) is tuple else one for name, one in values.items()})
