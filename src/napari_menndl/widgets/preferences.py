"""Preferences: values of the Preferences page, and the last state of the docks.

The page is napari's own, made from ``configurations`` in the manifest. State that a dock keeps between sessions, such
as a tab or a folder, is in a file beside it, so that both are where napari keeps its settings.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from napari.settings import get_plugin_settings
from qtpy.QtCore import QSettings

PLUGIN = "napari-menndl"


def preference(name: str) -> Any:
    """Return a value of the Preferences page.

    Parameters
    ----------
    name : str
        ``pool`` ("this computer" or "scheduler"), ``scheduler``, ``certificates``, ``budget_kind`` ("time", "networks"
        or "fitness"), ``budget_minutes``, ``budget_networks``, ``budget_fitness``, ``colours``, ``autosave``.

    Returns
    -------
    str, int, float or bool

    Raises
    ------
    KeyError
        If the manifest declares no such name.
    """
    return getattr(_group_of(name), name)


def _group_of(name: str) -> Any:
    settings = get_plugin_settings(PLUGIN)
    groups = (getattr(settings, group) for group in type(settings).model_fields)
    for group in groups:
        if name in getattr(type(group), "model_fields", ()):
            return group
    raise KeyError(name)


def default_budget() -> str:
    """Return the preferred budget as a search takes it: ``"10min"``, ``"500networks"``, ``"fitness 0.9"``."""
    kind = preference("budget_kind")
    if kind == "networks":
        return f"{preference('budget_networks')}networks"
    return f"fitness {preference('budget_fitness'):g}" if kind == "fitness" else f"{preference('budget_minutes')}min"


def default_pool() -> str:
    """Return the preferred pool as a search takes it: ``"local"``, or the address of a scheduler."""
    address = str(preference("scheduler")).strip()
    return address if preference("pool") == "scheduler" and address else "local"


def with_certificates(spec: str) -> str:
    """Add the preferred certificate folder to a pool that is reached by TLS, unless it names its own."""
    folder = str(preference("certificates")).strip()
    if not spec.startswith("tls://") or "?" in spec or not folder:
        return spec
    return f"{spec}?certificates={quote(folder)}"


def recall(name: str, default: Any = None) -> Any:
    """Return what `remember` kept under this name, in this session of napari or an earlier one.

    Parameters
    ----------
    name : str
        ``"dock/what"``.
    default : JSON value
        Returned if nothing is kept, or it cannot be read.
    """
    kept = _file().value(name)
    try:
        return default if kept is None else json.loads(kept)
    except (TypeError, ValueError):
        return default


def remember(name: str, value: Any) -> None:
    """Keep a JSON value between sessions of napari."""
    _file().setValue(name, json.dumps(value))


def _file() -> QSettings:
    beside = get_plugin_settings(PLUGIN).config_path
    name = str(beside.with_suffix(".ini")) if beside else ""
    return QSettings(name, QSettings.Format.IniFormat)
