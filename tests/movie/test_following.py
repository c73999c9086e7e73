"""Sources that grow while they are followed: what arrives, in which order, and what is said."""

import os
import subprocess
import sys
import threading
import time

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
import zarr

from napari_menndl.errors import InputError
from napari_menndl.movie.following import FollowedFrame, MovieWatcher, Notice, follow
from napari_menndl.movie.movie import Movie
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie

FRAMES = np.random.default_rng(0).integers(1, 1000, (6, 12, 16)).astype(np.uint16)


class Folder:
    """Writes a series of single images."""

    name, suffix = "series", ".tif"

    def __init__(self, tmp_path):
        self.path = tmp_path / self.name
        self.path.mkdir()

    def write(self, t, frame=None):
        path = self.path / f"frame_{t}{self.suffix}"
        frame = FRAMES[t] if frame is None else frame
        if self.suffix == ".npy":
            np.save(path, frame)
        else:
            tifffile.imwrite(path, frame)
        os.utime(path, ns=(t, t))  # its own time, however fast the test is


class NpyFolder(Folder):
    suffix = ".npy"


class Tiff:
    """Appends pages to one file."""

    def __init__(self, tmp_path):
        self.path = tmp_path / "grows.tif"

    def write(self, t):
        tifffile.imwrite(self.path, FRAMES[t], append=t > 0, metadata=None)


class Zarr:
    """Makes an array longer, frame by frame."""

    def __init__(self, tmp_path):
        self.path = tmp_path / "grows.zarr"

    def write(self, t):
        if t == 0:
            zarr.create_array(str(self.path), shape=(0, 12, 16), chunks=(1, 12, 8), dtype="u2")
        array = zarr.open_array(str(self.path), mode="r+")
        array.resize((t + 1, 12, 16))
        array[t] = FRAMES[t]


class PlannedZarr(Zarr):
    """Fills an array that has its full length from the beginning."""

    def write(self, t):
        if t == 0:
            zarr.create_array(str(self.path), shape=FRAMES.shape, chunks=(1, 12, 16), dtype="u2")
        zarr.open_array(str(self.path), mode="r+")[t] = FRAMES[t]


class Mrc:
    """Appends sections to one file; their number is entered in its header at once, or never."""

    told = True

    def __init__(self, tmp_path):
        self.path = tmp_path / "grows.mrc"

    def write(self, t):
        if t == 0:
            with mrcfile.new(self.path, overwrite=True) as file:
                file.set_data(FRAMES[:1])
                file.set_image_stack()
                file.voxel_size = (0.25, 0.25, 1)
            return
        with self.path.open("ab") as file:
            file.write(FRAMES[t].tobytes())
        if self.told:
            with self.path.open("rb+") as file:
                file.seek(8)
                file.write(np.int32(t + 1).tobytes())


class MrcToldLate(Mrc):
    told = False


class PlannedMrc(Mrc):
    """Fills a file that has its full length from the beginning."""

    def write(self, t):
        if t == 0:
            super().write(0)
            with self.path.open("rb+") as file:
                file.truncate(1024 + FRAMES.nbytes)
        else:
            with self.path.open("rb+") as file:
                file.seek(1024 + t * FRAMES[0].nbytes)
                file.write(FRAMES[t].tobytes())


class Emd:
    """Extends a dataset of an EMD file in SWMR mode."""

    def __init__(self, tmp_path):
        self.path = tmp_path / "grows.emd"

    def write(self, t):
        with h5py.File(self.path, "w" if t == 0 else "r+", libver="latest") as file:
            if t == 0:
                group = file.create_group("data/series")
                group.attrs["emd_group_type"] = 1
                group.create_dataset("data", shape=(0, 12, 16), maxshape=(None, 12, 16), chunks=(1, 12, 8), dtype="u2")
                for i, (name, unit, step) in enumerate((("T", "s", 0.5), ("Y", "n_m", 0.02), ("X", "n_m", 0.02)), 1):
                    group[f"dim{i}"] = np.arange(2) * step
                    group[f"dim{i}"].attrs.update(name=name, units=f"[{unit}]")
            file.swmr_mode = True
            file["data/series/data"].resize((t + 1, 12, 16))
            file["data/series/data"][t] = FRAMES[t]


SOURCES = [Folder, NpyFolder, Tiff, Zarr, PlannedZarr, Mrc, MrcToldLate, PlannedMrc, Emd]


@pytest.fixture(params=SOURCES, ids=lambda kind: kind.__name__)
def source(request, tmp_path):
    return request.param(tmp_path)


