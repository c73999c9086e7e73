import numpy as np
import pytest
from matplotlib.image import imread

from napari_menndl.errors import InputError
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.review.frame import review_labels
from napari_menndl.review.picture import PictureRow, four_panel, overlay_picture


@pytest.fixture
def row():
    y, x = np.mgrid[:96, :128]
    lattice = np.cos(y / 2) * np.cos(x / 2)
    true = np.zeros((96, 128), np.uint8)
    true[20:24, 30:34] = true[60:64, 90:94] = 1
    found = np.roll(true, 40, axis=0)
    found[60:64, 90:94] = 1
    seen = review_labels(found, true, None, [MatchRule(4.0)])
    return PictureRow(lattice, true, seen, seen, "frame 3")


def share_of(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
    return float(np.mean(np.all(np.rint(picture[..., :3] * 255) == colour, axis=-1)))


def test_the_picture_shows_all_three_colours_on_a_bright_lattice(row, tmp_path):
    path = four_panel(row, tmp_path / "picture.png", pixel_size=(0.02, 0.02), title="Two methods")
    picture = imread(path)
    for colour in [(255, 255, 255), (177, 75, 255), (255, 140, 0)]:
        assert share_of(picture, colour) > 5e-4
    assert list(tmp_path.iterdir()) == [path], "nothing half written is left"


def test_every_frame_is_a_row(row, tmp_path):
    one = imread(four_panel(row, tmp_path / "one.png"))
    two = imread(four_panel([row, row], tmp_path / "two.png"))
    assert one.shape[1] == two.shape[1]
    assert two.shape[0] > 1.7 * one.shape[0]


def test_no_frame_and_no_folder_are_refused(row, tmp_path):
    with pytest.raises(InputError, match="at least one frame"):
        four_panel([], tmp_path / "picture.png")
    with pytest.raises(InputError, match="can be written"):
        four_panel(row, tmp_path / "missing" / "picture.png")


@pytest.mark.parametrize("frame", [np.zeros((96, 128)), np.full((96, 128), np.nan), np.ones((96, 128), np.uint16)])
def test_a_frame_without_contrast_is_drawn_all_the_same(row, tmp_path, frame):
    four_panel(PictureRow(frame, row.expert, row.fourier, row.network), tmp_path / "picture.png")


def test_the_picture_of_one_frame_shows_the_colours_it_is_given(row, tmp_path):
    key = {1: ("#ffffff", "found"), 2: ("#0072b2", "false"), 3: ("#f0e442", "missed")}
    path = overlay_picture(row.frame, row.network.colours, tmp_path / "one.png", key=key, heading="frame 3")
    picture = imread(path)
    for colour in [(255, 255, 255), (0, 114, 178), (240, 228, 66)]:
        assert share_of(picture, colour) > 1e-4
    with pytest.raises(InputError, match="written"):
        overlay_picture(row.frame, row.network.colours, tmp_path / "nowhere" / "one.png")
