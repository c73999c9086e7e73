"""Microscopes' own files: the right signal, its axes in the right order, at the right scale; or a refusal and why."""

import os
import pickle
import sys
import warnings
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_menndl.errors import InputError
from napari_menndl.movie.absent import AbsentWarning
from napari_menndl.movie.calibration import CalibrationWarning
from napari_menndl.movie.microscope import read_microscope
from napari_menndl.movie.reading import open_movie

sys.path.append(str(Path(__file__).parent))

import microscope_files as files
from microscope_files import FRAME_TIME, PIXEL

FRAMES = np.random.default_rng(0).integers(0, 1000, (4, 12, 17)).astype(np.uint16)
REAL = Path(__file__).parents[3] / "shared" / "data" / "formats"

#: Each writes (T, Y, X) frames of PIXEL and FRAME_TIME into a folder.
CALIBRATED = {
    "HyperSpy": files.hspy,
    "EMD of HyperSpy": files.emd_of_hyperspy,
    "EMD of NCEM": files.emd_of_ncem,
    "EMD of NCEM, stored as (X, Y, T)": partial(files.emd_of_ncem, order=(2, 1, 0)),
    "EMD of NCEM, stored as (Y, X, T)": partial(files.emd_of_ncem, order=(1, 2, 0)),
    "Velox": files.velox,
    "NSID": files.nsid,
    "NeXus": files.nexus,
    "Gatan": files.dm3,
    "Gatan, version 4": files.dm4,
    "USID": files.usid,
    "HyperSpy in zarr": files.zspy,
    "HyperSpy in a zip of zarr": files.zipped_zspy,
    "Nion Swift": files.ndata,
    "Nion Swift, older": partial(files.ndata, name="movie.ndata"),
    "Nion Swift in HDF5": files.nion_h5,
}
WITHOUT_TIME = {
    "MRC": files.mrc,
    "MRC, a volume": partial(files.mrc, volume=True),
    "MRC, other suffix": partial(files.mrc, name="movie.REC"),
    "MRC, big-endian": files.big_endian_mrc,
    "TIA": files.ser,
}
ALL = CALIBRATED | WITHOUT_TIME
FILES = {name: write for name, write in ALL.items() if write is not files.zspy}


def silent(function, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return function(*arguments, **options)


@pytest.mark.parametrize("write", ALL.values(), ids=ALL)
def test_frames_are_those_that_were_written(tmp_path, write):
    movie = silent(open_movie, write(tmp_path, FRAMES))
    assert movie.shape == FRAMES.shape
    assert movie.frames.dtype == FRAMES.dtype
    np.testing.assert_array_equal(movie.frames.compute(scheduler="synchronous"), FRAMES)


@pytest.mark.parametrize("write", ALL.values(), ids=ALL)
def test_pixel_size_is_in_nanometres_height_first(tmp_path, write):
    movie = open_movie(write(tmp_path, FRAMES))
    assert movie.pixel_size == pytest.approx(PIXEL, rel=1e-5)
    assert movie.frame_time == (pytest.approx(FRAME_TIME) if write in CALIBRATED.values() else None)


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "u4", "i4"])
@pytest.mark.parametrize("write", [files.dm3, files.ser, files.hspy, files.velox])
def test_every_type_of_number_is_kept(tmp_path, write, dtype):
    frames = (FRAMES % 100).astype(dtype)
    movie = open_movie(write(tmp_path, frames))
    assert movie.frames.dtype == frames.dtype
    np.testing.assert_array_equal(movie.frame(-1), frames[-1])


@pytest.mark.parametrize("write", [files.hspy, files.emd_of_hyperspy, files.dm3, files.mrc])
def test_single_image_is_a_movie_of_one_frame(tmp_path, write):
    movie = silent(open_movie, write(tmp_path, FRAMES[0]))
    assert movie.shape == (1, 12, 17)
    assert movie.frame_time is None
    np.testing.assert_array_equal(movie.frame(0), FRAMES[0])


@pytest.mark.parametrize("write", ALL.values(), ids=ALL)
def test_one_frame_is_read_from_any_process_and_no_file_stays_open(tmp_path, write):
    file = write(tmp_path, FRAMES)
    frames = pickle.loads(pickle.dumps(open_movie(file).frames))
    np.testing.assert_array_equal(frames[2].compute(scheduler="synchronous"), FRAMES[2])
    if Path("/proc/self/fd").exists():
        opened = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
        assert str(file) not in opened


@pytest.mark.parametrize(
    ("unit", "pixel"),
    [("m", 3e-11), ("µm", 3e-5), ("um", 3e-5), ("nm", 0.03), ("Å", 0.3), ("Angstrom", 0.3), ("pm", 30)],
)
def test_any_unit_of_length(tmp_path, unit, pixel):
    for write in (files.hspy, files.dm3):
        options = {"units": unit, "pixel": (pixel, pixel)} if write is files.hspy else {}
        options = options or {"units": ("s", unit, unit), "scales": (1, pixel, pixel)}
        assert open_movie(write(tmp_path, FRAMES, **options)).pixel_size == pytest.approx((0.03, 0.03), rel=1e-5)


@pytest.mark.parametrize("unit", ["[n_m]", "n_m", "[p_m]", "[A]", "[u_m]", "[µ_m]", "meters", "nanometers"])
def test_units_of_emd_files(tmp_path, unit):
    factor = {"p": 1e3, "A": 10, "u": 1e-3, "µ": 1e-3, "m": 1e-9, "n": 1}[unit.strip("[")[0]]
    movie = open_movie(
        files.emd_of_ncem(tmp_path, FRAMES, units=("[s]", unit.encode(), unit.encode()), pixel=(0.03 * factor,) * 2)
    )
    assert movie.pixel_size == pytest.approx((0.03, 0.03), rel=1e-5)


DOUBTFUL = {
    "negative, as of a scan without scale": partial(files.mrc, pixel=(-1, -1)),
    "metres instead of nanometres": partial(files.hspy, units="m"),
    "far from square": partial(files.dm3, scales=(1, 3, 0.002)),
    "a unit of time": partial(files.dm3, units=("s", "s", "s")),
    "infinite": partial(files.hspy, pixel=(np.inf, np.inf)),
    "kilometres by mistake": partial(files.ser, pixel=(4e16, 4e16)),
}


@pytest.mark.parametrize("write", DOUBTFUL.values(), ids=DOUBTFUL)
def test_pixel_size_that_cannot_be_is_unknown_and_said(tmp_path, write):
    with pytest.warns(CalibrationWarning, match="pixel size"):
        assert open_movie(write(tmp_path, FRAMES)).pixel_size is None


def test_pixel_size_that_is_not_in_the_file_is_unknown(tmp_path):
    assert silent(open_movie, files.mrc(tmp_path, FRAMES, pixel=None)).pixel_size is None
    for write in (partial(files.dm3, units=("", "", "")), partial(files.hspy, units="")):
        with pytest.warns(CalibrationWarning, match="no unit"):
            movie = open_movie(write(tmp_path, FRAMES))
        assert movie.pixel_size is None


def test_pixel_size_that_is_a_programs_default_is_said(tmp_path):
    with pytest.warns(UserWarning, match="1 Å exactly"):
        assert open_movie(files.mrc(tmp_path, FRAMES, pixel=(0.1, 0.1))).pixel_size == pytest.approx((0.1, 0.1))


def test_depth_is_no_time(tmp_path):
    with pytest.warns(CalibrationWarning, match="frame time .* not in a unit of time"):
        assert open_movie(files.dm3(tmp_path, FRAMES, units=("um", "nm", "nm"))).frame_time is None


def test_exposure_time_of_a_camera_stands_for_the_frame_time_and_is_said(tmp_path):
    with pytest.warns(UserWarning, match="exposure time"):
        assert open_movie(files.velox(tmp_path, FRAMES, frame_time=None)).frame_time == 0.25


def test_axes_without_names_are_a_guess_that_is_said(tmp_path):
    with pytest.warns(UserWarning, match=r"\(4, 12, 17\) is taken as frames, height, width"):
        movie = open_movie(files.emd_of_ncem(tmp_path, FRAMES, names=("", "", "")))
    np.testing.assert_array_equal(movie.frame(1), FRAMES[1])
    with h5py.File(tmp_path / "plain.h5", "w") as h5:
        h5["stack"] = FRAMES
    with pytest.warns(UserWarning, match="does not name its axes"):
        assert open_movie(tmp_path / "plain.h5").shape == FRAMES.shape


@pytest.mark.parametrize("labels", [("y", "x", "time"), ("Row", "Column", "frame"), ("", "", "t")])
def test_axes_that_hdf5_labels_are_in_the_order_of_their_labels(tmp_path, labels, recwarn):
    with h5py.File(tmp_path / "m.h5", "w") as h5:
        array = h5.create_dataset("stack", data=np.moveaxis(FRAMES, 0, -1))
        for dimension, label in zip(array.dims, labels, strict=True):
            dimension.label = label
    movie = open_movie(tmp_path / "m.h5")
    assert all(np.array_equal(movie.frame(t), FRAMES[t]) for t in range(4))
    said = [str(one.message) for one in recwarn if one.category is UserWarning]
    assert said == [] if labels[0] else "is taken as height, width, frames" in said[0]


@pytest.mark.parametrize("label", ["energy", "wavelength [nm]", "channel", "detector"])
def test_what_lies_along_an_axis_that_is_not_time_is_no_movie_unless_insisted_on(tmp_path, label):
    with h5py.File(tmp_path / "m.h5", "w") as h5:
        array = h5.create_dataset("stack", data=FRAMES)
        for dimension, name in zip(array.dims, (label, "y", "x"), strict=True):
            dimension.label = name
    with pytest.raises(InputError, match=f"along '{label[:6]}.*, not time.*insist: signal=0"):
        open_movie(tmp_path / "m.h5")
    assert open_movie(tmp_path / "m.h5", signal=0).shape == FRAMES.shape


# Several signals


def test_the_likely_one_of_several_is_taken_and_the_others_are_named(tmp_path):
    file = files.velox(tmp_path, FRAMES, detectors=("BF", "HAADF", "DF4"))
    with pytest.warns(UserWarning, match="1 'HAADF'.* is the movie.*0 'BF'.*2 'DF4'"):
        movie = read_microscope(file)
    np.testing.assert_array_equal(movie.frame(0), FRAMES[0] + 1)


@pytest.mark.parametrize(("wanted", "number"), [("BF", 0), ("df4", 2), ("haa", 1), (2, 2), ("1", 1)])
def test_any_of_several_by_name_part_of_it_or_number(tmp_path, wanted, number):
    file = files.velox(tmp_path, FRAMES, detectors=("BF", "HAADF", "DF4"))
    np.testing.assert_array_equal(silent(read_microscope, file, wanted).frame(0), FRAMES[0] + number)


@pytest.mark.parametrize("wanted", ["F", "EELS", 3, -1, ""])
def test_none_or_several_of_that_name(tmp_path, wanted):
    file = files.velox(tmp_path, FRAMES, detectors=("BF", "HAADF", "DF4"))
    with pytest.raises(InputError, match=r"0 'BF'.*1 'HAADF'.*2 'DF4'"):
        read_microscope(file, wanted)


def test_a_stack_comes_before_images_and_spectra(tmp_path):
    others = [("survey", FRAMES[0]), ("spectrum", FRAMES[0, 0])]
    with pytest.warns(UserWarning, match="0 'HAADF' .4 × 12 × 17. is the movie.*'survey'.*'spectrum'"):
        assert open_movie(files.dm3(tmp_path, FRAMES, extra=others)).shape == FRAMES.shape


def test_spectra_beside_images_are_said_to_be_left_out(tmp_path):
    with pytest.warns(UserWarning, match="SpectrumStream"):
        assert open_movie(files.velox(tmp_path, FRAMES, spectra=True)).shape == FRAMES.shape


# What is no movie

DIFFRACTION = {
    "HyperSpy": partial(files.hspy, units="1/nm"),
    "HyperSpy, angles": partial(files.hspy, units="mrad"),
    "EMD": partial(files.emd_of_ncem, units=("[s]", "[n_m^-1]", "[n_m^-1]")),
    "Gatan": partial(files.dm3, units=("s", "1/nm", "1/nm")),
    "Velox": partial(files.velox, unit="1/m"),
    "HyperSpy, by its kind": partial(files.hspy, kind="electron_diffraction"),
    "Å": partial(files.hspy, units="1 / Å"),
}


@pytest.mark.parametrize("write", DIFFRACTION.values(), ids=DIFFRACTION)
def test_diffraction_patterns_are_refused_unless_insisted_on(tmp_path, write):
    file = write(tmp_path, FRAMES)
    with pytest.raises(InputError, match=r"diffraction.*signal=0"):
        open_movie(file)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        movie = read_microscope(file, 0)
    assert movie.pixel_size is None or not said
    np.testing.assert_array_equal(movie.frame(3), FRAMES[3])


REFUSED = {
    "spectrum image": (partial(files.dm3, frames=FRAMES, form="Spectrum image"), "spectrum image"),
    "spectra by their unit": (partial(files.dm3, frames=FRAMES, units=("eV", "nm", "nm")), "spectra"),
    "one spectrum": (partial(files.dm3, frames=FRAMES[0, 0]), "a spectrum or a line"),
    "4D-STEM": (
        partial(files.hspy, frames=np.zeros((3, 4, 5, 6), "u2"), names=("t", "scan y", "y", "x")),
        "4D-STEM",
    ),
    "complex numbers in HDF5": (partial(files.hspy, frames=FRAMES.astype("c8")), "complex numbers"),
    "complex numbers in MRC": (partial(files.mrc, frames=FRAMES.astype("c8")), "complex numbers"),
}


