"""What open_movie reads: shapes, values, pixel size, frame time; lazily, and back again."""

import os
import pickle
import re
import tracemalloc
import warnings

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from dask.utils import key_split
from hypothesis import given
from hypothesis import strategies as st
from ome_files import description, write_pages

from napari_menndl.errors import InputError
from napari_menndl.movie.calibration import CalibrationWarning
from napari_menndl.movie.movie import Movie
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 1000, (4, 12, 17)).astype(np.uint16)


def save_npy(path, frames):
    np.save(path / "movie.npy", frames)
    return path / "movie.npy"


def save_fortran_npy(path, frames):
    np.save(path / "movie.npy", np.asfortranarray(frames))
    return path / "movie.npy"


def save_imagej(path, frames):
    tifffile.imwrite(path / "movie.tif", frames, imagej=True, metadata={"axes": "TYX"})
    return path / "movie.tif"


def save_plain_pages(path, frames):
    with tifffile.TiffWriter(path / "movie.TIFF") as tiff:
        for frame in frames:
            tiff.write(frame, contiguous=False, rowsperstrip=5, metadata=None)
    return path / "movie.TIFF"


def save_deflated(path, frames):
    tifffile.imwrite(path / "movie.tif", frames, compression="zlib", photometric="minisblack")
    return path / "movie.tif"


def save_ome(path, frames):
    tifffile.imwrite(path / "movie.ome.tif", frames, ome=True, metadata={"axes": "TYX"}, photometric="minisblack")
    return path / "movie.ome.tif"


def save_series(path, frames):
    (path / "series").mkdir()
    for t, frame in enumerate(frames):  # 8, 9, 10, 11: in the order of numbers, not of letters
        tifffile.imwrite(path / "series" / f"frame_{t + 8}.tif", frame)
    return path / "series"


def save_pattern(path, frames):
    return str(save_series(path, frames) / "frame_*.tif")


def save_list(path, frames):
    folder = save_series(path, frames)
    return [folder / f"frame_{t + 8}.tif" for t in range(len(frames))]


def save_zarr(version):
    def save(path, frames):
        zarr.save_array(str(path / "movie.zarr"), frames, zarr_format=version)
        return path / "movie.zarr"

    return save


def save_zarr_in_one_chunk(path, frames):
    array = zarr.create_array(str(path / "data"), shape=frames.shape, chunks=frames.shape, dtype=frames.dtype)
    array[:] = frames
    return path / "data"


SAVERS = {
    "npy": save_npy,
    "npy in Fortran's order": save_fortran_npy,
    "ImageJ": save_imagej,
    "plain pages in strips": save_plain_pages,
    "deflated": save_deflated,
    "OME-TIFF": save_ome,
    "folder": save_series,
    "pattern": save_pattern,
    "list": save_list,
    "zarr 2": save_zarr(2),
    "zarr 3": save_zarr(3),
    "zarr folder without suffix": save_zarr_in_one_chunk,
    "array": lambda path, frames: frames,
    "dask array": lambda path, frames: da.from_array(frames, chunks=(2, 5, 17)),
    "zarr array": lambda path, frames: zarr.array(frames),
    "movie": lambda path, frames: open_movie(frames),
    "axes of length 1": lambda path, frames: frames[:, None],
}


@pytest.mark.parametrize("saver", SAVERS)
def test_what_is_saved_is_what_is_opened(saver, tmp_path, frames):
    movie = open_movie(SAVERS[saver](tmp_path, frames))
    assert movie.shape == frames.shape
    assert len(movie) == 4
    assert movie.frames.chunksize == (1, 12, 17)
    assert np.array_equal(movie.frames.compute(), frames)
    for t in (0, 3, -1):
        assert movie.frame(t).dtype == np.float32
        assert np.array_equal(movie.frame(t), frames[t])


def test_more_channels_than_colours_are_frames(tmp_path, frames):
    tifffile.imwrite(tmp_path / "movie.tif", frames.repeat(3, 0), imagej=True)  # without axes: taken for channels
    assert len(open_movie(tmp_path / "movie.tif")) == 12


@pytest.mark.parametrize("saver", ["npy", "ImageJ", "zarr 3"])
def test_a_movie_travels_between_processes_without_its_frames(saver, tmp_path, frames):
    big = np.tile(frames, (1, 50, 50))
    message = pickle.dumps(open_movie(SAVERS[saver](tmp_path, big)))
    assert len(message) < 50_000
    assert np.array_equal(pickle.loads(message).frame(2), big[2])


