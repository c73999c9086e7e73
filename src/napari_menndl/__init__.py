"""Evolve neural networks that find the defects in STEM movies, from one labelled frame.

The names below load on first use: importing the package loads no torch, Qt, napari or distributed.
"""

from __future__ import annotations

from napari_menndl.interpreter import is_program, leave_out_current_folder

if is_program():
    leave_out_current_folder()

import os
from importlib.metadata import PackageNotFoundError, version

import lazy_loader

# By default torch's threads busy-wait for each other, which makes a prediction or training many times slower on cores
# that a search uses too. The variable is read when torch is loaded, here and in every process started from here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

try:
    __version__ = version("napari-menndl")
except PackageNotFoundError:  # the package is not installed, only its source tree
    __version__ = "0.1.0.dev0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
