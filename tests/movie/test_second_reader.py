"""Files of real microscopes hold, pixel for pixel, what a second reader finds in them, at the scale that it finds."""

import importlib.util
import json
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest

from napari_menndl.movie.reading import open_movie

REAL = Path(__file__).parents[3] / "shared" / "data" / "formats"
NANOMETRES = {"nm": 1.0, "n_m": 1.0, "[n_m]": 1.0, "m": 1e9, "pm": 1e-3, "um": 1e3, "A": 0.1}


def by_mrcfile(path):
    with mrcfile.open(path, permissive=True) as opened:
        size = opened.voxel_size
        return np.array(opened.data), (float(size.y) / 10, float(size.x) / 10)


def by_h5py_ncem(path):
    """EMD of NCEM: the axes are vectors of positions."""
    with h5py.File(path) as file:
        found = []
        file.visititems(lambda _, item: found.append(item) if "emd_group_type" in item.attrs else None)
        (group,) = [group for group in found if "data" in group]
        y, x = (group[f"dim{n}"] for n in (1, 2))
        factors = [NANOMETRES[np.bytes_(axis.attrs["units"]).decode()] for axis in (y, x)]
        return group["data"][()][None], tuple((axis[1] - axis[0]) * f for axis, f in zip((y, x), factors, strict=True))


def by_h5py_velox(path):
    """Velox: (Y, X, T), and JSON in columns of bytes."""
    with h5py.File(path) as file:
        (group,) = file["Data/Image"].values()
        size = json.loads(bytes(group["Metadata"][:, 0]).partition(b"\0")[0])["BinaryResult"]["PixelSize"]
        return group["Data"][()].transpose(2, 0, 1), (float(size["height"]) * 1e9, float(size["width"]) * 1e9)


def by_ncempy(path):
    import ncempy

    found = ncempy.read(path)
    units = [found["pixelUnit"]] * 2 if isinstance(found["pixelUnit"], str) else found["pixelUnit"][-2:]
    size = tuple(s * NANOMETRES.get(u, np.nan) for s, u in zip(found["pixelSize"][-2:], units, strict=True))
    data = np.asarray(found["data"])
    return data if data.ndim > 2 else data[None], size


READERS = {
    "HAADFscan.mrc": by_mrcfile,
    "ROI_Random_Scan_movie.mrc": by_mrcfile,
    "stack.mrc": by_mrcfile,
    "Acquisition_18.emd": by_h5py_ncem,
    "fei_example_tem_stack.emd": by_h5py_velox,
    "16_STOimage_1.ser": by_ncempy,
    "128x128x5-diffraction_preview_1.ser": by_ncempy,
    "multi_signal.dm3": by_ncempy,
    "stack_int16.dm3": by_ncempy,
    "stack_int16.dm4": by_ncempy,
    "test_STEM_image.dm3": by_ncempy,
}


@pytest.mark.skipif(not REAL.exists(), reason=f"no files of real microscopes at {REAL}")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "second"), READERS.items(), ids=READERS)
def test_frames_and_scale_are_those_of_a_second_reader(name, second):
    if second is by_ncempy and not importlib.util.find_spec("ncempy"):
        pytest.skip("ncempy is not installed")
    movie = open_movie(REAL / name)
    frames, pixel_size = second(REAL / name)
    assert np.array_equal(movie.frames.compute(scheduler="synchronous"), np.reshape(frames, movie.shape))
    # What no electron microscope can have is unknown to us, whatever the file says; see test_microscope.FOUND.
    assert movie.pixel_size is None or movie.pixel_size == pytest.approx(pixel_size, rel=1e-4)
