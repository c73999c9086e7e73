"""Cells of benchmark grids: one JSON per finished cell, with all that is needed to believe and to repeat it."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

#: What a cell holds: plain numbers and words by name.
Numbers = dict[str, Any]
RESULTS = Path(__file__).parent / "results"
_PACKAGES = (
    "napari-menndl",
    "numpy",
    "scipy",
    "scikit-image",
    "scikit-learn",
    "torch",
    "dask",
    "distributed",
    "trackpy",
)


def let_trainers_import_benchmarks() -> None:
    """Put this folder on the path of processes still to come; to be called before anything of Dask starts."""
    folders = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)


def read_cell(name: str) -> dict[str, Any] | None:
    """Return the result of a finished cell, or None."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text())["result"] if path.exists() else None


def write_cell(name: str, seed: int, result: dict[str, Any]) -> Path:
    """Keep a finished cell; whole or not at all."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Where things lie on a machine is left out.
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv]
    cell = {
        "command": " ".join(["python", Path(words[0]).name, *words[1:]]),
        "versions": {"python": platform.python_version(), **{p: _version(p) for p in _PACKAGES}},
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "system": platform.platform()},
        "seed": seed,
        "result": result,
    }
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(cell, indent=1) + "\n")
    os.replace(beside, path)
    return path


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
