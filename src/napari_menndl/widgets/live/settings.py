"""What the form of the dock "Live review" asks for."""

# No postponed annotations: the form is made from the types themselves.

from dataclasses import dataclass, field
from pathlib import Path

from napari.layers import Image

from napari_menndl.settings import about


@dataclass(frozen=True)
class LiveSettings:
    """What to follow, and with which network."""

    network: Path = field(
        default=Path(),
        metadata=about(
            "Network",
            note="The folder that a search wrote, running or finished, or a saved network; or drop it here",
            form={"mode": "d"},
        ),
    )
    source: Path = field(
        default=Path(),
        metadata=about(
            "Folder or file",
            note="A folder of images, a TIFF file or a zarr array that a microscope is writing; or drop it here",
            form={"mode": "d"},
        ),
    )
    layer: Image | None = field(
        default=None, metadata=about("… or layer", note="Follow the frames that are added to this layer instead")
    )
    pixel_size: float = field(
        default=0.0,
        metadata=about(
            "Pixel size", "nm", "Where the frames do not say it themselves; 0: unknown", min=0.0, max=1000.0
        ),
    )
    existing: bool = field(
        default=False,
        metadata=about(
            "", note="Predict the frames that are there already, too", form={"text": "Begin with the first frame"}
        ),
    )
    newest: bool = field(
        default=True,
        metadata=about(
            "", note="Go to every new frame as it arrives; else stay where you are", form={"text": "Show the newest"}
        ),
    )
