"""Missing files of a set, pages, chunks and masked pixels are neither black nor a number."""

import pickle
import re
import warnings

import dask.array as da
import numpy as np
import psutil
import pytest
import tifffile
import zarr
from ome_files import write_part_without_description, write_set

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.errors import InputError
from napari_menndl.movie.absent import AbsentWarning, spans
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie

FRAMES = np.random.default_rng(0).integers(1, 4000, (6, 24, 32)).astype(np.uint16)
MASK = np.zeros(FRAMES.shape, bool)
MASK[2, 3:5] = True


def same(movie, frames):
    return movie.shape == frames.shape and all(np.array_equal(movie.frame(t), frame) for t, frame in enumerate(frames))


@pytest.mark.parametrize(
    ("numbers", "lacking"),
    [
        ([0, 1, 2, 4, 5], "1 files seem to be missing, the first after f2"),
        ([10, 20, 30, 40, 70, 80], "2 files .* after f40"),
        ([1, 2, 3, 4, 5], ""),
        ([0, 5, 10, 15, 20], ""),
        ([3, 17, 18, 44, 90], ""),  # times, perhaps
        ([1, 2, 9], ""),
    ],
)
def test_a_gap_in_a_numbered_series_is_said(tmp_path, numbers, lacking):
    for number in numbers:
        tifffile.imwrite(tmp_path / f"f{number}.tif", np.full((8, 9), number, np.uint8))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert len(open_movie(tmp_path)) == len(numbers)
    assert [bool(re.search(lacking, str(one.message))) for one in said] == [True] * bool(lacking)


def test_a_file_of_a_set_under_another_name_is_not_a_second_movie(tmp_path):
    write_set(tmp_path, FRAMES, 2)
    (tmp_path / "part1.ome.tif").rename(tmp_path / "second.ome.tif")
    with pytest.raises(InputError, match=r"second\.ome\.tif, which is of the same recording as part0\.ome\.tif"):
        open_movie(tmp_path)


@pytest.mark.parametrize("each", [1, 2, 3])
@pytest.mark.parametrize("source", ["", "*.tif", "part1.ome.tif", "list"])
def test_files_that_name_one_another_are_one_movie(each, source, tmp_path):
    folder = write_set(tmp_path, FRAMES, each)
    movie = open_movie(sorted(folder.iterdir()) if source == "list" else f"{folder}/{source}")
    assert same(movie, FRAMES)
    assert same(pickle.loads(pickle.dumps(movie)), FRAMES)


def test_a_part_that_another_file_describes_is_opened_with_it(tmp_path):
    write_set(tmp_path, FRAMES, 3)
    part = write_part_without_description(tmp_path / "part1.ome.tif", FRAMES[3:], "part0.ome.tif")
    for source in (part, tmp_path):
        assert same(open_movie(source), FRAMES)


@pytest.mark.parametrize(
    "named", ["../part{}.ome.tif", "{folder}/part{{}}.ome.tif", r"C:\data\part{}.ome.tif", "a/../../p{}"]
)
def test_parts_outside_the_folder_of_a_set_are_not_opened(tmp_path, named):
    """Neither by the file that describes them nor as labels; a part that points to a description there, neither."""
    inner = tmp_path / "inner"
    inner.mkdir()
    named = named.replace("{folder}", str(tmp_path)).replace("{{}}", "{}")
    write_set(tmp_path, FRAMES, 3)
    write_set(inner, FRAMES, 3, without=[1], named=named)
    write_part_without_description(inner / "points.ome.tif", FRAMES[3:], named.format(0))
    for open_it in (open_movie, Annotation.open):
        for file in ("part0.ome.tif", "points.ome.tif"):
            with pytest.raises(InputError, match="one that names"):
                open_it(inner / file)


def test_files_of_a_set_that_were_not_asked_for_are_said(tmp_path):
    write_set(tmp_path, FRAMES, 2)
    with pytest.warns(UserWarning, match="1 files more"):
        assert same(open_movie([tmp_path / "part0.ome.tif", tmp_path / "part1.ome.tif"]), FRAMES)


def ome_set(without):
    def save(path):
        write_set(path, FRAMES, 2, without=[without])
        return path, {2 * without, 2 * without + 1}, f"part{without}.ome.tif"

    return save


def tiff_without_a_strip(path):
    tifffile.imwrite(path / "m.tif", FRAMES, photometric="minisblack", compression="zlib", metadata=None)
    with tifffile.TiffFile(path / "m.tif", mode="r+") as tiff:
        for tag in ("StripOffsets", "StripByteCounts"):
            tiff.pages[1].tags[tag].overwrite((0,))
    return path / "m.tif", {1}, "no page"


