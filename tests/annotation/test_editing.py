"""Classes, statuses and discs are changed on disk at once, whole or not at all, and every change is told."""

import numpy as np
import pytest

from napari_menndl.annotation import editing
from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import COLOURS, FrameStatus
from napari_menndl.errors import InputError

SHAPE = (4, 32, 32)


@pytest.fixture
def annotation(tmp_path):
    annotation = Annotation.create(tmp_path / "a.annotation.zarr", SHAPE, ["S", "hole", "Mo"], (0.02, 0.02))
    for t in (0, 2):
        labels = np.zeros(SHAPE[1:], np.uint8)
        labels[2:5, 2:5], labels[10:14, 10:14], labels[20:23, 20:23], labels[20:23, 28:31] = 1, 2, 3, 3
        annotation.paint(t, labels)
    return annotation


def told(annotation):
    heard = []
    for name in ("labels", "status", "regions", "classes"):
        getattr(annotation.changes, name).connect(lambda *frame, n=name: heard.append((n, *frame)), check_nargs=False)
    return heard


def test_new_annotation_is_small_and_untouched(tmp_path):
    annotation = Annotation.create(tmp_path / "a.zarr", (500, 2048, 2048))
    assert set(annotation.status) == {FrameStatus.UNTOUCHED}
    assert sum(f.stat().st_size for f in (tmp_path / "a.zarr").rglob("*") if f.is_file()) < 50_000
    with pytest.raises(InputError, match="exists"):
        Annotation.create(tmp_path / "a.zarr", SHAPE)


def test_defects_are_counted_by_class(annotation):
    assert annotation.counts(0) == {"S": 1, "hole": 1, "Mo": 2}
    assert annotation.counts(1) == {"S": 0, "hole": 0, "Mo": 0}
    assert annotation.frames_with("Mo") == [0, 2]


@pytest.mark.parametrize(
    ("complete", "after", "expected"), [([], 0, 1), ([1], 0, 2), ([1, 2, 3], 0, None), ([3], 2, 0), ([0, 1, 3], 3, 2)]
)
def test_next_unannotated_frame_is_the_next_that_is_not_complete(annotation, complete, after, expected):
    for t in complete:
        annotation.set_status(t, "complete")
    assert annotation.next_unannotated(after) == expected


def test_painting_begins_a_frame_and_keeps_a_complete_one_complete(annotation):
    heard = told(annotation)
    annotation.set_status(2, "complete")
    for t in (1, 2):
        annotation.paint(t, np.ones(SHAPE[1:], np.uint8))
    assert [str(s) for s in annotation.status] == ["in progress", "in progress", "complete", "untouched"]
    assert heard == [("status", 2), ("status", 1), ("labels", 1), ("labels", 2)]


def test_new_class_gets_a_colour_of_its_own(annotation):
    added = annotation.add_class("vacancy pair")
    assert added.colour == COLOURS[3]
    assert Annotation.open(annotation.path).class_names[-1] == "vacancy pair"
    for name in ("S", " "):
        with pytest.raises(InputError):
            annotation.add_class(name)


def test_renamed_class_keeps_its_labels(annotation):
    heard = told(annotation)
    annotation.change_class("Mo", name="Mo on W", colour="#123456")
    assert heard == [("classes",)]
    read = Annotation.open(annotation.path)
    assert read.counts(0)["Mo on W"] == 2
    assert read.classes[2].colour == "#123456"


def test_removed_class_leaves_with_its_labels_on_all_frames(annotation):
    annotation.remove_class("hole")
    for one in (annotation, Annotation.open(annotation.path)):
        assert one.class_names == ("S", "Mo")
        assert one.counts(0) == one.counts(2) == {"S": 1, "Mo": 2}
    assert not annotation.can_undo  # strokes speak in numbers that mean something else now
    names = {p.name for p in annotation.path.iterdir()}
    assert len([n for n in names if n.startswith("labels")]) == 1
    assert annotation.paint(1, np.full(SHAPE[1:], 2, np.uint8))
    assert Annotation.open(annotation.path).counts(1) == {"S": 0, "Mo": 1}


def test_class_in_memory_is_removed_alike():
    annotation = Annotation.from_labels(np.array([[0, 1, 2, 3]]), ["a", "b", "c"])
    annotation.remove_class("b")
    assert annotation.frame(0).tolist() == [[0, 1, 0, 2]]


def test_crash_while_a_class_is_removed_loses_nothing(annotation, monkeypatch):
    def crash(group, labels, numbers, attributes):
        unwritten = group.create_array("labels-half", shape=labels.shape, chunks=labels.chunks, dtype="uint8")
        unwritten[0] = numbers[np.asarray(labels[0])]
        raise OSError("no space left on device")

    monkeypatch.setattr(editing, "renumber", crash)
    with pytest.raises(InputError, match="no space"):
        annotation.remove_class("hole")
    for one in (annotation, Annotation.open(annotation.path)):
        assert one.counts(0) == {"S": 1, "hole": 1, "Mo": 2}


def test_last_class_cannot_be_removed(annotation):
    annotation.remove_class("S")
    annotation.remove_class("Mo")
    with pytest.raises(InputError):
        annotation.remove_class("hole")


def test_discs_have_their_radius_in_nanometres(annotation):
    annotation.draw_points(1, np.array([[16.0, 16.0]]), np.array([3], np.uint8), 0.1)
    y, x = np.indices(SHAPE[1:])
    assert np.array_equal(annotation.frame(1) == 3, np.hypot(y - 16, x - 16) <= 5)
    with pytest.raises(InputError, match="radius"):
        annotation.draw_points(1, np.array([[16.0, 16.0]]), np.array([3], np.uint8), 0.0)


def test_discs_replace_point_defects_but_not_extended_ones(annotation):
    annotation.change_class("hole", extended=True)
    annotation.draw_points(0, np.array([[27.0, 5.0]]), np.array([1], np.uint8), 0.04, instead=True)
    assert annotation.counts(0) == {"S": 1, "hole": 1, "Mo": 0}
    annotation.undo()
    assert annotation.counts(0) == {"S": 1, "hole": 1, "Mo": 2}


@pytest.mark.parametrize("labels", [np.full(SHAPE[1:], 9, np.uint8), np.zeros((3, 3), np.uint8)])
def test_labels_that_cannot_be_are_refused(annotation, labels):
    with pytest.raises(InputError, match="labels 0 to 3"):
        annotation.paint(0, labels)
