"""Videos: frames by exact number, grey, and what they have lost is said once."""

import pickle
import sys
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
import tifffile

from napari_menndl.errors import InputError
from napari_menndl.movie import video
from napari_menndl.movie.reading import open_movie

RNG = np.random.default_rng(0)
Y, X = np.mgrid[:48, :64]
#: Blobs that move, on noise: no frame is like another.
FRAMES = (
    np.stack([60 + 150 * np.exp(-((Y - 24) ** 2 + (X - t) ** 2) / 40) + RNG.normal(0, 8, Y.shape) for t in range(60)])
    .clip(0, 255)
    .astype(np.uint8)
)


def encode(path, codec, form, frames=FRAMES, given="gray", rate=25, times=None, streams=1, **options):
    """A video as PyAV writes it; `form` is the format of its pixels."""
    with av.open(str(path), "w") as container:
        for number in range(streams):
            stream = container.add_stream(codec, rate=rate, options=options)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = form
            if number:
                stream.metadata["title"] = f"camera {number}"
        for number, stream in enumerate(container.streams.video):
            for t, frame in enumerate(frames):
                picture = av.VideoFrame.from_ndarray(frame + number, format=given).reformat(format=form)
                picture.pts = t if times is None else times[t]
                for packet in stream.encode(picture):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
    return path