def arrivals(follower, polls=3):
    """What arrives within a few looks at the disk; nothing may be said."""
    news = [one for _ in range(polls) for one in follower.poll()]
    assert not [one.text for one in news if isinstance(one, Notice)]
    return news


def notices(follower, polls=3):
    return [one for _ in range(polls) for one in follower.poll() if isinstance(one, Notice)]


def numbers(news):
    return [one.number for one in news if isinstance(one, FollowedFrame)]


def test_every_new_frame_arrives_once_and_in_order(source):
    source.write(0)
    follower = MovieWatcher(source.path)
    assert arrivals(follower) == []
    for t in range(1, 6):
        source.write(t)
        (arrival,) = arrivals(follower)
        assert arrival.number == t
        assert np.array_equal(arrival.frame, FRAMES[t])
    assert len(follower) == 6


def test_frames_that_are_there_count_as_new_when_asked(source):
    for t in range(3):
        source.write(t)
    assert numbers(arrivals(MovieWatcher(source.path, existing=True))) == [0, 1, 2]


def test_frames_so_far_are_the_movie_that_can_be_opened(source):
    for t in range(4):
        source.write(t)
    follower = MovieWatcher(source.path, existing=True)
    arrivals(follower)
    assert np.array_equal(np.asarray(follower.movie().frames), FRAMES[:4])
    if not isinstance(source, PlannedZarr | MrcToldLate | PlannedMrc):
        assert len(open_movie(source.path)) == len(follower.movie())


def test_source_that_is_not_there_yet_is_waited_for(source):
    if isinstance(source, Folder):
        source.path.rmdir()
    follower = MovieWatcher(source.path)
    assert [one.text for one in notices(follower)] == [f"{source.path} is not there. Waiting for it."]
    if isinstance(source, Folder):
        source.path.mkdir()
    source.write(0)
    news = [one for _ in range(3) for one in follower.poll()]
    assert numbers(news) == [0]


def test_appearance_is_never_before_the_last_look_nor_after_this_one(source):
    source.write(0)
    follower = MovieWatcher(source.path)
    arrivals(follower)
    before = time.time()
    arrivals(follower, polls=1)
    source.write(1)
    (arrival,) = arrivals(follower)
    assert before - 1 <= arrival.appeared <= time.time()


@pytest.mark.parametrize("kind", [Folder, NpyFolder])
def test_half_written_file_holds_back_the_later_ones_until_it_is_complete(tmp_path, kind):
    source = kind(tmp_path)
    follower = MovieWatcher(source.path)
    arrivals(follower)
    source.write(2)
    file = source.path / f"frame_2{source.suffix}"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    source.write(10 % 6, FRAMES[4])
    assert arrivals(follower) == []
    file.write_bytes(whole)
    assert [one.name for one in arrivals(follower)] == [file.name, f"frame_4{source.suffix}"]


def test_page_that_is_cut_short_is_waited_for(tmp_path):
    source = Tiff(tmp_path)
    for t in range(3):
        source.write(t)
    whole = source.path.read_bytes()
    for end in range(len(whole) - 700, len(whole), 37):
        source.path.write_bytes(whole[:end])
        follower = MovieWatcher(source.path, existing=True)
        seen = numbers(arrivals(follower, polls=2))
        assert seen == list(range(len(seen)))
        assert len(seen) < 3
        with source.path.open("ab") as file:
            file.write(whole[end:])
        assert seen + numbers(arrivals(follower)) == [0, 1, 2]


def test_pages_that_lead_back_to_the_first_come_once(tmp_path):
    source = Tiff(tmp_path)
    for t in range(3):
        source.write(t)
    with tifffile.TiffFile(source.path) as file:
        first, end = file.pages.first.offset, file.pages.next_page_offset
    with source.path.open("r+b") as file:
        file.seek(end)
        file.write(np.uint32(first).tobytes())
    assert numbers(arrivals(MovieWatcher(source.path, existing=True))) == [0, 1, 2]


def test_chunk_that_is_missing_is_waited_for(tmp_path):
    source = Zarr(tmp_path)
    source.write(0)
    follower = MovieWatcher(source.path)
    arrivals(follower)
    source.write(1)
    chunk = source.path / "c" / "1" / "0" / "1"
    content = chunk.read_bytes()
    chunk.unlink()
    assert arrivals(follower) == []
    chunk.write_bytes(content[:5])
    assert arrivals(follower) == []
    chunk.write_bytes(content)
    assert np.array_equal(arrivals(follower)[0].frame, FRAMES[1])


