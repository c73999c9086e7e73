"""What files say of how a movie was recorded: read in one unit, left out where it cannot be, kept by what follows."""

import pickle
from dataclasses import replace

import microscope_files as files
import numpy as np
import pytest
import tifffile
import zarr
from maker_tiffs import MAKERS, fei, jeol, olympus, tvips, zeiss
from rsciio.hspy import file_writer as write_hspy

from napari_menndl.errors import InputError
from napari_menndl.movie.calibration import CalibrationWarning
from napari_menndl.movie.metadata import Metadata, read_metadata
from napari_menndl.movie.movie import one_after_another
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.simulation.simulate import simulate_movie

FRAMES = np.random.default_rng(0).integers(1, 4000, (3, 24, 32)).astype(np.uint16)


# Microscopes' own TIFF tags


@pytest.mark.parametrize("write", MAKERS.values(), ids=MAKERS)
def test_pixel_size_and_recording_are_those_of_the_makers_tags(tmp_path, write, recwarn):
    movie = open_movie(write(tmp_path / "m.tif", FRAMES))
    assert np.array_equal(np.asarray(movie.frames), FRAMES)
    assert movie.pixel_size == pytest.approx((0.03, 0.025) if write not in (zeiss, jeol) else (0.025, 0.025), rel=1e-4)
    known = movie.metadata
    assert known.beam_energy in (None, pytest.approx(200.0))
    assert (known.beam_energy is None) == (write is olympus)
    assert not recwarn.list


def test_fei_thermo(tmp_path):
    known = open_movie(fei(tmp_path / "m.tif", FRAMES)).metadata
    assert known.to_json() == pytest.approx(
        {
            "detector": "HAADF",
            "beam_energy": 200.0,
            "dwell_time": 2e-6,
            "beam_current": 50.0,
            "instrument": "Helios",
            "acquired": "11/26/2020 10:12:00",
        }
    )
    older = open_movie(fei(tmp_path / "older.tif", FRAMES, scan="", image={"ResolutionX": 32, "ResolutionY": 24}))
    assert older.pixel_size == pytest.approx((0.03, 0.025))


def test_zeiss(tmp_path):
    known = open_movie(zeiss(tmp_path / "m.tif", FRAMES)).metadata
    assert (known.detector, known.magnification, known.acquired) == ("InLens", 5000.0, "20 Mar 2018 14:05:11")
    assert (known.dwell_time, known.beam_current) == (pytest.approx(1e-7), pytest.approx(80.0))
    older = open_movie(zeiss(tmp_path / "older.tif", FRAMES, named=False))
    assert older.pixel_size == pytest.approx((0.025, 0.025))


def test_tvips(tmp_path):
    known = open_movie(tvips(tmp_path / "m.tif", FRAMES)).metadata
    assert (known.detector, known.acquired, known.exposure_time) == ("TemCam-F416", "2016-09-21 12:00:05", 0.5)
    with pytest.warns(CalibrationWarning, match="not in a unit of length"):
        assert open_movie(tvips(tmp_path / "diffraction.tif", FRAMES, TemMode=3)).pixel_size is None


def test_olympus(tmp_path):
    known = open_movie(olympus(tmp_path / "m.tif", FRAMES)).metadata
    assert (known.detector, known.magnification) == ("Veleta", 80000.0)
    assert known.acquired == "2012-05-17 13:45:00"


def test_jeol(tmp_path):
    known = open_movie(jeol(tmp_path / "m.tif", FRAMES)).metadata
    assert (known.instrument, known.magnification) == ("JEM-F200", 400000.0)
    assert open_movie(jeol(tmp_path / "scanned.tif", FRAMES, mode="modeASID")).pixel_size is None


@pytest.mark.parametrize(("unit", "seconds"), [("s", 0.5), ("ms", 5e-4), ("nm", None), ("", None)])
def test_digital_micrograph_s_export_has_its_own_calibration(tmp_path, unit, seconds, recwarn):
    tags = [(65003, "s", 0, b"\xb5m"), (65004, "s", 0, "nm"), (65005, "s", 0, unit)]
    tags += [(code, "d", 1, scale) for code, scale in ((65009, 2.5e-5), (65010, 0.03), (65011, 0.5))]
    with tifffile.TiffWriter(tmp_path / "m.tif") as tiff:
        for frame in FRAMES:
            tiff.write(frame, metadata=None, contiguous=False, extratags=[(*tag, True) for tag in tags])
    movie = open_movie(tmp_path / "m.tif")
    assert movie.pixel_size == pytest.approx((0.03, 0.025))
    assert movie.frame_time == seconds
    assert not recwarn.list


ABSURD = {
    "FEI, a metre": lambda path: fei(path, FRAMES, PixelWidth=1.0, PixelHeight=1.0),
    "FEI, negative": lambda path: fei(path, FRAMES, PixelWidth=-1e-9),
    "FEI, text": lambda path: fei(path, FRAMES, PixelWidth="2,5e-11"),
    "Zeiss, another unit": lambda path: zeiss(path, FRAMES, unit="kV"),
    "TVIPS, far from square": lambda path: tvips(path, FRAMES, PixelSizeX=5.0),
    "Olympus, kilometres": lambda path: olympus(path, FRAMES, power=3),
    "JEOL, no magnification": lambda path: jeol(path, FRAMES, magnification="none"),
}


