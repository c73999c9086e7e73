import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_menndl.training.data import Draw, TileSource, TileTable

SIZE = 16


def source(frames: np.ndarray, area: np.ndarray, origins: list[tuple[int, int, int]]) -> TileSource:
    """Two channels, the second one the negative of the first."""
    labels = (frames.astype(np.int64) % 251).astype(np.uint8)
    weights = np.ones(len(origins))
    channels = np.stack([frames, -frames], axis=1).astype(np.float32)
    return TileSource(torch.from_numpy(channels), torch.from_numpy(labels), np.array(origins), weights, SIZE, area)


def cut(tiles: TileSource, draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut all tiles of a draw in one step."""
    return TileTable([tiles], [draw], len(draw)).cut(torch.zeros(1, dtype=torch.int64))


def numbered(count: int = 2, height: int = 40, width: int = 48) -> np.ndarray:
    """Frames in which every pixel has its own value."""
    return np.arange(count * height * width).reshape(count, height, width)


def test_a_cut_tile_is_that_part_of_the_frame_turned() -> None:
    frames = numbered()
    tiles = source(frames, np.ones((40, 48), bool), [(1, 3, 5)])
    part = frames[1, 3 : 3 + SIZE, 5 : 5 + SIZE]
    for flip_y in (False, True):
        for flip_x in (False, True):
            for transpose in (False, True):
                draw = Draw(np.array([[1, 3, 5]]), np.array([[flip_y, flip_x, transpose]]))
                tile, target = cut(tiles, draw)
                expected = part[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
                expected = expected.T if transpose else expected
                assert np.array_equal(tile[0].numpy(), np.stack([expected, -expected]))
                assert np.array_equal(target[0].numpy(), (expected % 251).astype(np.uint8))


@given(seed=st.integers(0, 10_000), jitter=st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_a_shifted_tile_stays_in_the_area(seed: int, jitter: float) -> None:
    rng = np.random.default_rng(seed)
    frames = numbered()
    area = np.ones((40, 48), bool)
    area[:, 26:] = False
    area[30:, :4] = False
    tiles = source(frames, area, [(0, 0, 0), (1, 14, 10), (0, 24, 8)])
    draw = tiles.draw(60, rng, jitter)
    inside = set(frames[:, area].ravel().tolist())
    shown, _ = cut(tiles, draw)
    assert set(shown[:, 0].numpy().astype(int).ravel().tolist()) <= inside


def test_the_same_stream_draws_the_same_tiles() -> None:
    tiles = source(numbered(), np.ones((40, 48), bool), [(0, 0, 0), (1, 14, 10)])
    first, again = (tiles.draw(30, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first.origins, again.origins)
    assert np.array_equal(first.turns, again.turns)
    assert len(np.unique(first.origins, axis=0)) > 10


@pytest.mark.parametrize("flips", [True, False])
def test_without_flips_no_tile_is_turned(flips: bool) -> None:
    draw = source(numbered(), np.ones((40, 48), bool), [(0, 0, 0)]).draw(50, np.random.default_rng(0), 0.0, flips)
    assert draw.turns.any() == flips
    assert not draw.origins.any()


@pytest.mark.parametrize("shared", [True, False])
def test_tiles_of_several_sources_are_cut_together(shared: bool) -> None:
    """Step by step, each source's own tiles with its own labels, whether the frames are the same or not."""
    first = source(numbered(), np.ones((40, 48), bool), [(0, 0, 0), (1, 14, 10)])
    frames = first.frames if shared else first.frames + 1
    second = TileSource(frames, first.target + 1, first.origins, first.weights, SIZE, first.area)
    draws = [one.draw(6, np.random.default_rng(seed)) for seed, one in enumerate((first, second))]
    together = TileTable([first, second], draws, batch=2)
    for step in range(3):
        tiles, target = together.cut(torch.tensor([step]))
        for number, (one, draw) in enumerate(zip((first, second), draws, strict=True)):
            part = slice(2 * step, 2 * step + 2)
            alone = cut(one, Draw(draw.origins[part], draw.turns[part]))
            assert torch.equal(tiles[2 * number : 2 * number + 2], alone[0])
            assert torch.equal(target[2 * number : 2 * number + 2], alone[1])
