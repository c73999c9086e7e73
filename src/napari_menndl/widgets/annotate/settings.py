"""What the forms of the dock "Annotate defects" ask for."""

# No postponed annotations: the forms are made from the types themselves.

from dataclasses import dataclass, field

from napari.layers import Image, Labels

from napari_menndl.settings import about


@dataclass(frozen=True)
class AnnotateSettings:
    """What to annotate, and where the labels go."""

    movie: Image | None = field(default=None, metadata=about("Movie", note="The movie whose defects are marked"))
    annotation: Labels | None = field(default=None, metadata=about("Annotation", note="The layer that is painted on"))


@dataclass(frozen=True)
class MatchSettings:
    """How defects of a class are counted."""

    extended: bool = field(
        default=False,
        metadata=about(
            "Has an area of its own",
            note="Such as a growing hole: found where it overlaps what is marked, not by its centre",
        ),
    )
    tolerance: float = field(
        default=0.0,
        metadata=about(
            "Tolerance",
            "nm",
            "Largest distance between a found and a marked centre; 0: one and a half times the marked defects' radius",
            min=0.0,
            max=1000.0,
            form={"step": 0.01},
        ),
    )


@dataclass(frozen=True)
class ClickSettings:
    """How clicked points become defects."""

    radius: float = field(
        default=0.1,
        metadata=about(
            "Radius", "nm", "Of the disc around each clicked point", min=0.001, max=1000.0, form={"step": 0.01}
        ),
    )