@pytest.mark.parametrize("saver", ["npy", "ImageJ", "zarr 3", "array"])
def test_one_image_is_a_movie_of_one_frame(saver, tmp_path, frames):
    if saver == "ImageJ":
        path = tmp_path / "image.tif"
        tifffile.imwrite(path, frames[0], imagej=True)
    else:
        path = SAVERS[saver](tmp_path, frames[0])
    assert open_movie(path).shape == (1, 12, 17)
    assert np.array_equal(open_movie(path).frame(0), frames[0])


@pytest.mark.parametrize("dtype", ["bool", "uint8", ">u2", "int32", "float16", "float32", "float64"])
def test_real_numbers_and_bool_are_frames(dtype, tmp_path):
    frames = np.arange(2 * 8 * 9).reshape(2, 8, 9).astype(dtype)
    np.save(tmp_path / "movie.npy", frames)
    assert np.array_equal(open_movie(tmp_path / "movie.npy").frame(1), frames[1].astype(np.float32))


def test_opening_costs_one_frame_whatever_the_size(tmp_path):
    path, shape = tmp_path / "big.npy", (300, 512, 512)  # 315 MB, sparse on the disk
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + 4 * int(np.prod(shape)))
    open_movie(np.zeros((1, 8, 8))).frame(0)  # so that what is imported at the first frame is not counted
    tracemalloc.start()
    try:
        movie = open_movie(path)
        opened = tracemalloc.get_traced_memory()[1]
        movie.frame(150)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert opened < 1_000_000
    assert peak < 8 * 4 * 512 * 512


def imagej(unit="nm", size=(0.03, 0.025), **more):
    return {
        "imagej": True,
        "resolution": (1 / size[1], 1 / size[0]),
        "metadata": {"axes": "TYX", "unit": unit, **more},
    }


