"""Evolve neural networks that find the defects in STEM movies, from one labelled frame.

The names below load on first use: importing the package loads no torch, Qt, napari or distributed.
"""

from __future__ import annotations

from napari_menndl.interpreter import is_program, leave_out_current_folder

if is_program():
    leave_out_current_folder()

import os
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.annotation.classes import DefectClass
    from napari_menndl.api import compare, merge_runs, open_run, resume_search, run_search
    from napari_menndl.errors import InputError
    from napari_menndl.genome.space import SearchSpace
    from napari_menndl.movie.movie import Movie
    from napari_menndl.movie.preparation import Average, Bin, Crop, Drift
    from napari_menndl.movie.reading import open_movie
    from napari_menndl.opening import open_network
    from napari_menndl.run import Run
    from napari_menndl.simulation.simulate import simulate_movie

# By default torch's threads busy-wait for each other, which makes a prediction or training many times slower on cores
# that a search uses too. The variable is read when torch is loaded, here and in every process started from here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

try:
    __version__ = version("napari-menndl")
except PackageNotFoundError:  # the package is not installed, only its source tree
    __version__ = "0.1.0.dev0"

_WHERE = {
    "Annotation": "annotation.annotation",
    "Average": "movie.preparation",
    "Bin": "movie.preparation",
    "Crop": "movie.preparation",
    "DefectClass": "annotation.classes",
    "Drift": "movie.preparation",
    "InputError": "errors",
    "Movie": "movie.movie",
    "Run": "run",
    "SearchSpace": "genome.space",
    "compare": "api",
    "merge_runs": "api",
    "open_movie": "movie.reading",
    "open_network": "opening",
    "open_run": "api",
    "resume_search": "api",
    "run_search": "api",
    "simulate_movie": "simulation.simulate",
}

__all__ = [
    "Annotation",
    "Average",
    "Bin",
    "Crop",
    "DefectClass",
    "Drift",
    "InputError",
    "Movie",
    "Run",
    "SearchSpace",
    "compare",
    "merge_runs",
    "open_movie",
    "open_network",
    "open_run",
    "resume_search",
    "run_search",
    "simulate_movie",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
