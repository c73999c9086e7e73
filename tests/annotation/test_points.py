"""Clicked points become discs and come back."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.annotation.points import SAME_DEFECT, read_points
from napari_menndl.metrics.components import label_components

POINTS = st.lists(st.tuples(st.integers(0, 47), st.integers(0, 47)), min_size=0, max_size=12, unique=True)


def spread(points, least):
    """The points that are at least so far from all before."""
    kept = []
    for p in points:
        if all(np.hypot(p[0] - q[0], p[1] - q[1]) >= least for q in kept):
            kept.append(p)
    return np.array(kept, float).reshape(-1, 2)


@settings(max_examples=40, deadline=None)
@given(POINTS, st.floats(0.3, 6))
def test_every_click_is_one_defect_even_where_discs_meet(points, radius):
    clicks = spread(points, SAME_DEFECT)
    annotation = Annotation.from_points(clicks, (48, 48), radius)
    assert len(label_components(annotation.frame(0) > 0, 1)) == len(clicks)


@settings(max_examples=25, deadline=None)
@given(POINTS)
def test_to_points_undoes_from_points(points):
    clicks = spread([p for p in points if min(p) >= 3 and max(p) <= 44], 9)
    back = Annotation.from_points(clicks, (48, 48), 3).to_points(0)
    found, clicked = (sorted(map(tuple, np.asarray(a, float))) for a in (back[["y", "x"]], clicks))
    assert np.allclose(np.reshape(found, (-1, 2)), np.reshape(clicked, (-1, 2)))


def test_a_disc_is_a_disc():
    labels = Annotation.from_points([[10.0, 12.0]], (24, 24), 4).frame(0)
    y, x = np.indices(labels.shape)
    assert np.array_equal(labels > 0, np.hypot(y - 10, x - 12) <= 4)


def test_points_with_classes_and_frames_come_back_through_a_csv_file(tmp_path):
    table = pd.DataFrame(
        {"y": [5.0, 20.0, 9.0], "x": [6.0, 7.0, 30.0], "class": ["Mo", "S vacancy", "Mo"], "frame": [0, 0, 2]}
    )
    first = Annotation.from_points(table, (4, 40, 40), 3)
    first.to_points().to_csv(tmp_path / "p.csv", index=False)
    second = Annotation.from_points(tmp_path / "p.csv", (4, 40, 40), 3, first.classes)
    assert np.array_equal(first.labels, second.labels)
    assert first.class_names == ("Mo", "S vacancy")
    assert [t for t, s in enumerate(first.status) if s is FrameStatus.COMPLETE] == [0, 2]


@pytest.mark.parametrize(
    "text",
    [
        "y,x\n351,152\n332,174\n",
        " ,X,Y\n1,152,351\n2,174,332\n",
        " \tX\tY\n1\t152\t351\n2\t174\t332\n",
        "x;y\n152;351\n174;332\n",
        "index,axis-0,axis-1\n0,351,152\n1,332,174\n",
    ],
    ids=["named", "ImageJ", "ImageJ, tabs", "semicolons", "napari"],
)
def test_columns_are_understood_by_name(tmp_path, text):
    (tmp_path / "p.csv").write_text(text)
    assert read_points(tmp_path / "p.csv")[["y", "x"]].to_numpy().tolist() == [[351, 152], [332, 174]]


def test_imagej_counts_slices_from_one(tmp_path):
    (tmp_path / "p.csv").write_text(" ,X,Y,Slice\n1,1,2,1\n2,3,4,5\n")
    assert read_points(tmp_path / "p.csv")["frame"].tolist() == [0, 4]


def test_no_points_are_a_complete_frame_without_defects():
    annotation = Annotation.from_points(np.zeros((0, 2)), (16, 16), 3)
    assert annotation.known(0).all()
    assert not annotation.frame(0).any()
