"""Kernels and recorded steps on a CUDA device compute what torch computes step by step."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_menndl import Annotation
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.genome.plan import make_plan
from napari_menndl.network.device import own_stream
from napari_menndl.simulation.simulate import simulate_movie
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.folds import FoldJob, FoldTrainer
from napari_menndl.training.losses import UNKNOWN, MixedLoss

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
CUDA = torch.device("cuda")
#: Groups, channels and filters of a group, kernel, step, dilation: plain, few channels, odd numbers, depthwise.
CONVOLUTIONS = [
    (1, 16, 16, (3, 3), 1, 2),
    (4, 40, 24, (5, 3), 2, 1),
    (2, 1, 20, (7, 7), 1, 3),
    (3, 5, 11, (2, 4), 1, 1),
    (40, 1, 1, (3, 5), 2, 2),
    (4, 17, 33, (1, 1), 1, 1),
]


@torch.no_grad()
def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("shape", CONVOLUTIONS)
def test_a_convolution_and_its_gradients_are_torchs(shape: tuple) -> None:
    from napari_menndl.cuda.convolution import Geometry, convolve

    groups, channels, filters, kernel, step, dilation = shape
    geometry = Geometry(step, dilation, 2, 1, 0, 3)
    torch.manual_seed(0)
    values = torch.randn(3, groups * channels, 21, 18, device=CUDA, requires_grad=True)
    weight = torch.randn(groups * filters, channels, *kernel, device=CUDA, requires_grad=True)
    found = convolve(values, weight, groups, geometry)
    exact = functional.pad(values.double(), (0, 3, 2, 1))
    expected = functional.conv2d(exact, weight.double(), stride=step, dilation=dilation, groups=groups)
    slope = torch.randn_like(found)
    gradients = torch.autograd.grad(found, (values, weight), slope)
    # TF32 keeps ten bits of what it multiplies.
    assert distance(found, expected) < 2e-3
    for one, other in zip(gradients, torch.autograd.grad(expected, (values, weight), slope.double()), strict=True):
        assert distance(one, other) < 2e-3


@pytest.mark.parametrize("channels", [1, 5, 32, 100])
def test_a_normalisation_and_its_gradient_are_torchs(channels: int) -> None:
    from napari_menndl.cuda.pixelwise import normalise

    torch.manual_seed(0)
    rows = torch.randn(1001, channels, device=CUDA, requires_grad=True)
    slope = torch.randn_like(rows)
    found, expected = normalise(rows, 1e-5), functional.layer_norm(rows, (channels,))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    gradients = [torch.autograd.grad(one, rows, slope)[0] for one in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("parts", "shape"), itertools.product([(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.3, 0.7)], [(1, 2), (4, 5)])
)
def test_a_loss_and_its_gradient_are_those_of_the_formula(parts: tuple, shape: tuple[int, int]) -> None:
    copies, classes = shape
    torch.manual_seed(0)
    logits = (3 * torch.randn(3, copies * classes, 20, 17, device=CUDA)).requires_grad_()
    target = torch.randint(0, classes + 1, (copies, 3, 20, 17), device=CUDA).to(torch.uint8)
    target[torch.rand(target.shape, device=CUDA) < 0.2] = UNKNOWN
    criterion = MixedLoss(*parts, 5 * torch.rand(copies, classes, device=CUDA))
    found = criterion.by_kernels(logits, target)
    expected = criterion(logits.unflatten(1, shape).transpose(0, 1), target)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    gradients = [torch.autograd.grad(one.sum(), logits)[0] for one in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-6)


@pytest.fixture(scope="module")
def task() -> TrainingTask:
    movie = simulate_movie(1, (256, 256))
    return TrainingTask.from_movie(movie.movie, Annotation.from_simulation(movie, frames=[0]))


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("name", ["dilated_fcn", "unet", "bank_mlp"])
def test_recorded_steps_train_as_steps_on_the_processor_do(
    task: TrainingTask, name: str, kernels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernels:
        monkeypatch.setattr("napari_menndl.cuda._has_triton", lambda: False)
    genome = FOUNDERS[name]()
    genome = dataclasses.replace(genome, training=dataclasses.replace(genome.training, noise=0.0, batch=2, tile=32))
    plan = make_plan(genome, len(task.class_names))
    jobs = [FoldJob(str(fold), task.split(0, fold), 300_000) for fold in range(3)]
    assert len({task.tile_size(job.split, 32) for job in jobs}) == 1
    curves = []
    for device in (torch.device("cpu"), CUDA, CUDA):
        with own_stream(device):
            curves.append(np.array(FoldTrainer(genome, plan, task, (1,), device).train(*jobs).curves))
    on_cpu, on_gpu, again = curves
    # Bit for bit on the device; TF32 and the order of sums make the difference to the processor.
    assert np.array_equal(on_gpu, again)
    np.testing.assert_allclose(on_gpu[:, :4], on_cpu[:, :4], rtol=0.02)
    np.testing.assert_allclose(on_gpu[:, -8:].mean(1), on_cpu[:, -8:].mean(1), rtol=0.15)
