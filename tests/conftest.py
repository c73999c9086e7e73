"""What holds for every test: one thread each, as they share the cores; no limit on time, as others share these too."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

import pytest
from hypothesis import settings

settings.register_profile("laws", deadline=None)
settings.load_profile("laws")

TESTS = Path(__file__).parent
#: Files of tests that take long: begun first, so that no worker is left with one of them in the end.
LONG = ("test_story.py", "test_search_story.py", "test_search_process.py", "test_faults.py")
#: Folders and files whose tests bear a marker; what the markers mean stands in pyproject.toml.
MARKED = {
    "gui": ("widgets",),
    "cluster": (
        *("pool", "notebook", "test_remote.py", "test_cli_pool.py", "test_current_folder.py", "test_recipes.py"),
        *("test_docs.py", "test_docs_blocks.py"),
        *("test_api.py", "test_cli.py", "test_prepared_search.py", "test_exchange.py", "test_full_disk.py"),
        *LONG,
    ),
    "slow": ("test_docs_blocks.py", "test_columns.py", "test_damaged_files.py", "test_search_runner.py", *LONG),
}


def pytest_collection_modifyitems(items):
    for item in items:
        for marker, places in MARKED.items():
            if not set(places).isdisjoint(item.path.relative_to(TESTS).parts):
                item.add_marker(getattr(pytest.mark, marker))
    items.sort(key=_haste)


def _haste(item):
    """What takes long first, then windows, then clusters: the quick tests fill what time is left in each process."""
    long, window, cluster = (item.get_closest_marker(marker) for marker in ("slow", "gui", "cluster"))
    return item.path.name not in LONG, not window, not cluster, not long
