"""Label images as programs write them: what they mean is found and said, or refused by name."""

import warnings
from importlib.util import find_spec

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from scipy import ndimage
from skimage.measure import label
from skimage.transform import resize

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import FrameStatus, regions_of
from napari_menndl.errors import InputError

HEIGHT, WIDTH = 60, 80
CENTRES = [(y, x) for y in range(8, HEIGHT, 15) for x in range(8, WIDTH, 13)]


def discs(centres=CENTRES, radius=3, shape=(HEIGHT, WIDTH)):
    """(Y, X) bool: a disc around each centre."""
    y, x = np.indices(shape)
    return np.any([(y - cy) ** 2 + (x - cx) ** 2 <= radius**2 for cy, cx in centres], axis=0)


MASK = discs()
#: Two classes: every third disc is of the second.
CLASSES = np.where(discs(CENTRES[::3]), 2, MASK.astype(np.uint8)).astype(np.uint8)
COUNTS = (len(CENTRES) - len(CENTRES[::3]), len(CENTRES[::3]))
OBJECTS = label(MASK)


def opened(array, folder, write=np.save, name="labels.npy", **options):
    """The annotation in a file that `write` made, and all that was said."""
    write(folder / name, array)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        annotation = Annotation.open(folder / name, **options)
    return annotation, " ".join(str(w.message) for w in caught if issubclass(w.category, UserWarning))


def counted(annotation, t=0):
    return tuple(annotation.counts(t).values())


def tiff(**options):
    return lambda path, array: tifffile.imwrite(path, array, **options)


def zarr_array(*names):
    def write(path, array):
        zarr.create_array(path, data=array, dimension_names=names or None)

    return write


def old_zarr(*names):
    """Format 2 with the attribute that xarray writes."""

    def write(path, array):
        zarr.create_array(path, data=array, zarr_format=2).attrs["_ARRAY_DIMENSIONS"] = list(names)

    return write


def ome_zarr(axes):
    def write(path, array):
        group = zarr.create_group(path)
        group.create_array("0", data=array)
        scale = [{"type": "scale", "scale": [1.0] * array.ndim}]
        image = {
            "axes": [{"name": name} for name in axes],
            "datasets": [{"path": "0", "coordinateTransformations": scale}],
        }
        group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}

    return write


def picture(path, array):
    Image.fromarray(array).save(path)


# Planes ---------------------------------------------------------------------------------------------------------------

ONE_HOT = np.stack([c == CLASSES for c in range(3)]).astype(np.uint8)
LAST = np.moveaxis(ONE_HOT, 0, -1)
MOVING = np.stack([ONE_HOT, ONE_HOT[:, ::-1], ONE_HOT[:, :, ::-1], ONE_HOT])
PLANES = {
    "npy, C Y X": (ONE_HOT, np.save, "l.npy"),
    "npy, Y X C of bool": (LAST > 0, np.save, "l.npy"),
    "npy, Y X C of four": (np.dstack([LAST, 0 * LAST[..., :1]]) * 255, np.save, "l.npy"),
    "npy, T C Y X": (MOVING, np.save, "l.npy"),
    "npy, T Y X C of float": (np.moveaxis(MOVING, 1, -1).astype(np.float32), np.save, "l.npy"),
    "npy, 1 C Y X": (ONE_HOT[None] * 255, np.save, "l.npy"),
    "npy, C Y X 1": (ONE_HOT[..., None], np.save, "l.npy"),
    "npy, C 1 Y X": (ONE_HOT[:, None], np.save, "l.npy"),
    "TIFF, planes written plainly": (ONE_HOT, tiff(), "l.tif"),
    "TIFF, samples of a pixel": (LAST * 255, tiff(), "l.tif"),
    "TIFF, ImageJ's channels": (ONE_HOT * 255, tiff(imagej=True, metadata={"axes": "CYX"}), "l.tif"),
    "TIFF, ImageJ's hyperstack": (MOVING, tiff(imagej=True, metadata={"axes": "TCYX"}), "l.tif"),
    "TIFF, ImageJ's frames": (ONE_HOT, tiff(imagej=True, metadata={"axes": "TYX"}), "l.tif"),
    "TIFF, OME": (MOVING, tiff(ome=True, metadata={"axes": "TCYX"}), "l.ome.tif"),
    "zarr without names": (ONE_HOT, zarr_array(), "l.zarr"),
    "zarr with names": (LAST, zarr_array("y", "x", "channel"), "l.zarr"),
    "zarr with xarray's names": (MOVING, old_zarr("time", "class", "y", "x"), "l.zarr"),
    "OME-Zarr": (MOVING, ome_zarr("tcyx"), "l.ome.zarr"),
}


