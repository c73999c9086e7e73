"""Training tasks: labelled frames, and how they are cut into folds and tiles."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
