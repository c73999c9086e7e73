"""JEOL's text beside an image says how large its pixels are, where it is of this image."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_menndl.movie.calibration import CalibrationWarning
from napari_menndl.movie.reading import open_movie

FRAME = np.random.default_rng(0).integers(0, 255, (24, 32)).astype(np.uint8)
SCANNED = (
    "$CM_FORMAT JEOL/SEM\r\n$CM_VERSION 1.0\r\n$CM_DATE 2019/03/12\r\n$CM_TIME 10:21:55\r\n$CM_INSTRUMENT JSM-7800F\r\n"
    "$CM_ACCEL_VOLT 30.0\r\n$CM_MAG 200000\r\n$CM_SIGNAL STEM DF\r\n$CM_FULL_SIZE 32 24\r\n"
    "$$SM_MICRON_BAR 20\r\n$$SM_MICRON_MARKER 10nm\r\n"
)
TRANSMITTED = (
    "$CM_FORMAT \n$CM_INSTRUMENT JEM-2200FS\n$CM_FRAME_SIZE 32 24\n$CM_ACCEL_VOLT 200\n$CM_SIGNAL STEM BF\n"
    "$$EM_PIXELSPERMETER_X 2e9\n$$EM_PIXELSPERMETER_Y 2e9\n"
)
OF_HALF_A_NANOMETRE = {
    "a bar": SCANNED,
    "a bar in µm": SCANNED.replace("10nm", "0.01µm"),
    "pixels per metre": TRANSMITTED,
    "a pixel size": "$CM_MAG 9000\n$CM_IMAGE_SIZE 32 24\n$CM_PIXEL_SIZE 0.500nm 0.500nm\n$SM_MICRON_BAR 3\n",
    "one dollar": SCANNED.replace("$$", "$"),
}


def image(path, text="", suffix=".txt", encoding="utf-8", **tags):
    tifffile.imwrite(path, FRAME, photometric="minisblack", **tags)
    if text:
        path.with_suffix(suffix).write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("text", OF_HALF_A_NANOMETRE.values(), ids=OF_HALF_A_NANOMETRE)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "utf-16"])
def test_pixel_size_is_that_of_the_text_beside_it(tmp_path, text, encoding, recwarn):
    movie = open_movie(image(tmp_path / "a.tif", text, ".TXT", encoding))
    assert movie.pixel_size == pytest.approx((0.5, 0.5))
    assert not recwarn.list


def test_what_the_text_says_of_the_recording(tmp_path):
    assert open_movie(image(tmp_path / "a.tif", SCANNED)).metadata.to_json() == {
        "detector": "STEM DF",
        "beam_energy": 30.0,
        "magnification": 200000.0,
        "instrument": "JSM-7800F",
        "acquired": "2019/03/12 10:21:55",
    }


def test_a_series_of_pictures_has_the_pixel_size_of_their_texts(tmp_path):
    for t in range(3):
        Image.fromarray(FRAME).save(tmp_path / f"f{t}.png")
        (tmp_path / f"f{t}.txt").write_text(SCANNED)
    assert open_movie(tmp_path).pixel_size == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SCANNED.replace("32 24", "1280 960"), "of an image 1280 px wide, and this one has 32"),
        (SCANNED.replace("10nm", "10kV"), "not in a unit of length"),
        (SCANNED.replace("10nm", ""), "cannot be read"),
        (SCANNED.replace("BAR 20", "BAR 0"), "cannot be read"),
        (TRANSMITTED.replace("2e9", "2e4"), "electron microscope"),  # on the camera
    ],
)
def test_a_text_that_is_not_clear_leaves_the_image_uncalibrated_and_it_is_said(tmp_path, text, said):
    with pytest.warns(CalibrationWarning, match=said):
        assert open_movie(image(tmp_path / "a.tif", text)).pixel_size is None


def test_a_diffraction_pattern_has_no_pixel_size_in_nm(tmp_path):
    movie = open_movie(image(tmp_path / "a.tif", TRANSMITTED.replace("STEM BF", "DIFF")))
    assert (movie.pixel_size, movie.metadata.beam_energy) == (None, 200.0)


def test_what_the_image_says_itself_counts_and_a_contradiction_is_said(tmp_path):
    def own(side):
        return {"imagej": True, "resolution": (1 / side, 1 / side), "metadata": {"unit": "nm"}}

    assert open_movie(image(tmp_path / "a.tif", SCANNED, **own(0.5))).pixel_size == pytest.approx((0.5, 0.5))
    with pytest.warns(CalibrationWarning, match=r"in b.tif \(0.25 nm\) is not that in b.txt \(0.5 nm\)"):
        assert open_movie(image(tmp_path / "b.tif", SCANNED, **own(0.25))).pixel_size == pytest.approx((0.25, 0.25))


def test_other_texts_beside_an_image_say_nothing(tmp_path, recwarn):
    assert open_movie(image(tmp_path / "a.tif", "sample 3, costs $5\n")).pixel_size is None
    assert not recwarn.list
