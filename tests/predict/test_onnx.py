"""Networks as ONNX: the probabilities of torch, on frames of any size, and words where that cannot be."""

import dataclasses
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from networks import LAYERS, NM, make_ensemble, make_network

from napari_menndl.errors import InputError
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.genome.genes import (
    ACTIVATIONS,
    Blob,
    Branches,
    Conv,
    FilterBank,
    FourierInput,
    FrameInput,
    Pool,
    Residual,
    Skip,
    TrainingGenes,
    Upsample,
)
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.plan import make_plan
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.network.module import Network
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.predict.export.onnx_file import CLOSE, export_onnx, random_frames
from napari_menndl.predict.trained import TrainedNetwork

#: Odd, small, wide, and with an even side.
SHAPES = [(61, 83), (33, 40), (20, 151)]


def trained(genome: Genome, seed: int = 0) -> TrainedNetwork:
    """A network with random weights and the statistics of a trained one."""
    network = Network(make_plan(genome, 2), seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        network.steps["head_conv"].weight.mul_(10)
        network.steps["head_conv"].bias.zero_()  # probabilities around one half, which differ most
        for name, tensor in network.state_dict().items():
            if name.endswith("running_mean"):
                tensor.normal_(0, 0.3, generator=generator)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 2, generator=generator)
    return TrainedNetwork(genome, network.state_dict(), ("a", "b"), (0.3, 0.5), (MatchRule(3.0),) * 2, NM, (96, 96))


