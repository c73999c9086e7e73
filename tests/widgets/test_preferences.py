"""The Preferences page, and what docks remember between two starts."""

import napari.settings
import pytest
import yaml
from napari._qt.dialogs.preferences_dialog import PreferencesDialog
from napari.settings import get_plugin_settings
from qtpy.QtWidgets import QComboBox, QLabel

from napari_menndl.pool.spec import read_pool
from napari_menndl.review.outcomes import PALETTES
from napari_menndl.search.goals import parse_budget
from napari_menndl.widgets.preferences import (
    PLUGIN,
    default_budget,
    default_pool,
    preference,
    recall,
    remember,
    with_certificates,
)


def prefer(name, value):
    """Change a value as the Preferences page does."""
    settings = get_plugin_settings(PLUGIN)
    groups = (getattr(settings, group) for group in type(settings).model_fields)
    setattr(next(group for group in groups if name in getattr(type(group), "model_fields", ())), name, value)


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """Settings of this test alone."""
    monkeypatch.setattr(napari.settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    napari.settings._clear_plugin_settings_cache()
    yield
    napari.settings._clear_plugin_settings_cache()


def restart():
    napari.settings._clear_plugin_settings_cache()


def test_preferences_have_defaults_that_a_search_understands():
    assert default_pool() == "local"
    assert parse_budget(default_budget())
    assert preference("autosave") is True
    assert preference("colours") in PALETTES


def test_every_palette_can_be_preferred():
    for palette in PALETTES:
        prefer("colours", palette)
    with pytest.raises(ValueError, match="colours"):
        prefer("colours", "rainbow")


@pytest.mark.parametrize(
    ("kind", "expected"), [("time", "10min"), ("networks", "500networks"), ("fitness", "fitness 0.9")]
)
def test_budget_is_in_the_words_of_a_search(kind, expected):
    prefer("budget_kind", kind)
    assert default_budget() == expected
    parse_budget(expected)


def test_scheduler_is_the_pool_where_it_has_an_address():
    prefer("pool", "scheduler")
    assert default_pool() == "local"
    prefer("scheduler", " tls://host:8786 ")
    assert default_pool() == "tls://host:8786"


def test_the_preferred_folder_of_certificates_is_used_for_tls_alone():
    assert with_certificates("tls://host:8786") == "tls://host:8786"
    prefer("certificates", "/my keys")
    assert read_pool(with_certificates("tls://host:8786")).certificates == "/my keys"
    for spec in ("local", "tcp://127.0.0.1:8786", "tls://host:8786?certificates=/others"):
        assert with_certificates(spec) == spec


def test_preference_is_there_at_the_next_start(tmp_path):
    prefer("scheduler", "tcp://10.0.0.1:8786")
    restart()
    assert preference("scheduler") == "tcp://10.0.0.1:8786"
    assert yaml.safe_load((tmp_path / "napari-menndl.yaml").read_text())["search"]["scheduler"]


def test_unknown_preference_is_an_error():
    with pytest.raises(KeyError):
        preference("colour")


def test_preferences_page_shows_every_setting(qtbot):
    dialog = PreferencesDialog()
    qtbot.addWidget(dialog)
    pages = [dialog._list.item(row).text() for row in range(dialog._list.count())]
    assert "MENNDL" in pages
    dialog._list.setCurrentRow(pages.index("MENNDL"))
    page = dialog._stack.currentWidget()
    titles = " ".join(label.text() for label in page.findChildren(QLabel))
    for title in ("Scheduler address", "Certificates folder", "Budget", "Colours"):
        assert title in titles
    choices = [box.itemText(i) for box in page.findChildren(QComboBox) for i in range(box.count())]
    assert set(PALETTES) <= set(choices)


@pytest.mark.parametrize("value", [3, 0.25, True, "text", ["a", 1], None, {"folder": "/x"}])
def test_what_a_dock_remembers_is_there_at_the_next_start(value):
    remember("dock/what", value)
    restart()
    assert recall("dock/what", "default") == value


def test_what_was_never_kept_or_cannot_be_read_is_the_default(tmp_path):
    assert recall("dock/what", 5) == 5
    remember("dock/what", 1)
    path = tmp_path / "napari-menndl.ini"
    path.write_text(path.read_text().replace("=1", "={broken"))
    assert recall("dock/what", 5) == 5
