from .ensemble import Ensemble as Ensemble
from .prediction import Prediction as Prediction
from .trained import TrainedNetwork as TrainedNetwork

__all__ = [
    "Ensemble",
    "Prediction",
    "TrainedNetwork",
]
