"""Rows of forms for a path that may be a folder or a file, chosen from a menu."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog, QMenu

from napari_menndl.movie.formats import HDF5, MRC, TIFF

if TYPE_CHECKING:
    from magicgui.widgets import FileEdit

GROWING = (*TIFF.suffixes, *MRC.suffixes, *HDF5.suffixes)
FOLDERS = {
    "network": "Folder of a search …",
    "source": "Folder of images, or zarr array …",
    "tables": "Folder for tables …",
}
FILES = {
    "network": ("Saved network …", "Saved networks (*.safetensors)"),
    "source": ("File: TIFF, MRC or HDF5 …", f"Files that grow ({' '.join(f'*{suffix}' for suffix in GROWING)})"),
}


def choose_by_menu(row: FileEdit, name: str, example: str) -> QMenu:
    """Give a row's button a menu of what can be chosen; drops are left to the whole dock."""
    edit, button = row.line_edit.native, row.choose_btn.native
    edit.setPlaceholderText(example)
    edit.setAcceptDrops(False)
    row.choose_btn.text = "…"
    button.setMaximumWidth(40)
    button.setToolTip("Choose a folder or a file")
    menu = QMenu(button)
    menu.addAction(FOLDERS[name], partial(_choose_folder, row))
    if name in FILES:
        title, kinds = FILES[name]
        menu.addAction(title, partial(_choose_file, row, kinds))
    button.setMenu(menu)
    return menu


def _choose_folder(row: FileEdit, *_: Any) -> None:
    if path := QFileDialog.getExistingDirectory(row.native, "Choose a folder", str(row.line_edit.value)):
        row.value = Path(path)


def _choose_file(row: FileEdit, kinds: str, *_: Any) -> None:
    path, _filter = QFileDialog.getOpenFileName(row.native, "Choose a file", str(row.line_edit.value), kinds)
    if path:
        row.value = Path(path)
