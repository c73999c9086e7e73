"""What holds for every test: one thread each, as they share the cores; no limit on time, as others share these too."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

from hypothesis import settings

settings.register_profile("laws", deadline=None)
settings.load_profile("laws")

#: Files of few tests that take long: begun first, so that no worker is left with one of them in the end.
LONG = ("test_story.py", "test_search_story.py", "test_notebooks.py", "test_search_process.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONG)