@pytest.mark.parametrize("kind", PLANES)
def test_one_hot_planes_are_classes_and_not_frames(kind, tmp_path):
    array, write, name = PLANES[kind]
    annotation, said = opened(array, tmp_path, write, name)
    assert annotation.shape == (4 if array.ndim == 4 and 1 not in array.shape else 1, HEIGHT, WIDTH)
    assert np.array_equal(annotation.frame(0), CLASSES)
    assert "one-hot" in said
    assert "Plane 0" in said


def test_the_background_may_be_the_last_plane():
    with pytest.warns(UserWarning, match="Plane 2"):
        annotation = Annotation.from_labels(ONE_HOT[[1, 2, 0]])
    assert np.array_equal(annotation.frame(0), CLASSES)


def test_a_plane_in_the_middle_is_the_background_only_where_it_is_most_of_the_frame():
    thirds = np.repeat(np.eye(3, dtype=np.uint8)[:, None], 4, axis=1).repeat(4, axis=2)
    thirds[:, :, 2:8], thirds[1, :, 2:8] = 0, 1
    with pytest.raises(InputError, match="Put the background first"):
        Annotation.from_labels(thirds)
    with pytest.warns(UserWarning, match="Plane 1"):
        assert np.array_equal(Annotation.from_labels(ONE_HOT[[1, 0, 2]]).frame(0), CLASSES)


@pytest.mark.parametrize("axes", ["CYX", "YXC"])
def test_masks_in_channels_are_a_class_each(axes, tmp_path):
    masks = ONE_HOT[1:] if axes == "CYX" else LAST[..., 1:]
    annotation, said = opened(masks, tmp_path, zarr_array(*axes.lower()), "l.zarr")
    assert np.array_equal(annotation.frame(0), CLASSES)
    assert "one class each" in said


CHANNELS = {
    "a pixel in two masks": (np.stack([MASK, discs(CENTRES[:2])]).astype(np.uint8), "in channel 0 and in channel 1"),
    "frames that were saved as channels": (np.stack([MASK] * 4).astype(np.uint8), "axes TYX"),
    "an image beside its mask": (np.stack([np.arange(MASK.size).reshape(MASK.shape) % 251, MASK]), "the one channel"),
    "probabilities": (np.stack([0.2 + 0.6 * MASK, 0.8 - 0.6 * MASK]), "argmax"),
}


@pytest.mark.parametrize("kind", CHANNELS)
def test_other_channels_are_refused_by_what_they_are(kind, tmp_path):
    array, words = CHANNELS[kind]
    dtype = np.float32 if array.dtype.kind == "f" else np.uint8
    with pytest.raises(InputError, match=words):
        opened(array.astype(dtype), tmp_path, tiff(imagej=True, metadata={"axes": "CYX"}), "l.tif")


def test_masks_without_named_axes_are_frames_that_may_be_classes(tmp_path):
    masks = np.stack([CLASSES == 1, CLASSES == 2]).astype(np.uint8)
    tifffile.imwrite(tmp_path / "l.tif", masks, photometric="minisblack")
    np.save(tmp_path / "l.npy", masks)
    for name in ("l.tif", "l.npy"):
        with pytest.warns(UserWarning, match="each is the mask of a class, name the axes"):
            assert len(Annotation.open(tmp_path / name)) == 2
    assert Annotation.from_labels(masks, axes="CYX").class_names == ("class 1", "class 2")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        Annotation.from_labels(masks, axes="TYX")
        Annotation.from_labels(np.stack([CLASSES > 0, CLASSES == 1]))  # two frames that share a defect
    assert not any("mask of a class" in str(one.message) for one in said)


def test_frames_stay_frames(tmp_path):
    stack = np.stack([CLASSES, CLASSES[::-1], CLASSES[:, ::-1]])
    for name, write in {
        "l.npy": np.save,
        "l.tif": tiff(photometric="minisblack"),
        "ij.tif": tiff(imagej=True, metadata={"axes": "TYX"}),
        "l.zarr": zarr_array("t", "y", "x"),
        "o.zarr": ome_zarr("tyx"),
    }.items():
        annotation, said = opened(stack, tmp_path, write, name)
        assert np.array_equal(annotation.labels, stack), name
        assert not said


