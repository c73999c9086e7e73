"""Tracks of a prediction: of a drifting movie, and of the same one prepared."""

import dask.array as da
import numpy as np
import pytest
from bright import Brightness

from napari_menndl.movie.movie import Movie
from napari_menndl.movie.preparation import Average, Bin, Crop, Drift
from napari_menndl.predict.prediction import Prediction

FRAMES, SIDE, STEP = 10, 160, 4
BORN, PLACE = 5, (70, 100)


@pytest.fixture(scope="module")
def movie():
    """Squares on a sample that drifts by 4 px a frame along x, so that they enter and leave; one is born."""
    sample = np.zeros((SIDE, SIDE + FRAMES * STEP), np.float32)
    rng = np.random.default_rng(3)
    for y, x in rng.permutation(np.stack(np.meshgrid(np.arange(8, 150, 26), np.arange(4, 190, 26)), -1).reshape(-1, 2)):
        dy, dx = rng.integers(-7, 8, 2)
        if np.hypot(y + dy - PLACE[0], x + dx - PLACE[1]) > 16:
            sample[max(y + dy, 0) : y + dy + 4, max(x + dx, 0) : x + dx + 4] = 100
    frames = []
    for t in range(FRAMES):
        if t == BORN:
            sample[PLACE[0] : PLACE[0] + 4, PLACE[1] : PLACE[1] + 4] = 100
        frames.append(sample[:, t * STEP : t * STEP + SIDE].copy())
    return Movie(da.from_array(np.stack(frames), chunks=(1, SIDE, SIDE)), (0.1, 0.1), 0.5, name="drifting")


CORRECTED = Drift(tuple((0.0, -float(STEP * t)) for t in range(FRAMES)))
KNOWN = {"reach": 1.0, "move": 0.5, "growth": 0.3, "gap": 1, "confirm": 2}


@pytest.mark.parametrize(
    ("steps", "zoom"),
    [
        ((), 1),
        ((CORRECTED,), 1),
        ((CORRECTED, Crop(common=True)), 1),
        ((CORRECTED, Crop(20, 30, 120, 110)), 1),
        ((CORRECTED, Bin(2)), 2),
    ],
    ids=["as recorded", "drift corrected", "common area", "cropped", "binned"],
)
@pytest.mark.filterwarnings("ignore:The network was trained|Pixels without a value")
def test_what_drifts_into_view_is_not_born_whatever_was_prepared(movie, steps, zoom):
    prediction = Prediction(Brightness(pixel_size=(0.1 * zoom, 0.1 * zoom)), movie.prepared(steps))
    found = prediction.tracks(**KNOWN)
    told = found.events[~found.events["event"].isin(["entered", "left"])]
    assert told[["event", "frame"]].to_numpy().tolist() == [["born", BORN]]
    # The area looked at is the part of the sample that two frames share.
    shared = found.observed.areas(0.0)[1:]
    assert shared.max() <= SIDE * (SIDE - STEP) * 0.01 + 1e-6
    assert shared.min() > 0.3 * shared.max()


@pytest.mark.filterwarnings("ignore:The network was trained")
def test_an_average_takes_time_and_dose_of_its_frames(movie):
    known = Prediction(Brightness(), movie.prepared([Average(2)])).spec
    assert known.frame_time == 1.0
    assert known.dose is None
