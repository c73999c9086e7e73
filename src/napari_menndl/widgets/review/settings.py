"""What the forms of the dock "Review frames" ask for."""

# No postponed annotations: the forms are made from the types themselves.

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from napari.layers import Image, Labels

from napari_menndl.settings import about
from napari_menndl.widgets.palette import PALETTES
from napari_menndl.widgets.review.frame_review import NOTHING
from napari_menndl.widgets.review.plot import QUANTITIES


@dataclass(frozen=True)
class ReviewSettings:
    """What to review."""

    source: Path = field(
        default=Path(),
        metadata=about(
            "Prediction",
            note="The folder that a search wrote, a saved network, or a stored prediction",
            form={"mode": "d"},
        ),
    )
    movie: Image | None = field(default=None, metadata=about("Movie", note="The movie to predict"))
    annotation: Labels | None = field(
        default=None,
        metadata=about("Annotation", note="What an expert says; without it the prediction is shown alone"),
    )


@dataclass(frozen=True)
class ThresholdSettings:
    """Where a prediction begins."""

    threshold: float = field(
        default=0.5,
        metadata=about(
            "Threshold",
            note="A pixel belongs to a defect where its probability reaches this; for every class",
            min=0.01,
            max=0.99,
            form={"widget_type": "FloatSlider", "step": 0.01},
        ),
    )
    own_threshold: bool = field(
        default=True,
        metadata=about(
            "",
            note="Use the thresholds that the search chose, one per class",
            form={"text": "Thresholds of the network"},
        ),
    )


@dataclass(frozen=True)
class ViewSettings:
    """How to show it, and what else there is."""

    colours: Literal[tuple(PALETTES)] = field(  # type: ignore[valid-type]
        default=next(iter(PALETTES)), metadata=about("Colours", note="Found · false · missed")
    )
    outlines: bool = field(
        default=False, metadata=about("", note="Draw defects as outlines", form={"text": "Outlines"})
    )
    shading: str = field(
        default=NOTHING,
        metadata=about(
            "Probability", note="A layer with the probability of a class, or how far an ensemble's networks agree"
        ),
    )
    quantity: Literal[tuple(QUANTITIES)] = field(  # type: ignore[valid-type]
        default=next(iter(QUANTITIES)), metadata=about("Plot", note="What the plot shows for every frame")
    )
    second: Labels | None = field(
        default=None,
        metadata=about("Second expert", note="Another annotation, set against the first in place of a prediction"),
    )
    keep: bool = field(
        default=False,
        metadata=about(
            "",
            note="Write the prediction to disk beside the run or network: next time it is there at once",
            form={"text": "Keep the prediction on disk"},
        ),
    )
