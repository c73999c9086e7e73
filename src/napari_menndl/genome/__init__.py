"""Genomes of networks, the space that a search draws them from, and how they vary; no torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