def test_section_of_an_mrc_file_is_waited_for_until_its_last_row_is_there(tmp_path):
    for source in (Mrc(tmp_path), PlannedMrc(tmp_path)):
        source.write(0)
        follower = MovieWatcher(source.path)
        arrivals(follower)
        half = FRAMES[1].tobytes()[:200]
        with source.path.open("rb+") as file:
            file.seek(1024 + FRAMES[0].nbytes)
            file.write(half)
        assert arrivals(follower) == []
        with source.path.open("rb+") as file:
            file.seek(1024 + FRAMES[0].nbytes)
            file.write(FRAMES[1].tobytes())
        assert np.array_equal(arrivals(follower)[0].frame, FRAMES[1])


def test_section_that_ends_dark_arrives_with_the_next_one_or_when_nothing_more_comes(tmp_path):
    source = MrcToldLate(tmp_path)
    source.write(0)
    follower = MovieWatcher(source.path, patience=0.1)
    arrivals(follower)
    dark = FRAMES[1].copy()
    dark[-1] = 0
    with source.path.open("ab") as file:
        file.write(dark.tobytes())
    assert arrivals(follower) == []
    time.sleep(0.11)
    assert numbers(arrivals(follower)) == [1]
    with source.path.open("ab") as file:
        file.write(dark.tobytes() + FRAMES[3].tobytes())
    assert numbers(arrivals(follower)) == [2, 3]


#: Writes to grows.emd in a process of its own, as HDF5 opens a file only once in a process: executes a line at a time.
WRITER = """
import sys, h5py, numpy as np
frames = np.load("frames.npy")
for line in sys.stdin:
    exec(line)
    print(flush=True)
"""


def test_frames_of_hdf5_arrive_while_its_writer_has_it_open_in_swmr_mode_and_are_not_kept_from_it(tmp_path):
    source = Emd(tmp_path)
    source.write(0)
    np.save(tmp_path / "frames.npy", FRAMES)
    follower = MovieWatcher(source.path)
    arrivals(follower)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", WRITER], cwd=tmp_path, **pipes) as writer:

        def do(line):
            writer.stdin.write(line + "\n")
            writer.stdin.flush()
            writer.stdout.readline()

        do("file = h5py.File('grows.emd', 'r+', libver='latest'); data = file['data/series/data']")
        assert [one.text for one in notices(follower)] == [
            "grows.emd is open for writing, and not in SWMR mode: it is read when its writer has closed it."
        ]
        do("file.swmr_mode = True")
        for t in range(1, 4):
            do(f"data.resize(({t + 1}, 12, 16)); data.flush()")
            assert arrivals(follower) == []
            do(f"data[{t}] = frames[{t}]; data.flush()")
            (arrival,) = arrivals(follower)
            assert np.array_equal(arrival.frame, FRAMES[t])
        do("data.resize((6, 12, 16)); data[5] = frames[5]; file.close()")
        writer.stdin.close()
        assert writer.wait() == 0
    news = [one for _ in range(3) for one in follower.poll()]
    assert numbers(news) == [5]
    assert "frame 4 of grows.emd is left out" in news[0].text


def test_dark_frame_of_which_zarr_writes_nothing_arrives_with_the_next_one(tmp_path):
    source = PlannedZarr(tmp_path)
    source.write(0)
    follower = MovieWatcher(source.path)
    arrivals(follower)
    source.write(2)
    first, second = arrivals(follower)
    assert not first.frame.any()
    assert np.array_equal(second.frame, FRAMES[2])


def test_file_that_stays_half_written_is_left_out_and_said(tmp_path):
    source = Folder(tmp_path)
    follower = MovieWatcher(source.path, patience=0.05)
    arrivals(follower)
    source.write(0)
    file = source.path / "frame_0.tif"
    file.write_bytes(file.read_bytes()[:100])
    source.write(1)
    list(follower.poll())
    time.sleep(0.1)
    news = [one for _ in range(4) for one in follower.poll()]
    (said,) = (one.text for one in news if isinstance(one, Notice))
    assert "frame_0.tif" in said
    assert [one.name for one in news if isinstance(one, FollowedFrame)] == ["frame_1.tif"]


def test_source_that_vanishes_is_said_once_and_followed_when_it_is_back(source, tmp_path):
    source.write(0)
    follower = MovieWatcher(source.path)
    arrivals(follower)
    aside = tmp_path / "aside"
    source.path.rename(aside)
    (said,) = notices(follower)
    assert "not there" in said.text
    aside.rename(source.path)
    assert [one.text for one in notices(follower)] == [f"{source.path.name} is there."]
    source.write(1)
    assert numbers(arrivals(follower)) == [1]


