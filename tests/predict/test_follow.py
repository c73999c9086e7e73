"""Live prediction without a window: every frame once, in tables that survive what ends it, and to whoever listens."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import tifffile
from networks import make_ensemble, make_network
from typer.testing import CliRunner

from napari_menndl import live
from napari_menndl.cli import app
from napari_menndl.errors import InputError
from napari_menndl.live import FollowSummary, Quantiles, follow
from napari_menndl.movie.reading import open_movie
from napari_menndl.predict.live import LivePredictor
from napari_menndl.predict.prediction import Prediction

FRAMES = np.random.default_rng(0).normal(100, 10, (6, 32, 40)).astype(np.float32)
NM = (0.02, 0.02)


@pytest.fixture
def series(tmp_path):
    path = tmp_path / "series"
    path.mkdir()
    return path


@pytest.fixture(scope="module")
def network():
    return make_ensemble()


def write(series, *numbers, frames=FRAMES):
    for t in numbers:
        np.save(series / f"frame {t}.npy", frames[t])


def followed(series, network, count, **options):
    """Follow until so many frames were heard of; what was heard, what was said, and the summary."""
    heard, said = [], []
    end = time.monotonic() + 600
    on_frame = options.pop("on_frame", lambda _: None)

    def hear(report):
        heard.append(report)
        on_frame(report)

    summary = follow(
        series,
        LivePredictor(lambda: network),
        on_frame=hear,
        note=said.append,
        stop=lambda: len(heard) >= count or time.monotonic() > end,
        interval=0.01,
        **{"pixel_size": NM, "existing": True} | options,
    )
    assert len(heard) >= count, said
    return heard, said, summary


def tables(folder, number=""):
    return pd.read_csv(folder / f"defects{number}.csv"), pd.read_csv(folder / f"frames{number}.csv")


def test_what_is_found_live_is_what_is_found_in_the_movie_afterwards(series, tmp_path, network):
    write(series, *range(4))
    heard, _, summary = followed(series, network, 4, out=tmp_path / "out")
    defects, frames = tables(tmp_path / "out")
    expected = Prediction(network, open_movie(FRAMES[:4], pixel_size=NM)).find_defects(range(4), agreement=True)
    assert len(expected) > 10
    pd.testing.assert_frame_equal(defects, expected, check_dtype=False)
    assert list(frames["frame"]) == [0, 1, 2, 3]
    assert set(frames["state"]) == {"predicted"}
    assert frames["defects"].sum() == len(defects) == summary.defects
    assert len(defects) == sum(sum(report.prediction.counts.values()) for report in heard)
    assert set(frames["network"]) == {network.digest}


def test_following_again_continues_the_tables_with_what_came_since(series, tmp_path, network):
    write(series, 0, 1)
    followed(series, network, 2, out=tmp_path / "out")
    write(series, 2, 3)
    heard, said, _ = followed(series, network, 2, out=tmp_path / "out", existing=False)
    assert [report.number for report in heard] == [2, 3]
    assert "up to 1" in said[0]
    defects, frames = tables(tmp_path / "out")
    assert list(frames["frame"]) == [0, 1, 2, 3]
    pd.testing.assert_frame_equal(
        defects,
        Prediction(network, open_movie(FRAMES[:4], pixel_size=NM)).find_defects(range(4), agreement=True),
        check_dtype=False,
    )


def test_tables_that_an_earlier_version_began_are_continued_with_their_columns(series, tmp_path, network):
    write(series, 0, 1)
    out = tmp_path / "out"
    followed(series, network, 2, out=out)
    table, _ = tables(out)
    table.drop(columns="site").to_csv(out / "defects.csv", index=False)
    write(series, 2, 3)
    followed(series, network, 2, out=out, existing=False)
    expected = Prediction(network, open_movie(FRAMES[:4], pixel_size=NM)).find_defects(range(4), agreement=True)
    pd.testing.assert_frame_equal(tables(out)[0], expected.drop(columns="site"), check_dtype=False)


@pytest.mark.parametrize("cut", [1, 40, 400])
@pytest.mark.parametrize("table", ["defects", "frames"])
def test_tables_cut_short_anywhere_after_the_last_whole_frame_are_whole_again(series, tmp_path, network, table, cut):
    """The lines of a frame's defects, then that of the frame: what a killed process may leave of them."""
    write(series, 0, 1)
    out = tmp_path / "out"
    followed(series, network, 1, out=out)
    one = {name: (out / f"{name}.csv").read_bytes() for name in ("defects", "frames")}
    followed(series, network, 1, out=out)
    two = {name: (out / f"{name}.csv").read_bytes() for name in ("defects", "frames")}
    new = len(two[table]) - len(one[table])
    (out / "frames.csv").write_bytes(one["frames"])
    (out / f"{table}.csv").write_bytes(two[table][: len(one[table]) + min(cut, new - 1)])
    followed(series, network, 1, out=out)
    assert (out / "defects.csv").read_bytes() == two["defects"]
    assert list(tables(out)[1]["frame"]) == [0, 1]


