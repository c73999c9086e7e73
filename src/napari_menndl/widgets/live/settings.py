"""Settings in the form of the dock "Live review"."""

# No postponed annotations: the form needs the types themselves.

from dataclasses import dataclass
from pathlib import Path

from napari.layers import Image

from napari_menndl.settings import setting


@dataclass(frozen=True)
class LiveSettings:
    """Source to follow, and network to predict with."""

    network: Path = setting(
        Path(),
        "Network",
        note="The folder that a search wrote, running or finished, or a saved network; or drop it here",
        form={"mode": "d"},
    )
    source: Path = setting(
        Path(),
        "Folder or file",
        note="A folder of images, a TIFF or MRC file, a zarr array, or HDF5 (.emd) in SWMR mode, that a microscope "
        "is writing; or drop it here",
        form={"mode": "d"},
    )
    layer: Image | None = setting(None, "… or layer", note="Follow the frames that are added to this layer instead")
    pixel_size: float = setting(
        0.0,
        "Pixel size",
        "nm",
        "Where the frames do not say it themselves; 0: unknown",
        min=0.0,
        max=1000.0,
        form={"step": 1e-5},
    )
    tables: Path = setting(
        Path(),
        "Tables in",
        note="Folder in which the defects of every predicted frame are written, in a folder of its own for each time "
        "you press Follow: defects.csv and frames.csv; empty: they are shown only",
        form={"mode": "d"},
    )
    fast: bool = setting(
        False,
        "",
        note="After the first frame, predict with those few networks of the answer that agree best with all: about "
        "four times as fast",
        form={"text": "Fast: a quarter of the networks"},
    )
    existing: bool = setting(
        False, "", note="Predict the frames that are there already, too", form={"text": "Include existing frames"}
    )
    newest: bool = setting(
        True,
        "",
        note="Show every new frame as it arrives",
        form={"text": "Jump to new frames"},
    )