def chunks(lost, absent, **options):
    def save(path):
        options.setdefault("chunks", (1, 24, 32))
        zarr.create_array(str(path / "m.zarr"), data=FRAMES, **options)
        for name in lost:
            (path / "m.zarr" / name).unlink()
        return path / "m.zarr", absent, "no chunk"

    return save


def allocated(path):
    array = zarr.create_array(str(path / "m.zarr"), shape=FRAMES.shape, chunks=(1, 24, 32), dtype=FRAMES.dtype)
    array[:4] = FRAMES[:4]
    return path / "m.zarr", {4, 5}, "no chunk"


LACKING = {
    "first file of an OME set": ome_set(0),
    "second file of an OME set": ome_set(1),
    "strip of a TIFF page": tiff_without_a_strip,
    "zarr 3 chunks": chunks(["c/2/0/0", "c/3/0/0"], {2, 3}),
    "zarr 2 chunk": chunks(["2.0.0"], {2}, zarr_format=2),
    "chunk of two frames": chunks(["c/1/0/0"], {2, 3}, chunks=(2, 24, 32)),
    "shard": chunks(["c/1/0/0"], {2, 3}, shards=(2, 24, 32)),
    "zarr that is not filled yet": allocated,
}


@pytest.mark.parametrize("kind", LACKING)
def test_what_a_file_lacks_is_missing_and_not_black(kind, tmp_path):
    path, absent, why = LACKING[kind](tmp_path)
    with pytest.warns(AbsentWarning, match=f"lacks {len(absent)} of its 6 frames .*{why}"):
        movie = open_movie(path)
    assert set(movie.absent) == absent
    for t in range(6):
        if t in absent:
            with pytest.raises(InputError, match=f"frame {t} .*missing: .*{why}"):
                movie.frame(t)
        else:
            assert np.array_equal(movie.frame(t), FRAMES[t])


PARTLY = {
    "zarr 3": ({"chunks": (1, 12, 32)}, ["c/2/1/0"], {2}),
    "zarr 2": ({"chunks": (1, 12, 32), "zarr_format": 2}, ["2.1.0"], {2}),
    "a shard": ({"chunks": (1, 12, 16), "shards": (1, 12, 32)}, ["c/2/1/0"], {2}),
    "chunks of two frames": ({"chunks": (2, 12, 32)}, ["c/1/1/0"], {2, 3}),
    "chunks that do not fit": ({"chunks": (1, 12, 20)}, ["c/2/1/0", "c/2/1/1"], {2}),
}


@pytest.mark.parametrize("kind", PARTLY)
def test_a_part_that_one_frame_lacks_and_others_have_is_missing_and_not_black(kind, tmp_path):
    options, names, lacking = PARTLY[kind]
    path, _, _ = chunks(names, set(), **options)(tmp_path)
    with pytest.warns(AbsentWarning, match=rf"Parts of frames in .* \({spans(lacking)}\) have no data"):
        movie = open_movie(path)
    gone = np.zeros(FRAMES.shape, bool)
    gone[sorted(lacking), 12:] = True
    assert np.array_equal(np.isnan(movie.frames.compute()), gone)
    assert np.array_equal(np.asarray(movie.frames)[~gone], FRAMES[~gone])
    assert np.array_equal(np.isnan(movie.frame(2, gaps=True)), gone[2])
    assert not pickle.loads(pickle.dumps(movie)).absent


def test_the_part_is_that_of_the_frame_however_the_axes_lie(tmp_path):
    turned = np.ascontiguousarray(FRAMES.transpose(2, 0, 1))[None]
    zarr.create_array(str(tmp_path / "m.zarr"), data=turned, chunks=(1, 8, 1, 24), dimension_names=["c", "x", "t", "y"])
    (tmp_path / "m.zarr" / "c" / "0" / "1" / "2" / "0").unlink()
    with pytest.warns(AbsentWarning, match=r"\(2\) have no data"):
        movie = open_movie(tmp_path / "m.zarr")
    gone = np.zeros(FRAMES.shape, bool)
    gone[2, :, 8:16] = True
    assert np.array_equal(np.isnan(movie.frames.compute()), gone)


def test_a_part_that_no_frame_has_may_be_an_empty_border(tmp_path):
    path, _, _ = chunks([f"c/{t}/1/0" for t in range(6)], set(), chunks=(1, 12, 32))(tmp_path)
    with pytest.warns(AbsentWarning, match=r"never written \(0 to 5\), in any frame: they read as 0"):
        movie = open_movie(path)
    assert movie.frames.dtype == FRAMES.dtype
    assert np.array_equal(movie.frame(2)[:12], FRAMES[2, :12])