def test_axes_of_length_1_and_their_order_make_no_difference(tmp_path):
    for number, (array, write, name) in enumerate(
        [
            (CLASSES[..., None], np.save, "l.npy"),
            (CLASSES[None, None, None], np.save, "l.npy"),
            (CLASSES[None, None], tiff(ome=True, metadata={"axes": "TCYX"}), "l.ome.tif"),
            (CLASSES.T, zarr_array("x", "y"), "l.zarr"),
            (CLASSES[None, None, None], ome_zarr("tczyx"), "l.zarr"),
            (np.stack([CLASSES] * 2, axis=-1), zarr_array("y", "x", "time"), "l.zarr"),
        ]
    ):
        (tmp_path / str(number)).mkdir()
        annotation, said = opened(array, tmp_path / str(number), write, name)
        assert np.array_equal(annotation.frame(0), CLASSES)
        assert not said


def test_frames_without_a_defect_need_no_chunk(tmp_path):
    stack = np.stack([0 * CLASSES, CLASSES])
    zarr.create_array(tmp_path / "l.zarr", data=stack, chunks=(1, HEIGHT, WIDTH))
    assert np.array_equal(Annotation.open(tmp_path / "l.zarr").labels, stack)


def test_compressed_colours_are_read_or_it_is_said_what_helps(tmp_path):
    Image.fromarray(painted((0, 0, 0), (255, 0, 0), (0, 255, 0))).save(tmp_path / "l.tif", compression="tiff_lzw")
    if find_spec("imagecodecs"):
        assert len(Annotation.open(tmp_path / "l.tif").classes) == 2
    else:
        with pytest.raises(InputError, match="install the package imagecodecs"):
            Annotation.open(tmp_path / "l.tif")


def test_a_folder_of_label_images_is_a_stack(tmp_path):
    for t in range(11):
        tifffile.imwrite(tmp_path / f"mask_{t}.tif", CLASSES if t == 10 else MASK.astype(np.uint8))
    for path in (tmp_path, tmp_path / "mask_*.tif"):
        annotation = Annotation.open(path)
        assert annotation.shape == (11, HEIGHT, WIDTH)
        assert annotation.frames_with("class 2") == [10]


# Colours --------------------------------------------------------------------------------------------------------------


def painted(*colours, dtype=np.uint8):
    return np.array(colours, dtype)[CLASSES]


COLOURS = {
    "red and green on black": (painted((0, 0, 0), (255, 0, 0), (0, 255, 0)), {"colour #ff0000", "colour #00ff00"}),
    "on white": (painted((255, 255, 255), (0, 114, 178), (213, 94, 0)), {"colour #0072b2", "colour #d55e00"}),
    "on blue": (painted((0, 0, 90), (255, 0, 0), (250, 240, 0)), {"colour #ff0000", "colour #faf000"}),
    "with opacity": (painted((0, 0, 0, 0), (9, 9, 250, 255), (0, 255, 0, 255)), {"colour #0909fa", "colour #00ff00"}),
    "of 16 bit": (
        painted((0, 0, 0), (65535, 0, 0), (0, 65535, 0), dtype=np.uint16),
        {"colour #ff0000", "colour #00ff00"},
    ),
}


# Pillow, which writes the PNG here, has no colours of 16 bit.
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind, (array, _) in COLOURS.items()
        for name in ("l.npy", "l.tif", "l.png")
        if name != "l.png" or array.dtype == np.uint8
    ],
)
def test_colours_are_classes(kind, name, tmp_path):
    array, names = COLOURS[kind]
    annotation, said = opened(array, tmp_path, {"l.npy": np.save, "l.tif": tiff(), "l.png": picture}[name], name)
    assert set(annotation.class_names) == names
    assert set(counted(annotation)) == set(COUNTS)
    assert "colour" in said


@pytest.mark.parametrize("channels", [3, 4])
def test_grey_saved_as_colours_is_grey(channels, tmp_path):
    colour = np.dstack([MASK * 255] * 3 + [MASK * 0 + 255] * (channels - 3)).astype(np.uint8)
    annotation, said = opened(colour, tmp_path, picture, "l.png")
    assert np.array_equal(annotation.frame(0), MASK)
    assert annotation.class_names == ("defect",)
    assert not said


def test_of_a_palette_the_numbers_count(tmp_path):
    image = Image.fromarray(CLASSES)
    image = image.convert("P")
    image.putdata(CLASSES.ravel().tolist())
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "voc.png")
    assert np.array_equal(Annotation.open(tmp_path / "voc.png").frame(0), CLASSES)


