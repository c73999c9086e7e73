"""Laws of `TrainedNetwork` and `Ensemble`."""

import dataclasses
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import NM, make_ensemble, make_network
from safetensors.torch import save_file

from napari_menndl.errors import InputError
from napari_menndl.genome.genes import Conv
from napari_menndl.predict.ensemble import Ensemble, open_predictor
from napari_menndl.predict.predictor_file import MARK
from napari_menndl.predict.trained import TrainedNetwork


@pytest.fixture
def frame() -> np.ndarray:
    return (1000 + 50 * np.random.default_rng(0).normal(size=(70, 61))).astype(np.float32)


PREDICTORS = {"network": make_network, "ensemble": make_ensemble}
Make = Callable[..., TrainedNetwork | Ensemble]


@pytest.mark.parametrize("make", PREDICTORS.values(), ids=PREDICTORS)
def test_a_saved_predictor_predicts_the_same(make: Make, frame: np.ndarray, tmp_path: Path) -> None:
    predictor = make()
    again = open_predictor(predictor.save(tmp_path / "best.safetensors"))
    assert type(again) is type(predictor)
    assert again.digest == predictor.digest
    assert again.thresholds == predictor.thresholds
    assert again.match_rules == predictor.match_rules
    assert again.pixel_size == NM
    assert again.frame_shape == (96, 96)
    assert np.array_equal(again.predict_frame(frame, NM), predictor.predict_frame(frame, NM))
    assert [p.name for p in tmp_path.iterdir()] == ["best.safetensors"]


@pytest.mark.parametrize("make", PREDICTORS.values(), ids=PREDICTORS)
@pytest.mark.parametrize("shape", [(1, 2), (3, 40), (64, 64), (70, 61), (131, 33)])
def test_windows_leave_no_seam(make: Make, shape: tuple[int, int]) -> None:
    values = np.random.default_rng(1).normal(size=shape)
    predictor = make()
    whole, tiled = predictor.predict_frame(values, NM), predictor.predict_frame(values, NM, window=32)
    assert whole.shape == (2, *shape)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    assert 0 <= whole.min() <= whole.max() <= 1


def test_an_ensemble_is_the_mean_of_its_members(frame: np.ndarray) -> None:
    ensemble = make_ensemble()
    each = [member.predict_frame(frame, NM) for member in ensemble.members]
    np.testing.assert_allclose(ensemble.predict_frame(frame, NM), np.mean(each, axis=0), atol=1e-6)


def test_the_members_of_each_class_may_be_others(frame: np.ndarray, tmp_path: Path) -> None:
    even = make_ensemble()
    ensemble = dataclasses.replace(even, weights=((1.0, 0.5), (0.0, 0.5)))
    first, second = (member.predict_frame(frame, NM) for member in ensemble.members)
    said = ensemble.predict_frame(frame, NM)
    assert np.array_equal(said[0], first[0])
    np.testing.assert_allclose(said[1], (first[1] + second[1]) / 2, atol=1e-6)
    assert (ensemble.agreement(frame, NM)[0] == 1).all()
    assert ensemble.digest != even.digest
    again = open_predictor(ensemble.save(tmp_path / "best.safetensors"))
    assert np.array_equal(again.predict_frame(frame, NM), said)
    for wrong in (((1.0, 1.0),), ((1.0, 0.5), (0.5, 0.5)), ((1.0,), (0.0,))):
        with pytest.raises(InputError, match="2 rows of 2 weights"):
            dataclasses.replace(even, weights=wrong)


def test_few_members_stand_in_for_all_within_a_share_of_the_cost(frame: np.ndarray) -> None:
    first, second = make_ensemble().members
    all_of_them = Ensemble((first, second, *(first,) * 6), (0.4, 0.6))
    few = all_of_them.reduced(frame, 0.4, NM)
    assert 1 <= len(few.members) < 8
    assert few.thresholds == all_of_them.thresholds
    # Seven of eight are `first`: no other choice is nearer to the mean.
    np.testing.assert_allclose(few.predict_frame(frame, NM), first.predict_frame(frame, NM), atol=1e-6)
    whole = all_of_them.reduced(frame, 1.0, NM)
    np.testing.assert_allclose(whole.predict_frame(frame, NM), all_of_them.predict_frame(frame, NM), atol=1e-6)