def test_a_black_frame_that_was_recorded_is_there(tmp_path, recwarn):
    black = np.where(np.arange(6)[:, None, None] == 3, 0, FRAMES)
    assert same(open_movie(write_movie(open_movie(black), tmp_path / "m.zarr")), black)
    assert not recwarn.list


def with_fill_value(path):
    values = np.where(MASK, 65535, FRAMES).astype(np.uint16)
    zarr.create_array(str(path / "m.zarr"), data=values, chunks=(1, 24, 32), attributes={"_FillValue": 65535})
    return path / "m.zarr"


def with_nodata_tag(path):
    values = np.where(MASK, np.float32(-9999), FRAMES.astype(np.float32))
    nodata = [(42113, 2, None, "-9999", True)]
    tifffile.imwrite(path / "m.tif", values, photometric="minisblack", metadata=None, extratags=nodata)
    return path / "m.tif"


MASKED = {
    "numpy": lambda path: np.ma.masked_array(np.where(MASK, 65535, FRAMES), MASK),
    "numpy, integers of 64 bits": lambda path: np.ma.masked_array(FRAMES.astype(np.int64), MASK, fill_value=-9999),
    "dask": lambda path: da.from_array(np.ma.masked_array(FRAMES, MASK), chunks=(2, 24, 32)),
    "dask.array.ma": lambda path: da.ma.masked_equal(da.from_array(np.where(MASK, 0, FRAMES), chunks=(1, 24, 32)), 0),
    "fill value of netCDF and xarray": with_fill_value,
    "nodata of GDAL": with_nodata_tag,
}


@pytest.mark.parametrize("kind", MASKED)
def test_masked_pixels_are_never_intensity(kind, tmp_path):
    with pytest.warns(AbsentWarning, match="missing"):
        movie = open_movie(MASKED[kind](tmp_path))
    assert np.array_equal(np.isnan(movie.frames.compute()), MASK)
    for t in (0, 1, 3, 4, 5):
        assert np.array_equal(movie.frame(t), FRAMES[t])
    assert np.array_equal(np.isnan(movie.frame(2, gaps=True)), MASK[2])
    assert np.array_equal(movie.frame(2)[~MASK[2]], FRAMES[2][~MASK[2]])


def test_a_mask_of_nothing_changes_nothing(recwarn):
    movie = open_movie(np.ma.masked_array(FRAMES, False))
    assert same(movie, FRAMES)
    assert movie.frames.dtype == FRAMES.dtype
    assert not recwarn.list


def test_no_file_stays_open_after_reading(tmp_path):
    movie = open_movie(write_set(tmp_path, FRAMES, 2))
    assert same(movie, FRAMES)
    assert not [file for file in psutil.Process().open_files() if file.path.startswith(str(tmp_path))]


@pytest.mark.parametrize(
    ("numbers", "said"), [({3}, "3"), ({9, 3, 4, 5}, "3 to 5, 9"), (range(0, 20, 2), "0, 2, 4, 6, 8, 10 …")]
)
def test_numbers_of_frames_are_said_in_spans(numbers, said):
    assert spans(numbers) == said


def series(folder, frames, damaged, each=1):
    """A folder of TIFFs of `each` frames, some of them no TIFF any more."""
    folder.mkdir()
    for n, part in enumerate(frames.reshape(-1, each, *frames.shape[1:])):
        tifffile.imwrite(folder / f"{n}.tif", part[0] if each == 1 else part, photometric="minisblack")
    for n in damaged:
        (folder / f"{n}.tif").write_bytes(b"not a TIFF at all")
    return folder


@pytest.mark.parametrize("damaged", [(0,), (2,), (5,), (1, 4)])
def test_a_damaged_file_of_a_series_is_a_missing_frame(tmp_path, damaged):
    frames = np.arange(6 * 12 * 10, dtype=np.uint16).reshape(6, 12, 10)
    with pytest.warns(AbsentWarning, match=f"lacks {len(damaged)} of its 6 frames"):
        movie = open_movie(series(tmp_path / "s", frames, damaged))
    assert set(movie.absent) == set(damaged)
    for t in range(6):
        if t in damaged:
            with pytest.raises(InputError, match=f"frame {t} "):
                movie.frame(t)
        else:
            assert np.array_equal(movie.frame(t), frames[t])


@pytest.mark.parametrize(("damaged", "each"), [((0, 1, 2), 1), (range(6), 1), ((1,), 2)])
def test_a_series_is_refused_where_most_is_damaged_or_nobody_knows_how_much(tmp_path, damaged, each):
    frames = np.arange(6 * 12 * 10, dtype=np.uint16).reshape(6, 12, 10)
    with pytest.raises(InputError, match=r"\d\.tif"):
        open_movie(series(tmp_path / "s", frames, damaged, each))
