import dataclasses

import numpy as np
import pytest
import torch

from napari_menndl.genome.genes import TrainingGenes
from napari_menndl.training.augment import AMOUNTS, augment, blurred, zoomed
from napari_menndl.training.losses import UNKNOWN

CHANGES = ("contrast", "gamma", "noise", "blur", "zoom")


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(3)
    tiles = torch.randn((4, 1, 32, 32), generator=stream)
    return tiles, (tiles[:, 0] > 1).to(torch.uint8)


def augmented(tiles: torch.Tensor, target: torch.Tensor, genes: TrainingGenes, seed: int = 0):
    amounts = np.random.default_rng(seed).uniform(-1, 1, (AMOUNTS, len(tiles))).astype(np.float32)
    return augment(tiles, target, genes, torch.from_numpy(amounts), torch.Generator().manual_seed(seed))


def test_strength_zero_changes_nothing() -> None:
    tiles, target = batch()
    changed, moved = augmented(tiles, target, TrainingGenes())
    assert torch.equal(changed, tiles)
    assert torch.equal(moved, target)


@pytest.mark.parametrize("name", CHANGES)
def test_every_strength_changes_every_tile_by_its_own_amount(name: str) -> None:
    tiles, target = (t[:1].repeat(4, *[1] * (t.ndim - 1)) for t in batch())
    genes = dataclasses.replace(TrainingGenes(), **{name: 1.0})
    changed, moved = augmented(tiles, target, genes)
    assert changed.shape == tiles.shape
    assert torch.isfinite(changed).all()
    assert len({tuple(tile.flatten().tolist()) for tile in changed}) == 4
    assert (name == "zoom") != torch.equal(moved, target)
    assert set(moved.unique().tolist()) <= {0, 1, UNKNOWN}


def test_the_same_stream_makes_the_same_changes() -> None:
    genes = TrainingGenes(contrast=0.5, gamma=0.5, noise=0.5, blur=0.5, zoom=0.5)
    first, again = (augmented(*batch(), genes, 5) for _ in range(2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])


def test_magnification_one_is_the_identity() -> None:
    tiles, target = batch()
    same, moved = zoomed(tiles, target, torch.ones(4))
    torch.testing.assert_close(same, tiles, atol=1e-4, rtol=1e-4)
    assert torch.equal(moved, target)


def test_labels_zoom_along_with_the_tile() -> None:
    tiles = torch.zeros((1, 1, 32, 32))
    tiles[..., 12:20, 12:20] = 1
    larger, moved = zoomed(tiles, tiles[:, 0].to(torch.uint8), torch.tensor([2.0]))
    assert int((moved == 1).sum()) == 16**2
    assert torch.equal(moved == 1, larger[:, 0] > 0.5)


def test_what_lies_outside_a_shrunken_tile_is_unknown() -> None:
    tiles, target = batch()
    _, moved = zoomed(tiles, target, torch.full((4,), 0.5))
    assert (moved[:, :8] == UNKNOWN).all()
    assert (moved[:, 8:24, 8:24] != UNKNOWN).all()


def test_blur_keeps_the_mean_and_lowers_the_contrast() -> None:
    tiles, _ = batch()
    soft = blurred(tiles, torch.tensor([0.0, 0.5, 1.0, 2.0]), radius=5)
    torch.testing.assert_close(soft[0], tiles[0])
    spread = soft.flatten(1).std(1)
    assert (spread[1:] < spread[:-1]).all()
    constant = torch.full_like(tiles, 3.0)
    torch.testing.assert_close(blurred(constant, torch.rand(4) * 2, radius=5), constant)