def test_images_that_are_left_out_are_said(tmp_path):
    with tifffile.TiffWriter(tmp_path / "l.tif") as file:
        file.write(np.stack([CLASSES == 1, CLASSES == 2]).astype(np.uint8) * 255, metadata={"axes": "CYX"})
        file.write(CLASSES[:8, :8])
    with pytest.warns(UserWarning, match=r"l\.tif holds 2 images; the labels are the first of them"):
        assert np.array_equal(Annotation.open(tmp_path / "l.tif").frame(0), CLASSES)
    first, second = Image.fromarray(CLASSES), Image.fromarray(MASK)
    first.save(tmp_path / "l.png", save_all=True, append_images=[second])
    with pytest.raises(InputError, match=r"one label image in .*l\.png; found 2 of them"):
        Annotation.open(tmp_path / "l.png")


def test_a_photograph_is_no_label_image(tmp_path):
    photograph = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    with pytest.raises(InputError, match="few colours"):
        opened(photograph, tmp_path, picture, "l.png")


def test_smoothed_colours_are_refused(tmp_path):
    smooth = ndimage.zoom(painted((0, 0, 0), (255, 0, 0), (0, 255, 0)).astype(float), (2, 2, 1), order=1)
    with pytest.raises(InputError, match="edges"):
        opened(np.rint(smooth).astype(np.uint8), tmp_path, tiff(), "l.tif")


# Objects --------------------------------------------------------------------------------------------------------------


def packed():
    """Cells that fill half of the frame and touch each other, as a watershed leaves them."""
    cells = np.kron(np.arange(1, 26).reshape(5, 5), np.ones((6, 7), int))
    return np.pad(cells, ((10, 20), (15, 30)))


NUMBERED = {
    "skimage.label": (OBJECTS, len(CENTRES)),
    "ImageJ's count masks": (OBJECTS.astype(np.uint16), len(CENTRES)),
    "ImageJ's 32 bit": (OBJECTS.astype(np.float32), len(CENTRES)),
    "with gaps, as after clearing borders": (OBJECTS * 7 % 256, len(CENTRES)),
    "more than there may be classes": (OBJECTS + 1000 * (OBJECTS > 0), len(CENTRES)),
    "five": (label(discs(CENTRES[:5])), 5),
    "cells that touch": (packed(), 25),
    "one split in two": (np.where(discs([(30, 1)], 1), 3, OBJECTS), len(CENTRES) + 1),
    "on two frames, tracked": (np.stack([OBJECTS, np.roll(OBJECTS, 2, axis=1)]), len(CENTRES)),
    "on two frames, each from 1": (np.stack([OBJECTS, OBJECTS[::-1]]), len(CENTRES)),
}


@pytest.mark.parametrize("kind", NUMBERED)
def test_numbered_objects_are_one_class_and_that_is_said(kind, tmp_path):
    array, count = NUMBERED[kind]
    annotation, said = opened(array, tmp_path)
    assert annotation.class_names == ("defect",)
    assert counted(annotation) == (count,)
    assert "single objects are numbered" in said
    quiet, said = opened(array, tmp_path, one_class=True, classes=["vacancy"])
    assert np.array_equal(quiet.labels, annotation.labels)
    assert quiet.class_names == ("vacancy",)
    assert not said


def test_few_values_of_one_object_each_stay_classes_with_a_word(tmp_path):
    three = label(discs(CENTRES[:3]))
    annotation, said = opened(three, tmp_path)
    assert len(annotation.classes) == 3
    assert "one_class" in said
    annotation, said = opened(three, tmp_path, classes=["vacancy"])
    assert annotation.counts(0) == {"vacancy": 3}
    assert "single objects" in said


def test_classes_that_are_named_are_classes(tmp_path):
    few = label(discs(CENTRES[:6]))
    annotation, said = opened(few, tmp_path, classes=list("abcdef"))
    assert np.array_equal(annotation.frame(0), few)
    assert not said


def test_one_class_makes_one_of_several(tmp_path):
    annotation, _ = opened(CLASSES, tmp_path, one_class=True)
    assert np.array_equal(annotation.frame(0), MASK)
    with pytest.raises(InputError, match="one_class"):
        Annotation.from_labels(CLASSES, ["a", "b"], one_class=True)


# Grey edges -----------------------------------------------------------------------------------------------------------