@pytest.mark.parametrize("write", ABSURD.values(), ids=ABSURD)
def test_tags_that_cannot_be_leave_the_movie_uncalibrated_and_it_is_said(tmp_path, write):
    with pytest.warns(CalibrationWarning, match="pixel size"):
        movie = open_movie(write(tmp_path / "m.tif"))
    assert movie.pixel_size is None
    assert movie.shape == FRAMES.shape


@pytest.mark.parametrize("maker", MAKERS)
def test_damaged_tags_cost_no_frames(tmp_path, maker):
    path = MAKERS[maker](tmp_path / "m.tif", FRAMES)
    content = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages.first.tags
        tag = next(tags[code] for code in (34682, 34118, 37706, 33560, 270) if code in tags)
    start, end = tag.valueoffset, tag.valueoffset + tag.valuebytecount
    path.write_bytes(content[:start] + b"\xff" * (end - start) + content[end:])
    assert np.array_equal(open_movie(path).frame(0), FRAMES[0])


# Other formats


def test_ome(tmp_path):
    path = tmp_path / "m.ome.tif"
    tifffile.imwrite(path, FRAMES, metadata={"axes": "TYX", "Channel": {"Name": "1"}}, photometric="minisblack")
    xml = tifffile.tiffcomment(path)
    for before, more in {
        "<Image ": '<Instrument ID="Instrument:0"><Microscope Manufacturer="Nion" Model="UltraSTEM"/>'
        '<Detector ID="Detector:0" Model="HAADF"/>'
        '<Objective ID="Objective:0" NominalMagnification="2000000"/></Instrument>',
        "<Pixels": "<AcquisitionDate>2021-03-04T05:06:07</AcquisitionDate>"
        '<InstrumentRef ID="Instrument:0"/><ObjectiveSettings ID="Objective:0"/>',
        "</Channel>": '<DetectorSettings ID="Detector:0"/>',
        "</Pixels>": '<Plane TheC="0" TheZ="0" TheT="0" ExposureTime="500" ExposureTimeUnit="ms"/>',
    }.items():
        assert before in xml
        xml = xml.replace(before, more + before, 1)
    tifffile.tiffcomment(path, xml.encode())
    assert open_movie(path).metadata == Metadata(
        detector="HAADF",
        exposure_time=0.5,
        magnification=2e6,
        instrument="Nion UltraSTEM",
        acquired="2021-03-04T05:06:07",
    )


def test_microscopes_files(tmp_path):
    expected = {"beam_energy": 80.0, "dwell_time": 2e-6}
    for write in (files.velox, files.emd_of_ncem):
        assert expected.items() <= open_movie(write(tmp_path, FRAMES)).metadata.to_json().items()
    assert open_movie(files.mrc(tmp_path, FRAMES)).metadata == Metadata()
    assert open_movie(FRAMES).metadata == Metadata()


def test_hyperspy(tmp_path):
    about = files.signal(FRAMES)
    about["metadata"]["General"] |= {"date": "2020-01-02", "time": "03:04:05"}
    tem = {"beam_energy": 60.0, "dwell_time": 1e-5, "beam_current": 0.02, "microscope": "Nion", "magnification": 2e6}
    about["metadata"]["Acquisition_instrument"] = {"TEM": tem | {"Detector": {"Camera": {"name": "Orius"}}}}
    write_hspy(str(tmp_path / "m.hspy"), about, show_progressbar=False)
    assert open_movie(tmp_path / "m.hspy").metadata == Metadata(
        detector="Orius",
        beam_energy=60.0,
        dwell_time=1e-5,
        beam_current=20.0,
        magnification=2e6,
        instrument="Nion",
        acquired="2020-01-02 03:04:05",
    )
    folder = files.zspy(tmp_path, FRAMES)
    group = zarr.open_group(str(folder)).create_group("Experiments/HAADF/metadata/Acquisition_instrument/TEM")
    group.attrs.update(beam_energy=300.0)
    assert open_movie(folder).metadata == Metadata(beam_energy=300.0)


def test_nion_swift(tmp_path):
    scan = {"channel_name": "MAADF", "pixel_time_us": 16.0, "exposure": 1.05}
    path = files.ndata(tmp_path, FRAMES, instrument={"high_tension": 60000}, hardware_source=scan)
    known = open_movie(path).metadata
    assert known.to_json() == {"detector": "MAADF", "beam_energy": 60.0, "dwell_time": pytest.approx(1.6e-5)}


def test_a_simulated_movie_knows_its_dose():
    known = simulate_movie(1, (16, 16)).movie.metadata
    assert known.dose == pytest.approx(3.2e6)  # 3.2e4 e⁻/Å²
    assert known.dwell_time == pytest.approx(14e-6)


# Units and what cannot be


