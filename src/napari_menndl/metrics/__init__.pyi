from .components import Components as Components
from .components import label_components as label_components
from .detection import Fitness as Fitness
from .detection import MatchRule as MatchRule
from .detection import Truth as Truth
from .detection import fitness as fitness
from .detection import score_class as score_class
from .ranking import average_precision as average_precision
from .scores import ClassScore as ClassScore
from .scores import Counts as Counts

__all__ = [
    "ClassScore",
    "Components",
    "Counts",
    "Fitness",
    "MatchRule",
    "Truth",
    "average_precision",
    "fitness",
    "label_components",
    "score_class",
]
