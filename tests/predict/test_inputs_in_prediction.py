"""Networks that see filters of the frame predict as others do: without seams, and the same after they were saved."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_menndl.errors import InputError
from napari_menndl.genome.genes import (
    Blob,
    Conv,
    FilterBank,
    FourierInput,
    FrameInput,
    Input,
    Pool,
    TrainingGenes,
    Upsample,
)
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.plan import make_plan
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.movie.movie import Movie, Step
from napari_menndl.movie.neighbours import with_neighbours
from napari_menndl.movie.preparation import Average, Bin
from napari_menndl.movie.reading import open_movie
from napari_menndl.network.module import Network
from napari_menndl.pool.serial import SerialPool
from napari_menndl.predict.ensemble import Ensemble, open_predictor
from napari_menndl.predict.job import run
from napari_menndl.predict.live import LivePredictor
from napari_menndl.predict.prediction import Prediction
from napari_menndl.predict.range import RangeCheck
from napari_menndl.predict.remote import on_pool
from napari_menndl.predict.trained import TrainedNetwork

LAYERS = (Conv(6, dilation=2), Pool(), Conv(6), Upsample())
INPUTS: dict[str, tuple[Input, ...]] = {
    "bank": (FilterBank(largest=4.0, scales=3),),
    "blobs": (Blob(2.0, "dark"), Blob(3.0, "bright", "flattened", 12.0)),
    "fourier": (FourierInput(), FourierInput(sign="dark")),
}


def make(inputs: tuple[Input, ...], layers: tuple[Conv | Pool | Upsample, ...], seed: int = 0) -> TrainedNetwork:
    genome = Genome(layers, (), TrainingGenes(radius=8.0), inputs)
    network = Network(make_plan(genome, 2), seed)
    with torch.no_grad():
        network.steps["head_conv"].weight.mul_(20)  # type: ignore[operator]
    return TrainedNetwork(genome, network.state_dict(), ("a", "b"), (0.3, 0.5), (MatchRule(3.0),) * 2)


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    return np.random.default_rng(0).normal(100, 10, (130, 170)).astype(np.float32)


@pytest.mark.parametrize("layers", [LAYERS, ()], ids=["layers", "head alone"])
@pytest.mark.parametrize("inputs", INPUTS.values(), ids=INPUTS.keys())
def test_tiled_equals_untiled(inputs: tuple[Input, ...], layers: tuple[Conv, ...], frame: np.ndarray) -> None:
    network = make(inputs, layers)
    whole = network.predict_frame(frame)
    assert np.ptp(whole) > 0.01
    np.testing.assert_allclose(network.predict_frame(frame, window=48), whole, atol=2e-5)
    parts = [(slice(0, 60), slice(0, 90)), (slice(60, 130), slice(90, 170))]
    for part, said in zip(parts, network.predict_parts(frame, parts), strict=True):
        np.testing.assert_allclose(said, whole[:, *part], atol=2e-5)


@pytest.mark.parametrize("inputs", INPUTS.values(), ids=INPUTS.keys())
def test_a_saved_network_predicts_the_same_bits(inputs: tuple[Input, ...], frame: np.ndarray, tmp_path) -> None:  # type: ignore[no-untyped-def]
    network = make(inputs, ())
    network.save(tmp_path / "network.safetensors")
    opened = TrainedNetwork.open(tmp_path / "network.safetensors")
    assert opened.genome == network.genome
    assert opened.digest == network.digest
    assert np.array_equal(opened.predict_frame(frame), network.predict_frame(frame))


def test_members_of_an_ensemble_may_have_inputs_of_their_own(frame: np.ndarray, tmp_path) -> None:  # type: ignore[no-untyped-def]
    members = tuple(make((Blob(sigma),), ()) for sigma in (1.5, 3.0))
    Ensemble(members, (0.3, 0.5)).save(tmp_path / "ensemble.safetensors")
    expected = np.mean([member.predict_frame(frame) for member in members], axis=0)
    np.testing.assert_allclose(
        open_predictor(tmp_path / "ensemble.safetensors").predict_frame(frame), expected, atol=1e-6
    )


# Networks that look at neighbouring frames


@pytest.fixture(scope="module")
def movie() -> Movie:
    """One scene that drifts, with noise."""
    rng = np.random.default_rng(0)
    scene = rng.normal(100, 10, (100, 120))
    return open_movie(np.stack([scene[t : t + 80, t : t + 96] + rng.normal(0, 10, (80, 96)) for t in range(6)]))


AVERAGING = (FrameInput(), FrameInput(reach=2))


def test_a_movie_s_frames_are_predicted_with_their_neighbours(movie: Movie, tmp_path) -> None:  # type: ignore[no-untyped-def]
    network = make(AVERAGING, LAYERS)
    assert network.reach == 2
    expected = network.predict_frame(with_neighbours(movie, 3))
    assert np.array_equal(Prediction(network, movie).frame_probabilities(3), expected)
    ensemble = Ensemble((network, make((FrameInput(),), LAYERS)), (0.3, 0.5))
    assert ensemble.reach == 2
    with on_pool(ensemble, SerialPool(run)) as remote:
        found = dict(remote.predict(movie, [3], RangeCheck(ensemble)))
    assert np.array_equal(found[3], Prediction(ensemble, movie).frame_probabilities(3))


def test_a_frame_without_neighbours_is_predicted_with_a_warning(movie: Movie) -> None:
    network = make(AVERAGING, LAYERS)
    with pytest.warns(UserWarning, match="more noise than it was trained on"):
        alone = network.predict_frame(movie.frame(3))
    assert alone.shape == (2, 80, 96)
    assert not np.array_equal(alone, network.predict_frame(with_neighbours(movie, 3)))


def test_a_fast_live_answer_is_reduced_after_its_first_frame(movie: Movie) -> None:
    answer = Ensemble(tuple(make((FrameInput(),), LAYERS) for _ in range(8)), (0.3, 0.5))
    live = LivePredictor(lambda: answer, share=0.4)
    first, second, third = (live.predict(t, movie.frame(t)) for t in range(3))
    assert first.members == (8, 8)
    assert np.array_equal(first.labels, Prediction(answer, movie).frame_labels(0))
    assert 1 <= second.members[0] < 8 == second.members[1]
    assert third.members == second.members
    assert np.array_equal(third.labels, Prediction(live.network, movie).frame_labels(2))


def test_a_live_frame_is_averaged_with_those_before(movie: Movie) -> None:
    network = make(AVERAGING, LAYERS)
    live = LivePredictor(lambda: network)
    with pytest.warns(UserWarning, match="more noise"):
        live.predict(0, movie.frame(0))
    for t in (1, 2):
        found = live.predict(t, movie.frame(t))
    seen = open_movie(np.stack([movie.frame(t) for t in range(3)]))
    assert np.array_equal(found.labels, Prediction(network, seen).frame_labels(2))
    with pytest.warns(UserWarning, match="more noise"):  # frames in between were missed
        live.predict(5, movie.frame(5))


@pytest.mark.parametrize("step", [Average(4), Bin(2)])
def test_a_network_of_averages_does_not_predict_live_frames(step: Step) -> None:
    with pytest.raises(InputError, match=f"live frames are predicted one by one; found one that was trained on {step}"):
        LivePredictor(lambda: replace(make((FrameInput(),), LAYERS), steps=(step,)))
