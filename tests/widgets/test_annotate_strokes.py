"""Whatever napari paints with, the annotation learns the stroke; no window."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.widgets.annotate.strokes import AnnotationBinding, strokes_of
from napari_menndl.widgets.layers import annotation_layer

SHAPE = (3, 40, 40)


def drag(layer):
    with layer.block_history():
        for x in (10, 14, 18):
            layer.paint((1, 12, x), 2)


PAINTING = {
    "a brush": lambda layer: layer.paint((1, 12, 12), 2),
    "a drag": drag,
    "an eraser": lambda layer: layer.paint((1, 6, 6), 0),
    "a bucket": lambda layer: layer.fill((1, 6, 6), 2),
    "a bucket on the ground": lambda layer: layer.fill((1, 30, 30), 2),
    "a polygon": lambda layer: layer.paint_polygon([(1, 20, 20), (1, 20, 30), (1, 30, 30)], 1),
    "single pixels": lambda layer: layer.data_setitem((np.array([1, 1]), np.array([3, 30]), np.array([5, 9])), [2, 1]),
    "a brush at the edge": lambda layer: layer.paint((1, 0, 39), 1),
}


@pytest.fixture(params=["zarr", "memory"])
def annotation(request, tmp_path):
    annotation = Annotation.create(tmp_path / "a.zarr", SHAPE, ["S", "hole"])
    start = np.zeros(SHAPE[1:], np.uint8)
    start[4:10, 4:10] = 1
    annotation.paint(1, start)
    return annotation if request.param == "zarr" else Annotation(np.array(annotation.labels[:]), annotation.classes)


@pytest.mark.parametrize("how", PAINTING)
def test_stroke_knows_what_was_there_before_and_what_is_there_now(annotation, how):
    data, about, _ = annotation_layer(annotation)
    layer = Labels(data, **about)
    layer.brush_size = 7
    before, heard = np.array(data[:]), []
    layer.events.paint.connect(lambda event: heard.append(strokes_of(event.value, data)))
    PAINTING[how](layer)
    after = np.array(data[:])
    assert (before != after).any()
    ((stroke,),) = heard
    place = (stroke.frame, *stroke.box)
    assert np.array_equal(after[place], stroke.after)
    restored = after.copy()
    restored[place] = stroke.before
    assert np.array_equal(restored, before)


def test_stroke_through_several_frames_is_one_on_each(annotation):
    data, about, _ = annotation_layer(annotation)
    layer = Labels(data, **about)
    layer.brush_size, layer.n_edit_dimensions = 3, 3
    heard = []
    layer.events.paint.connect(lambda event: heard.extend(strokes_of(event.value, data)))
    layer.paint((1, 20, 20), 2)
    assert [stroke.frame for stroke in heard] == [0, 1, 2]


@pytest.mark.parametrize("annotation", ["zarr"], indirect=True)
def test_disk_gets_a_stroke_once_when_it_ends(annotation, monkeypatch):
    data, about, _ = annotation_layer(annotation)
    layer, written = Labels(data, **about), []
    painted = AnnotationBinding(layer, annotation, lambda _: None)
    put = type(data.stored).__setitem__
    monkeypatch.setattr(type(data.stored), "__setitem__", lambda *args: (written.append(args[1]), put(*args)))
    with layer.block_history():
        for x in range(10, 30):
            layer.paint((1, 20, x), 2)
        assert annotation.frame(1)[20, 15] == 2
        assert written == []
    assert len(written) == 1
    layer.fill((1, 20, 15), 1)
    painted.undo()
    assert len(written) == 3
    assert np.array_equal(Annotation.open(annotation.path).frame(1), annotation.frame(1))
    painted.release()
