import json

import dask.array as da
import numpy as np
import pandas as pd
import pytest

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import DefectClass
from napari_menndl.errors import InputError
from napari_menndl.review.review import Review
from napari_menndl.simulation.simulate import simulate_movie

CLASSES = (DefectClass("vacancy", tolerance=0.2), DefectClass("hole", extended=True))
PIXEL_SIZE = (0.1, 0.1)


def movie(*frames: str) -> np.ndarray:
    return np.array(
        [[[int(c.replace(".", "0")) for c in row.strip()] for row in frame.strip().splitlines()] for frame in frames],
        np.uint8,
    )


TRUE = movie(
    """
    111.........
    111....2222.
    .......2222.
    ............
    """,
    """
    111......111
    111...22.111
    ......22222.
    .......2222.
    """,
    """
    ............
    111...22.111
    111...22.111
    ......22222.
    """,
)
PREDICTED = movie(
    """
    111.........
    111....2222.
    .......2222.
    ............
    """,
    """
    111.........
    111...22....
    ......22222.
    .111...2222.
    """,
    """
    .........111
    .........111
    ......22222.
    ......22222.
    """,
)


@pytest.fixture
def annotation():
    return Annotation.from_labels(TRUE, CLASSES, pixel_size=PIXEL_SIZE)


@pytest.fixture
def review(annotation):
    return Review.of(PREDICTED, annotation, labelled=0)


def score(review, scope="all", frame="all", name="all"):
    s = review.scores
    (row,) = s[(s["scope"] == scope) & (s["frame"] == frame) & (s["class"] == name)].to_dict("records")
    return row


def counts(row):
    return row["tp"], row["fp"], row["fn"]


def test_every_score_follows_from_the_defects(review):
    for frame in (0, 1, 2, "all"):
        for name in ("vacancy", "hole", "all"):
            d = review.defects
            d = d[((d["frame"] == frame) | (frame == "all")) & ((d["class"] == name) | (name == "all"))]
            outcomes = [(d["outcome"] == o).sum() for o in ("true positive", "false positive", "false negative")]
            row = score(review, "all", frame, name)
            assert counts(row) == tuple(outcomes)
            assert row["f1"] == pytest.approx(2 * outcomes[0] / (2 * outcomes[0] + outcomes[1] + outcomes[2]))


def test_scopes_leave_out_what_was_learned_from_and_what_was_there(review):
    assert counts(score(review, "all", "all", "vacancy")) == (3, 1, 2)
    assert counts(score(review, "later", "all", "vacancy")) == (2, 1, 2)
    # The vacancy at the right is born in frame 1, missed there and found in frame 2; the hole only grows.
    assert counts(score(review, "born", "all", "vacancy")) == (1, 1, 1)
    assert counts(score(review, "born", "all", "hole")) == (0, 0, 0)
    assert np.isnan(score(review, "born", "all", "hole")["f1"])
    assert set(review.defects[review.defects["born"]]["frame"]) == {1, 2}


def test_a_defect_that_drifts_is_not_born_again():
    drifting = np.zeros((5, 24, 24), np.uint8)
    for t in range(5):
        drifting[t, 2 + 2 * t : 5 + 2 * t, 4:7] = 1
    review = Review.of(drifting, Annotation.from_labels(drifting, (DefectClass("a", tolerance=2.5),)), labelled=0)
    assert not review.defects["born"].any()


def test_the_event_table_says_what_was_born():
    simulated = simulate_movie(12, (128, 128), area_seed=3)
    annotation = Annotation.from_simulation(simulated)
    review = Review.of(simulated.labels, annotation, labelled=0, events=simulated.events)
    assert score(review)["f1"] == 1.0
    assert score(review, "later")["pixel_f1"] == 1.0
    events = simulated.events
    born = events[(events["born"] > 0) & (events["event"] != "vanished")]
    # Defects that touch are one component: there may be fewer components than events.
    new = review.defects[review.defects["born"]]
    assert 0 < len(new) <= len(born)
    for _, defect in new.iterrows():
        there = born[(born["frame"] == defect["frame"]) & (born["class"] == defect["class"])]
        assert np.hypot(there["y"] - defect["y"], there["x"] - defect["x"]).min() < 6


