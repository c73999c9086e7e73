from .folds import Split as Split
from .task import TrainingTask as TrainingTask

__all__ = [
    "Split",
    "TrainingTask",
]
