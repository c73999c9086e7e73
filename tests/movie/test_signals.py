"""Files with several images: what is the movie, what is left out, and that it is said."""

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr
from ome_files import description, write_pages

from napari_menndl.errors import InputError
from napari_menndl.movie.reading import open_movie

FRAMES = np.random.default_rng(0).integers(1, 4000, (6, 24, 32)).astype(np.uint16)


def same(movie, frames):
    return movie.shape == frames.shape and all(np.array_equal(movie.frame(t), frame) for t, frame in enumerate(frames))


def appended(*lengths):
    def save(path):
        for part in np.split(FRAMES, np.cumsum(lengths)[:-1]):
            tifffile.imwrite(path / "m.tif", part, append=True, photometric="minisblack")
        return path / "m.tif"

    return save


def written_in_a_loop(name):
    def save(path):
        with tifffile.TiffWriter(path / name) as tiff:
            for frame in FRAMES:
                tiff.write(frame)
        return path / name

    return save


def images_of_one_frame(path):
    return bioformats2raw(path, dict(enumerate(FRAMES[:, None])))


def bioformats2raw(path, images, names=None):
    group = zarr.open_group(str(path / "m.zarr"), mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    for key, frames in images.items():
        image = group.create_group(str(key))
        image.create_array("0", data=frames, chunks=(1, *frames.shape[1:]))
        axes = [{"name": "t", "type": "time"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
        about = {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]} | ({"name": names[key]} if names else {})
        image.attrs["multiscales"] = [about]
    return path / "m.zarr"


PIECES = {
    "a frame at a time": appended(1, 1, 1, 1, 1, 1),
    "blocks": appended(2, 2, 2),
    "blocks of different length": appended(1, 3, 2),
    "a loop": written_in_a_loop("m.tif"),
    "a loop, OME": written_in_a_loop("m.ome.tif"),
    "an OME-Zarr image per frame": images_of_one_frame,
}


@pytest.mark.parametrize("kind", PIECES)
def test_pieces_that_are_alike_follow_one_another(kind, tmp_path):
    with pytest.warns(UserWarning, match="piece by piece"):
        assert same(open_movie(PIECES[kind](tmp_path)), FRAMES)


def preview(picture, photometric="minisblack"):
    def save(path):
        with tifffile.TiffWriter(path / "m.tif") as tiff:
            tiff.write(picture, photometric=photometric, metadata=None)
            for frame in FRAMES:
                tiff.write(frame, photometric="minisblack", metadata=None)
        return path / "m.tif"

    return save


def two_images(path):
    return bioformats2raw(path, {0: FRAMES[:1, :12, :16], 1: FRAMES})


GREY8 = (FRAMES[0] >> 4).astype(np.uint8)
PREVIEWS = {
    "thumbnail": preview(FRAMES[0, ::4, ::4]),
    "picture of the screen": preview(GREY8),
    "colour with scale bar": preview(np.repeat(GREY8[..., None], 3, -1), "rgb"),
    "overview in OME-Zarr": two_images,
}


@pytest.mark.parametrize("kind", PREVIEWS)
def test_previews_are_left_out_and_it_is_said(kind, tmp_path):
    with pytest.warns(UserWarning, match=r"the movie is 1.*, not 0 .*signal="):
        assert same(open_movie(PREVIEWS[kind](tmp_path)), FRAMES)


def two_detectors_tiff(path):
    with tifffile.TiffWriter(path / "m.ome.tif") as tiff:
        for name, frames in (("HAADF", FRAMES), ("BF", FRAMES // 2)):
            tiff.write(frames, metadata={"Name": name, "axes": "TYX"}, photometric="minisblack")
    return path / "m.ome.tif"


def two_detectors_zarr(path):
    return bioformats2raw(path, {0: FRAMES, 1: FRAMES // 2}, ["HAADF", "BF"])


@pytest.mark.parametrize("save", [two_detectors_tiff, two_detectors_zarr])
def test_a_detector_is_chosen_by_name_or_number(save, tmp_path, recwarn):
    path = save(tmp_path)
    for signal in ("BF", "bf", 1, "1"):
        assert same(open_movie(path, signal=signal), FRAMES // 2)
    assert not recwarn.list
    with pytest.warns(UserWarning, match=r"the movie is 0 'HAADF'.*not 1 'BF'"):
        assert same(open_movie(path), FRAMES)
    with pytest.raises(InputError, match=r"among 0 'HAADF'.*found no 'DF'"):
        open_movie(path, signal="DF")


@pytest.mark.parametrize("save", [two_detectors_tiff, two_detectors_zarr])
def test_somebody_who_is_asked_sees_all_images_and_decides(save, tmp_path, recwarn):
    questions = []

    def ask(question):
        questions.append(question)
        return 1

    movie = open_movie(save(tmp_path), signal=ask)
    assert same(movie, FRAMES // 2)
    assert "BF" in movie.name
    (question,) = questions
    assert [(one.number, one.name, one.shape, one.possible) for one in question.options] == [
        (0, "HAADF", FRAMES.shape, True),
        (1, "BF", FRAMES.shape, True),
    ]
    assert question.likely == 0
    assert not recwarn.list  # nothing was decided for anybody


def test_nobody_is_asked_about_pieces_of_one_movie_or_where_there_is_one(tmp_path):
    def never(question):
        raise AssertionError(question)

    with pytest.warns(UserWarning, match="piece by piece"):
        assert same(open_movie(appended(2, 2, 2)(tmp_path), signal=never), FRAMES)
    with pytest.warns(UserWarning, match="the movie is 1"):  # the other one has colours
        assert same(open_movie(PREVIEWS["colour with scale bar"](tmp_path), signal=never), FRAMES)
    assert same(open_movie(FRAMES, signal=never), FRAMES)


def test_preview_is_not_taken_for_a_larger_image_of_more_axes(tmp_path):
    four = np.zeros((2, 3, 24, 32), np.uint16)
    with tifffile.TiffWriter(tmp_path / "m.ome.tif") as tiff:
        tiff.write(FRAMES[:1, ::2, ::2], metadata={"Name": "preview", "axes": "TYX"}, photometric="minisblack")
        tiff.write(four, metadata={"Name": "focal series", "axes": "TZYX"}, photometric="minisblack")
    with pytest.raises(InputError, match=r"time.*depth|depth.*time"):
        open_movie(tmp_path / "m.ome.tif")
    assert same(open_movie(tmp_path / "m.ome.tif", signal="preview"), FRAMES[:1, ::2, ::2])


def test_an_array_of_a_group_is_chosen_by_name(tmp_path):
    group = zarr.create_group(str(tmp_path / "m.zarr"))
    group.create_array("dose", data=FRAMES[0, 0])
    group.create_array("frames", data=FRAMES)
    assert same(open_movie(tmp_path / "m.zarr", signal="frames"), FRAMES)
    with pytest.raises(InputError, match="spectrum or a line"):
        open_movie(tmp_path / "m.zarr", signal="dose")


@pytest.mark.parametrize("source", [FRAMES, "m.npy", "m.png"])
def test_there_is_no_choice_of_one(source, tmp_path):
    np.save(tmp_path / "m.npy", FRAMES)
    iio.imwrite(tmp_path / "m.png", FRAMES[0])
    with pytest.raises(InputError, match="Leave signal out"):
        open_movie(tmp_path / source if isinstance(source, str) else source, signal=2)


def test_the_same_word_about_many_files_is_said_once(tmp_path):
    for t, frame in enumerate(FRAMES):
        with tifffile.TiffWriter(tmp_path / f"{t}.tif") as tiff:
            tiff.write(frame[::4, ::4], photometric="minisblack", metadata=None)
            tiff.write(frame, photometric="minisblack", metadata=None)
    with pytest.warns(UserWarning, match="5 more files") as said:
        assert same(open_movie(tmp_path), FRAMES)
    assert len(said) == 1


def imagej(count):
    return lambda path: write_pages(path, FRAMES, f"ImageJ=1.53t\nimages={count}\nframes={count}\n")


def imagej_with_two_counts(path):
    return write_pages(path, FRAMES, "ImageJ=1.53t\nimages=10\nframes=6\n")


def shaped(path):
    return write_pages(path, FRAMES, '{"shape": [10, 24, 32]}')


def ome(count):
    return lambda path: write_pages(path, FRAMES, description(FRAMES, count=count))


HEADERS = {
    "ImageJ, too few": imagej(3),
    "ImageJ, too many": imagej(10),
    "ImageJ, two counts": imagej_with_two_counts,
    "tifffile, too many": shaped,
    "OME, too few": ome(3),
    "OME, no number": ome(""),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_the_pages_count_and_not_a_wrong_header(kind, tmp_path):
    with pytest.warns(UserWarning, match="the file holds 6: the pages count"):
        assert same(open_movie(HEADERS[kind](tmp_path / "m.ome.tif")), FRAMES)


def test_frames_that_only_the_header_has_are_missing(tmp_path):
    with pytest.warns(UserWarning, match=r"lacks 4 of its 10 frames \(6 to 9\)"):
        movie = open_movie(ome(10)(tmp_path / "m.ome.tif"))
    assert np.array_equal(movie.frame(5), FRAMES[5])
    with pytest.raises(InputError, match="missing"):
        movie.frame(6)
