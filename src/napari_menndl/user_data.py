"""Folder for a user's own data, which belong to no movie or run."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def user_data() -> Path:
    """Return the folder in ``NAPARI_MENNDL_DATA`` if that is set, else the platform's folder for user data."""
    return Path(os.environ.get("NAPARI_MENNDL_DATA") or platformdirs.user_data_dir("napari-menndl", appauthor=False))
