"""STEM movies: read from whatever the microscope wrote, prepared, written."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
