import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_menndl.training.losses import UNKNOWN, MixedLoss, class_weights, soft_dice

MIXTURES = {
    "cross entropy": MixedLoss(1, 0, 0),
    "focal": MixedLoss(0, 1, 0, positive_weights=5.0),
    "dice": MixedLoss(0, 0, 1),
    "mixture": MixedLoss(0.5, 0.3, 0.7, positive_weights=3.0),
}


def batch(seed: int = 0, classes: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(seed)
    logits = torch.randn((2, classes, 8, 8), generator=stream)
    target = torch.randint(0, classes + 1, (2, 8, 8), generator=stream).to(torch.uint8)
    return logits, target


@pytest.mark.parametrize("criterion", MIXTURES.values(), ids=MIXTURES)
def test_unknown_pixels_have_no_influence(criterion: MixedLoss) -> None:
    logits, target = batch()
    target[:, 2:5] = UNKNOWN
    other = logits.clone()
    other[:, :, 2:5] = 30.0
    assert criterion(other, target) == criterion(logits, target)

    logits.requires_grad_()
    criterion(logits, target).backward()
    assert logits.grad is not None
    assert not logits.grad[:, :, 2:5].any()
    assert logits.grad[:, :, :2].any()


@pytest.mark.parametrize("criterion", MIXTURES.values(), ids=MIXTURES)
def test_nothing_known_costs_nothing(criterion: MixedLoss) -> None:
    logits, target = batch()
    logits.requires_grad_()
    loss = criterion(logits, torch.full_like(target, UNKNOWN))
    loss.backward()
    assert float(loss) == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("criterion", MIXTURES.values(), ids=MIXTURES)
def test_the_truth_costs_less_than_its_opposite(criterion: MixedLoss) -> None:
    _, target = batch()
    truth = torch.stack([target == 1, target == 2], 1).float() * 20 - 10
    assert criterion(truth, target) < 0.1 < criterion(-truth, target)


def test_cross_entropy_is_torchs() -> None:
    logits, target = batch(classes=1)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], (target == 1).float())
    torch.testing.assert_close(MixedLoss(1, 0, 0)(logits, target), expected)


@given(weight=st.floats(1.5, 100), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_missed_defect_costs_its_weight(weight: float, seed: int) -> None:
    logits = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, 1, 4, 4)).astype(np.float32))
    defect = torch.ones((1, 4, 4), dtype=torch.uint8)
    plain, heavy = MixedLoss(1, 0, 0)(logits, defect), MixedLoss(1, 0, 0, weight)(logits, defect)
    torch.testing.assert_close(heavy, plain * weight)
    torch.testing.assert_close(MixedLoss(1, 0, 0, weight)(logits, 0 * defect), MixedLoss(1, 0, 0)(logits, 0 * defect))


def test_perfect_overlap_has_no_dice_loss() -> None:
    true = (torch.rand((2, 3, 8, 8), generator=torch.Generator().manual_seed(1)) < 0.3).float()
    assert float(soft_dice(true, true)) == pytest.approx(0, abs=1e-6)


def test_a_rare_class_weighs_more_and_all_weigh_the_same_without_balance():
    target = torch.zeros(1, 40, 40, dtype=torch.uint8)
    target[:, :10, :10], target[:, 30:34, 30:35] = 1, 2  # 100 and 20 pixels; class 3 does not occur
    common, rare, absent = class_weights(target, 3, 5.0, 0.5).tolist()
    assert rare / common == pytest.approx((100 / 20) ** 0.5)
    assert common * rare == pytest.approx(absent**2) == pytest.approx(25.0)
    assert class_weights(target, 3, 5.0, 0.0).tolist() == [5.0, 5.0, 5.0]


def test_the_weights_of_the_classes_stay_within_a_factor_of_four():
    target = torch.ones(1, 200, 200, dtype=torch.uint8)
    target[:, 0, 0] = 2
    assert class_weights(target, 2, 1.0, 1.0).tolist() == pytest.approx([0.25, 4.0])
