"""Where the plugin remembers what belongs to a person, not to a movie or a run."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def user_data() -> Path:
    """The folder that the environment variable ``NAPARI_MENNDL_DATA`` names, or the platform's for user data."""
    return Path(os.environ.get("NAPARI_MENNDL_DATA") or platformdirs.user_data_dir("napari-menndl", appauthor=False))
