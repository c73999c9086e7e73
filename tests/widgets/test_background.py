"""Work beside the window: what threads say is heard as long as someone is there, and they end with the process."""

import threading
import time
from itertools import count

from qtpy.compat import isalive
from qtpy.QtCore import QObject

from napari_menndl.widgets import background
from napari_menndl.widgets.background import BackgroundTask, begin, end_all, in_window


class Hearer(QObject):
    def __init__(self):
        super().__init__()
        self.heard = []

    def hear(self, what):
        self.heard.append((what, threading.current_thread()))


def test_what_a_thread_says_is_heard_in_the_thread_of_the_window(qtbot):
    hearer = Hearer()
    begin(in_window(hearer.hear), "news").join()
    qtbot.waitUntil(lambda: hearer.heard == [("news", threading.main_thread())])


def test_what_a_thread_says_to_an_object_that_has_gone_is_dropped(qtbot):
    hearer = Hearer()
    say, heard = in_window(hearer.hear), hearer.heard
    begin(say, "on its way").join()
    with qtbot.waitSignal(hearer.destroyed):
        hearer.deleteLater()
        begin(say, "later").join()
    begin(say, "too late").join()
    qtbot.wait(20)
    assert [what for what, _ in heard] in ([], ["on its way"], ["on its way", "later"])


def test_thread_that_would_go_on_is_ended_without_a_word(capfd):
    thread = begin(lambda: all(n >= 0 for n in count()))
    end_all()
    assert not thread.is_alive()
    assert capfd.readouterr().err == ""


def test_what_is_to_be_finished_is_waited_for(qtbot):
    done = []
    job = BackgroundTask(to_finish=True)
    job.begin(lambda: (time.sleep(0.2), done.append("started")))
    end_all()
    assert done == ["started"]


def test_window_may_be_closed_while_a_frame_is_predicted(qtbot, make_napari_viewer, movie, annotation, run_folder):
    from napari_menndl.widgets.layers import movie_layer

    viewer = make_napari_viewer(show=True)
    data, about, _ = movie_layer(movie)
    viewer.add_image(data, **about)
    dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Review frames")[1]
    dock.open_run(run_folder)
    qtbot.waitUntil(lambda: dock.movie.busy)
    viewer.close()
    qtbot.wait(50)
    end_all()
    assert not [one for one in background._threads if one.is_alive()]


def test_a_dock_that_was_closed_does_not_outlive_the_windows(qtbot, viewer):
    dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Search networks")[1]
    kept = viewer.window.add_plugin_dock_widget("napari-menndl", "Live review")[1]
    viewer.window.remove_dock_widget(dock)
    end_all()  # PyQt would delete it later, and crash
    assert not isalive(dock)
    assert isalive(kept)
