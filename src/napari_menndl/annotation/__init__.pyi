from .annotation import Annotation as Annotation
from .classes import DefectClass as DefectClass
from .classes import FrameStatus as FrameStatus
from .columns import Columns as Columns
from .columns import find_columns as find_columns
from .fourier import FourierMethod as FourierMethod
from .fourier import FourierSettings as FourierSettings

__all__ = [
    "Annotation",
    "Columns",
    "DefectClass",
    "FourierMethod",
    "FourierSettings",
    "FrameStatus",
    "find_columns",
]