def ome(unit="nm", size=(0.03, 0.025), **more):
    sizes = {"PhysicalSizeX": size[1], "PhysicalSizeY": size[0], "PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    return {"ome": True, "metadata": {"axes": "TYX", **sizes, **more}}


@pytest.mark.parametrize(
    ("written", "pixel_size", "frame_time"),
    [
        (imagej(), (0.03, 0.025), None),
        (imagej("Angstrom", (0.3, 0.25)), (0.03, 0.025), None),
        (imagej("micron", (3e-5, 2.5e-5), finterval=0.5), (0.03, 0.025), 0.5),
        (imagej("\\u00B5m", (3e-5, 2.5e-5), finterval=500, tunit="ms"), (0.03, 0.025), 0.5),
        (imagej("pm", (30, 25)), (0.03, 0.025), None),
        (imagej("m", (3e-8, 2.5e-8)), (30, 25), None),
        (imagej("inch", (3e-7, 2.5e-7)), (7.62, 6.35), None),
        (imagej("pixel", (1, 1)), None, None),
        (ome(), (0.03, 0.025), None),
        (ome("Å", (0.3, 0.25), TimeIncrement=0.5), (0.03, 0.025), 0.5),
        (ome("pm", (30, 25), TimeIncrement=500, TimeIncrementUnit="ms"), (0.03, 0.025), 0.5),
        ({"resolution": (72, 72), "resolutionunit": "inch"}, None, None),
        ({}, None, None),
    ],
)
def test_a_tiff_tells_its_scale(written, pixel_size, frame_time, tmp_path, frames):
    tifffile.imwrite(tmp_path / "movie.tif", frames, photometric="minisblack", **written)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        movie = open_movie(tmp_path / "movie.tif")
    assert movie.pixel_size == (pytest.approx(pixel_size, rel=1e-6) if pixel_size else None)
    assert movie.frame_time == frame_time


@pytest.mark.parametrize(
    "written",
    [
        imagej("nm", (4e16, 4e16)),
        imagej("nm", (0.02, 0.05)),
        imagej("1/nm"),
        imagej("seconds"),
        imagej(finterval=-1),
        imagej(finterval=float("nan")),
        ome("nm", (-1, -1)),
        ome("nm", (0, 0)),
        ome("nm", (float("nan"), 0.025)),
        ome("nm", (float("inf"), float("inf"))),
        ome("km"),
    ],
)
def test_an_absurd_calibration_counts_as_unknown(written, tmp_path, frames):
    tifffile.imwrite(tmp_path / "movie.tif", frames, photometric="minisblack", **written)
    with pytest.warns(CalibrationWarning, match=r"movie\.tif.*unknown"):
        movie = open_movie(tmp_path / "movie.tif")
    assert movie.pixel_size is None or movie.frame_time is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        movie = open_movie(tmp_path / "movie.tif", pixel_size=0.02, frame_time=2)
    assert (movie.pixel_size, movie.frame_time) == ((0.02, 0.02), 2)


OME_SIZES = {
    "decimal comma": 'PhysicalSizeX="0,025" PhysicalSizeXUnit="nm" PhysicalSizeY="0,025" PhysicalSizeYUnit="nm"',
    "empty": 'PhysicalSizeX="" PhysicalSizeY=""',
    "text": 'PhysicalSizeX="unknown" PhysicalSizeY="unknown"',
    "with its unit": 'PhysicalSizeX="0.02 nm" PhysicalSizeY="0.02 nm"',
    "empty unit": 'PhysicalSizeX="0.02" PhysicalSizeXUnit="" PhysicalSizeY="0.02" PhysicalSizeYUnit=""',
    "zero": 'PhysicalSizeX="0" PhysicalSizeY="0"',
    "infinite": 'PhysicalSizeX="INF" PhysicalSizeY="INF"',
    "x alone": 'PhysicalSizeX="0.02" PhysicalSizeXUnit="nm"',
    "time with its unit": 'TimeIncrement="0.5 s"',
    "time with a comma": 'TimeIncrement="0,5"',
    "no time": 'TimeIncrement=""',
}


@pytest.mark.parametrize("kind", OME_SIZES)
def test_an_ome_calibration_that_cannot_be_read_costs_no_frame(kind, tmp_path, frames):
    path = write_pages(tmp_path / "m.ome.tif", frames, description(frames, OME_SIZES[kind]))
    with pytest.warns(CalibrationWarning, match=r"m\.ome\.tif.*unknown"):
        movie = open_movie(path)
    assert (movie.pixel_size, movie.frame_time) == (None, None)
    assert np.array_equal(movie.frames.compute(), frames)


@pytest.mark.parametrize(
    "lines", ["unit=\n", "", "unit=nm\nfinterval=0,5\n", "unit=nm\nfinterval=\n", "unit=furlong\n"]
)
def test_an_imagej_calibration_that_cannot_be_read_costs_no_frame(lines, tmp_path, frames):
    with tifffile.TiffWriter(tmp_path / "m.tif") as tiff:
        for t, frame in enumerate(frames):
            text = f"ImageJ=1.53t\nimages=4\nframes=4\n{lines}" if t == 0 else None
            tiff.write(frame, photometric="minisblack", metadata=None, description=text, resolution=(40, 40))
    with pytest.warns(CalibrationWarning, match=r"m\.tif.*unknown"):
        movie = open_movie(tmp_path / "m.tif")
    assert movie.pixel_size is None or movie.frame_time is None
    assert np.array_equal(movie.frames.compute(), frames)


@pytest.mark.parametrize("scale", ["big", [1, 1, "0,02", "0,02"], [1, 1, None, None], [1], {"y": 1}, [1, 1, 0, 0]])
def test_a_scale_of_ome_zarr_that_cannot_be_read_costs_no_frame(scale, tmp_path, frames):
    path = ome_zarr(tmp_path / "image.zarr", frames[:, None], "0.4")
    group = zarr.open_group(str(path))
    (image,) = group.attrs["multiscales"]
    image["datasets"][0]["coordinateTransformations"][0]["scale"] = scale
    group.attrs["multiscales"] = [image]
    with pytest.warns(CalibrationWarning, match=r"image\.zarr.*unknown"):
        movie = open_movie(path)
    assert movie.pixel_size is None
    assert np.array_equal(movie.frames.compute(), frames)


OFFSETS = [
    ("uint32", 2**31),
    ("int32", -(2**31)),
    ("int64", 2**40),
    ("int64", -(2**62)),
    ("uint64", 2**63),
    ("float64", 1e9),
]


@pytest.mark.parametrize(("dtype", "offset"), OFFSETS)
def test_no_grey_value_is_lost_on_a_large_offset(dtype, offset, frames):
    movie = open_movie(frames.astype(dtype) + np.array(offset, dtype))
    assert movie.frames.dtype == dtype
    base = movie.frame(0)[0, 0] - float(frames[0, 0, 0])
    for t in range(4):
        assert np.allclose(movie.frame(t) - base, frames[t], atol=1e-3)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "float64"])
def test_without_an_offset_values_stay_as_they_are(dtype, frames):
    large = 100 * frames.astype(dtype)
    movie = open_movie(large)
    assert movie.offset == 0
    assert np.array_equal(movie.frame(1), large[1])