def decoded(path):
    """All frames, one after another."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


LOSSLESS = {
    "FFV1 in AVI": ("m.avi", "ffv1", "gray"),
    "FFV1 in Matroska": ("m.mkv", "ffv1", "gray"),
    "raw RGB in AVI": ("m.avi", "rawvideo", "bgr24"),
    "HuffYUV in AVI": ("m.avi", "huffyuv", "rgb24"),
    "PNG in QuickTime": ("m.mov", "png", "rgb24"),
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_video_is_what_was_recorded(tmp_path, kind):
    name, codec, form = LOSSLESS[kind]
    with pytest.warns(UserWarning, match=r"frame time, 0.04 s, is that of playing it") as said:
        movie = open_movie(encode(tmp_path / name, codec, form))
    assert len(said) == 1
    assert "loss" not in str(said[0].message)
    assert (movie.pixel_size, movie.frame_time) == (None, pytest.approx(0.04))
    assert np.array_equal(np.asarray(movie.frames), FRAMES)


LOSSY = {
    "H.264 in MP4": ("m.mp4", "libx264", "yuv420p", {"bf": "3", "g": "20"}),
    "H.264 in MP4, one key frame": ("m.mp4", "libx264", "yuv420p", {"g": "1000"}),
    "H.264 in Matroska": ("m.mkv", "libx264", "yuv420p", {"bf": "3"}),
    "MPEG-4 in AVI": ("m.avi", "mpeg4", "yuv420p", {"bf": "2", "g": "12"}),
    "Motion JPEG in AVI": ("m.avi", "mjpeg", "yuvj420p", {}),
    "VP9 in WebM": ("m.webm", "libvpx-vp9", "yuv420p", {"cpu-used": "8", "deadline": "realtime"}),
    "WMV": ("m.wmv", "wmv2", "yuv420p", {}),
    "MPEG-2": ("m.mpg", "mpeg2video", "yuv420p", {"bf": "2"}),
}


@pytest.mark.parametrize("kind", LOSSY)
def test_any_frame_is_that_of_decoding_all_one_after_another(tmp_path, kind):
    name, codec, form, options = LOSSY[kind]
    path = encode(tmp_path / name, codec, form, **options)
    with pytest.warns(UserWarning, match="compressed with loss") as said:
        movie = open_movie(path)
    assert len(said) == 1
    assert "colour" not in str(said[0].message)
    expected = decoded(path)
    assert len(movie) == len(expected) == len(FRAMES)
    for t in (59, 0, 31, 30, 58, 1, 12, -1):
        assert np.array_equal(movie.frame(t), expected[t]), t
    assert np.abs(movie.frame(40) - FRAMES[40]).mean() < 12  # it is that frame, not its neighbour


def test_more_than_8_bits_stay(tmp_path):
    deep = RNG.integers(0, 65536, (5, 48, 64)).astype(np.uint16)
    movie = open_movie(encode(tmp_path / "m.mkv", "ffv1", "gray16le", deep, given="gray16le"))
    assert movie.frames.dtype == np.uint16
    assert np.array_equal(np.asarray(movie.frames), deep)


def test_colours_are_read_as_grey_and_it_is_said_once(tmp_path):
    colours = np.repeat(FRAMES[:6, ..., None], 3, -1)
    colours[:, :20, :20] = (200, 20, 20)
    path = encode(tmp_path / "m.mkv", "ffv1", "bgr0", colours, given="rgb24")
    with pytest.warns(UserWarning, match="colours, which are read as grey") as said:
        movie = open_movie(path)
    assert len(said) == 1
    assert np.array_equal(movie.frame(3)[20:, 20:], FRAMES[3, 20:, 20:])
    assert movie.frame(3)[0, 0] == round(0.299 * 200 + 0.587 * 20 + 0.114 * 20)


def test_uneven_times_are_no_frame_time(tmp_path):
    path = encode(tmp_path / "m.mkv", "ffv1", "gray", FRAMES[:4], times=[0, 1, 2, 9])
    with pytest.warns(UserWarning, match="not evenly spaced"):
        movie = open_movie(path)
    assert movie.frame_time is None
    assert np.array_equal(np.asarray(movie.frames), FRAMES[:4])


def test_one_of_several_videos_is_chosen(tmp_path):
    path = encode(tmp_path / "m.mkv", "ffv1", "gray", FRAMES[:3], streams=2)
    with pytest.warns(UserWarning, match="not 1 'camera 1'"):
        assert np.array_equal(open_movie(path).frame(0), FRAMES[0])
    assert np.array_equal(open_movie(path, signal="camera 1").frame(2), FRAMES[2] + 1)
    assert np.array_equal(open_movie(path, signal=lambda question: 1).frame(2), FRAMES[2] + 1)


def test_frames_are_read_from_any_process_and_no_file_stays_open(tmp_path):
    path = encode(tmp_path / "m.mp4", "libx264", "yuv420p")
    movie = open_movie(path)
    assert np.array_equal(pickle.loads(pickle.dumps(movie)).frame(30), movie.frame(30))
    assert path not in [Path(file.path) for file in psutil.Process().open_files()]


def test_a_video_that_was_written_anew_shows_its_new_frames(tmp_path):
    path = encode(tmp_path / "m.avi", "ffv1", "gray", FRAMES[:4])
    movie = open_movie(path)
    assert np.array_equal(movie.frame(1), FRAMES[1])
    encode(path, "ffv1", "gray", FRAMES[10:15])
    assert np.array_equal(movie.frame(1), FRAMES[11])


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.85])
@pytest.mark.parametrize("name", ["m.mp4", "m.avi", "m.mov"])
def test_video_that_is_cut_short_is_refused(tmp_path, name, share):
    path = encode(tmp_path / name, "mpeg4", "yuv420p")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"m\.(mp4|avi|mov)"):
        open_movie(path)


def test_video_whose_format_counts_no_frames_says_that_it_ends_early(tmp_path):
    path = encode(tmp_path / "m.mkv", "ffv1", "gray")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.warns(UserWarning, match=r"announces 2.4 s and ends after .* s: it may be cut short"):
        movie = open_movie(path)
    assert 10 < len(movie) < 50
    assert np.array_equal(np.asarray(movie.frames), FRAMES[: len(movie)])


def test_damaged_frames_that_are_left_out_are_said(tmp_path):
    content = bytearray(encode(tmp_path / "m.avi", "ffv1", "gray").read_bytes())
    for header, place in ((b"avih", 24), (b"strh", 40)):  # where an AVI says how many frames it has
        at = content.find(header) + place
        content[at : at + 4] = bytes(4)
    (tmp_path / "m.avi").write_bytes(content[: int(0.6 * len(content))])
    with pytest.warns(UserWarning, match="1 of its frames is damaged and left out"):
        movie = open_movie(tmp_path / "m.avi")
    assert np.array_equal(np.asarray(movie.frames), FRAMES[: len(movie)])


@pytest.mark.parametrize("name", ["m.mp4", "m.avi", "m.mkv", "m.wmv", "m.mpg"])
def test_playlists_and_other_files_are_refused(tmp_path, name):
    frame = encode(tmp_path / "other.ts", "mpeg2video", "yuv420p", FRAMES[:3])
    for content in (
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n" + bytes(frame) + b"\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile other.ts\n",
        b"Dear reader, this is no movie. " * 100,
        bytes(5000),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            open_movie(tmp_path / name)


def test_content_decides_about_the_name(tmp_path):
    path = encode(tmp_path / "m.mp4", "libx264", "yuv420p", FRAMES[:3])
    with pytest.raises(InputError, match=r"Rename it to end in \.mp4"):
        open_movie(path.rename(tmp_path / "m.tif"))
    with pytest.warns(UserWarning, match="opened as MP4"):
        open_movie((tmp_path / "m.tif").rename(tmp_path / "m.clip"))
    tifffile.imwrite(tmp_path / "m.avi", FRAMES)
    with pytest.raises(InputError, match="content is TIFF"):
        open_movie(tmp_path / "m.avi")


def test_missing_package_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    path = encode(tmp_path / "m.avi", "ffv1", "gray", FRAMES[:3])
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r'pip install "napari-menndl\[video\]"'):
        open_movie(path)


def test_decoded_frames_take_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "_KEPT", 10 * FRAMES[0].nbytes)
    movie = open_movie(encode(tmp_path / "m.mp4", "libx264", "yuv420p"))
    assert len([movie.frame(t) for t in range(len(movie))]) == len(FRAMES)
    assert sum(frame.nbytes for frame in video._DECODED.frames.values()) <= 10 * FRAMES[0].nbytes
