"""Command-line options generated from a settings dataclass, so that a setting is described once."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, Field, fields
from functools import wraps
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer

from napari_menndl.settings import unit_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def settings_options(
    *classes: type, leave_out: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add one option per field of the dataclasses to a command, which receives them as one dict, ``settings``.

    The dict contains only the options that were given: defaults stay with the dataclass. Fields that are neither text,
    number nor bool get no option; they can be set in files and scripts.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command, eval_str=True).parameters
        made = [
            _parameter(field, kind)
            for cls in classes
            for field, kind in _plain_fields(cls)
            if field.name not in leave_out and field.name not in own
        ]

        @wraps(command)
        def called(**given: Any) -> Any:
            settings = {p.name: given.pop(p.name) for p in made}
            return command(**given, settings={k: v for k, v in settings.items() if v is not None})

        kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own.values() if p.name != "settings"]
        called.__signature__ = inspect.Signature([*kept, *made])  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in [*kept, *made]}
        return called

    return decorate


def _plain_fields(cls: type) -> Iterator[tuple[Field[Any], type]]:
    """Yield the fields that one option can hold, with the type of its value (int for ``int | None``)."""
    hints = get_type_hints(cls)
    for field in fields(cls):
        hint = hints[field.name]
        choices = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        kinds = [kind for kind in choices if kind is not NoneType]
        if len(kinds) == 1 and kinds[0] in (str, int, float, bool):
            yield field, kinds[0]


def _parameter(field: Field[Any], kind: type) -> inspect.Parameter:
    # Ranges are only shown in the help: the dataclass checks them, whatever the source of a value, and gives a remedy.
    option = typer.Option(help=_help(field), show_default=False)
    # None, whatever the field's default, to tell whether the option was given.
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _help(field: Field[Any]) -> str:
    """Return a field's help text with unit, allowed values and default, as in ``[nm; 0.2 to 0.5; default 0.3]``."""
    about = field.metadata
    facts = [unit] if (unit := unit_of(about)) else []
    if "options" in about:
        facts.append(" or ".join(map(str, about["options"])))
    if "min" in about and "max" in about:
        facts.append(f"{about['min']:g} to {about['max']:g}")
    if field.default is not MISSING and field.default is not None:
        facts.append(f"default {_words(field.default)}")
    return " ".join([str(about.get("help", "")), f"[{'; '.join(facts)}]" if facts else ""]).strip()


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
