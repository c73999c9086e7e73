"""What napari shows of the plugin: menus, palette, samples, readers."""

from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

import npe2
import numpy as np
import pytest
from napari._app_model import get_app_model
from qtpy.QtGui import QIcon

DOCKS = ["MENNDL workflow", "Annotate defects", "Search networks", "Review frames", "Live review", "Shortcuts"]


@pytest.fixture(scope="module")
def manifest():
    return npe2.PluginManifest.from_distribution("napari-menndl")


def test_manifest_is_valid_and_all_its_commands_exist(manifest):
    manifest.validate_imports()
    assert manifest.display_name == "MENNDL"
    assert [widget.display_name for widget in manifest.contributions.widgets] == DOCKS


def test_icon_is_a_picture_in_the_package(manifest, qapp):
    package, _, name = manifest.icon.partition(":")
    path = Path(str(resources.files(package) / name))
    assert ElementTree.parse(path).getroot().tag.endswith("svg")
    assert not QIcon(str(path)).pixmap(32, 32).isNull()


def test_every_dock_stands_in_the_layers_menu_and_opens_and_every_command_can_be_called(make_napari_viewer):
    """All in one window, which takes longer to open than all of this."""
    viewer = make_napari_viewer()
    for menu, docks in (("annotate", ["Annotate defects"]), ("segment", ["MENNDL workflow", *DOCKS[2:5]])):
        items = get_app_model().menus.get_menu(f"napari/layers/{menu}")
        ours = [one.command for one in items if hasattr(one, "command") and one.command.id.startswith("napari-menndl")]
        assert sorted(command.title.split(" (")[0] for command in ours) == sorted(docks)
    commands = {
        name: action for name, action in get_app_model().registered_actions.items() if name.startswith("napari-menndl.")
    }
    for sample in ("simulated_ws2", "platinum_on_carbon"):
        assert f"napari-menndl.{sample}" in commands
    reader = commands["napari-menndl.read"].enablement
    assert reader is not None
    assert not reader.eval({})
    for dock in DOCKS:
        _, widget = viewer.window.add_plugin_dock_widget("napari-menndl", dock)
        assert widget.viewer is not None, dock
        assert widget.minimumSizeHint().width() <= 520, dock


def test_two_viewers_have_docks_of_their_own(make_napari_viewer):
    docks = []
    for _ in range(2):
        viewer = make_napari_viewer()
        docks.append((viewer, viewer.window.add_plugin_dock_widget("napari-menndl", "MENNDL workflow")[1]))
    (one, first), (other, second) = docks
    assert first is not second
    other.add_image(np.zeros((2, 8, 8)), name="there")
    assert not one.layers
    assert second.dock(0).movie_layer == other.layers[0]
