"""Frames come out as frames in whatever order a file has its axes, and whatever it calls them."""

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr

from napari_menndl.errors import InputError
from napari_menndl.movie.axes import axis_letters
from napari_menndl.movie.reading import open_movie

#: A cube: no shape gives its axes away.
FRAMES = np.random.default_rng(0).integers(0, 4000, (20, 20, 20)).astype(np.uint16)
PLACES = {"T": 0, "Y": 1, "X": 2}
ORDERS = ["TYX", "YXT", "XYT", "TXY", "YTX", "XTY"]


def transposed(order):
    return np.ascontiguousarray(FRAMES.transpose([PLACES[axis] for axis in order]))


def tiff(order, path, **options):
    tifffile.imwrite(path / "m.tif", transposed(order), metadata={"axes": order}, photometric="minisblack", **options)
    return path / "m.tif"


def deflated_tiff(order, path):
    return tiff(order, path, compression="zlib")


def zarr_with_dimension_names(order, path):
    array = transposed(order)
    names = [{"T": "time", "Y": "y", "X": "x"}[axis] for axis in order]
    zarr.create_array(str(path / "m.zarr"), data=array, chunks=(5, 20, 20), dimension_names=names)
    return path / "m.zarr"


def zarr_of_xarray(order, path):
    names = [{"T": "frame", "Y": "row", "X": "col"}[axis] for axis in order]
    array = zarr.create_array(str(path / "m.zarr"), data=transposed(order), zarr_format=2)
    array.attrs["_ARRAY_DIMENSIONS"] = names
    return path / "m.zarr"


def ome_zarr(order, path):
    group = zarr.open_group(str(path / "m.zarr"), mode="w", zarr_format=2)
    group.create_array("0", data=transposed(order))
    axes = [{"name": axis.lower(), "type": "time" if axis == "T" else "space"} for axis in order]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]
    return path / "m.zarr"


def open_zarr_array(order, path):
    return zarr.open_array(str(zarr_with_dimension_names(order, path)), mode="r")


class Labelled:
    """An array with the two attributes that make one of xarray's: its data, and the names of its axes."""

    def __init__(self, data, order):
        self.data = data
        self.dims = tuple({"T": "time", "Y": "y", "X": "x"}[axis] for axis in order)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.data)


SAVERS = {
    "TIFF": tiff,
    "deflated TIFF": deflated_tiff,
    "zarr 3": zarr_with_dimension_names,
    "xarray's zarr": zarr_of_xarray,
    "OME-Zarr": ome_zarr,
    "zarr array": open_zarr_array,
    "labelled array": lambda order, path: Labelled(transposed(order), order),
    "labelled dask array": lambda order, path: Labelled(da.from_array(transposed(order), chunks=7), order),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("saver", SAVERS)
def test_frames_are_frames_in_any_order_of_axes(saver, order, tmp_path):
    movie = open_movie(SAVERS[saver](order, tmp_path))
    assert movie.shape == FRAMES.shape
    assert movie.frames.chunksize == (1, 20, 20)
    for t in (0, 3, 19):
        assert np.array_equal(movie.frame(t), FRAMES[t])


@pytest.mark.parametrize(
    ("names", "letters"),
    [
        ("TYX", "TYX"),
        (["time", "row", "column"], "TYX"),
        (["Frame_index", "Y [nm]", "X (nm)"], "TYX"),
        (["z", "height", "width"], "ZYX"),
        (["channel", "y", "x"], "CYX"),
        (["dim_0", "dim_1", "dim_2"], "TYX"),
        ([None, "y", "x"], "TYX"),
        (["y", "x", "image"], "YXT"),
        (["time", "ky", "kx"], "TQQ"),
    ],
)
def test_axes_are_known_by_what_they_are_called(names, letters):
    assert axis_letters(names, (9, 9, 9)) == letters


@pytest.mark.parametrize("name", ["tilt", "z", "defocus"])
def test_an_axis_of_another_name_is_time_with_a_word(name, tmp_path):
    zarr.create_array(str(tmp_path / "m.zarr"), data=FRAMES, dimension_names=[name, "y", "x"])
    with pytest.warns(UserWarning, match=r"taken for time"):
        assert np.array_equal(open_movie(tmp_path / "m.zarr").frame(3), FRAMES[3])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["energy", "y", "x"], "energy, y, x: channels"),
        (["channel", "y", "x"], "channels"),
        (["y", "x", "rgb"], "colour"),
        (["time", "ky", "kx"], "axes time, ky, kx"),
        (["x", "x", "y"], "height and a width"),
    ],
)
def test_channels_and_other_planes_are_never_frames(names, said, tmp_path):
    zarr.create_array(str(tmp_path / "m.zarr"), data=FRAMES, dimension_names=names)
    with pytest.raises(InputError, match=said):
        open_movie(tmp_path / "m.zarr")


def test_a_shape_that_looks_like_time_at_the_end_is_said():
    with pytest.warns(UserWarning, match="moveaxis"):
        assert len(open_movie(np.zeros((32, 32, 6)))) == 32
