"""Settings in the forms of the dock "Review frames"."""

# No postponed annotations: the forms need the types themselves.

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari.layers import Image, Labels

from napari_menndl.review.outcomes import PALETTES
from napari_menndl.settings import setting
from napari_menndl.widgets.review.frame_review import NOTHING
from napari_menndl.widgets.review.scores import QUANTITIES

#: Initial choice of what the slider is for.
EVERY_CLASS = "every class"


@dataclass(frozen=True)
class ReviewSettings:
    """Prediction, movie and annotation to review."""

    source: Path = setting(
        Path(),
        "Prediction",
        note="The folder that a search wrote, a saved network, or a stored prediction",
        form={"mode": "d"},
    )
    movie: Image | None = setting(None, "Movie", note="The movie to predict")
    annotation: Labels | None = setting(
        None, "Annotation", note="What an expert says; without it the prediction is shown alone"
    )


@dataclass(frozen=True)
class ThresholdSettings:
    """Thresholds of the prediction."""

    threshold: float = setting(
        0.5,
        "Threshold",
        note="A pixel belongs to a defect where its probability reaches this",
        min=0.01,
        max=0.99,
        form={"widget_type": "FloatSlider", "step": 0.01},
    )
    of_class: str = setting(EVERY_CLASS, "of", note="The class that the slider is for; the others stay as they are")
    own_threshold: bool = setting(
        True,
        "",
        note="Use the thresholds that the search chose, one per class",
        form={"text": "Use the network's thresholds"},
    )


@dataclass(frozen=True)
class ViewSettings:
    """Display of the review, second expert, and storage of the prediction."""

    colours: Literal[tuple(PALETTES)] = setting(  # type: ignore[valid-type]
        next(iter(PALETTES)), "Colours", note="Found · false · missed"
    )
    outlines: bool = setting(False, "", note="Draw defects as outlines", form={"text": "Outlines"})
    shading: str = setting(
        NOTHING, "Probability", note="A layer with the probability of a class, or how far an ensemble's networks agree"
    )
    quantity: Literal[tuple(QUANTITIES)] = setting(  # type: ignore[valid-type]
        next(iter(QUANTITIES)), "Plot", note="What the plot shows for every frame"
    )
    second: Labels | None = setting(
        None, "Second expert", note="Another annotation, set against the first in place of a prediction"
    )
    keep: bool = setting(
        False,
        "",
        note="Write the prediction to disk beside the run or network: next time it is there at once",
        form={"text": "Keep the prediction on disk"},
    )
