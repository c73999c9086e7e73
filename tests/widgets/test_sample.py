"""File › Open Sample › MENNDL: simulated, and downloaded from a server on this computer."""

import hashlib
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QProgressDialog, QPushButton

from napari_menndl.annotation.classes import DefectClass
from napari_menndl.errors import InputError
from napari_menndl.samples import CACHE_VARIABLE, PLATINUM, URL_VARIABLE, ImageSet
from napari_menndl.widgets.sample import image_set_layers

REAL = Path(__file__).parents[3] / "shared" / "data" / "pt_on_nc"
CLICKS = ((4, 5), (12, 20)), ((10, 10),)


class Handler(SimpleHTTPRequestHandler):
    """Counts what is asked for; may be slow."""

    seconds = 0.0

    def do_GET(self):
        self.server.asked.append(self.path)
        time.sleep(self.seconds)
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """Serve a folder, as the samples' server from now on; returns the list of what is asked for."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    servers = []

    def start(folder, seconds=0.0):
        kind = type("Handler", (Handler,), {"seconds": seconds})
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(kind, directory=str(folder)))
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        monkeypatch.setenv(URL_VARIABLE, f"http://127.0.0.1:{server.server_port}")
        return server.asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def tiny(tmp_path):
    """Two images with clicks, as they stand on the real server, and their folder."""
    folder, checksums = tmp_path / "server", {}
    for kind in ("images", "coordinates"):
        (folder / kind).mkdir(parents=True)
    for t, clicks in enumerate(CLICKS):
        image, points = folder / "images" / f"{t}.tif", folder / "coordinates" / f"{t}_Results.csv"
        tifffile.imwrite(
            image,
            np.full((24, 32), t, np.uint16),
            imagej=True,
            resolution=(20.0, 20.0),
            metadata={"unit": "nm"},
        )
        points.write_text(" ,X,Y\r\n" + "".join(f"{n},{x},{y}\r\n" for n, (y, x) in enumerate(clicks)))
        for path in (image, points):
            checksums[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return ImageSet("tiny", DefectClass("atom"), 2.0, checksums, {}), folder


def test_images_are_frames_and_clicks_are_discs(qapp, tiny, serve):
    images, folder = tiny
    asked = serve(folder)
    (frames, about, _), (labels, labels_about, _) = image_set_layers(images)
    assert np.array_equal(np.asarray(frames)[:, 0, 0], [0, 1])
    assert about["name"] == "tiny"
    assert about["scale"][1:] == labels_about["scale"][1:] == pytest.approx((0.05, 0.05))
    for t, clicks in enumerate(CLICKS):
        assert all(labels[t][click] == 1 for click in clicks)
        assert np.count_nonzero(labels[t]) == 13 * len(clicks)
    assert len(asked) == 4


def test_a_second_time_nothing_is_downloaded(qapp, tiny, serve):
    images, folder = tiny
    asked = serve(folder)
    for _ in range(2):
        image_set_layers(images)
    assert len(asked) == 4


def test_folder_may_stand_in_for_the_server(qapp, tiny, monkeypatch, tmp_path):
    images, folder = tiny
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    for base in (str(folder), folder.as_uri()):
        assert len(images.fetch(base)[0]) == 2


@pytest.mark.parametrize(
    ("spoil", "found"),
    [(lambda path: path.write_bytes(b"other"), "another file"), (lambda path: path.unlink(), "HTTPError")],
)
def test_damaged_or_missing_file_is_refused_and_said(qapp, tiny, serve, spoil, found):
    images, folder = tiny
    serve(folder)
    spoil(folder / "images" / "1.tif")
    with pytest.raises(InputError, match=found) as caught:
        image_set_layers(images)
    assert URL_VARIABLE in caught.value.remedy


def test_server_that_is_not_there_is_said(qapp, tiny, monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv(URL_VARIABLE, "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9"):
        image_set_layers(tiny[0])


def test_window_answers_during_a_download_and_can_cancel_it(qtbot, tiny, serve):
    images, folder = tiny
    asked = serve(folder, seconds=0.4)
    beats = []

    def beat():
        beats.append(time.monotonic())
        for bar in QApplication.topLevelWidgets():
            if isinstance(bar, QProgressDialog) and bar.isVisible():
                qtbot.mouseClick(bar.findChild(QPushButton), Qt.MouseButton.LeftButton)

    timer = QTimer()
    timer.timeout.connect(beat)
    timer.start(20)
    with pytest.raises(InputError, match="cancelled"):
        image_set_layers(images)
    timer.stop()
    assert len(beats) > 5
    assert len(asked) < 4


def test_real_set_is_complete_and_calibrated(make_napari_viewer, serve):
    if not REAL.is_dir():
        pytest.skip(f"the images are not at {REAL}; the tests above do the same with a stand-in")
    asked = serve(REAL)
    movie, annotation = make_napari_viewer().open_sample("napari-menndl", "platinum_on_carbon")
    assert movie.data.shape == annotation.data.shape == (11, 512, 512)
    assert np.allclose(movie.scale[1:], 15 / 512, rtol=1e-4)
    assert annotation.metadata["annotation"].class_names == ("Pt atom",)
    assert len(asked) == len(PLATINUM.checksums) == 22
    assert all(annotation.data[t].any() for t in range(11))