def test_places_are_told_in_pixels_and_nanometres(review):
    first = review.defects.iloc[0]
    assert (first["y"], first["x"]) == (0.5, 1.0)
    assert (first["y_nm"], first["x_nm"]) == pytest.approx((0.05, 0.1))
    assert (first["area_px"], first["area_nm2"]) == (6, pytest.approx(0.06))


def test_lazy_arrays_give_the_same_review(annotation, review):
    lazy = Review.of(da.from_array(PREDICTED, chunks=(1, 4, 12)), annotation, labelled=0)
    pd.testing.assert_frame_equal(lazy.defects, review.defects)
    pd.testing.assert_frame_equal(lazy.scores, review.scores)
    np.testing.assert_array_equal(lazy.colours(1), review.colours(1))


def test_probabilities_bring_confidence_and_average_precision(annotation):
    probabilities = np.stack([PREDICTED == 1, PREDICTED == 2], axis=1) * 0.8 + 0.1
    sure = Review.of(TRUE, annotation, probabilities=np.stack([TRUE == 1, TRUE == 2], axis=1) * 0.8 + 0.1)
    assert score(sure)["average_precision"] == pytest.approx(1.0)
    review = Review.of(PREDICTED, annotation, labelled=0, probabilities=probabilities)
    found = review.defects[review.defects["outcome"] != "false negative"]
    assert found["confidence"].to_numpy() == pytest.approx(0.9)
    assert 0.4 < score(review)["average_precision"] < 1.0
    assert np.isnan(score(Review.of(PREDICTED, annotation))["average_precision"])


def test_classes_need_not_be_equally_sure(annotation):
    rng = np.random.default_rng(0)
    chances = np.stack([(PREDICTED == 1) * rng.random(PREDICTED.shape), (PREDICTED == 2) * 0.8], axis=1)
    review = Review.of(PREDICTED, annotation, probabilities=chances)
    assert np.isfinite(score(review)["average_precision"])


def test_a_second_expert_can_stand_in_for_the_prediction(annotation):
    names = [c.name for c in CLASSES]
    swapped = np.choose(PREDICTED, [0, 2, 1]).astype(np.uint8)
    second = Annotation.from_labels(swapped, names[::-1])
    pd.testing.assert_frame_equal(Review.of(second, annotation).scores, Review.of(PREDICTED, annotation).scores)


def test_only_what_both_experts_looked_at_is_compared(annotation):
    second = Annotation.from_labels(PREDICTED, CLASSES, frames=[0, 1])
    second.set_regions(1, [(0, 0, 4, 6)])  # the right half of frame 1 is left out
    review = Review.of(second, annotation)
    assert review.frames == (0, 1)
    assert counts(score(review, "all", 1, "vacancy")) == (1, 1, 0)


def test_a_class_of_one_side_alone_is_named_and_not_scored(annotation):
    review = Review.of(Annotation.from_labels(PREDICTED == 1, ("vacancy",)), annotation)
    assert review.class_names == ("vacancy",)
    assert review.not_compared == ("hole",)


def test_the_summary_is_json(review):
    summary = json.loads(json.dumps(review.summary(), allow_nan=False))
    assert summary["frames"] == [0, 1, 2]
    assert summary["scores"]["all"]["vacancy"]["tp"] == 3
    assert summary["scores"]["born"]["hole"]["f1"] is None


def test_tables_come_back_from_csv(review, tmp_path):
    defects, scores = review.to_csv(tmp_path / "review.csv")
    assert len(pd.read_csv(defects)) == len(review.defects)
    assert len(pd.read_csv(scores)) == len(review.scores)


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (PREDICTED[:, :3], "same movie"),
        (PREDICTED[0, 0], "same movie"),
        (PREDICTED + 2, "label 4"),
        (Annotation.from_labels(PREDICTED, ("oxygen", "carbon")), "same names"),
        (Annotation(PREDICTED, CLASSES), "complete"),
    ],
)
def test_what_cannot_be_compared_is_refused(annotation, predicted, message):
    with pytest.raises(InputError, match=message):
        Review.of(predicted, annotation)