def test_a_frame_on_another_offset_is_refused(frames):
    shifted = frames.astype(np.int64) + 2**40 * np.arange(4)[:, None, None]
    with pytest.raises(InputError, match="precision than float32"):
        open_movie(shifted).frame(2)


def ome_zarr(path, frames, version, unit="nanometer", top=None):
    group = zarr.create_group(str(path), zarr_format=3 if version == "0.5" else 2)
    group.create_array("0", data=frames)
    group.create_array("1", data=frames[..., ::2, ::2])
    axes = [{"name": n, "type": "space", "unit": unit} for n in "yx"]
    axes = [{"name": "t", "type": "time", "unit": "millisecond"}, {"name": "c", "type": "channel"}, *axes]
    levels = [
        {"path": str(k), "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 0.03 * 2**k, 0.025 * 2**k]}]}
        for k in (0, 1)
    ]
    image = {"version": version, "axes": axes, "datasets": levels}
    image["coordinateTransformations"] = [{"type": "scale", "scale": [500, 1, 1, 1]}]
    group.attrs.update({"ome": {"multiscales": [image]}} if version == "0.5" else {"multiscales": [image]})
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_is_read_at_its_finest_level_with_its_scale(version, tmp_path, frames):
    movie = open_movie(ome_zarr(tmp_path / "image.zarr", frames[:, None], version))
    assert movie.pixel_size == pytest.approx((0.03, 0.025))
    assert movie.frame_time == pytest.approx(0.5)
    assert np.array_equal(movie.frames.compute(), frames)


def test_ome_zarr_in_angstrom_is_read_in_nanometres(tmp_path, frames):
    movie = open_movie(ome_zarr(tmp_path / "image.zarr", frames[:, None], "0.5", unit="angstrom"))
    assert movie.pixel_size == pytest.approx((0.003, 0.0025))


def test_files_of_different_scale_are_a_movie_of_unknown_scale(tmp_path, frames):
    for t, size in enumerate((0.02, 0.03)):
        tifffile.imwrite(
            tmp_path / f"{t}.tif", frames[0], imagej=True, resolution=(1 / size,) * 2, metadata={"unit": "nm"}
        )
    with pytest.warns(CalibrationWarning, match="not the same"):
        assert open_movie(tmp_path).pixel_size is None


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".zarr"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int32", "float64"])
def test_writing_and_opening_are_inverse(suffix, dtype, tmp_path, frames):
    movie = Movie(da.from_array(frames.astype(dtype), chunks=(1, -1, -1)), (0.03, 0.025), 0.5, "name")
    seen = []
    path = write_movie(movie, tmp_path / f"movie{suffix}", lambda done, whole: seen.append((done, whole)))
    again = open_movie(path)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert again.pixel_size == pytest.approx(movie.pixel_size, rel=1e-6)
    assert again.frame_time == 0.5
    assert again.frames.dtype == dtype
    assert np.array_equal(again.frames.compute(), frames.astype(dtype))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".zarr"])
