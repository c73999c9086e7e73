"""Weights are bytes that come back as they were, and that cannot be anything else."""

import numpy as np
import pytest
import torch
from safetensors.torch import save

from napari_menndl.errors import InputError
from napari_menndl.genome.founders import unet
from napari_menndl.genome.plan import make_plan
from napari_menndl.network.checksum import is_intact
from napari_menndl.network.module import Network
from napari_menndl.network.weights import from_bytes, to_bytes


def test_bytes_give_weights_and_metadata_back():
    one, other = (Network(make_plan(unet()), seed) for seed in (0, 1))
    tensors, metadata = from_bytes(to_bytes(one.state_dict(), {"seen/0": "4096", "name": "ä"}))
    other.load_state_dict(tensors)
    assert metadata == {"seen/0": "4096", "name": "ä"}
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_no_metadata_is_no_metadata():
    assert from_bytes(to_bytes({"a": torch.ones(2)}))[1] == {}


def test_views_and_half_precision_are_written():
    whole = torch.arange(12.0).reshape(3, 4)
    tensors, _ = from_bytes(to_bytes({"turned": whole.T, "row": whole[1], "half": whole.half()}))
    assert torch.equal(tensors["turned"], whole.T)
    assert torch.equal(tensors["row"], whole[1])
    assert tensors["half"].dtype == torch.float16


@pytest.mark.parametrize(
    "damage", [lambda blob: b"", lambda blob: blob[:-1], lambda blob: blob[:20], lambda _: b"junk" * 9]
)
def test_other_bytes_are_refused(damage):
    with pytest.raises(InputError, match="safetensors"):
        from_bytes(damage(to_bytes({"a": torch.ones(2)})))


def test_every_flipped_bit_and_every_missing_end_is_noticed():
    blob = to_bytes({"0/a": torch.arange(40.0), "0/b": torch.ones(3)}, {"genome": "0123456789abcdef", "seen/0": "9"})
    rng = np.random.default_rng(0)
    for place in rng.integers(0, 8 * len(blob), 100):
        flipped = bytearray(blob)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(InputError, match="safetensors"):
            from_bytes(bytes(flipped))
    for length in rng.integers(0, len(blob), 100):
        with pytest.raises(InputError, match="safetensors"):
            from_bytes(blob[:length])


def test_each_bit_of_the_checksum_and_of_its_name_counts():
    blob = to_bytes({"a": torch.ones(1)})
    for place in range(8 * len(blob)):
        flipped = bytearray(blob)
        flipped[place // 8] ^= 1 << place % 8
        assert not is_intact(bytes(flipped)), place


@pytest.mark.parametrize("metadata", [None, {"genome": "0123456789abcdef"}])
def test_weights_of_another_program_need_no_checksum(metadata):
    tensors, found = from_bytes(save({"a": torch.ones(2)}, metadata))
    assert torch.equal(tensors["a"], torch.ones(2))
    assert found == (metadata or {})
