"""One list of formats for every door, and files with other suffixes, names or contents than expected."""

import resource
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

import napari_menndl
from napari_menndl.errors import InputError
from napari_menndl.movie.following import FollowedFrame, MovieWatcher
from napari_menndl.movie.formats import FORMATS, PICTURES, READABLE, by_content, by_suffix, suffixes
from napari_menndl.movie.reading import open_movie

FRAMES = np.random.default_rng(0).integers(1, 4000, (6, 24, 32)).astype(np.uint16)
GREY8 = (FRAMES >> 4).astype(np.uint8)


def same(movie, frames):
    return movie.shape == frames.shape and all(np.array_equal(movie.frame(t), frame) for t, frame in enumerate(frames))


def save_series(folder, frames, name="f{}.tif"):
    folder.mkdir(exist_ok=True)
    for t, frame in enumerate(frames):
        if name.endswith(".tif"):
            tifffile.imwrite(folder / name.format(t), frame, photometric="minisblack")
        else:
            iio.imwrite(folder / name.format(t), frame)
    return folder


def test_no_suffix_and_no_beginning_means_two_formats():
    assert len(set(suffixes())) == len(suffixes())
    for one in FORMATS:
        assert all(by_suffix(Path(f"m{suffix.upper()}")) is one for suffix in one.suffixes)
        assert all(by_content(mark + b"....") is one for mark in one.beginnings)


def test_napari_and_the_messages_know_every_suffix():
    manifest = yaml.safe_load(Path(napari_menndl.__file__).with_name("napari.yaml").read_text())
    (reader,) = manifest["contributions"]["readers"]
    movies = [suffix for one in FORMATS if one not in PICTURES for suffix in one.suffixes]
    assert reader["filename_patterns"] == [f"*{suffix}" for suffix in movies]
    assert all(suffix in READABLE for suffix in suffixes())


@pytest.mark.parametrize("name", ["f{}²3.tif", "f{}½.tif", "f{}①.tif", "10⁻{}.tif", "नमूना {}.tif"])
def test_any_name_of_a_file_can_be_sorted(name, tmp_path):
    assert same(open_movie(save_series(tmp_path, FRAMES, name)), FRAMES)


@pytest.mark.parametrize("folder", ["nm [exp 1]", "[a]", "is it?", "100 % [*]"])
@pytest.mark.parametrize("pattern", ["", "*.tif", "f[0-5].tif", "f?.tif"])
def test_brackets_of_a_folder_are_no_pattern(folder, pattern, tmp_path):
    save_series(tmp_path / folder, FRAMES)
    assert same(open_movie(f"{tmp_path}/{folder}/{pattern}"), FRAMES)


def test_a_missing_file_in_a_folder_with_brackets_is_said_as_such(tmp_path):
    save_series(tmp_path / "[a]", FRAMES)
    with pytest.raises(InputError, match="a file or folder at"):
        open_movie(tmp_path / "[a]" / "g.tif")


@pytest.mark.parametrize("name", ["m.dat", "m", "m.stk", "m.tif.part"])
@pytest.mark.parametrize("suffix", [".tif", ".npy", ".png"])
def test_a_file_without_a_known_suffix_is_opened_by_its_content(suffix, name, tmp_path):
    path = tmp_path / f"m{suffix}"
    if suffix == ".npy":
        np.save(path, FRAMES[:1])
    else:
        iio.imwrite(path, FRAMES[0])
    path.rename(tmp_path / name)
    with pytest.warns(UserWarning, match=f"{name} is opened as"):
        assert same(open_movie(tmp_path / name), FRAMES[:1])


def test_a_file_with_the_suffix_of_another_format_is_refused(tmp_path):
    save_series(tmp_path, FRAMES)
    for suffix in (".png", ".npy"):
        (tmp_path / "f0.tif").rename(tmp_path / f"f0{suffix}")
        with pytest.raises(InputError, match=r"content is TIFF.*Rename it to end in \.tif"):
            open_movie(tmp_path / f"f0{suffix}")
        (tmp_path / f"f0{suffix}").rename(tmp_path / "f0.tif")


def test_files_of_another_format_in_a_folder_are_left_out_with_a_word(tmp_path):
    save_series(tmp_path, FRAMES)
    iio.imwrite(tmp_path / "overview.png", GREY8[0])
    with pytest.warns(UserWarning, match="PNG.* are left out"):
        assert same(open_movie(tmp_path), FRAMES)


def opaque(grey):
    return np.concatenate([np.repeat(grey[..., None], 3, -1), np.full((*grey.shape, 1), 255, np.uint8)], -1)


GREY = {
    "grey, 8 bits": (GREY8, GREY8),
    "grey, 16 bits": (FRAMES, FRAMES),
    "three channels alike": (np.repeat(GREY8[..., None], 3, -1), GREY8),
    "with transparency, unused": (np.stack([opaque(grey) for grey in GREY8]), GREY8),
    "black and white": (GREY8 > 100, GREY8 > 100),
}


@pytest.mark.parametrize("kind", GREY)
def test_a_series_of_grey_pictures_is_a_movie(kind, tmp_path):
    pictures, grey = GREY[kind]
    assert same(open_movie(save_series(tmp_path, pictures, "f{}.png")), grey)


def test_a_jpeg_is_opened_with_a_word(tmp_path):
    iio.imwrite(tmp_path / "m.jpg", GREY8[0])
    with pytest.warns(UserWarning, match="lost grey values"):
        assert open_movie(tmp_path / "m.jpg").shape == (1, 24, 32)


def test_a_picture_of_several_images_is_refused(tmp_path):
    first, *others = (Image.fromarray(frame) for frame in GREY8)
    first.save(tmp_path / "m.png", save_all=True, append_images=others)
    with pytest.raises(InputError, match=rf"one image in .*m\.png; found {len(GREY8)} of them"):
        open_movie(tmp_path / "m.png")


def test_pictures_with_colour_or_holes_are_refused(tmp_path):
    coloured, holed = np.repeat(GREY8[0][..., None], 3, -1), opaque(GREY8[0])
    coloured[3, 4, 0] ^= 1
    holed[3, 4, 3] = 0
    for picture, said in ((coloured, "colour"), (holed, "transparent")):
        iio.imwrite(tmp_path / "m.png", picture)
        with pytest.raises(InputError, match=said):
            open_movie(tmp_path / "m.png")


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_a_folder_of_images_of_any_format_can_be_followed(suffix, tmp_path):
    save_series(tmp_path, FRAMES, "f{}" + suffix)
    follower = MovieWatcher(tmp_path, existing=True)
    news = [one for one in follower.poll() if isinstance(one, FollowedFrame)]
    assert [one.name for one in news] == [f"f{t}{suffix}" for t in range(6)]
    assert all(np.array_equal(one.frame, FRAMES[one.number]) for one in news)


def test_more_files_than_may_be_open_are_a_movie(tmp_path):
    frames = np.arange(300 * 4 * 5, dtype=np.uint16).reshape(300, 4, 5)
    save_series(tmp_path, frames)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        assert same(open_movie(tmp_path), frames)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
