"""Settings by which defects are followed from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass

from napari_menndl.serialization import check_types
from napari_menndl.settings import documented, setting

WS2 = "chosen: the lattice constant of WS2 is 0.319 nm, its W–S distance 0.184 nm"


@documented
@dataclass(frozen=True)
class TrackSettings:
    """Settings of tracking: linking of defects, and criteria of events.

    Lengths are in nm where the pixel size is known, else in pixels. Those that are 0 are then taken from the size of
    the defects: with the radius r of a disc of their median area, reach 5 r, move 2 r, growth π r².
    """

    reach: float = setting(
        0.0,
        "Reach",
        "nm",
        "Farthest step of a defect from one frame to the next, drift removed; 0: 0.42. px without a pixel size.",
        min=0,
        max=1e4,
        source=WS2,
    )
    move: float = setting(
        0.0,
        "Smallest move",
        "nm",
        "A shorter step is no move, but noise; 0: 0.15. px without a pixel size.",
        min=0,
        max=1e4,
        source=WS2,
    )
    growth: float = setting(
        0.0,
        "Smallest growth",
        "nm²",
        "A smaller change of area is noise; 0: 0.04, about a column. px without a pixel size.",
        min=0,
        max=1e8,
        source=WS2,
    )
    gap: int = setting(
        2, "Gap", "frames", "A defect missed in so many frames in a row is still the same one.", min=0, max=100
    )
    confirm: int = setting(
        3, "Confirmed by", "frames", "Defects found in fewer frames have no events: they may be false.", min=1, max=100
    )
    drift: bool = setting(True, "Remove the drift", note="As the defects themselves show it, frame by frame.")
    bins: int = setting(10, "Intervals", note="Of time, for each of which a rate is given.", min=1, max=1000)

    def __post_init__(self) -> None:
        check_types(self)
