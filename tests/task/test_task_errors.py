"""Bad input: each kind with what its message must name, before any training starts."""

import numpy as np
import pytest
import zarr

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.errors import InputError
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.movie.reading import open_movie
from napari_menndl.task.task import TrainingTask
from napari_menndl.task.tiles import choose_tiles, fit_tile

FRAMES = np.random.default_rng(0).normal(100, 10, (2, 64, 64)).astype(np.float32)
LABELS = np.zeros((2, 64, 64), np.uint8)
LABELS[:, 5::9, 5::9] = 1


def made(
    frames=FRAMES, labels=LABELS, *, chosen=(0,), status=None, regions=None, movie=None, annotation=None, **options
):
    """A task from arrays, one thing about them wrong."""

    def case(folder):
        words = Annotation(
            np.asarray(labels), ["vacancy"], status or [FrameStatus.COMPLETE] * len(labels), regions, annotation
        )
        return TrainingTask.from_movie(open_movie(np.array(frames), pixel_size=movie), words, chosen, **options)

    return case


def with_values(value, where):
    frames = FRAMES.copy()
    frames[where] = value
    return frames


def saved(folder):
    made()(folder).save(folder / "t.zarr")
    return folder / "t.zarr"


def truncated(folder):
    path = saved(folder)
    chunk = next(p for p in (path / "frames").rglob("*") if p.is_file() and p.name != "zarr.json")
    chunk.write_bytes(chunk.read_bytes()[:100])
    TrainingTask.open(path)


def without(name):
    def case(folder):
        path = saved(folder)
        del zarr.open_group(path, mode="r+")[name]
        TrainingTask.open(path)

    return case


def retold(**attributes):
    def case(folder):
        path = saved(folder)
        zarr.open_group(path, mode="r+").attrs.update(attributes)
        TrainingTask.open(path)

    return case


def text_for_labels(folder):
    path = saved(folder)
    group = zarr.open_group(path, mode="r+")
    del group["labels"]
    group.create_array("labels", data=np.full((1, 4, 4), "a"))
    TrainingTask.open(path)


def another_movie(folder):
    words = Annotation(LABELS.copy(), ["vacancy"], ["complete"] * 2)
    words.note(open_movie(FRAMES))
    TrainingTask.from_movie(open_movie(FRAMES[::-1].copy()), words)


def annotation_for_task(folder):
    Annotation.from_labels(LABELS).save(folder / "a.zarr")
    TrainingTask.open(folder / "a.zarr")


CASES = {
    "annotation of another movie": (another_movie, "another frame 0"),
    "no defect": (made(labels=0 * LABELS), "at least one annotated defect"),
    "nothing but defects": (made(labels=0 * LABELS + 1), "without a defect"),
    "only defects marked, frame not finished": (made(status=["in progress"] * 2), "draw a region"),
    "label without a class": (made(labels=3 * LABELS), "the label 3"),
    "frame not annotated": (made(status=["complete", "untouched"], chosen=[1]), "annotation of frame 1"),
    "frame after the annotation's end": (made(labels=LABELS[:1], chosen=[1]), "annotation of frame 1"),
    "frame after the movie's end": (made(chosen=[2]), "a frame from 0 to 1"),
    "frame before the first": (made(chosen=-1), "frame -1"),
    "no frame": (made(chosen=[]), "at least one"),
    "a frame twice": (made(chosen=[0, 0]), "each once"),
    "NaN in most of the frame": (made(with_values(np.nan, (0, slice(40)))), "NaN"),
    "infinity in most of the frame": (made(with_values(np.inf, (0, slice(40)))), "infinite"),
    "constant frame": (made(with_values(7, 0)), "the value 7 everywhere"),
    "annotation of another size": (made(labels=LABELS[:, :60]), "64 x 64"),
    "annotation longer than the movie": (made(labels=np.repeat(LABELS, 2, axis=0)), "one of 4"),
    "two pixel sizes": (made(movie=(0.02, 0.02), annotation=(0.03, 0.03)), "0.03"),
    "frame too small to be split": (made(FRAMES[:, :24, :24], LABELS[:, :24, :24]), "24 x 24"),
    "region too small to be split": (made(regions={0: [(0, 0, 12, 12)]}), "too little left"),
    "guard band wider than the frame": (made(guard=60), "smaller guard band"),
    "one fold": (made(folds=1), "2 to 64 folds"),
    "fold that is not there": (lambda f: made()(f).split(0, 4), "fold 4"),
    "frames of another type": (
        lambda f: TrainingTask(FRAMES.astype(float), LABELS, LABELS > 0, ("a",), (MatchRule(3.0),)),
        "float64",
    ),
    "class without a match rule": (lambda f: TrainingTask(FRAMES, LABELS, LABELS > 0, ("a",), ()), "one match rule"),
    "no room for a tile": (lambda f: fit_tile(64, np.ones((200, 12), bool)), "room for tiles"),
    "tiles that reach nothing known": (
        lambda f: choose_tiles(LABELS, np.zeros(LABELS.shape, bool), LABELS[0] < 9, 32, np.random.default_rng(0)),
        "known pixels",
    ),
    "missing task": (lambda f: TrainingTask.open(f / "no.zarr"), "no.zarr"),
    "an annotation for a task": (annotation_for_task, "not written by napari-menndl"),
    "task of a newer version": (retold(schema=2), "Update napari-menndl"),
    "task without a guard": (retold(guard=None), "changed or damaged"),
    "task with unknown fields of a match rule": (retold(detectors=[{"run": "rm"}]), "changed or damaged"),
    "truncated task": (truncated, "changed or damaged"),
    "task without frames": (without("frames"), "'frames'"),
    "text for labels": (text_for_labels, "numbers in 3 axes"),
    "task saved twice": (lambda f: made()(f).save(saved(f)), "which exists"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_task_is_refused(case, tmp_path):
    call, words = CASES[case]
    with pytest.raises(InputError) as caught:
        call(tmp_path)
    assert words in str(caught.value)
    assert all((caught.value.expected, caught.value.found, caught.value.remedy))
