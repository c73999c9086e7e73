from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from scipy import ndimage

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.api import compare
from napari_menndl.metrics.components import label_components
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.notebook import plot_errors, plot_frame, plot_history
from napari_menndl.predict.prediction import Prediction
from napari_menndl.review.outcomes import ORANGE, OUTCOMES, PURPLE, WHITE


class Shifted:
    """Predicts what is true in frame 1, except that one defect is missed and another made up."""

    thresholds = (0.5,) * 5
    match_rules = (MatchRule(3.0),) * 5
    digest = "shifted"
    reach = 0

    def __init__(self, simulated):
        self.class_names = simulated.class_names
        self.pixel_size = simulated.movie.pixel_size
        self._labels = simulated.labels[1].copy()
        numbers = label_components(self._labels == 1).labels
        self._labels[numbers == 1] = 0
        y, x = np.argwhere(ndimage.uniform_filter((self._labels > 0).astype(float), 25) == 0)[0]
        self._labels[y - 2 : y + 3, x - 2 : x + 3] = 1

    def predict_frame(self, frame, pixel_size=None):
        return np.stack([self._labels == c for c in range(1, 6)]).astype(np.float32)


@pytest.fixture(scope="module")
def truth(simulated):
    return Annotation.from_simulation(simulated, frames=[0, 1])


@pytest.fixture(scope="module")
def prediction(simulated):
    return Prediction(Shifted(simulated), simulated.movie)


def shows(figure, colour):
    data, _ = figure._repr_png_()
    picture = imread(BytesIO(data))[..., :3]
    return np.mean(np.all(np.abs(picture - to_rgb(colour)) < 0.01, axis=-1)) > 2e-4


def headings(figure):
    return [axis.get_title(loc="left") for axis in figure.axes]


def test_an_annotated_and_predicted_frame_shows_all_three_colours(simulated, truth, prediction):
    figure = plot_frame(simulated.movie, prediction, truth, 1)
    assert [name.partition(":")[0] for name in headings(figure)] == ["Raw", "Expert", "Network"]
    assert all(shows(figure, colour) for colour in (WHITE, PURPLE, ORANGE))


def test_a_frame_that_nobody_annotated_shows_the_predicted_classes(simulated, truth, prediction):
    figure = plot_frame(simulated.movie, prediction, truth, 2)
    assert headings(figure) == ["Raw", "Network"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(simulated.class_names)


def test_an_annotated_frame_shows_the_classes_in_their_colours(simulated, truth):
    figure = plot_frame(simulated.movie, None, truth, 0)
    assert headings(figure) == ["Raw", "Annotation"]
    assert shows(figure, truth.classes[0].colour)


def test_a_frame_alone_is_shown_raw(simulated):
    assert headings(plot_frame(simulated.movie, None, None, 0)) == ["Raw"]


def test_the_history_ends_at_the_best_and_at_the_choice(finished):
    over_births, over_time = plot_history(finished).axes
    best = next(line for line in over_time.lines if line.get_label() == "best so far")
    assert best.get_xydata()[-1] == pytest.approx((60.0, 0.6))
    assert any("answer" in words for words in over_births.get_legend_handles_labels()[1])


def test_a_search_without_a_result_has_an_empty_history(run):
    assert len(plot_history(run).axes) == 2


def test_an_evaluation_is_a_dot_in_the_colour_of_its_rung(run, diary):
    over_births, _ = plot_history(run).axes
    dots = {d.get_label(): d.get_offsets().tolist() for d in over_births.collections}
    assert dots == {"network trained on 6 Mpx": [[1.0, 0.3], [2.0, 0.2]], "network trained on 12 Mpx": [[1.0, 0.6]]}


def test_the_map_of_errors_has_every_defect_at_its_place_in_nm(simulated, truth, prediction):
    review = compare(prediction, truth)
    *maps, counts = plot_errors(review).axes
    assert [axis.get_title(loc="left") for axis in maps] == list(simulated.class_names)
    counted = review.defects.value_counts(["class", "outcome"]).to_dict()
    for axis in maps:
        name = axis.get_title(loc="left")
        drawn = [len(dots.get_offsets()) for dots in axis.collections]
        assert drawn == [counted.get((name, outcome), 0) for outcome in OUTCOMES.values()]
        assert axis.get_xlabel() == "x [nm]"
    assert sum(line.get_ydata().sum() for line in counts.lines) == len(review.defects)


def test_without_a_pixel_size_the_map_is_in_pixels(simulated):
    plain = Annotation.from_labels((simulated.labels > 0).astype("uint8"), ["defect"])
    assert plot_errors(compare(plain, plain)).axes[0].get_xlabel() == "x [px]"