def jpeg(array, folder):
    Image.fromarray(array).save(folder / "mask.jpg", quality=80)
    with Image.open(folder / "mask.jpg") as image:
        return np.asarray(image)


GREY = {
    "enlarged": lambda _: ndimage.zoom(MASK * 255.0, 2, order=1).astype(np.uint8),
    "binned by two": lambda _: (MASK.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).mean((1, 3)) * 255).astype(np.uint8),
    "turned by 7 degrees": lambda _: ndimage.rotate(MASK * 255.0, 7, order=1).astype(np.uint8),
    "smoothed": lambda _: ndimage.gaussian_filter(MASK * 255.0, 0.8).astype(np.uint16),
    "resized as float": lambda _: resize(MASK.astype(np.float32), (90, 110), order=1),
    "JPEG": lambda folder: jpeg((MASK * 255).astype(np.uint8), folder),
    "two classes, enlarged": lambda _: ndimage.zoom(CLASSES * 120.0, 3, order=1).astype(np.uint8),
}


@pytest.mark.parametrize("kind", GREY)
def test_grey_edges_are_refused_by_name_and_can_be_cut_at_half(kind, tmp_path):
    array = GREY[kind](tmp_path)
    with pytest.raises(InputError, match="grey edges") as error:
        opened(array, tmp_path)
    assert "nearest" in error.value.remedy
    if "two classes" not in kind:
        annotation, said = opened(array, tmp_path, one_class=True)
        assert annotation.class_names == ("defect",)
        assert 0.8 * len(CENTRES) <= counted(annotation)[0] <= len(CENTRES)
        assert "taken as a defect" in said


def test_an_image_of_intensities_is_no_label_image(tmp_path):
    image = np.random.default_rng(0).poisson(40 + 30 * MASK)
    for dtype in (np.uint8, np.uint16, np.float32):
        for options in ({}, {"one_class": True}, {"background": 0}):
            with pytest.raises(InputError, match="intensities"):
                opened(image.astype(dtype), tmp_path, **options)


@pytest.mark.parametrize("levels", [(0, 128, 255), (0, 60, 250), (0, 1, 2), (0, 100, 101)])
def test_levels_without_edges_are_classes(levels, tmp_path):
    annotation, said = opened(np.array(levels, np.uint8)[CLASSES], tmp_path)
    assert np.array_equal(annotation.frame(0), CLASSES)
    assert annotation.class_names == (f"class {levels[1]}", f"class {levels[2]}")
    assert not said
    named, _ = opened(np.array(levels, np.uint8)[CLASSES], tmp_path, classes=["a", "b"])
    assert np.array_equal(named.frame(0), CLASSES)


# Background and what was not looked at --------------------------------------------------------------------------------

BACKGROUNDS = {
    "ilastik": (CLASSES + 1, "ilastik", "1", COUNTS),
    "ilastik, one class": (np.where(MASK, 2, 1), "ilastik", "1", (len(CENTRES),)),
    "ilastik, defects first": (np.where(MASK, 1, 2), "No pixel", "2", (len(CENTRES),)),
    "inverted, 0/255": (np.where(MASK, 0, 255), "inverted", "255", (len(CENTRES),)),
    "inverted, 0/1": (~MASK, "inverted", "1", (len(CENTRES),)),
    "the background as a third class": (np.where(MASK, CLASSES - 1, 2), "inverted", "2", COUNTS),
    "two levels": (np.where(MASK, 255, 128), "No pixel", "128", (len(CENTRES),)),
    "a stack": (np.stack([np.where(MASK, 0, 255)] * 3), "inverted", "255", (len(CENTRES),)),
}


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_a_background_that_is_not_0_is_found_and_said(kind, tmp_path):
    array, words, background, counts = BACKGROUNDS[kind]
    annotation, said = opened(array.astype(np.uint8), tmp_path)
    assert counted(annotation) == counts
    assert words in said
    assert f"background {background}" in annotation.describe()
    given, said = opened(array.astype(np.uint8), tmp_path, background=int(background))
    assert np.array_equal(given.labels, annotation.labels)
    assert not said


def test_ilastiks_numbers_keep_their_names(tmp_path):
    for values in (CLASSES + 1, np.where(CLASSES == 2, 3, 1)):
        annotation, _ = opened(values, tmp_path, classes=["a", "b"])
        assert np.array_equal(annotation.frame(0) == 2, CLASSES == 2)


