"""Packages of bioimage.io, tried with bioimage.io's own validator."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest
from networks import NM, make_ensemble, make_network

from napari_menndl.errors import InputError
from napari_menndl.metrics.scores import ClassScore
from napari_menndl.predict.export.bioimageio import export_bioimageio

TEXTS = {
    "title": "S vacancies of WS2, 100 kV",
    "about": "Finds S vacancies.",
    "licence": "CC-BY-4.0",
    "authors": ("Ada Lovelace", "Ernst Ruska"),
    "cite": ("Maksov et al. 2019, doi:10.1038/s41524-019-0152-9", "a talk without an address"),
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = make_ensemble().with_texts(**TEXTS)
    card = dataclasses.replace(network.card, fitness=0.8, scores=(ClassScore("hole", 0.9, 0.8, 0.7, 0.4, 9, 1, 2),))
    return export_bioimageio(dataclasses.replace(network, card=card), tmp_path_factory.mktemp("package") / "a.zip")


def test_the_package_is_valid_and_reproduces_its_test_frames(package: Path) -> None:
    from bioimageio import core  # here, as it is slow to import

    summary = core.test_model(package)
    assert summary.status == "passed", summary.format()
    description = core.load_model_description(package, perform_io_checks=False)
    assert [author.name for author in description.authors] == list(TEXTS["authors"])
    assert description.license == "CC-BY-4.0"
    assert [str(entry.doi) for entry in description.cite] == ["10.1038/s41524-019-0152-9"]
    assert description.outputs[0].axes[1].channel_names == ["vacancy", "hole"]
    assert [axis.scale for axis in description.inputs[0].axes[2:]] == list(NM)


def test_its_text_is_made_of_the_card(package: Path) -> None:
    with zipfile.ZipFile(package) as files:
        text = files.read("README.md").decode()
        names = files.namelist()
        frames = np.load(files.open("test-frames.npy"), allow_pickle=False)
        said = np.load(files.open("test-probabilities.npy"), allow_pickle=False)
    for words in (*TEXTS["cite"], TEXTS["title"], "F1 0.90", "CC-BY-4.0", "## Validation", "Resample frames to pixels"):
        assert words in text
    assert {name.rpartition(".")[2] for name in names} == {"md", "npy", "onnx", "yaml"}
    np.testing.assert_allclose(said[0], make_ensemble().predict_frame(frames[0, 0], NM), atol=1e-4)


@pytest.mark.parametrize("names", [("S vacancy", "S-vacancy"), ("1 atom", "2 atoms"), ("Schwefellücke", "…")])
def test_classes_of_any_name_become_channels(names: tuple[str, str], tmp_path: Path) -> None:
    network = dataclasses.replace(make_network(pixel_size=None), class_names=names)
    assert export_bioimageio(network, tmp_path / "a.zip").is_file()


def test_a_licence_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"SPDX identifier.*'ask me'"):
        export_bioimageio(make_network().with_texts(licence="ask me"), tmp_path / "a.zip")
    assert not list(tmp_path.iterdir())
