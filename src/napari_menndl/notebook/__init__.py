"""Display of searches and frames in Jupyter: ``watch``, ``plot_history``, ``plot_frame``."""

from napari_menndl.notebook.plots import plot_frame, plot_history
from napari_menndl.notebook.watching import watch

__all__ = ["plot_frame", "plot_history", "watch"]
