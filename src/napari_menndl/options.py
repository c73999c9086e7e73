"""Command-line options made from a settings dataclass, so that a setting is described once."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, Field, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from collections.abc import Callable


def settings_options(
    *classes: type, leave_out: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command one option per field of the dataclasses; the command gets them as one dict, ``settings``.

    Only what the person typed is in the dict: defaults stay with the dataclass. Fields that are neither text, number
    nor truth value are left to files and scripts.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command, eval_str=True).parameters
        made = [
            _parameter(field, get_type_hints(cls)[field.name])
            for cls in classes
            for field in fields(cls)
            if field.name not in leave_out and field.name not in own and _plain(get_type_hints(cls)[field.name])
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


def _plain(hint: Any) -> bool:
    return _base(hint) in (str, int, float, bool)


def _base(hint: Any) -> Any:
    """``int | None`` → int."""
    kinds = [k for k in getattr(hint, "__args__", (hint,)) if k is not type(None)]
    return kinds[0] if len(kinds) == 1 else hint


def _parameter(field: Field[Any], hint: Any) -> inspect.Parameter:
    about = field.metadata
    text = about.get("help", "")
    if about.get("unit"):
        text += f" [{about['unit']}]"
    if field.default is not MISSING and field.default is not None:
        text += f" (default: {field.default})"
    kind = _base(hint)
    limits = {k: about[k] for k in ("min", "max") if k in about} if kind in (int, float) else {}
    option = typer.Option(f"--{field.name.replace('_', '-')}", help=text, show_default=False, **limits)
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )
