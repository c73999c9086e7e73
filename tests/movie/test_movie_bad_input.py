"""Every kind of bad input to the movie folder, and what is said about it."""

import errno

import numpy as np
import pytest
import tifffile
import zarr

from napari_menndl.errors import InputError
from napari_menndl.movie.normalisation import normalise
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.simulation.acquisition import Acquisition
from napari_menndl.simulation.sample import Sample
from napari_menndl.simulation.simulate import simulate_movie

FRAMES = np.arange(3 * 8 * 9, dtype=np.float32).reshape(3, 8, 9)


def write(name, content):
    def make(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return make


def npy(array, **options):
    def make(folder):
        np.save(folder / "movie.npy", array, **options)
        return folder / "movie.npy"

    return make


def cut(make, share=0.6):
    def make_and_cut(folder):
        path = make(folder)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        return path

    return make_and_cut


def tiff(array=FRAMES, name="movie.tif", **options):
    def make(folder):
        options.setdefault("photometric", "minisblack")
        tifffile.imwrite(folder / name, array, **options)
        return folder / name

    return make


def renamed(make, name):
    def make_and_rename(folder):
        return make(folder).rename(folder / name)

    return make_and_rename


def zarr_group(*names):
    def make(folder):
        group = zarr.create_group(str(folder / "movie.zarr"))
        for name in names:
            group.create_array(name, data=FRAMES)
        return folder / "movie.zarr"

    return make


def ome_zarr(image):
    def make(folder):
        path = zarr_group("0")(folder)
        zarr.open_group(str(path)).attrs["ome"] = {"multiscales": [image]}
        return path

    return make


def zarr_with_pickle(folder):
    path = folder / "movie.zarr"
    path.mkdir()
    (path / ".zarray").write_text(
        '{"zarr_format": 2, "shape": [3, 8, 9], "chunks": [1, 8, 9], "dtype": "<f4", "order": "C", "fill_value": 0,'
        ' "compressor": null, "filters": [{"id": "pickle", "protocol": 5}]}'
    )
    return path


def zarr_of_objects(folder):
    path = zarr_with_pickle(folder)
    path.joinpath(".zarray").write_text(path.joinpath(".zarray").read_text().replace("<f4", "|O"))
    return path


def mixed_series(folder):
    tiff(FRAMES[0], "1.tif")(folder)
    tiff(FRAMES[0, :5], "2.tif")(folder)
    return folder


def mixed_dtypes(folder):
    tiff(FRAMES[0], "1.tif")(folder)
    tiff(FRAMES[0].astype(np.uint8), "2.tif")(folder)
    return folder


def complex_zarr(folder):
    zarr.save_array(str(folder / "m.zarr"), FRAMES.astype(complex))
    return folder / "m.zarr"


def lzw(folder):
    path = tiff()(folder)
    content = path.read_bytes()
    entry = b"\x03\x01\x03\x00\x01\x00\x00\x00"  # the tag Compression, one short
    path.write_bytes(content.replace(entry + b"\x01\x00", entry + b"\x05\x00"))
    return path


OPENING = {
    "missing file": (lambda folder: folder / "no" / "movie.tif", "none"),
    "missing pattern": (lambda folder: str(folder / "*.tif"), "none"),
    "empty folder": (lambda folder: folder, "nothing"),
    "folder of other things": (lambda folder: write("notes.txt", b"x")(folder).parent, "notes.txt"),
    "empty list": (lambda folder: [], "a list"),
    "nothing": (lambda folder: None, "NoneType"),
    "a number": (lambda folder: 3, "int"),
    "empty file": (write("movie.tif", b""), "empty file"),
    "empty npy": (write("movie.npy", b""), "empty file"),
    "text called tif": (write("movie.tif", b"Dear reader, this is no image."), "TIFF"),
    "text called npy": (write("movie.npy", b"Dear reader, this is no array."), "npy"),
    "npy called tif": (renamed(npy(FRAMES), "movie.tif"), "Rename it to end in .npy"),
    "tif called npy": (renamed(tiff(), "movie.npy"), "Rename it to end in .tif"),
    "png called tif": (write("movie.tif", b"\x89PNG\r\n\x1a\n1234"), "picture or video|Export"),
    "video": (write("movie.mp4", b"0000ftypmp42"), "picture or video"),
    "unknown suffix": (write("movie.xyz", b"1234"), "movie.xyz"),
    "npz": (lambda folder: np.savez(folder / "movie.npz", a=FRAMES) or folder / "movie.npz", "np.save"),
    **{
        f"microscope format {s}": (write(f"movie.{s}", b"1234"), "TIFF")
        for s in ("dm3", "dm4", "emd", "ser", "mrc", "hspy")
    },
    "npy cut short": (cut(npy(FRAMES)), "complete"),
    "npy cut in its header": (cut(npy(FRAMES), 0.05), "npy"),
    "tif cut short": (cut(tiff(imagej=True)), "cut short|TIFF"),
    "compressed tif cut short": (cut(tiff(compression="zlib", photometric="minisblack"), 0.4), "cut short|TIFF"),
    "tif of an unknown compression": (lzw, "imagecodecs"),
    "npy of objects": (npy(np.array([[None, 1], [2, 3]], object), allow_pickle=True), "numbers"),
    "npy of text": (npy(np.full((3, 8, 9), "a")), "real numbers"),
    "npy of records": (npy(np.zeros((3, 8), [("a", "f4")])), "records"),
    "complex numbers": (npy(FRAMES.astype(complex)), "modulus"),
    "complex array": (lambda folder: FRAMES.astype(np.complex64), "modulus"),
    "complex tif": (tiff(FRAMES.astype(np.complex64)), "modulus"),
    "complex zarr": (complex_zarr, "modulus"),
    "zip called tif": (write("movie.tif", b"PK\x03\x04...."), "content is zip"),
    "png cut short": (write("movie.png", b"\x89PNG\r\n\x1a\n1234"), "complete picture"),
    "a spectrum": (npy(FRAMES[0, 0]), r"\(T, Y, X\)"),
    "a single number": (npy(np.float32(1)), r"\(T, Y, X\)"),
    "colour": (lambda folder: np.zeros((20, 20, 3), np.uint8), "colour"),
    "colour tif": (tiff(np.zeros((20, 20, 3), np.uint8), photometric="rgb"), "colour"),
    "movie of colour": (lambda folder: np.zeros((4, 20, 20, 3), np.uint8), "colour"),
    "channels": (tiff(FRAMES, imagej=True, metadata={"axes": "CYX"}), "channels"),
    "focal series": (
        tiff(FRAMES[None].repeat(2, 0), imagej=True, metadata={"axes": "TZYX"}),
        r"time \(2\) and depth \(3\)",
    ),
    "4-D array": (lambda folder: np.zeros((2, 3, 8, 9)), "axis"),
    "no frames": (lambda folder: FRAMES[:0], "empty"),
    "no pixels": (lambda folder: FRAMES[:, :0], "empty"),
    "frames of different shape": (mixed_series, r"2.tif of \(5, 9\)"),
    "frames of different dtype": (mixed_dtypes, "uint8"),
    "empty zarr folder": (lambda folder: (folder / "m.zarr").mkdir() or folder / "m.zarr", "zarr"),
    "broken zarr": (lambda folder: write("zarr.json", b"{")(folder).parent, "zarr"),
    "zarr group of many arrays": (zarr_group("a", "b"), "a, b"),
    "zarr group of none": (zarr_group(), "nothing"),
    "zarr with pickle": (zarr_with_pickle, "pickle"),
    "zarr of objects": (zarr_of_objects, "objects|zarr"),
    "OME-Zarr without datasets": (ome_zarr({"axes": []}), "OME-Zarr metadata"),
    "OME-Zarr of a missing array": (ome_zarr({"datasets": [{"path": "7"}]}), "array '7'"),
    "OME-Zarr of too few axes": (ome_zarr({"axes": [{"name": "x"}], "datasets": [{"path": "0"}]}), "axes"),
}


@pytest.mark.parametrize("share", np.linspace(0.02, 0.8, 14))
@pytest.mark.parametrize(
    "options", [{}, {"compression": "zlib"}, {"imagej": True, "metadata": {"axes": "TYX"}}, {"ome": True}]
)
def test_a_tiff_cut_anywhere_is_refused(share, options, tmp_path):
    with pytest.raises(InputError):
        open_movie(cut(tiff(**options), share)(tmp_path))


@pytest.mark.parametrize("kind", OPENING)
def test_what_is_no_movie_is_refused_with_a_remedy(kind, tmp_path):
    make, said = OPENING[kind]
    with pytest.raises(InputError, match=said) as caught:
        open_movie(make(tmp_path))
    assert caught.value.remedy.strip().endswith(".")


@pytest.mark.parametrize(
    "size", [0, -1, float("nan"), float("inf"), 4e16, "wide", (1, 2, 3), (0.02, 0), None.__class__]
)
def test_an_impossible_pixel_size_is_refused(size):
    with pytest.raises(InputError, match="nm"):
        open_movie(FRAMES, pixel_size=size)


@pytest.mark.parametrize("time", [0, -1, float("nan"), float("inf"), "long"])
def test_an_impossible_frame_time_is_refused(time):
    with pytest.raises(InputError, match="seconds"):
        open_movie(FRAMES, frame_time=time)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_a_frame_that_is_not_finite_is_named(value):
    frames = FRAMES.astype(np.float64)
    frames[1, 2:] = value
    movie = open_movie(frames)
    movie.frame(0)
    with pytest.raises(InputError, match=r"frame 1.*75 %"):
        movie.frame(1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_few_pixels_without_a_value_are_gaps_and_filled_with_the_nearest(value):
    frames = FRAMES.astype(np.float32)
    frames[1, :, :2] = value
    movie = open_movie(frames)
    assert np.array_equal(np.isnan(movie.frame(1, gaps=True)), ~np.isfinite(frames[1]))
    filled = movie.frame(1)
    assert np.array_equal(filled[:, 2:], frames[1, :, 2:])
    assert np.array_equal(filled[:, 0], frames[1, :, 2])


@pytest.mark.parametrize("t", [3, -4, 100])
def test_a_frame_that_is_not_there_is_refused(t):
    with pytest.raises(InputError, match="from 0 to 2"):
        open_movie(FRAMES).frame(t)


def test_a_file_that_vanishes_after_opening_is_reported(tmp_path):
    path = npy(FRAMES)(tmp_path)
    movie = open_movie(path)
    path.unlink()
    with pytest.raises(InputError, match=r"frame 1 of .*movie\.npy"):
        movie.frame(1)


def test_a_damaged_chunk_is_reported_with_its_frame(tmp_path):
    path = write_movie(open_movie(FRAMES), tmp_path / "movie.zarr")
    (path / "0" / "c" / "1" / "0" / "0").write_bytes(b"damaged")
    movie = open_movie(path)
    movie.frame(0)
    with pytest.raises(InputError, match="frame 1 of"):
        movie.frame(1)


WRITING = {
    "unknown suffix": ("movie.png", "ends in"),
    "no suffix": ("movie", "ends in"),
    "missing folder": ("no/movie.tif", "a folder"),
}


@pytest.mark.parametrize("kind", WRITING)
def test_a_place_that_cannot_be_written_is_refused(kind, tmp_path):
    name, said = WRITING[kind]
    with pytest.raises(InputError, match=said):
        write_movie(open_movie(FRAMES), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_while_writing_is_reported_and_nothing_is_left(tmp_path):
    def fill_up(done, whole):
        if done == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    for suffix in (".tif", ".zarr"):
        with pytest.raises(InputError, match=r"No space left.*enough room"):
            write_movie(open_movie(FRAMES), tmp_path / f"movie{suffix}", fill_up)
    assert list(tmp_path.iterdir()) == []


NORMALISING = {
    "constant frame": (np.full((8, 9), 3.0), "global", 5, "constant"),
    "constant frame, local": (np.full((8, 9), 3.0), "local", 5, "constant"),
    "black frame": (np.zeros((8, 9)), "flattened", 5, "constant"),
    "NaN": (np.where(FRAMES[0] > 3, FRAMES[0], np.nan), "global", 5, "finite"),
    "infinite": (np.where(FRAMES[0] > 3, FRAMES[0], np.inf), "global", 5, "finite"),
    "movie": (FRAMES, "global", 5, "frame by frame"),
    "no pixels": (FRAMES[0, :0], "global", 5, "frame by frame"),
    "unknown kind": (FRAMES[0], "best", 5, "among"),
    "no radius": (FRAMES[0], "local", 0, "radius"),
    "NaN radius": (FRAMES[0], "flattened", float("nan"), "radius"),
}


@pytest.mark.parametrize("kind", NORMALISING)
def test_a_frame_that_cannot_be_normalised_is_refused(kind):
    frame, normalisation, radius, said = NORMALISING[kind]
    with pytest.raises(InputError, match=said):
        normalise(frame, normalisation, radius)


SIMULATING = {
    "no frames": (lambda: simulate_movie(0), "one frame"),
    "tiny frames": (lambda: simulate_movie(1, (8, 8)), "16 px"),
    "one axis": (lambda: simulate_movie(1, (64,)), "16 px"),
    "negative seed": (lambda: simulate_movie(1, (64, 64), area_seed=-1), "seeds"),
    "no signal": (lambda: simulate_movie(1, (64, 64), snr=0), "1.5 is nearly hopeless"),
    "NaN signal": (lambda: simulate_movie(1, (64, 64), snr=float("nan")), "1.5 is nearly hopeless"),
    "impossible share": (lambda: Sample(mo_fraction=1.5), "mo_fraction"),
    "negative dose": (lambda: Acquisition(dose=-1), "dose"),
    "NaN dose": (lambda: Acquisition(dose=float("nan")), "dose"),
    "saturated detector": (lambda: Acquisition(gain=5000), "Lower the gain"),
}


@pytest.mark.parametrize("kind", SIMULATING)
def test_an_impossible_simulation_is_refused(kind):
    make, said = SIMULATING[kind]
    with pytest.raises(InputError, match=said):
        make()