@pytest.mark.parametrize(
    ("name", "fact", "value"),
    [
        ("beam_energy", (200000, "V"), 200.0),
        ("beam_energy", ("60", "keV"), 60.0),
        ("dwell_time", (2, "us"), 2e-6),
        ("dwell_time", ("1.5e-6", "s"), 1.5e-6),
        ("dose", (3.0, "e/Å^2"), 300.0),
        ("dose", (5e20, "e-/m²"), 500.0),
        ("beam_current", (5e-11, "A"), 50.0),
        ("magnification", (400, "k X"), 4e5),
        ("camera_length", (0.115, "m"), 115.0),
        ("detector", " HAADF\0", "HAADF"),
        ("instrument", b"Titan\n80-300", "Titan 80-300"),
    ],
)
def test_units(name, fact, value):
    assert getattr(read_metadata({name: fact}, "m.tif"), name) == pytest.approx(value)


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("beam_energy", (200000, "kV")),
        ("beam_energy", (-80, "kV")),
        ("beam_energy", (80, "nm")),
        ("dwell_time", (2000, "s")),
        ("dwell_time", (2, "")),
        ("dose", (float("inf"), "e/nm²")),
        ("magnification", (10, "s")),
    ],
)
def test_what_no_microscope_has_is_left_out_and_it_is_said(name, fact):
    with pytest.warns(CalibrationWarning, match=f"m.tif gives a {name.replace('_', ' ')}.*left out"):
        assert read_metadata({name: fact}, "m.tif") == Metadata()


def test_what_a_file_does_not_say_is_none_without_a_word(recwarn):
    silent = {
        "beam_energy": (0, "V"),
        "dwell_time": (None, "s"),
        "magnification": ("", ""),
        "detector": " \0",
        "dose": None,
    }
    assert read_metadata(silent, "m.tif") == Metadata()
    assert not recwarn.list


# In words, in files, in what follows


def test_one_line_and_the_full_list(tmp_path):
    movie = open_movie(fei(tmp_path / "m.tif", FRAMES), pixel_size=0.0106, frame_time=0.5)
    assert movie.line == "HAADF, 200 kV, 2 µs per pixel, 0.0106 nm/px"
    assert movie.lines[:3] == ["Frames: 3 × 24 × 32 (T × Y × X), uint16", "Pixel size: 0.0106 nm", "Frame time: 500 ms"]
    assert "Dwell time: 2 µs" in movie.lines
    assert "Beam current: 50 pA" in movie.lines
    assert open_movie(FRAMES, pixel_size=(0.03, 0.025)).line == "0.03 × 0.025 nm/px (y × x)"
    assert open_movie(FRAMES).line == "uncalibrated: sizes in px"


def test_it_is_kept_through_json_pickle_and_a_change_of_the_movie(tmp_path):
    movie = open_movie(fei(tmp_path / "m.tif", FRAMES))
    assert Metadata.from_json(movie.metadata.to_json()) == movie.metadata
    assert pickle.loads(pickle.dumps(movie)).metadata == movie.metadata
    assert replace(movie, name="other").metadata == movie.metadata
    assert Metadata.from_json({"beam_energy": 80.0, "of a newer version": [1]}) == Metadata(beam_energy=80.0)
    with pytest.raises(InputError, match="beam_energy"):
        Metadata.from_json({"beam_energy": "200"})


@pytest.mark.parametrize("name", ["m.tif", "m.ome.tif", "m.zarr"])
def test_it_is_written_with_the_movie(tmp_path, name):
    known = Metadata(detector="HAADF «1»", beam_energy=200.0, dwell_time=2e-6, dose=3.5e6, acquired="2021-03-04")
    write_movie(replace(open_movie(FRAMES), metadata=known), tmp_path / name)
    assert open_movie(tmp_path / name).metadata == known
    write_movie(open_movie(FRAMES), tmp_path / name, overwrite=True)
    assert open_movie(tmp_path / name).metadata == Metadata()


def test_damaged_words_of_a_written_movie_cost_no_frames(tmp_path):
    write_movie(replace(open_movie(FRAMES), metadata=Metadata(detector="BF")), tmp_path / "m.zarr")
    for damaged in ({"beam_energy": "high"}, ["HAADF"], 3):
        zarr.open_group(str(tmp_path / "m.zarr")).attrs["recording"] = damaged
        with pytest.warns(CalibrationWarning, match="left out"):
            movie = open_movie(tmp_path / "m.zarr")
        assert movie.metadata == Metadata()
        assert np.array_equal(movie.frame(0), FRAMES[0])


def test_of_several_parts_what_they_share_is_kept(tmp_path):
    fei(tmp_path / "frame 1.tif", FRAMES[0])
    fei(tmp_path / "frame 2.tif", FRAMES[1], time="10:13:00", Dwelltime=4e-6)
    known = open_movie(tmp_path).metadata
    assert (known.beam_energy, known.dwell_time, known.acquired) == (200.0, None, "11/26/2020 10:12:00")
    parts = [open_movie(FRAMES), open_movie(FRAMES)]
    assert one_after_another(parts, "both", "memory").metadata == Metadata()
