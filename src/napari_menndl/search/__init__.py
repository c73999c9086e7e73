"""The search: evolution on a pool, its journal and run folder, and the answer."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