def test_a_large_hole_is_no_background(tmp_path):
    hole = np.zeros((HEIGHT, WIDTH), np.uint8)
    hole[6:-6, 6:-6] = 1
    annotation, said = opened(hole, tmp_path)
    assert np.array_equal(annotation.frame(0), hole)
    assert not said


def test_background_0_says_that_a_marked_frame_is_meant(tmp_path):
    annotation, said = opened(np.where(MASK, 0, 255), tmp_path, background=0)
    assert np.array_equal(annotation.frame(0), ~MASK)
    assert not said


IGNORED = np.zeros((HEIGHT, WIDTH), bool)
IGNORED[:, :5] = True
IGNORED |= discs([(40, 70)], 8)


@pytest.mark.parametrize(("value", "dtype"), [(255, np.uint8), (-1, np.int16), (9, np.uint16)])
def test_what_was_not_looked_at_is_unknown_on_disk_too(value, dtype, tmp_path):
    array = np.where(IGNORED, value, CLASSES.astype(int)).astype(dtype)
    annotation, said = opened(array, tmp_path, ignore=value)
    assert annotation.class_names == ("class 1", "class 2")
    annotation.save(tmp_path / "a.zarr")
    for one in (annotation, Annotation.open(tmp_path / "a.zarr")):
        assert np.array_equal(one.known(0), ~IGNORED)
        assert np.array_equal(one.frame(0), np.where(IGNORED, 0, CLASSES))
    assert "not looked at" in annotation.describe()
    assert not said


def test_a_frame_that_nobody_looked_at_is_untouched():
    stack = np.stack([CLASSES, np.full_like(CLASSES, 255)])
    annotation = Annotation.from_labels(stack, ignore=255)
    assert annotation.status == (FrameStatus.COMPLETE, FrameStatus.UNTOUCHED)
    assert not annotation.known(1).any()
    placed = Annotation.from_labels(np.where(IGNORED, 255, CLASSES), frames=[3], ignore=255)
    assert np.array_equal(placed.known(3), ~IGNORED)


def test_255_beside_classes_is_asked_about(tmp_path):
    annotation, said = opened(np.where(IGNORED, 255, CLASSES), tmp_path)
    assert annotation.class_names[-1] == "class 255"
    assert "ignore=255" in said
    _, said = opened(CLASSES, tmp_path, ignore=255)
    assert "No pixel has the value 255" in said


def test_regions_cover_a_mask_exactly_and_once():
    mask = np.random.default_rng(1).random((30, 40)) < 0.6
    covered = np.zeros(mask.shape, int)
    for y0, x0, y1, x1 in regions_of(mask):
        covered[y0:y1, x0:x1] += 1
    assert np.array_equal(covered, mask.astype(int))
    assert regions_of(np.ones((4, 5), bool)) == [(0, 0, 4, 5)]
    with pytest.raises(InputError, match="outline"):
        regions_of(np.random.default_rng(1).random((200, 200)) < 0.5)


# Which movie they belong to -------------------------------------------------------------------------------------------


def test_transposed_labels_are_named_as_such():
    with pytest.raises(InputError, match="80 x 60 px, rows and columns exchanged"):
        Annotation.from_labels(CLASSES.T).check((4, HEIGHT, WIDTH))
    with pytest.raises(InputError, match="60 x 79 px"):
        Annotation.from_labels(CLASSES[:, 1:]).check((4, HEIGHT, WIDTH))


def test_labels_of_some_frames_say_which_they_are_taken_for():
    some = Annotation.from_labels(np.stack([CLASSES] * 2))
    with pytest.warns(UserWarning, match="frames 0 to 1"):
        some.check((6, HEIGHT, WIDTH))
    with pytest.raises(InputError, match="one of 2 frames"):
        some.check((1, HEIGHT, WIDTH))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Annotation.from_labels(CLASSES, frames=[3]).check((6, HEIGHT, WIDTH))
        Annotation.from_labels(CLASSES).check((6, HEIGHT, WIDTH))


def test_what_was_understood_is_one_line():
    first, second = COUNTS
    assert Annotation.from_labels(CLASSES).describe() == (
        f"labels of 1 frame, 2 classes (class 1: {first} defects, class 2: {second} defects), background 0"
    )


def test_our_own_format_leaves_nothing_to_guess(tmp_path):
    Annotation.from_labels(CLASSES).save(tmp_path / "a.zarr")
    assert "background" not in Annotation.open(tmp_path / "a.zarr").describe()
    with pytest.raises(InputError, match="one_class"):
        Annotation.open(tmp_path / "a.zarr", one_class=True)