def test_what_a_member_costs_is_known_from_its_plan_and_not_from_a_clock(frame: np.ndarray) -> None:
    costly = make_network(0, layers=(Conv(filters=64), Conv(filters=64)))
    cheap = make_network(1)
    ensemble = Ensemble((costly, cheap, cheap), (0.4, 0.6), ((0.8, 0.8), (0.1, 0.1), (0.1, 0.1)))
    assert costly.plan.flops_per_pixel > 20 * cheap.plan.flops_per_pixel
    # `costly` alone is nearest to the mean, and costs nearly all.
    assert [member.digest for member in ensemble.reduced(frame, 0.5, NM).members] == [cheap.digest] * 2
    assert ensemble.reduced(frame, 0.99, NM).members[0] is costly
    assert len({ensemble.reduced(frame, 0.5, NM).digest for _ in range(3)}) == 1


def test_what_several_members_see_costs_once(frame: np.ndarray) -> None:
    alike = Ensemble((make_network(0),) * 4, (0.4, 0.6))
    others = [make_network(0, radius=radius) for radius in (5.0, 8.0, 11.0, 14.0)]
    assert len(alike.reduced(frame, 0.9, NM).members) == 3
    assert len(Ensemble(tuple(others), (0.4, 0.6)).reduced(frame, 0.8, NM).members) == 3
    assert len(alike.reduced(frame, 0.74, NM).members) == 2


def test_each_class_keeps_a_member_however_little_time_there_is(frame: np.ndarray) -> None:
    ensemble = dataclasses.replace(make_ensemble(), weights=((1.0, 0.0), (0.0, 1.0)))
    few = ensemble.reduced(frame, 0.01, NM)
    assert np.array_equal(few.predict_frame(frame, NM), ensemble.predict_frame(frame, NM))


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), "half"])
def test_a_share_that_is_none_is_refused(share: object, frame: np.ndarray) -> None:
    with pytest.raises(InputError, match="a share of the cost between 0 and 1"):
        make_ensemble().reduced(frame, share, NM)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", PREDICTORS.values(), ids=PREDICTORS)
@pytest.mark.parametrize("thresholds", [(0.5,), (0.5, float("nan")), (0.5, "0.5"), (0.5, None)])
def test_thresholds_are_numbers_one_per_class(make: Make, thresholds: tuple[object, ...]) -> None:
    with pytest.raises(InputError, match="a threshold for each of the classes vacancy, hole"):
        make().with_thresholds(thresholds)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(0.0, 0.0), (-0.02, 0.02), (float("nan"), 0.02)])
def test_a_pixel_size_that_is_none_is_refused(size: tuple[float, float], frame: np.ndarray) -> None:
    with pytest.raises(InputError, match="a pixel size"):
        make_network().predict_frame(frame, size)


def test_members_that_are_one_agree_everywhere(frame: np.ndarray) -> None:
    twins = Ensemble((make_network(), make_network()), (0.5, 0.5))
    assert (twins.agreement(frame, NM) == 1).all()
    strangers = make_ensemble().agreement(frame, NM)
    assert set(np.unique(strangers)) == {0, 1}


