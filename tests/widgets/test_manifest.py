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


@pytest.mark.parametrize(
    ("menu", "docks"),
    [("annotate", ["Annotate defects"]), ("segment", ["MENNDL workflow", *DOCKS[2:5]])],
)
def test_docks_stand_in_the_layers_menu(make_napari_viewer, menu, docks):
    make_napari_viewer()
    items = get_app_model().menus.get_menu(f"napari/layers/{menu}")
    ours = [item.command for item in items if hasattr(item, "command") and item.command.id.startswith("napari-menndl")]
    ordered = sorted(ours, key=lambda command: docks.index(command.title.split(" (")[0]))
    assert [command.title.split(" (")[0] for command in ordered] == docks


def test_every_command_in_the_palette_can_be_called_from_there(make_napari_viewer):
    make_napari_viewer()
    commands = {
        name: action for name, action in get_app_model().registered_actions.items() if name.startswith("napari-menndl.")
    }
    for sample in ("simulated_ws2", "platinum_on_carbon"):
        assert f"napari-menndl.{sample}" in commands
    reader = commands["napari-menndl.read"].enablement
    assert reader is not None
    assert not reader.eval({})


@pytest.mark.parametrize("dock", DOCKS)
def test_every_dock_opens(make_napari_viewer, dock):
    viewer = make_napari_viewer()
    _, widget = viewer.window.add_plugin_dock_widget("napari-menndl", dock)
    assert widget.viewer is not None
    assert widget.minimumSizeHint().width() <= 520


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
