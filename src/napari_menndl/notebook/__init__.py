"""Display of searches and frames in Jupyter: ``watch``, ``plot_history``, ``plot_frame``."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