def test_members_that_together_find_little_of_what_each_finds_are_warned_of(frame: np.ndarray) -> None:
    ensemble = make_ensemble()
    each = np.stack([member.predict_frame(frame, NM) for member in ensemble.members])
    apart = ensemble.with_thresholds(np.quantile(each, 0.95, axis=(0, 2, 3)).tolist())
    assert (each[:, 1] >= apart.thresholds[1]).any()
    assert not (each[:, 1].mean(axis=0) >= apart.thresholds[1]).any()
    with pytest.warns(UserWarning, match="disagree about hole: together they find less than half"):
        apart.predict_frame(frame, NM)
    halves = [(slice(0, 35), slice(0, 61)), (slice(35, 70), slice(0, 61))]
    with pytest.warns(UserWarning, match="disagree about hole"):
        list(apart.predict_parts(frame, halves, NM))
    twins = dataclasses.replace(apart, members=(make_network(), make_network()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twins.predict_frame(frame, NM)


def test_prediction_and_agreement_in_one_go_are_those_of_each_alone(frame: np.ndarray) -> None:
    ensemble = dataclasses.replace(make_ensemble(), weights=((0.7, 0.5), (0.3, 0.5)))
    said, agreement = ensemble.predict_and_agree(frame, NM)
    assert np.array_equal(said, ensemble.predict_frame(frame, NM))
    each = [member.predict_frame(frame, NM) >= np.float32([[[0.3]], [[0.5]]]) for member in ensemble.members]
    weights = np.array(ensemble.weights)[:, :, None, None]
    np.testing.assert_allclose(agreement, np.abs(2 * (weights * each).sum(axis=0) - 1), atol=1e-6)


def test_a_coarser_frame_is_resampled_and_brought_back(frame: np.ndarray) -> None:
    network = make_network()
    coarse = network.predict_frame(frame, (0.03, 0.02))
    assert coarse.shape == (2, *frame.shape)
    assert not np.allclose(coarse, network.predict_frame(frame, NM), atol=1e-3)
    assert np.array_equal(network.predict_frame(frame, (0.0202, 0.02)), network.predict_frame(frame, NM))


def test_resampling_finds_defects_of_the_same_size_in_nm() -> None:
    # A frame recorded with half as many pixels, against the same one in full.
    y, x = np.mgrid[:96, :96]
    fine = sum(np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 60) for cy, cx in [(20, 30), (60, 70), (75, 25)])
    network = make_network(normalisation="global")
    full = network.predict_frame(fine, NM)
    half = network.predict_frame(fine.reshape(48, 2, 48, 2).mean((1, 3)), (0.04, 0.04))
    shrunk = full.reshape(2, 48, 2, 48, 2).mean((2, 4))
    assert np.corrcoef(half.ravel(), shrunk.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(("trained", "given"), [(NM, None), (None, NM)])
def test_one_unknown_pixel_size_is_refused(trained: object, given: object, frame: np.ndarray) -> None:
    with pytest.raises(InputError, match="pixel_size"):
        make_network(pixel_size=trained).predict_frame(frame, given)  # type: ignore[arg-type]


def test_two_unknown_pixel_sizes_are_taken_for_the_same(frame: np.ndarray) -> None:
    unknown = make_network(pixel_size=None)
    assert np.array_equal(unknown.predict_frame(frame), make_network().predict_frame(frame, NM))


@pytest.mark.parametrize(("size", "warned"), [(0.05, True), (0.009, True), (0.03, False)])
def test_out_of_range_is_said(size: float, warned: bool, frame: np.ndarray) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make_network().predict_frame(frame, (size, size))
    assert any("outside its range" in str(w.message) for w in caught) == warned


#: What becomes of 0.02 nm where a file's unit is not what it was read as, in (y, x).
MISREAD = {
    "nm read as µm": (20.0, 20.0),
    "m read as nm": (2e-11, 2e-11),
    "Å read as m, in nm": (2e8, 2e8),
    "a field of view of 20 nm for a pixel": (20.0, 20.0),
    "one axis without its prefix": (0.02, 20.0),
    "pixels counted over 1 nm": (50.0, 50.0),
}


@pytest.mark.parametrize("size", MISREAD.values(), ids=MISREAD)
def test_an_absurd_ratio_of_pixel_sizes_is_refused_before_anything_is_allocated(
    size: tuple[float, float], frame: np.ndarray
) -> None:
    with pytest.raises(InputError, match="no real calibration"):
        make_network().predict_frame(frame, size)


def test_a_frame_without_contrast_holds_nothing() -> None:
    with pytest.warns(UserWarning, match="contrast"):
        assert not make_network().predict_frame(np.full((20, 30), 7.0), NM).any()


@pytest.mark.parametrize("bad", [np.zeros((2, 5, 5)), np.zeros((0, 4)), np.array([[1.0, np.inf], [0.0, 1.0]])])
def test_what_is_no_frame_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError):
        make_network().predict_frame(bad, NM)


def test_nothing_is_predicted_in_gaps_and_their_edges_are_no_edges(frame: np.ndarray) -> None:
    network = make_network()
    gappy = frame.copy()
    gappy[:, :4] = np.nan
    with pytest.warns(UserWarning, match="no value: they count as unknown"):
        said = network.predict_frame(gappy, NM)
    assert not said[:, :, :4].any()
    assert np.isfinite(said).all()
    parts = [(slice(0, 30), slice(0, 61)), (slice(30, 70), slice(0, 61))]
    with pytest.warns(UserWarning, match="no value"):
        assert np.array_equal(np.concatenate(list(network.predict_parts(gappy, parts, NM)), axis=1), said)


def rewrite(path: Path, change: Callable[[dict], None]) -> None:
    network = make_network()
    about = {"schema": 1, "kind": "network", **network.describe()}
    change(about)
    save_file(dict(network.weights), path, {MARK: json.dumps(about)})


BAD_FILES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello, I am a network"),
    "pickle": lambda path: torch.save({"weights": torch.zeros(3)}, path),
    "truncated": lambda path: path.write_bytes(make_network().save(path).read_bytes()[:-100]),
    "foreign": lambda path: save_file({"a": torch.zeros(3)}, path),
    "foreign with remarks": lambda path: save_file({"a": torch.zeros(3)}, path, {"format": "pt"}),
    "no json": lambda path: save_file({"a": torch.zeros(3)}, path, {MARK: "{"}),
    "a list": lambda path: save_file({"a": torch.zeros(3)}, path, {MARK: "[1, 2]"}),
    "newer": lambda path: rewrite(path, lambda about: about.update(schema=2)),
    "other kind": lambda path: rewrite(path, lambda about: about.update(kind="forest")),
    "no genome": lambda path: rewrite(path, lambda about: about.pop("genome")),
    "wrong genome": lambda path: rewrite(path, lambda about: about.update(genome={"layers": [{"kind": "magic"}]})),
    "another genome's weights": lambda path: rewrite(path, lambda about: about["genome"]["layers"].pop()),
    "unbuildable": lambda path: rewrite(
        path, lambda about: about["genome"]["layers"].append({"kind": "upsample", "factor": 8, "mode": "nearest"})
    ),
    "too few thresholds": lambda path: rewrite(path, lambda about: about["thresholds"].pop()),
    "thresholds of words": lambda path: rewrite(path, lambda about: about.update(thresholds=["high", "low"])),
    "unknown detector": lambda path: rewrite(path, lambda about: about["detectors"][0].update(colour="red")),
    "one-sided pixel": lambda path: rewrite(path, lambda about: about.update(pixel_size=[0.1])),
    "an ensemble of nothing": lambda path: rewrite(path, lambda about: about.update(kind="ensemble", members=[])),
    "an ensemble without members": lambda path: rewrite(path, lambda about: about.update(kind="ensemble")),
}