@pytest.mark.parametrize(("write", "found"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_movie_is_refused_by_name(tmp_path, write, found):
    with pytest.raises(InputError, match=found):
        open_movie(write(tmp_path))


# Counts, lengths, damage


def test_images_that_the_header_does_not_count_are_said(tmp_path):
    file = files.mrc(tmp_path, FRAMES)
    file.write_bytes(file.read_bytes() + FRAMES[0].tobytes())
    with pytest.warns(UserWarning, match="counts 4 images; 408 bytes"):
        assert open_movie(file).shape == FRAMES.shape


def test_series_that_was_stopped_early_is_said(tmp_path):
    with pytest.warns(UserWarning, match="meant to hold 4 images and holds 3"):
        movie = open_movie(files.ser(tmp_path, FRAMES, valid=3))
    np.testing.assert_array_equal(movie.frames.compute(scheduler="synchronous"), FRAMES[:3])


def test_bytes_of_mrc_are_signed_unless_imod_wrote_them(tmp_path):
    frames = FRAMES.astype(np.int8)
    file = files.mrc(tmp_path, frames)
    with pytest.warns(UserWarning, match="taken as signed"):
        np.testing.assert_array_equal(open_movie(file).frame(0), frames[0])
    content = bytearray(file.read_bytes())
    content[152:160] = b"IMOD"[::1] + bytes(4)
    file.write_bytes(content)
    np.testing.assert_array_equal(silent(open_movie, file).frame(0), frames[0].astype(np.uint8))


def test_frames_that_were_never_written_are_said(tmp_path):
    with h5py.File(files.nexus(tmp_path, FRAMES), "r+") as h5:
        del h5["entry1/HAADF/data"]
        data = h5["entry1/HAADF"].create_dataset("data", FRAMES.shape, FRAMES.dtype, chunks=(1, 12, 17))
        data[:3] = FRAMES[:3]
    folder = files.zspy(tmp_path, FRAMES)
    (folder / "Experiments" / "HAADF" / "data" / "3.0.0").unlink()
    for path in (tmp_path / "movie.nxs", folder):
        with pytest.warns(AbsentWarning, match=r"lacks 1 of its 4 frames \(3\).*missing, not black"):
            movie = open_movie(path)
        np.testing.assert_array_equal(movie.frame(2), FRAMES[2])
        with pytest.raises(InputError, match="frame 3"):
            movie.frame(3)


@pytest.mark.parametrize(
    ("chunks", "absent"), [((1, 12, 17), [1, 3]), ((1, 6, 17), [1, 3]), ((2, 12, 17), [2, 3]), ((4, 12, 17), [])]
)
def test_a_frame_that_lacks_a_chunk_is_missing(tmp_path, chunks, absent):
    with h5py.File(tmp_path / "movie.h5", "w") as h5:
        data = h5.create_dataset("movie", FRAMES.shape, FRAMES.dtype, chunks=chunks)
        for t in [t for t in range(4) if t not in absent]:
            data[t] = FRAMES[t]
        if chunks[1] == 6:
            data[1, :6] = FRAMES[1, :6]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert sorted(open_movie(tmp_path / "movie.h5").absent) == absent


@pytest.mark.parametrize("place", ["part.h5", "../part.h5", "{folder}/part.h5"])
@pytest.mark.parametrize("virtual", [True, False])
def test_frames_in_another_file_are_there_and_beside_it_or_refused(tmp_path, place, virtual):
    """Of a virtual dataset HDF5 reads what is not there as 0; raw data may lie in any file of the disk."""
    (tmp_path / "recording").mkdir()
    raw = tmp_path / "recording" / "part.h5"
    with h5py.File(raw, "w") as h5:
        h5["data"] = FRAMES
        offset = h5["data"].id.get_offset()
    (tmp_path / "part.h5").write_bytes(raw.read_bytes())
    with h5py.File(tmp_path / "recording" / "movie.h5", "w") as h5:
        name = place.format(folder=tmp_path)
        if virtual:
            layout = h5py.VirtualLayout(FRAMES.shape, FRAMES.dtype)
            layout[:] = h5py.VirtualSource(name, "data", FRAMES.shape)
            h5.create_virtual_dataset("movie", layout)
        else:
            h5.create_dataset("movie", FRAMES.shape, FRAMES.dtype, external=[(str(raw.parent / name), offset, 3264)])
    if place == "part.h5":
        with pytest.warns(UserWarning, match="does not name its axes"):
            np.testing.assert_array_equal(open_movie(tmp_path / "recording" / "movie.h5").frame(3), FRAMES[3])
        raw.unlink()
    with pytest.raises(InputError, match=r"part\.h5"):
        open_movie(tmp_path / "recording" / "movie.h5")


@pytest.mark.parametrize("share", [0.001, 0.02, 0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("write", FILES.values(), ids=FILES)
def test_file_that_is_cut_short_is_refused_on_opening(tmp_path, write, share):
    file = write(tmp_path, FRAMES)
    content = file.read_bytes()
    file.write_bytes(content[: max(int(len(content) * share), 1)])
    with pytest.raises(InputError, match=r"movie.*Copy|Copy.*movie"):
        open_movie(file)


@pytest.mark.parametrize("write", [files.hspy, files.nexus, files.nsid, files.nion_h5])
def test_a_heap_that_has_no_end_is_refused(tmp_path, write):
    """HDF5 2.0 reads free space of no size in it for ever."""
    file = write(tmp_path, FRAMES)
    content = bytearray(file.read_bytes())
    heap = content.find(b"GCOL")
    size = int.from_bytes(content[heap + 8 : heap + 16], "little")
    content[heap + 16 : heap + size] = bytes(size - 16)
    file.write_bytes(content)
    with pytest.raises(InputError, match="a damaged heap"):
        open_movie(file)


SUFFIXES = ["dm3", "dm4", "emd", "ser", "emi", "mrc", "hspy", "h5", "nxs"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_file_and_file_of_another_kind(tmp_path, suffix):
    file = tmp_path / f"movie.{suffix}"
    for content in (b"", b"1234", b"Dear reader, this is no movie. " * 100, bytes(5000), b"\xff" * 5000):
        file.write_bytes(content)
        with pytest.raises(InputError, match=f"movie.{suffix}"):
            open_movie(file)


@pytest.mark.parametrize(("write", "suffix"), [(files.dm3, ".emd"), (files.hspy, ".dm4"), (files.ser, ".hspy")])
def test_wrong_suffix_is_named(tmp_path, write, suffix):
    file = write(tmp_path, FRAMES)
    with pytest.raises(InputError, match="Rename it"):
        open_movie(file.rename(file.with_suffix(suffix)))


@pytest.mark.parametrize(("write", "package"), [(files.dm3, "rsciio"), (files.mrc, "mrcfile"), (files.hspy, "h5py")])
def test_missing_package_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch, write, package):
    file = write(tmp_path, FRAMES)
    for name in [n for n in sys.modules if n.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r'pip install "napari-menndl\[stem-formats\]"'):
        open_movie(file)


def test_index_without_its_images_is_refused(tmp_path):
    (tmp_path / "movie.emi").write_bytes(b"JK\0\x02 without images beside it")
    with pytest.raises(InputError, match=r"ser files of .*movie\.emi"):
        open_movie(tmp_path / "movie.emi")


# Files of real microscopes

FOUND = {
    "16_STOimage.emi": ((1, 1024, 1024), "u2", (0.0100127, 0.0100127), None),
    "16_STOimage_1.ser": ((1, 1024, 1024), "u2", (0.0100127, 0.0100127), None),
    "128x128x5-diffraction_preview_1.ser": ((5, 128, 128), "i4", None, None),
    "Acquisition_18.emd": ((1, 1024, 1024), "u2", (0.0122465, 0.0122465), None),
    "HAADFscan.mrc": ((1, 16, 16), "u2", (5.67913, 5.67913), None),
    "ROI_Random_Scan_movie.mrc": ((348, 16, 16), "u2", None, None),
    "fei_example_tem_stack.emd": ((2, 3, 3), "i2", (0.00817288, 0.00817288), 0.8),
    "multi_signal.dm3": ((1, 512, 512), "u2", (0.0177516, 0.0177516), None),
    "stack.mrc": ((3, 128, 128), "f4", (0.2, 0.2), None),
    "stack_int16.dm3": ((66, 65, 64), "i2", None, None),
    "stack_int16.dm4": ((66, 65, 64), "i2", None, None),
    "test_STEM_image.dm3": ((1, 68, 68), "u4", (0.248538, 0.248538), None),
    "128x128x5-diffraction_preview.emi": "diffraction patterns",
    "example2_v3.1.hspy": "diffraction patterns",
}


@pytest.mark.skipif(not REAL.exists(), reason=f"no files of real microscopes at {REAL}")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "expected"), FOUND.items(), ids=FOUND)
def test_real_files(name, expected):
    if isinstance(expected, str):
        with pytest.raises(InputError, match=expected):
            open_movie(REAL / name)
        return
    movie = open_movie(REAL / name)
    shape, dtype, pixel_size, frame_time = expected
    assert (movie.shape, movie.frames.dtype, movie.frame_time) == (shape, dtype, frame_time)
    assert movie.pixel_size == (pixel_size and pytest.approx(pixel_size, rel=1e-5))


RECORDED = {
    "16_STOimage.emi": "80 kV, 29 µs per pixel, 0.01 nm/px",
    "Acquisition_18.emd": "200 kV, 1 µs per pixel, 0.0122 nm/px",
    "HAADFscan.mrc": "HAADF, 300 kV, 10 ms per pixel, 5.68 nm/px",
    "fei_example_tem_stack.emd": "Ceta, 300 kV, 0.00817 nm/px",
    "multi_signal.dm3": "300 kV, 32.4 µs per pixel, 0.0178 nm/px",
    "test_STEM_image.dm3": "200 kV, 3.5 µs per pixel, 0.249 nm/px",
    "stack.mrc": "0.2 nm/px",
}


@pytest.mark.skipif(not REAL.exists(), reason=f"no files of real microscopes at {REAL}")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RECORDED)
def test_real_files_say_how_they_were_recorded(name):
    assert open_movie(REAL / name).line == RECORDED[name]
