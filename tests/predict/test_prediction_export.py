"""What is exported for other programs is read back by them, and is what was predicted."""

import numpy as np
import pandas as pd
import pytest
import zarr
from bright import Brightness
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from typer.testing import CliRunner

from napari_menndl.cli import app
from napari_menndl.errors import InputError
from napari_menndl.metrics.defect_table import DEFECT_COLUMNS
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.movie.metadata import Metadata
from napari_menndl.movie.movie import Movie
from napari_menndl.predict.prediction import Prediction
from napari_menndl.predict.prediction_export import LABELS, export_prediction

SHAPE, PLACES = (6, 150, 131), [(20, 30), (40, 90), (70, 60), (100, 100), (110, 25)]
RULES = (MatchRule(3.0), MatchRule(3.0))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A prediction of squares that stay, and one that comes; stored, with time and dose."""
    frames = np.zeros(SHAPE, np.float32)
    for t in range(SHAPE[0]):
        for y, x in [*PLACES, *([(60, 100)] if t > 2 else [])]:
            frames[t, y : y + 5, x : x + 5] = 100
    import dask.array as da

    movie = Movie(
        da.from_array(frames, chunks=(1, *SHAPE[1:])), (0.1, 0.1), 0.5, name="squares", metadata=Metadata(dose=2e4)
    )
    path = tmp_path_factory.mktemp("export") / "squares.zarr"
    Prediction(Brightness(), movie).write(path)
    return path


@pytest.fixture(scope="module")
def exported(stored):
    folder = stored.parent / "exported"
    result = CliRunner().invoke(app, ["export-prediction", str(stored), "--out", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


def test_ome_zarr_reads_probabilities_and_labels_at_every_size(stored, exported):
    prediction = Prediction.open(stored)
    nodes = list(Reader(parse_url(exported / "prediction.ome.zarr"))())
    image, labels = (node for node in nodes if node.data)
    assert [level.shape for level in image.data] == [(6, 2, 150, 131), (6, 2, 75, 65)]
    assert np.array_equal(image.data[0], prediction.probabilities)
    assert np.array_equal(labels.data[0], prediction.labels)
    assert [axis["name"] for axis in image.metadata["axes"]] == ["t", "c", "y", "x"]
    assert image.metadata["channel_names"] == ["bright", "dark"]
    first, second = image.metadata["coordinateTransformations"]
    assert first == [{"type": "scale", "scale": [0.5, 1.0, 0.1, 0.1]}]
    assert second[0]["scale"] == [0.5, 1.0, 0.2, 0.2]
    assert second[1] == {"type": "translation", "translation": [0.0, 0.0, 0.05, 0.05]}
    # No defect is lost in the small copies.
    assert (labels.data[1].max(axis=(1, 2)) == 1).all()


def test_the_metadata_are_valid(exported):
    from ome_zarr_models.v05.image import Image
    from ome_zarr_models.v05.image_label import ImageLabel

    root = zarr.open_group(exported / "prediction.ome.zarr", mode="r")
    Image.from_zarr(root)
    ImageLabel.from_zarr(root[f"labels/{LABELS}"])


def test_the_table_is_the_same_in_every_form(stored, exported):
    known = Prediction.open(stored).defects
    assert tuple(known.columns) == DEFECT_COLUMNS
    assert known["time_s"].tolist() == (known["frame"] * 0.5).tolist()
    for read, name in ((pd.read_csv, "defects.csv"), (pd.read_parquet, "defects.parquet")):
        pd.testing.assert_frame_equal(read(exported / name), known, check_dtype=False)


def test_napari_shows_a_probability_of_each_class_and_the_labels(exported):
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_menndl.widgets.reader import get_reader

    path = str(exported / "prediction.ome.zarr")
    viewer = ViewerModel()
    for data in get_reader(path)(path):
        viewer.add_layer(Layer.create(*data))
    assert [layer.name for layer in viewer.layers] == ["bright: probability", "dark: probability", "defects"]
    assert all(layer.multiscale and np.allclose(layer.scale, (0.5, 0.1, 0.1)) for layer in viewer.layers)
    assert np.asarray(viewer.layers[2].data[0][0]).max() == 1


def test_napari_without_a_plugin_reads_each_level_of_the_image_and_of_the_labels(stored, exported):
    from napari_builtins.io import read_zarr_dataset

    prediction, place = Prediction.open(stored), exported / "prediction.ome.zarr"
    levels = ("0", "1", f"labels/{LABELS}/0", f"labels/{LABELS}/1")
    image, small, labels, small_labels = (read_zarr_dataset(str(place / level))[0] for level in levels)
    assert np.array_equal(image, prediction.probabilities)
    assert np.array_equal(labels, prediction.labels)
    assert (small.shape, small_labels.shape) == ((6, 2, 75, 65), (6, 75, 65))


def test_the_ome_zarr_plugin_of_napari_shows_the_same(stored, exported):
    # It is no dependency, even of the tests: where it is installed, it competes with our reader for every .zarr.
    get_reader = pytest.importorskip("napari_ome_zarr").napari_get_reader
    from napari.components import ViewerModel

    prediction, path, viewer = Prediction.open(stored), str(exported / "prediction.ome.zarr"), ViewerModel()
    for data, about, kind in get_reader(path)(path):
        getattr(viewer, f"add_{kind}")(data, **about)
    layers = viewer.layers
    assert [type(layer).__name__ for layer in layers] == ["Image", "Image", "Labels"]
    for c, layer in enumerate(layers[:2]):
        assert prediction.spec.class_names[c] in layer.name
        assert np.array_equal(layer.data[0], prediction.probabilities[:, c])
        assert np.allclose(layer.scale, (0.5, 0.1, 0.1))
    assert np.array_equal(np.squeeze(layers[2].data[0]), prediction.labels)


def test_an_export_is_not_replaced_unasked(stored, exported):
    with pytest.raises(InputError, match="nothing is yet"):
        export_prediction(Prediction.open(stored), exported)
    export_prediction(Prediction.open(stored), exported, overwrite=True)


def test_frames_that_were_not_predicted_are_nan_and_that_is_said(stored, tmp_path):
    group = zarr.open_group(stored, mode="r+")
    group["done"][4] = 0
    try:
        with pytest.warns(UserWarning, match="Frame 4 not predicted: NaN"):
            export_prediction(Prediction.open(stored), tmp_path)
        with pytest.warns(UserWarning, match="Frame 4 not predicted: left out"):
            found = Prediction.open(stored).tracks()
    finally:
        group["done"][4] = 1
    image = zarr.open_group(tmp_path / "prediction.ome.zarr", mode="r")["0"]
    assert np.isnan(image[4]).all()
    assert np.isfinite(image[3]).all()
    assert found.drift["frame"].tolist() == [0, 1, 2, 3, 5]


def test_a_stored_prediction_knows_time_and_dose_for_its_tracks(stored):
    found = Prediction.open(stored).tracks(gap=1)
    assert (found.observed.frame_time, found.observed.dose) == (0.5, 2e4)
    assert found.events[["event", "frame", "class"]].to_numpy().tolist() == [["born", 3, "bright"]]
    assert found.notes == ()


def test_the_layers_lie_over_the_movie(stored):
    from napari.layers import Labels, Points

    (labels, about, kind), (points, of_points, kind_of_points) = Prediction.open(stored).as_layers()
    assert (kind, kind_of_points) == ("labels", "points")
    layers = Labels(labels, **about), Points(points, **of_points)
    assert all(np.allclose(layer.scale, (0.5, 0.1, 0.1)) for layer in layers)
    assert set(DEFECT_COLUMNS) <= set(layers[1].features)
    assert len(layers[1].data) == 6 * len(PLACES) + 3


def test_tracks_of_a_stored_prediction_and_of_its_table_from_the_command_line(stored, exported, tmp_path):
    import json

    words = ["--out", str(tmp_path), "--gap", "1", "--json"]
    by_prediction = CliRunner().invoke(app, ["tracks", str(stored), *words])
    assert by_prediction.exit_code == 0, by_prediction.output
    told = json.loads(by_prediction.stdout)
    assert told["counted"]["born"] == 1
    size = f"{SHAPE[1]},{SHAPE[2]}"
    by_table = CliRunner().invoke(
        app, ["tracks", str(exported / "defects.csv"), "--size", size, "--frames", "6", "--dose", "2e4", *words]
    )
    assert json.loads(by_table.stdout) == told
    assert {"trajectories.csv", "events.csv", "rates.csv", "tracks.png"} <= {path.name for path in tmp_path.iterdir()}
    plain = CliRunner().invoke(app, ["tracks", str(stored), "--out", str(tmp_path), "--gap", "1"])
    assert "born" in plain.stdout
    assert "Wrote 6 trajectories and 1 events" in plain.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tracks", "{}/nothing.csv", "--out", "{}"], "no file"),
        (["tracks", "{}", "--out", "{}"], "a prediction"),
        (["tracks", "{stored}", "--out", "{}", "--size", "20"], "--size"),
        (["tracks", "{csv}", "--out", "{}", "--size", "big"], "a size of frames"),
        (["tracks", "{csv}", "--out", "{}", "--frames", "some"], "frame numbers"),
        (["tracks", "{csv}", "--out", "{csv}/x"], "can be written"),
        (["export-prediction", "{}", "--out", "{}"], "a prediction"),
    ],
)
def test_what_cannot_be_meant_is_refused(stored, exported, tmp_path, words, expected):
    named = [w.format(tmp_path, stored=stored, csv=exported / "defects.csv") for w in words]
    result = CliRunner().invoke(app, named)
    assert result.exit_code == 2
    assert expected in result.stderr
