"""Settings in the forms of the dock "Annotate defects"."""

# No postponed annotations: the forms need the types themselves.

from dataclasses import dataclass
from pathlib import Path

from napari.layers import Image, Labels

from napari_menndl.settings import setting


@dataclass(frozen=True)
class AnnotateSettings:
    """Movie to annotate, and layer for the labels."""

    movie: Image | None = setting(None, "Movie", note="The movie whose defects are marked")
    annotation: Labels | None = setting(None, "Annotation", note="The layer that is painted on")


@dataclass(frozen=True)
class NextRegionSettings:
    """Network whose members are asked where they disagree."""

    network: Path = setting(
        Path(),
        "Network",
        note="The folder that a search wrote, running or finished, or a saved network",
        form={"mode": "d"},
    )


#: Areas that frames can be cut to, besides the rectangles in shapes layers.
WHOLE, COMMON = "whole frame", "common area"


@dataclass(frozen=True)
class PrepareSettings:
    """Preparation of a movie before it is annotated."""

    drift: bool = setting(
        True, "Correct drift", note="Move every frame by whole pixels to where the first one lies; measured once"
    )
    average: int = setting(1, "Average", "frames", "Consecutive frames averaged into one; 1: none", min=1, max=10_000)
    binned: int = setting(1, "Bin", "px", "Side of the square that becomes one pixel; 1: not binned", min=1, max=64)
    crop: str = setting(
        WHOLE,
        "Cut to",
        note="The area that all frames show once drift is corrected, or the last rectangle of a shapes layer",
    )


@dataclass(frozen=True)
class MatchSettings:
    """Matching of the defects of a class."""

    extended: bool = setting(
        False,
        "Extended defect (match by overlap)",
        note="Such as a growing hole: found where it overlaps what is marked, not by its centre",
    )
    tolerance: float = setting(
        0.0,
        "Tolerance",
        "nm",
        "Largest distance between a found and a marked centre; 0: one and a half times the marked defects' radius",
        min=0.0,
        max=1000.0,
        form={"step": 0.01},
    )


@dataclass(frozen=True)
class ClickSettings:
    """Discs that clicked points become."""

    radius: float = setting(
        0.1,
        "Radius",
        "nm",
        "Of the disc around each clicked point; those of the selected class follow",
        min=0.001,
        max=1000.0,
        form={"step": 0.01},
    )
