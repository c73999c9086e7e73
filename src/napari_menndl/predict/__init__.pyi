from .ensemble import Ensemble as Ensemble
from .prediction import Prediction as Prediction
from .prediction_export import export_prediction as export_prediction
from .trained import TrainedNetwork as TrainedNetwork

__all__ = [
    "Ensemble",
    "Prediction",
    "TrainedNetwork",
    "export_prediction",
]
