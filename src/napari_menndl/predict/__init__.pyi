from .ensemble import Ensemble as Ensemble
from .export import export_prediction as export_prediction
from .prediction import Prediction as Prediction
from .trained import TrainedNetwork as TrainedNetwork

__all__ = [
    "Ensemble",
    "Prediction",
    "TrainedNetwork",
    "export_prediction",
]