@pytest.mark.parametrize("spoil", BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused_with_a_remedy(spoil: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    spoil(path)
    with pytest.raises(InputError) as error:
        open_predictor(path)
    assert error.value.remedy


def test_one_kind_is_not_opened_as_the_other(tmp_path: Path) -> None:
    network, ensemble = make_network().save(tmp_path / "n"), make_ensemble().save(tmp_path / "e")
    with pytest.raises(InputError, match="ensemble"):
        TrainedNetwork.open(ensemble)
    with pytest.raises(InputError, match="ensemble"):
        Ensemble.open(network)
    assert len(Ensemble.open(ensemble).members) == 2
    assert TrainedNetwork.open(network).class_names == ("vacancy", "hole")


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="written"):
        make_network().save(tmp_path / "nowhere" / "n.safetensors")


def test_members_must_belong_together() -> None:
    with pytest.raises(InputError):
        Ensemble((make_network(), make_network(pixel_size=None)), (0.5, 0.5))
    with pytest.raises(InputError):
        Ensemble((make_network(),), (0.5,))


def test_other_thresholds_are_another_digest() -> None:
    network = make_network()
    assert network.with_thresholds((0.1, 0.2)).digest != network.digest
    assert make_network(1).digest != network.digest
    assert make_network().digest == network.digest