def test_what_is_unknown_stays_unknown(suffix, tmp_path, frames):
    again = open_movie(write_movie(open_movie(frames), tmp_path / f"movie{suffix}"))
    assert (again.pixel_size, again.frame_time) == (None, None)


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_a_movie_that_fails_half_way_leaves_nothing(suffix, tmp_path, frames):
    bad = frames.astype(np.float32)
    bad[2] = np.nan
    with pytest.raises(InputError, match="frame 2"):
        write_movie(open_movie(bad), tmp_path / f"movie{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_nothing_is_overwritten_unless_asked(suffix, tmp_path, frames):
    path = write_movie(open_movie(frames), tmp_path / f"movie{suffix}")
    with pytest.raises(InputError, match="nothing is yet"):
        write_movie(open_movie(frames[:2]), path)
    assert len(open_movie(path)) == 4
    write_movie(open_movie(frames[:2]), path, overwrite=True)
    assert len(open_movie(path)) == 2


@given(st.lists(st.integers(0, 3000), min_size=2, max_size=12, unique=True))
def test_files_are_in_the_order_of_their_numbers(numbers):
    from pathlib import Path

    from napari_menndl.movie.reading import natural_order

    paths = [Path(f"run1/frame{n}.tif") for n in numbers]
    assert sorted(paths, key=natural_order) == [Path(f"run1/frame{n}.tif") for n in sorted(numbers)]


# What is said of files that are not as they seem ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"photometric": "miniswhite"}, "0 is white"),
        (
            {"photometric": "palette", "colormap": np.arange(768, dtype=np.uint16).reshape(3, 256)},
            "taken as grey values",
        ),
        ({"photometric": "palette", "colormap": np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))}, ""),
        ({"photometric": "minisblack"}, ""),
    ],
)
def test_numbers_that_are_shown_otherwise_than_grey_are_said(tmp_path, frames, options, said, recwarn):
    tifffile.imwrite(tmp_path / "m.tif", (frames[0] // 4).astype(np.uint8), **options)
    assert np.array_equal(open_movie(tmp_path / "m.tif").frame(0), frames[0] // 4)
    assert [said in str(one.message) for one in recwarn if one.category is UserWarning] == [True] * bool(said)


def test_a_link_that_leads_nowhere_is_a_missing_frame_of_a_series(tmp_path, frames):
    for t, frame in enumerate(frames):
        tifffile.imwrite(tmp_path / f"f{t}.tif", frame, photometric="minisblack")
    (tmp_path / "f1.tif").unlink()
    (tmp_path / "f1.tif").symlink_to("elsewhere.tif")
    with pytest.warns(UserWarning, match=r"lacks 1 of its 4 frames \(1\): a link that leads nowhere"):
        movie = open_movie(tmp_path)
    assert list(movie.absent) == [1]
    with pytest.raises(InputError, match="link that leads nowhere"):
        open_movie(tmp_path / "f1.tif")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes among files here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "m.tif")
    with pytest.raises(InputError, match="a pipe"):
        open_movie(tmp_path / "m.tif")


def test_frames_that_lie_there_twice_are_said(tmp_path, frames):
    for t, frame in enumerate(frames):
        for suffix in (".tif", ".tiff"):
            tifffile.imwrite(tmp_path / f"f{t}{suffix}", frame, photometric="minisblack")
    with pytest.warns(UserWarning, match="4 names come twice, with the endings .tif and .tiff"):
        assert len(open_movie(tmp_path)) == 8


def test_smaller_copies_that_hang_on_the_frames_are_no_pages(tmp_path, frames, recwarn):
    with tifffile.TiffWriter(tmp_path / "m.tif") as tiff:
        tiff.write(np.tile(frames, (1, 4, 4)), subifds=1, photometric="minisblack")
        tiff.write(np.tile(frames, (1, 2, 2)), subfiletype=1, photometric="minisblack")
    assert open_movie(tmp_path / "m.tif").shape == (4, 48, 68)
    assert not recwarn.list


@pytest.mark.parametrize("save", [save_npy, save_imagej])
def test_a_file_that_is_changed_after_it_was_opened_is_not_read_as_if_it_was_not(tmp_path, frames, save):
    movie = open_movie(save(tmp_path, frames))
    movie.frame(0)
    save(tmp_path, np.vstack([frames + 1, frames]))
    with pytest.warns(UserWarning, match="changed since it was opened"):
        movie.frame(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        movie.frame(2)  # it was said
    save(tmp_path, frames[:, :10, :11])
    with pytest.raises(InputError, match="12 × 17 px; found 10 × 11 px: the file was changed"):
        movie.frame(1)


@pytest.mark.parametrize("odd", ["average.tif", "frame_2 (1).tif", "frame_2 copy.tif"])
def test_a_file_that_is_named_unlike_the_frames_is_said(tmp_path, frames, odd):
    for name, frame in zip([f"frame_{t}.tif" for t in range(1, 4)] + [odd], frames, strict=True):
        tifffile.imwrite(tmp_path / name, frame, photometric="minisblack")
    with pytest.warns(UserWarning, match=rf"{re.escape(odd)} is named unlike the other 3 files"):
        assert len(open_movie(tmp_path)) == 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(open_movie(str(tmp_path / "frame_?.tif"))) == 3


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "a path on this machine"),
        ("https://example.org/movie.tif", "a path on this machine"),
        ("x" * 300 + ".tif", "a file or folder"),
    ],
)
def test_what_is_no_path_is_refused(source, said):
    with pytest.raises(InputError, match=said):
        open_movie(source)


def test_a_folder_of_folders_says_so(tmp_path):
    (tmp_path / "run1").mkdir()
    with pytest.raises(InputError, match="only folders: run1"):
        open_movie(tmp_path)


def test_reading_a_frame_leaves_no_name_behind_in_dask():
    movie = open_movie(np.random.default_rng(0).normal(size=(3, 16, 16)))
    before = key_split.cache_info().currsize
    for t in range(3):
        movie.frame(t)
    assert key_split.cache_info().currsize == before
