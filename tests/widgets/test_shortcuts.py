"""The registry of shortcuts: no clashes, and keys that do what they say."""

import gc
import weakref
from pathlib import Path

import numpy as np
from app_model.types import KeyBinding
from napari._app_model import get_app_model
from napari.utils.shortcuts import default_shortcuts
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

from napari_menndl.widgets.help import ShortcutHelp
from napari_menndl.widgets.shortcuts import SHORTCUTS, bind, explained, shortcut


class Dock:
    pressed = 0

    def press(self):
        self.pressed += 1


def key_of(one):
    return KeyBinding.from_str(one.keys.replace("-", "+"))


def test_ids_and_keys_are_each_used_once():
    assert len({one.id for one in SHORTCUTS}) == len({one.keys for one in SHORTCUTS}) == len(SHORTCUTS)


def test_no_key_is_taken_from_napari(make_napari_viewer):
    make_napari_viewer()
    taken = {key for keys in default_shortcuts.values() for key in keys}
    taken |= {binding.keybinding for binding in get_app_model().keybindings}
    clashes = [one for one in SHORTCUTS if key_of(one) in taken]
    # Digits choose tools of a labels layer; on the annotation's own layer they choose classes.
    assert {one.id for one in clashes} <= {f"class-{n}" for n in range(1, 10)}


def test_key_does_what_it_is_bound_to_until_it_is_given_back(qtbot, make_napari_viewer):
    viewer, dock = make_napari_viewer(show=True), Dock()
    canvas = viewer.window._qt_viewer.canvas.native
    unbind = bind(viewer, "next-error", dock.press)
    qtbot.keyClick(canvas, Qt.Key.Key_E, Qt.KeyboardModifier.ShiftModifier)
    assert dock.pressed == 1
    unbind()
    qtbot.keyClick(canvas, Qt.Key.Key_E, Qt.KeyboardModifier.ShiftModifier)
    assert dock.pressed == 1


def test_dock_that_is_closed_late_leaves_the_key_to_its_successor(qtbot, make_napari_viewer):
    viewer, old, new = make_napari_viewer(), Dock(), Dock()
    unbind = bind(viewer, "next-error", old.press)
    bind(viewer, "next-error", new.press)
    unbind()
    viewer.keymap[key_of(shortcut("next-error"))](viewer)
    assert (old.pressed, new.pressed) == (0, 1)


def test_viewer_does_not_keep_a_closed_dock(make_napari_viewer):
    viewer, dock = make_napari_viewer(), Dock()
    bind(viewer, "next-error", dock.press)
    gone = weakref.ref(dock)
    del dock
    gc.collect()
    assert gone() is None
    viewer.keymap[key_of(shortcut("next-error"))](viewer)


def test_digits_choose_classes_on_one_layer_and_tools_on_the_others(qtbot, make_napari_viewer):
    viewer, dock = make_napari_viewer(show=True), Dock()
    ours, other = (viewer.add_labels(np.zeros((8, 8), np.uint8), name=name) for name in ("ours", "other"))
    bind(ours, "class-2", dock.press)
    canvas = viewer.window._qt_viewer.canvas.native
    for layer, presses, mode in ((ours, 1, "pan_zoom"), (other, 1, "paint")):
        viewer.layers.selection.active = layer
        qtbot.keyClick(canvas, Qt.Key.Key_2)
        assert (dock.pressed, str(layer.mode)) == (presses, mode)
    viewer.layers.selection.active = ours
    qtbot.keyClick(canvas, Qt.Key.Key_P)
    assert str(ours.mode) == "paint"


def test_help_lists_every_key_and_what_it_does(qtbot, make_napari_viewer):
    panel = ShortcutHelp(make_napari_viewer())
    qtbot.addWidget(panel)
    text = " ".join(label.text() for label in panel.findChildren(QLabel))
    for one in SHORTCUTS:
        if not one.id.startswith("class-"):
            assert f"<code>{one.shown}</code>" in text
            assert one.title in text
    assert "1 … 9" in text


def test_every_viewer_with_a_dock_shows_help_at_a_key(qtbot, make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    bind(viewer, "next-error", Dock().press)
    qtbot.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_H, Qt.KeyboardModifier.ShiftModifier)
    assert viewer.window._qt_window.findChildren(ShortcutHelp)


def test_tooltip_names_the_key():
    assert explained("Go on", "next-error") == "Go on (Shift+E)"


def test_users_page_names_every_key():
    page = (Path(__file__).parents[2] / "docs" / "using-napari.md").read_text(encoding="utf-8")
    for one in SHORTCUTS:
        assert one.id.startswith("class-") or one.shown in page.split("## Shortcuts")[1]
