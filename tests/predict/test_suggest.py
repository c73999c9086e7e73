"""Where to annotate next: where networks disagree on defects, and nothing is annotated yet."""

import json
from dataclasses import replace

import numpy as np
import pytest
from networks import make_ensemble, make_network
from typer.testing import CliRunner

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.cli import app
from napari_menndl.errors import InputError
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.predict.suggest import suggest_regions

NM = (0.02, 0.02)


@pytest.fixture(scope="module")
def movie():
    return open_movie(np.random.default_rng(0).normal(100, 10, (4, 96, 128)).astype(np.float32), pixel_size=NM)


@pytest.fixture(scope="module")
def network():
    return make_ensemble()


def test_the_first_suggestion_has_most_of_what_the_networks_disagree_on(movie, network):
    found = suggest_regions(network, movie, edge=40, count=3)
    assert [one.doubt for one in found] == sorted((one.doubt for one in found), reverse=True)
    for one in found:
        y0, x0, y1, x1 = one.region
        assert (y1 - y0, x1 - x0) == (40, 40)
        assert 0 <= y0 <= 56
        assert 0 <= x0 <= 88
        divided = network.agreement(movie.frame(one.frame), NM)[:, y0:y1, x0:x1] < 1
        assert divided.any()
        assert 0 < sum(one.doubtful.values()) <= one.defects
        # With two networks of equal weight a defect that one of them finds is one bit.
        assert one.doubt == pytest.approx(sum(one.doubtful.values()))
    best = {
        t: max(one.doubt for one in suggest_regions(network, movie, edge=40, count=1, frames=[t])) for t in range(4)
    }
    assert found[0].doubt == max(best.values())
    assert best[found[0].frame] == found[0].doubt


def test_a_place_is_suggested_once(movie, network):
    found = suggest_regions(network, movie, edge=40, count=50)
    for i, one in enumerate(found):
        for other in found[:i]:
            assert one.region != other.region
    assert len(suggest_regions(network, movie, edge=500, count=50)) == 1


def test_networks_that_agree_suggest_nothing(movie):
    twice = Ensemble((make_network(0, NM), make_network(0, NM)), (0.2, 0.4))
    assert suggest_regions(twice, movie) == []


def test_what_is_annotated_is_not_suggested(movie, network):
    first = suggest_regions(network, movie, edge=40, count=1)[0]
    annotation = Annotation.from_labels(np.zeros(movie.shape, np.uint8), classes=["vacancy", "hole"])
    assert suggest_regions(network, movie, annotation=annotation, edge=40) == []
    partly = Annotation.from_labels(np.zeros((first.frame + 1, 96, 128), np.uint8)[: first.frame + 1], classes=["hole"])
    frames = [one.frame for one in suggest_regions(network, movie, annotation=partly, edge=40, count=20)]
    assert all(not partly.known(t).any() for t in frames if t < len(partly))


@pytest.mark.parametrize(
    ("options", "words"), [({"frames": [9]}, "frames from 0 to 3"), ({"edge": 2}, "edge"), ({"count": 0}, "count")]
)
def test_what_cannot_be_asked_is_refused(movie, network, options, words):
    with pytest.raises(InputError, match=words):
        suggest_regions(network, movie, **options)
    with pytest.raises(InputError, match="one network"):
        suggest_regions(make_network(), movie)


def test_the_command_says_where(movie, network, tmp_path):
    write_movie(movie, tmp_path / "movie.tif")
    words = ["next", str(network.save(tmp_path / "network.safetensors")), str(tmp_path / "movie.tif"), "--edge", "40"]
    expected = [one.to_json() for one in suggest_regions(network, movie, edge=40)]
    told = CliRunner().invoke(app, [*words, "--json"])
    assert json.loads(told.stdout) == expected
    first = expected[0]
    lines = CliRunner().invoke(app, words).stdout.splitlines()
    assert len(lines) == len(expected)
    assert lines[0].startswith(f"Frame {first['frame']}, rows {first['region'][0]} to {first['region'][2] - 1}")
    unknown = write_movie(replace(movie, pixel_size=None), tmp_path / "unknown.tif")
    assert "pixel size" in CliRunner().invoke(app, [*words[:2], str(unknown)]).stderr
