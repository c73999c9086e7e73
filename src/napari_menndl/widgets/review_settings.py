"""What the form of the dock "Review frames" asks for."""

# No postponed annotations: the form is made from the types themselves.

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from napari.layers import Image, Labels

from napari_menndl.widgets.palette import PALETTES


@dataclass(frozen=True)
class ReviewSettings:
    """What to review, and how to show it."""

    run: Path = field(
        default=Path(),
        metadata={"title": "Run", "help": "The folder that a search wrote", "form": {"mode": "d"}},
    )
    movie: Image | None = field(default=None, metadata={"title": "Movie", "help": "The movie to predict"})
    annotation: Labels | None = field(
        default=None,
        metadata={"title": "Annotation", "help": "What an expert says; without it the prediction is shown alone"},
    )
    own_threshold: bool = field(
        default=True,
        metadata={
            "title": "",
            "help": "Use the thresholds that the search chose, one per class",
            "form": {"text": "Thresholds of the network"},
        },
    )
    threshold: float = field(
        default=0.5,
        metadata={
            "title": "Threshold",
            "help": "A pixel belongs to a defect where its probability reaches this; for every class",
            "min": 0.01,
            "max": 0.99,
            "form": {"widget_type": "FloatSlider", "step": 0.01},
        },
    )
    colours: Literal[tuple(PALETTES)] = field(  # type: ignore[valid-type]
        default=next(iter(PALETTES)), metadata={"title": "Colours", "help": "Found · false · missed"}
    )