def test_tables_of_something_else_are_refused_by_name_and_left_as_they_are(series, tmp_path, network):
    write(series, 0, 1)
    out = tmp_path / "out"
    followed(series, network, 2, out=out)
    before = {one.name: one.read_bytes() for one in out.iterdir()}
    other = tmp_path / "other"
    other.mkdir()
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("")
    with pytest.raises(InputError, match="thesis"):
        followed(series, network, 1, out=full)
    with pytest.raises(InputError, match="source"):
        followed(other, network, 1, out=out)
    np.save(series / "frame 1.npy", FRAMES[5])
    with pytest.raises(InputError, match="another frame 1"):
        followed(series, network, 1, out=out)
    (series / "frame 1.npy").unlink()
    with pytest.raises(InputError, match="1 frames, fewer"):
        followed(series, network, 1, out=out, patience=-2)
    assert {one.name: one.read_bytes() for one in out.iterdir()} == before
    (out / "defects.csv").write_bytes(before["defects.csv"][: len(before["defects.csv"]) // 2])
    with pytest.raises(InputError, match=r"defects.csv as it was written"):
        followed(series, network, 1, out=out)


def test_two_do_not_write_the_same_tables(series, tmp_path, network):
    write(series, 0)

    def again(_):
        with pytest.raises(InputError, match="another process"):
            followed(series, network, 1, out=tmp_path / "out")

    followed(series, network, 1, out=tmp_path / "out", on_frame=again)


def test_another_recording_under_the_same_name_has_tables_of_its_own(tmp_path, network):
    path, out = tmp_path / "grows.tif", tmp_path / "out"
    for t in range(2):
        tifffile.imwrite(path, FRAMES[t], append=t > 0, metadata=None)

    def replace(report):
        if report.number == 1 and len(tifffile.TiffFile(path).pages) == 2:
            tifffile.imwrite(path, FRAMES[5], metadata=None)

    heard, said, _ = followed(path, network, 3, out=out, on_frame=replace)
    assert [report.number for report in heard] == [0, 1, 0]
    assert "tables of its own" in said[-1]
    assert list(tables(out)[1]["frame"]) == [0, 1]
    assert list(tables(out, "-2")[1]["frame"]) == [0]
    tifffile.imwrite(path, FRAMES[4], append=True, metadata=None)
    assert [report.number for report in followed(path, network, 1, out=out)[0]] == [1]
    assert list(tables(out, "-2")[1]["frame"]) == [0, 1]


def test_frames_that_come_too_fast_are_skipped_and_said_or_kept_when_asked(series, tmp_path, network):
    for out, every in ((tmp_path / "newest", False), (tmp_path / "every", True)):
        for file in series.iterdir():
            file.unlink()

        def more(report):
            if report.number == 0:
                write(series, 1, 2, 3)

        starting = threading.Timer(0.2, write, (series, 0))
        starting.start()
        heard, _, summary = followed(series, network, 4, out=out, existing=False, every_frame=every, on_frame=more)
        assert [report.number for report in heard] == [0, 1, 2, 3]
        predicted = [report.number for report in heard if report.state == "predicted"]
        assert predicted == ([0, 1, 2, 3] if every else [0, 3])
        assert list(tables(out)[1]["state"]) == [report.state for report in heard]
        assert ("2 skipped" in str(summary)) == (not every)
        assert all(report.latency >= 0 for report in heard if report.state == "predicted")


def test_skipped_frames_are_neighbours_all_the_same(network):
    averaging = make_network(0, NM)
    frames = [np.asarray(one) for one in FRAMES]
    skipping, all_of_them = LivePredictor(lambda: averaging), LivePredictor(lambda: averaging)
    for t in range(3):
        expected = all_of_them.predict(t, frames[t], NM)
        if t == 1:
            skipping.remember(t, frames[t])
        else:
            found = skipping.predict(t, frames[t], NM)
    assert np.array_equal(found.labels, expected.labels)
    assert [number for number, _ in skipping._before] == [number for number, _ in all_of_them._before]


def test_a_frame_that_cannot_be_predicted_or_read_is_told_and_the_others_are(series, tmp_path, network):
    frames = FRAMES.copy()
    frames[1] = np.inf
    write(series, 0, 1, 3, frames=frames)
    np.save(series / "frame 2.npy", FRAMES[2, :5])
    heard, said, summary = followed(series, network, 4, out=tmp_path / "out")
    assert [report.state for report in heard] == ["predicted", "failed", "left out", "predicted"]
    assert "5 × 40" in " ".join(said)
    assert "1 failed, 1 left out" in str(summary)
    frames = tables(tmp_path / "out")[1]
    assert frames["note"][2] == heard[2].note


def test_a_callback_that_fails_is_told_once_and_nothing_is_lost(series, tmp_path, network):
    write(series, *range(4))

    def fail(report):
        raise ZeroDivisionError("stage")

    _, said, summary = followed(series, network, 4, out=tmp_path / "out", on_frame=fail)
    (text,) = [one for one in said if "stage" in one]
    assert "ZeroDivisionError" in text
    assert "test_follow.py" in text
    assert summary.callback_failures == 4
    assert len(tables(tmp_path / "out")[1]) == 4


def test_without_a_pixel_size_that_the_network_needs_it_refuses_at_once(series, network):
    write(series, 0)
    with pytest.raises(InputError, match="pixel size"):
        followed(series, network, 1, pixel_size=None)


def test_a_newer_network_that_cannot_be_opened_does_not_end_it(monkeypatch, network):
    monkeypatch.setattr("napari_menndl.predict.live.RENEWAL", 0.0)
    opened = []

    def opening():
        opened.append(network)
        if len(opened) > 1:
            raise InputError("a whole file", "a damaged one", "Wait.")
        return network

    predictor = LivePredictor(opening, lambda: len(opened) + time.monotonic())
    with pytest.warns(UserWarning, match="goes on predicting"):
        found = predictor.predict(0, FRAMES[0], NM)
    assert found.network == network.digest
    assert len(opened) == 2


def test_quantiles_are_right_to_a_hundredth():
    values = np.random.default_rng(0).lognormal(-1, 1, 5000)
    quantiles = Quantiles()
    for value in values:
        quantiles.add(value)
    for share in (0.01, 0.5, 0.99):
        assert quantiles.quantile(share) == pytest.approx(np.quantile(values, share), rel=0.03)
    assert quantiles.quantile(1) == quantiles.largest == values.max()
    assert "0 predicted" in str(FollowSummary())


def test_memory_does_not_grow_with_the_frames(tmp_path):
    """After a while a frame leaves its name and its time behind, and nothing of its pixels."""
    path, grown = tmp_path / "grows.tif", {}
    frames = np.random.default_rng(0).integers(0, 99, (90, 64, 64)).astype(np.float32)
    tifffile.imwrite(path, frames, metadata=None)

    def look(report):
        if report.number in (39, 89):
            gc.collect()
            grown[report.number] = tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        follow(
            path,
            LivePredictor(lambda: make_network(0, NM)),
            out=tmp_path / "out",
            on_frame=look,
            existing=True,
            pixel_size=NM,
            stop=lambda: 89 in grown,
        )
    finally:
        tracemalloc.stop()
    assert grown[89] - grown[39] < 50 * frames[0].nbytes / 4


# The command -------------------------------------------------------------------------------------------------------


def started(*words):
    """The command in a process of its own."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", "napari_menndl.cli", "follow", *map(str, words)], **pipes)


def test_the_command_prints_a_line_of_json_per_frame_and_ctrl_c_ends_it_with_a_summary(series, tmp_path, network):
    write(series, 0, 1)
    file = network.save(tmp_path / "network.safetensors")
    words = [series, "--network", file, "--out", tmp_path / "out", "--pixel-size", 0.02, "--json"]
    with started(*words, "--existing") as process:
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        write(series, 2)
        lines.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert rest == ""
    assert [line["frame"] for line in lines] == [0, 1, 2]
    assert lines[2]["latency"] > 0
    assert "3 frames: 3 predicted" in said
    assert "(median)" in said
    defects = tables(tmp_path / "out")[0]
    assert sum(len(line["defects"]) for line in lines) == len(defects)
    first = lines[0]["defects"][0]
    assert {"class", "y", "x", "y_nm", "x_nm", "area_nm2", "confidence"} <= set(first)
    assert first["y"] == pytest.approx(defects["y"][0])
    # Begun again it goes on where it was, and ends when nobody reads its lines.
    with started(*words) as process:
        write(series, 3)
        assert json.loads(process.stdout.readline())["frame"] == 3
        process.stdout.close()
        write(series, 4)
        assert process.wait(60) == 0
        assert "Nobody reads" in process.stderr.read()
    assert list(tables(tmp_path / "out")[1]["frame"]) == [0, 1, 2, 3, 4]


def test_the_command_says_what_is_missing(series, tmp_path):
    words = ["follow", str(series), "--network", str(tmp_path / "none.safetensors")]
    assert "--out FOLDER" in CliRunner().invoke(app, words).stderr
    assert "none.safetensors" in CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")]).stderr
    assert not (tmp_path / "out").exists()


def test_open_live_is_what_the_dock_uses(tmp_path, network):
    file = network.save(tmp_path / "network.safetensors")
    predictor = live.open_live(file, thresholds={"hole": 0.9})
    assert predictor.network.thresholds == (network.thresholds[0], 0.9)
    assert os.fspath(file).endswith(".safetensors")