@pytest.mark.parametrize("kind", [Tiff, Zarr, Mrc, Emd])
def test_source_that_becomes_shorter_or_another_is_said_and_counted_anew(tmp_path, kind):
    source = kind(tmp_path)
    for t in range(4):
        source.write(t)
    follower = MovieWatcher(source.path)
    arrivals(follower)
    for t in range(2):  # a new acquisition under the same name
        if t == 0 and kind is Zarr:
            zarr.open_array(str(source.path), mode="r+").resize((1, 12, 16))
        else:
            source.write(t)
    news = [one for _ in range(3) for one in follower.poll()]
    assert [one.restarted for one in news if isinstance(one, Notice)] == [True]
    assert numbers(news) == [0, 1]


def test_image_that_is_written_again_and_again_is_a_new_frame_each_time(tmp_path):
    source = Folder(tmp_path)
    source.write(0)
    follower = MovieWatcher(source.path)
    arrivals(follower)
    for t in range(1, 4):
        tifffile.imwrite(source.path / "frame_0.tif", FRAMES[t])
        os.utime(source.path / "frame_0.tif", ns=(t, t))
        (arrival,) = arrivals(follower)
        assert np.array_equal(arrival.frame, FRAMES[t])
    assert not follower.read(0).any()  # gone, and a viewer may still ask for it


def test_frame_of_another_size_is_left_out_and_said(tmp_path):
    source = Folder(tmp_path)
    source.write(0)
    follower = MovieWatcher(source.path, existing=True)
    arrivals(follower)
    source.write(1, FRAMES[1][:5])
    assert "5 × 16" in notices(follower)[0].text
    source.write(2)
    assert numbers(arrivals(follower)) == [2]


def test_calibration_is_that_of_the_file(tmp_path):
    movie = Movie(open_movie(FRAMES).frames, (0.02, 0.02), 0.5)
    for name in ("movie.zarr", "movie.ome.tif"):
        write_movie(movie, tmp_path / name)
        follower = MovieWatcher(tmp_path / name, existing=True)
        assert len(arrivals(follower)) == 6
        assert follower.pixel_size == pytest.approx((0.02, 0.02))
        assert follower.movie().frame_time == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["movie.zarr", "movie.ome.tif"])
@pytest.mark.parametrize("size", [(0.05, 0.05), None])
def test_calibration_is_that_of_the_recording_that_took_the_place_of_another(tmp_path, name, size):
    path, aside = tmp_path / name, tmp_path / "earlier" / name
    aside.parent.mkdir()
    write_movie(Movie(open_movie(FRAMES).frames, (0.02, 0.02), 0.5), path)
    follower = MovieWatcher(path, existing=True)
    arrivals(follower)
    path.rename(aside)  # kept, so that its inode is not given to the next one
    write_movie(Movie(open_movie(FRAMES[:3]).frames, size), path)
    news = [one for _ in range(3) for one in follower.poll()]
    assert numbers(news) == [0, 1, 2]
    assert follower.pixel_size == pytest.approx(size)
    assert follower.frame_time is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("movie.dm4", "movie.dm4"),
        ("nowhere/series", "none"),
        ("thick.zarr", "chunks of"),
        ("thick.h5", "chunks of"),
        ("earlier.emd", "older version"),
    ],
)
def test_what_cannot_be_followed_is_refused(tmp_path, name, found):
    path = tmp_path / name
    if name.endswith("dm4"):
        path.write_bytes(b"1234")
    if name == "earlier.emd":
        h5py.File(path, "w").close()
    if name == "thick.h5":
        with h5py.File(path, "w", libver="latest") as file:
            file.create_dataset("frames", data=FRAMES, chunks=(3, 12, 16))
    if name.endswith("zarr"):
        zarr.create_array(str(path), shape=FRAMES.shape, chunks=(3, 12, 16), dtype="u2")
    with pytest.raises(InputError, match=found):
        list(MovieWatcher(path).poll())


@pytest.mark.parametrize("kind", [kind for kind in SOURCES if kind is not Emd])  # its writer has a process above
def test_writer_and_follower_at_the_same_time_lose_nothing(tmp_path, kind):
    source = kind(tmp_path)
    source.write(0)

    def write():
        for t in range(1, 6):
            time.sleep(0.03)
            source.write(t)

    writer, seen = threading.Thread(target=write), []
    deadline = time.monotonic() + 600
    following = follow(source.path, existing=True, interval=0.01, stop=lambda: time.monotonic() > deadline)
    writer.start()
    for news in following:
        assert isinstance(news, FollowedFrame), news.text
        assert np.array_equal(news.frame, FRAMES[news.number])
        seen.append(news.number)
        if len(seen) == 6:
            break
    writer.join()
    assert seen == list(range(6))
