"""What an annotation says, where it knows something, and that nothing of it is lost on the way to disk."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import COLOURS, DefectClass, FrameStatus, Region
from napari_menndl.errors import InputError
from napari_menndl.metrics.detection import MatchRule

LABELS = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 3), st.integers(4, 12), st.integers(4, 12)), elements=st.integers(0, 3)
)
CLASSES = (DefectClass("S vacancy"), DefectClass("hole", "#009e73", extended=True), DefectClass("Mo", tolerance=0.09))


def draw(*rows: str) -> np.ndarray:
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.uint8)


FRAME = draw(
    "11....",
    "11....",
    "......",
    "...222",
    "...222",
)


@settings(max_examples=10, deadline=None)
@given(LABELS)
def test_saving_and_opening_changes_nothing(labels):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        annotation = Annotation.from_labels(labels, CLASSES, pixel_size=(0.02, 0.03))
        annotation.set_status(0, "in progress")
        annotation.set_regions(0, [(0, 0, 2, 3), (1, 1, 4, 4)])
        annotation.save(f"{folder}/a.zarr")
        opened = Annotation.open(f"{folder}/a.zarr")
        assert np.array_equal(opened.labels[:], annotation.labels)
        for fact in ("classes", "status", "regions", "pixel_size", "shape"):
            assert getattr(opened, fact) == getattr(annotation, fact)


def test_what_is_painted_is_on_disk_at_once(tmp_path):
    Annotation.from_labels(np.zeros((2, 8, 8)), ["S", "hole"]).save(tmp_path / "a.zarr")
    edited = Annotation.open(tmp_path / "a.zarr", mode="r+")
    edited.labels[1, 2:4, 3] = 2
    edited.set_status(0, FrameStatus.UNTOUCHED)
    edited.set_regions(1, [Region(0, 0, 4, 4)])
    edited.classes = [DefectClass("S", tolerance=2.0), "hole", "Mo"]
    read = Annotation.open(tmp_path / "a.zarr")
    assert read.frame(1)[3, 3] == 2
    assert read.status == (FrameStatus.UNTOUCHED, FrameStatus.COMPLETE)
    assert read.regions == {1: (Region(0, 0, 4, 4),)}
    assert read.class_names == ("S", "hole", "Mo")
    assert read.classes[0].tolerance == 2.0


def test_what_is_opened_to_read_cannot_change_the_file(tmp_path):
    Annotation.from_labels(np.zeros((1, 8, 8))).save(tmp_path / "a.zarr")
    read = Annotation.open(tmp_path / "a.zarr")
    with pytest.raises(InputError, match="r\\+"):
        read.set_status(0, "untouched")
    assert read.status == (FrameStatus.COMPLETE,)


def test_saving_replaces_an_annotation_and_leaves_nothing_beside_it(tmp_path):
    Annotation.from_labels(np.zeros((1, 8, 8))).save(tmp_path / "a.zarr")
    Annotation.from_labels(np.ones((1, 8, 8))).save(tmp_path / "a.zarr")
    assert Annotation.open(tmp_path / "a.zarr").frame(0).all()
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_the_labels_are_stored_frame_by_frame(tmp_path):
    Annotation.from_labels(np.zeros((3, 8, 6))).save(tmp_path / "a.zarr")
    stored = zarr.open_group(tmp_path / "a.zarr", mode="r")["labels"]
    assert (stored.chunks, stored.dtype) == ((1, 8, 6), np.uint8)


def files_of_labels(annotation):
    return {int(p.parts[-3]): p for p in (annotation / "labels" / "c").rglob("*") if p.is_file()}


@pytest.mark.parametrize("marked", [True, False])
def test_labels_that_are_lost_are_no_frame_without_defects(tmp_path, marked):
    labels = np.zeros((4, 8, 6), np.uint8)
    labels[1, 2:4, 2:4] = marked
    Annotation(labels, ("a",), ["untouched", "complete", "complete", "untouched"]).save(tmp_path / "a.zarr")
    files_of_labels(tmp_path / "a.zarr")[1].unlink()
    with pytest.warns(UserWarning, match="labels of frame 1 in a.zarr are lost"):
        found = Annotation.open(tmp_path / "a.zarr")
    assert not found.known(1).any()
    assert found.known(2).all()


def test_every_annotated_frame_has_its_file_however_it_came_to_be_annotated(tmp_path):
    made = Annotation.create(tmp_path / "a.zarr", (6, 8, 6), ("a", "b"))
    made.set_status(1, "complete")
    made.paint(2, np.ones((8, 6), np.uint8))
    made.undo()
    made.set_regions(3, [(0, 0, 4, 4)])
    assert set(files_of_labels(made.path)) == {1, 2, 3}
    made.paint(4, np.full((8, 6), 2, np.uint8))
    made.remove_class("b")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Annotation.open(made.path).status == made.status


def test_an_annotation_of_before_needs_no_file_for_a_frame_without_defects(tmp_path):
    Annotation(np.zeros((3, 8, 6), np.uint8), ("a",), ["complete"] * 3).save(tmp_path / "a.zarr")
    group = zarr.open_group(tmp_path / "a.zarr", mode="r+")
    del group.attrs["whole"]
    for file in files_of_labels(tmp_path / "a.zarr").values():
        file.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Annotation.open(tmp_path / "a.zarr").known(1).all()


# What is known


@pytest.mark.parametrize(
    ("status", "regions", "known"),
    [
        ("untouched", [], "nowhere"),
        ("complete", [], "everywhere"),
        ("in progress", [], "where marked"),
        ("in progress", [(0, 0, 2, 3)], "inside"),
        ("complete", [(0, 0, 2, 3)], "inside"),
    ],
)
def test_known_follows_status_and_regions(status, regions, known):
    annotation = Annotation(FRAME[None], ["a", "b"], [status], {0: regions} if regions else {})
    inside = np.zeros(FRAME.shape, bool)
    inside[0:2, 0:3] = True
    expected = {
        "nowhere": np.zeros(FRAME.shape, bool),
        "everywhere": np.ones(FRAME.shape, bool),
        "where marked": FRAME > 0,
        "inside": inside,
    }[known]
    assert np.array_equal(annotation.known(0), expected)


def test_a_region_in_an_untouched_frame_begins_it():
    annotation = Annotation(FRAME[None], ["a", "b"])
    annotation.set_regions(0, [(0, 0, 2, 2)])
    assert annotation.status == (FrameStatus.IN_PROGRESS,)


def test_a_region_is_cut_to_the_frame():
    annotation = Annotation(FRAME[None], ["a", "b"], ["complete"], {0: [(-3, 2, 99, 4)]})
    assert annotation.regions == {0: (Region(0, 2, 5, 4),)}


# Labels of others


@pytest.mark.parametrize(
    ("values", "classes", "labels", "names"),
    [
        ([[0, 255]], None, [[0, 1]], ("defect",)),
        ([[0, 255]], ["hole"], [[0, 1]], ("hole",)),
        ([[False, True]], None, [[0, 1]], ("defect",)),
        ([[0.0, 2.0]], ["a", "b"], [[0, 2]], ("a", "b")),
        ([[0, 128, 255]], None, [[0, 1, 2]], ("class 128", "class 255")),
        ([[0, 0]], None, [[0, 0]], ("defect",)),
    ],
)
def test_labels_of_others_become_0_to_the_number_of_classes(values, classes, labels, names):
    annotation = Annotation.from_labels(np.array(values), classes)
    assert annotation.frame(0).tolist() == labels
    assert annotation.class_names == names


@settings(max_examples=20, deadline=None)
@given(LABELS, st.sampled_from([np.uint8, np.int16, np.uint32, np.float32]))
def test_the_type_of_label_values_makes_no_difference(labels, dtype):
    assert np.array_equal(Annotation.from_labels(labels.astype(dtype), CLASSES).labels, labels)


def test_labels_are_read_from_tiff_npy_and_plain_zarr(tmp_path):
    labels = np.stack([FRAME, FRAME[::-1]])
    tifffile.imwrite(tmp_path / "l.tif", labels)
    np.save(tmp_path / "l.npy", labels.astype(float))
    zarr.create_array(tmp_path / "l.zarr", data=labels)
    for name in ("l.tif", "l.npy", "l.zarr"):
        opened = Annotation.open(tmp_path / name, classes=["a", "b"])
        assert np.array_equal(opened.labels, labels)
        assert set(opened.status) == {FrameStatus.COMPLETE}


def test_frames_that_are_not_given_stay_untouched():
    one = Annotation.from_labels(FRAME, frames=[2])
    some = Annotation.from_labels(np.stack([FRAME] * 3), frames=[2])
    for annotation in (one, some):
        assert [str(s) for s in annotation.status] == ["untouched", "untouched", "complete"]
        assert [annotation.frame(t).any() for t in range(3)] == [False, False, True]


def test_classes_get_colours_that_differ():
    annotation = Annotation.from_labels(FRAME)
    assert [c.colour for c in annotation.classes] == list(COLOURS[:2])


# Counting


def test_tolerance_is_in_pixels_of_the_movie():
    annotation = Annotation.from_labels(FRAME, [DefectClass("a", tolerance=0.09), "b"], pixel_size=(0.03, 0.03))
    assert annotation.match_rule("a") == MatchRule(pytest.approx(3.0), False, 3)


def test_tolerance_without_a_pixel_size_is_in_pixels():
    assert Annotation.from_labels(FRAME, [DefectClass("a", tolerance=2.0), "b"]).match_rule(0).tolerance == 2.0


def test_a_tolerance_left_out_is_taken_from_the_annotated_defects():
    match_rule = Annotation.from_labels(FRAME, ["a", DefectClass("b", extended=True)]).match_rule("b")
    assert match_rule.extended
    assert match_rule.tolerance == pytest.approx(1.5 * np.sqrt(6 / np.pi))


def test_defects_of_one_pixel_can_be_found():
    labels = np.zeros((8, 8))
    labels[4, 4] = 1
    assert Annotation.from_labels(labels).match_rule(0).min_area == 1


# Simulated movies


def simulated():
    return SimpleNamespace(
        movie=SimpleNamespace(pixel_size=(0.03, 0.03)),
        labels=np.stack([FRAME, FRAME.T[:5].repeat(6, 1)[:, :6]]),
        class_names=("S vacancy", "hole"),
    )


def test_a_simulation_is_annotated_completely():
    annotation = Annotation.from_simulation(simulated())
    assert annotation.pixel_size == (0.03, 0.03)
    assert [(c.extended, c.tolerance) for c in annotation.classes] == [(False, 0.09), (True, None)]
    assert annotation.known(1).all()


def test_of_a_simulation_one_frame_and_one_class_can_be_taken():
    annotation = Annotation.from_simulation(simulated(), frames=[0], classes=["hole"])
    assert annotation.class_names == ("hole",)
    assert np.array_equal(annotation.frame(0) == 1, FRAME == 2)
    assert not annotation.known(1).any()
    assert not annotation.frame(1).any()


def test_an_annotation_may_end_before_its_movie_does():
    Annotation.from_labels(FRAME).check((30, *FRAME.shape))
