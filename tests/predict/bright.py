"""A predictor that finds what is bright, so that what it must find is known."""

import dataclasses

import numpy as np

from napari_menndl.metrics.detection import MatchRule


@dataclasses.dataclass
class Brightness:
    """Predicts what is bright; counts how often it is asked."""

    class_names: tuple[str, ...] = ("bright", "dark")
    thresholds: tuple[float, ...] = (0.8, float("inf"))
    match_rules: tuple[MatchRule, ...] = (MatchRule(3.0), MatchRule(3.0))
    pixel_size: tuple[float, float] | None = (0.1, 0.1)
    digest: str = "abc"
    reach: int = 0
    asked: list[float] = dataclasses.field(default_factory=list)

    def predict_frame(self, frame: np.ndarray, pixel_size: tuple[float, float] | None = None) -> np.ndarray:
        self.asked.append(float(frame[0, 0]))
        return np.stack([frame > 50, frame < 0]).astype(np.float32) * 0.9
