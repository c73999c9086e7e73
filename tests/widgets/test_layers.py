"""Movies and annotations as layers; no window."""

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.errors import InputError
from napari_menndl.movie.metadata import Metadata
from napari_menndl.movie.movie import Movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.widgets.layers import annotated_frame, annotation_layer, frame_in_view, movie_layer, movie_of
from napari_menndl.widgets.reader import get_reader


def test_layer_bears_the_scale_of_the_movie_and_stays_lazy():
    movie = Movie(da.random.random((3, 8, 9), chunks=(1, 8, 9)), (0.02, 0.03), 0.5, "name")
    layer = Layer.create(*movie_layer(movie))
    assert np.allclose(layer.scale, (0.5, 0.02, 0.03))
    assert [str(unit) for unit in layer.units] == ["second", "nanometer", "nanometer"]
    assert layer.axis_labels == ("t", "y", "x")
    assert isinstance(layer.data, da.Array)


def test_movie_of_unknown_scale_counts_in_pixels():
    layer = Layer.create(*movie_layer(Movie(da.zeros((3, 8, 9), chunks=(1, 8, 9)))))
    assert np.allclose(layer.scale, 1)
    assert movie_of(layer).pixel_size is None


def test_layer_keeps_what_is_known_of_the_recording():
    known = Metadata(detector="HAADF", beam_energy=200.0, dwell_time=2e-6)
    layer = Layer.create(*movie_layer(Movie(da.zeros((3, 8, 9), chunks=(1, 8, 9)), (0.02, 0.02), 0.5, metadata=known)))
    assert movie_of(layer).metadata == known
    assert movie_of(layer).line == "HAADF, 200 kV, 2 µs per pixel, 0.02 nm/px"
    assert movie_of(Image(np.zeros((2, 8, 8)))).metadata == Metadata()


@pytest.mark.parametrize("frame_time", [0.4064, 1 / 3, 0.1, 2.7182818])
@pytest.mark.parametrize("frames", [4, 7, 100])
def test_every_frame_can_be_reached_with_the_slider(frame_time, frames):
    viewer = ViewerModel()
    movie = Movie(da.zeros((frames, 8, 8), chunks=(1, 8, 8)), (0.1, 0.1), frame_time)
    layer = viewer.add_layer(Layer.create(*movie_layer(movie)))
    for frame in (0, frames // 2, frames - 1):
        viewer.dims.set_current_step(0, frame)
        assert frame_in_view(layer, viewer.dims.point) == frame


@pytest.mark.parametrize(
    ("scale", "units", "expected"),
    [
        ((1, 0.5, 0.5), ("s", "angstrom", "angstrom"), (0.05, 0.05)),
        ((1, 0.5, 0.25), ("pixel", "nm", "nm"), (0.5, 0.25)),
        ((1, 2, 2), ("pixel", "pixel", "pixel"), None),
    ],
)
def test_pixel_size_is_read_from_units(scale, units, expected):
    found = movie_of(Image(np.zeros((2, 8, 8)), scale=scale, units=units)).pixel_size
    assert found == pytest.approx(expected) if expected else found is None


@pytest.mark.parametrize(
    "layer",
    [Image(np.zeros((8, 8, 3), np.uint8), rgb=True), Image(np.zeros((2, 2, 8, 8)))],
    ids=["colours", "four axes"],
)
def test_layers_that_are_no_movie_are_refused(layer):
    with pytest.raises(InputError):
        movie_of(layer)


def test_annotation_says_where_it_is_known(movie, annotation):
    layer = Layer.create(*annotation_layer(annotation, 0.5))
    for frame, expected in ((0, True), (2, False), (99, False)):
        assert annotated_frame(layer, frame)[1].all() == expected
    assert np.array_equal(annotated_frame(layer, 1)[0], annotation.frame(1))


def test_plain_labels_are_annotated_where_something_is_labelled():
    data = np.zeros((2, 8, 8), int)
    data[1, 2, 3] = 2
    assert [annotated_frame(Labels(data), t)[1].any() for t in (0, 1)] == [False, True]
    assert [annotated_frame(Labels(data[1]), t)[1].any() for t in (0, 1)] == [True, False]
    with pytest.raises(InputError, match="300"):
        annotated_frame(Labels(data * 150), 1)


@pytest.mark.parametrize("name", ["movie.tif", "movie.zarr", "folder", "movie.npy"])
def test_reader_opens_what_open_movie_knows(movie, tmp_path, name):
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
        write_movie(movie, path / "0.tif")
    elif name.endswith("npy"):
        np.save(path, np.asarray(movie.frames))
    else:
        write_movie(movie, path)
    ((data, about, kind),) = get_reader(str(path))(str(path))
    assert kind == "image"
    assert np.array_equal(np.asarray(data[2]), movie.frame(2))
    if not name.endswith("npy"):
        assert about["scale"][1:] == pytest.approx(movie.pixel_size, rel=1e-4)


def test_reader_opens_several_files_as_one_movie(tmp_path):
    paths = [str(tmp_path / f"{t}.npy") for t in range(3)]
    for t, path in enumerate(paths):
        np.save(path, np.full((8, 8), t))
    ((data, _, _),) = get_reader(paths)(paths)
    assert data.shape == (3, 8, 8)


def test_strokes_on_an_opened_annotation_are_on_disk_at_once(annotation, tmp_path):
    path = str(tmp_path / "expert.zarr")
    annotation.save(path)
    ((data, about, kind),) = get_reader(path)(path)
    assert (kind, about["name"]) == ("labels", "expert")
    layer = Layer.create(data, about, kind)
    layer.data_setitem((np.array([0]), np.array([1]), np.array([2])), 2)
    assert Annotation.open(path).frame(0)[1, 2] == 2


@pytest.mark.parametrize("name", ["picture.png", "empty"])
def test_reader_leaves_other_files_alone(tmp_path, name):
    path = tmp_path / name
    path.mkdir() if name == "empty" else path.write_bytes(b"")
    assert get_reader(str(path)) is None
