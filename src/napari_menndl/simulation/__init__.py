"""Simulated STEM movies of WS2 with known defects: lattice, defect dynamics, image formation, noise."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