def run(path: Path, frames: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (said,) = session.run(None, {session.get_inputs()[0].name: frames[None]})
    return said[0]


def frames_of(shape: tuple[int, int], planes: int = 1) -> np.ndarray:
    rng = np.random.default_rng(shape[0])
    return rng.gamma(2.0, 300.0, (planes, *shape)).astype(np.float32)


def of_inputs(*inputs: object, **genes: object) -> Genome:
    return Genome(LAYERS, training=TrainingGenes(**genes), inputs=inputs)  # type: ignore[arg-type]


def of_layers(*layers: object, skips: tuple[Skip, ...] = ()) -> Genome:
    return Genome(layers, skips)  # type: ignore[arg-type]


GENOMES = {
    "globally normalised": of_inputs(FrameInput(), normalisation="global"),
    "flattened": of_inputs(FrameInput(), normalisation="flattened", radius=8.0),
    "locally normalised, far": of_inputs(FrameInput(), normalisation="local", radius=300.0),
    "an average": of_inputs(FrameInput(), FrameInput(reach=1), FrameInput(reach=2)),
    "filters": of_inputs(FilterBank(0.7, 4.0, 3, reach=1)),
    "blobs": of_inputs(Blob(2.0, "bright", "flattened", 9.0), Blob(1.2, "dark"), normalisation="global"),
    "a regression": FOUNDERS["bank_logistic"](),
    "at half resolution": FOUNDERS["coarse_fcn"](),
    "a U-Net": FOUNDERS["unet"](),
    "all activations": of_layers(*(Conv(4, activation=one) for one in ACTIVATIONS)),
    "all normalisations": of_layers(*(Conv(4, norm=one, depthwise=True) for one in ("batch", "channel", "none"))),
    "even and wide kernels": of_layers(Conv(4, kernel=(4, 7)), Conv(4, kernel=(2, 3), dilation=3)),
    "strides": of_layers(Conv(4, stride=3), Conv(4, kernel=(1, 1), stride=2), Upsample(2, "nearest")),
    "pools": of_layers(Conv(4), Pool("average", 5, 2), Pool("max", 4, 3), Pool("max", 2, 1), Upsample(3, "bilinear")),
    "residuals and branches": of_layers(
        Residual((Conv(4), Conv(4, activation="linear"))),
        Branches(((Conv(4, kernel=(1, 1)),), (Pool("average", 3, 1), Conv(3)))),
        Conv(4, dropout=0.2),
        skips=(Skip(0, 2, "add"), Skip(1, 2)),
    ),
}


@pytest.mark.parametrize("what", GENOMES)
def test_onnx_says_what_torch_says_on_frames_of_any_size(what: str, tmp_path: Path) -> None:
    network = trained(GENOMES[what])
    path = export_onnx(network, tmp_path / "a.onnx")
    for shape in SHAPES:
        frames = frames_of(shape, 5 if network.reach else 1)
        ours = network.predict_frame(frames if network.reach else frames[0], NM)
        np.testing.assert_allclose(run(path, frames), ours, atol=CLOSE)
        assert np.ptp(ours) > 0.02  # a constant would be equal, too


def test_nothing_is_said_of_the_frame_on_which_both_are_compared(tmp_path: Path) -> None:
    ensemble = make_ensemble()
    with pytest.warns(UserWarning, match="disagree"):
        ensemble.predict_frame(random_frames(ensemble)[0], NM)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        export_onnx(ensemble, tmp_path / "a.onnx")


def test_the_members_of_each_class_are_averaged_with_their_weights(tmp_path: Path) -> None:
    other = trained(of_inputs(FrameInput(reach=2), normalisation="global"))
    other = dataclasses.replace(other, class_names=("vacancy", "hole"))
    ensemble = Ensemble((*make_ensemble().members, other), (0.2, 0.4), ((0.5, 0.0), (0.5, 0.25), (0.0, 0.75)))
    path = export_onnx(ensemble, tmp_path / "a.onnx")
    frames = frames_of((50, 63), 5)
    np.testing.assert_allclose(run(path, frames), ensemble.predict_frame(frames, NM), atol=CLOSE)


def test_a_frame_without_contrast_holds_nothing_and_a_pixel_without_value_is_no_number(tmp_path: Path) -> None:
    path = export_onnx(make_network(), tmp_path / "a.onnx")
    assert not run(path, np.full((1, 40, 50), 7, np.float32)).any()
    for bad in (np.nan, np.inf):
        frames = frames_of((40, 50))
        frames[0, 3, 5] = bad
        assert np.isnan(run(path, frames)).all()


def test_the_file_says_how_it_is_used_and_needs_nothing_else(tmp_path: Path) -> None:
    network = make_network().with_texts(licence="CC-BY-4.0", authors=("Ada",))
    model = onnx.load(export_onnx(network, tmp_path / "a.onnx"))
    about = {one.key: json.loads(one.value) for one in model.metadata_props}
    assert about["classes"] == ["vacancy", "hole"]
    assert about["thresholds"] == [0.3, 0.5]
    assert about["pixel_size_nm"] == list(NM)
    assert about["card"]["licence"] == "CC-BY-4.0"
    assert "not normalised" in model.doc_string
    assert [one.name for one in tmp_path.iterdir()] == ["a.onnx"]
    assert {one.domain for one in model.opset_import} == {""}  # no operators of anybody's own


def fourier() -> TrainedNetwork:
    genome = Genome((), inputs=(FourierInput(), FourierInput(outer=0.2)))
    return dataclasses.replace(trained(genome), class_names=("vacancy", "hole"))


def test_what_onnx_cannot_hold_is_refused_by_its_name_and_the_rest_can_go_alone(tmp_path: Path) -> None:
    mixed = Ensemble((*make_ensemble().members, fourier()), (0.2, 0.4))
    with pytest.raises(InputError, match=r"1 of 3 members with the Fourier method.*--networks-only"):
        export_onnx(mixed, tmp_path / "a.onnx")
    path = export_onnx(mixed, tmp_path / "a.onnx", networks_only=True)
    frames = frames_of((40, 50))
    np.testing.assert_allclose(run(path, frames), make_ensemble().predict_frame(frames[0], NM), atol=CLOSE)
    about = {one.key: json.loads(one.value) for one in onnx.load(path).metadata_props}
    assert "left out" in about["card"]["about"]
    assert "scores" not in about["card"]
    alone = Ensemble((*make_ensemble().members, fourier()), (0.2, 0.4), ((0.5, 0.0), (0.5, 0.0), (0.0, 1.0)))
    for network, words in ((alone, "none for hole"), (fourier(), "the Fourier method alone")):
        with pytest.raises(InputError, match=words):
            export_onnx(network, tmp_path / "b.onnx", networks_only=True)
    assert not (tmp_path / "b.onnx").exists()
