import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_menndl.metrics.defect_table import DEFECT_COLUMNS
from napari_menndl.predict.labelling import find_defects, label_pixels

PROBABILITIES = np.array(
    [
        [[0.9, 0.9, 0.1, 0.0, 0.0], [0.9, 0.6, 0.1, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.3]],
        [[0.0, 0.5, 0.0, 0.4, 0.4], [0.0, 0.2, 0.0, 0.4, 0.4], [0.0, 0.0, 0.0, 0.0, 0.0]],
    ],
    np.float32,
)


def test_the_class_furthest_above_its_threshold_wins() -> None:
    labels = label_pixels(PROBABILITIES, (0.5, 0.25))
    assert labels.tolist() == [[1, 2, 0, 2, 2], [1, 1, 0, 2, 2], [0, 0, 0, 0, 0]]


def test_small_defects_are_dropped() -> None:
    labels = label_pixels(PROBABILITIES, (0.3, 0.3), (5, 4))
    assert labels.tolist() == [[0, 0, 0, 2, 2], [0, 0, 0, 2, 2], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize(("thresholds", "found"), [((np.inf, np.inf), False), ((0.0, 0.0), True)])
def test_an_infinite_threshold_finds_nothing(thresholds: tuple[float, float], found: bool) -> None:
    assert label_pixels(PROBABILITIES, thresholds).any() == found


@given(arrays(np.float32, (3, 6, 7), elements=st.floats(0, 1, width=32)), st.floats(0.05, 1))
@settings(max_examples=50, deadline=None)
def test_a_pixel_is_labelled_exactly_where_a_class_reaches_its_threshold(p: np.ndarray, threshold: float) -> None:
    labels = label_pixels(p, (threshold,) * 3)
    assert np.array_equal(labels > 0, (p >= np.float32(threshold)).any(0))
    y, x = np.nonzero(labels)
    assert (p[labels[y, x] - 1, y, x] == p[:, y, x].max(0)).all()


def test_a_defect_is_told_in_px_and_nm() -> None:
    labels = label_pixels(PROBABILITIES, (0.5, 0.25))
    table = find_defects(labels, PROBABILITIES, ("vacancy", "hole"), (0.1, 0.2), frame=7)
    assert tuple(table.columns) == DEFECT_COLUMNS
    assert len(table) == 3
    hole = table[(table["class"] == "hole") & (table["x"] == 3.5)].iloc[0]
    assert (hole.frame, hole.y, hole.x, hole.area_px) == (7, 0.5, 3.5, 4)
    assert (hole.y_nm, hole.x_nm) == pytest.approx((0.05, 0.7))
    assert hole.area_nm2 == pytest.approx(4 * 0.02)
    assert hole.confidence == pytest.approx(0.4)
    assert sorted(table.defect) == [0, 1, 2]


def test_without_pixel_size_nothing_is_claimed_in_nm() -> None:
    table = find_defects(label_pixels(PROBABILITIES, (0.5, 0.25)), PROBABILITIES, ("a", "b"))
    assert table[["y_nm", "x_nm", "area_nm2"]].isna().all(axis=None)
    assert table["area_px"].notna().all()


def test_no_defect_is_an_empty_table_of_the_same_columns() -> None:
    full = find_defects(label_pixels(PROBABILITIES, (0.5, 0.25)), PROBABILITIES, ("a", "b"))
    empty = find_defects(np.zeros((3, 5), np.uint8), PROBABILITIES, ("a", "b"))
    assert len(empty) == 0
    assert list(empty.dtypes) == list(full.dtypes)
