"""The search process: ``python -m napari_menndl.process RUN``.

Every search, whether started from the API, the command line or a dock, is this command in a separate process.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError
from napari_menndl.search.folder import RunFolder

if TYPE_CHECKING:
    import os

#: Function that a trainer calls for each network, as ``"module:function"``.
TRAIN = "napari_menndl.training.job:run"


def search_process(path: str | os.PathLike[str]) -> None:
    """Run one search until it ends or a signal stops it."""
    from napari_menndl.pool.open import open_pool
    from napari_menndl.pool.worker.staging import SharedInput
    from napari_menndl.search.runner import SearchRunner

    folder = RunFolder.open(path)
    asked = threading.Event()
    for name in ("SIGTERM", "SIGHUP", "SIGINT"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: asked.set())
    with folder.lock():
        settings = folder.settings
        pool = open_pool(
            settings.pool,
            TRAIN,
            slots=settings.slots,
            timeout=settings.timeout,
            shared_input=SharedInput("task", folder.task_path),
            networks_per_gpu=settings.networks_per_gpu,
        )
        try:
            SearchRunner(folder, pool, stop=asked).run()
        finally:
            pool.close()


def main() -> int:
    """Entry point of the search process."""
    try:
        search_process(sys.argv[1])
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
