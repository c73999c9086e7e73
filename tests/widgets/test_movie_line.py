"""The line on the chosen movie, in the docks."""

import h5py
import numpy as np


def recorded(path, **about):
    """An EMD file of NCEM with what its microscope says."""
    with h5py.File(path, "w") as emd:
        emd.attrs.update(version_major=0, version_minor=2)
        emd.create_group("microscope").attrs.update(about)
        group = emd.create_group("data/series")
        group.attrs["emd_group_type"] = 1
        group["data"] = np.random.default_rng(0).integers(0, 4000, (3, 32, 32)).astype(np.uint16)
        for place, (name, unit, step) in enumerate((("T", "s", 0.5), ("Y", "nm", 0.0106), ("X", "nm", 0.0106)), 1):
            group[f"dim{place}"] = np.arange(group["data"].shape[place - 1]) * step
            group[f"dim{place}"].attrs.update(name=name, units=f"[{unit}]")
    return path


def test_docks_say_how_the_chosen_movie_was_recorded(qtbot, viewer, tmp_path):
    _, workflow = viewer.window.add_plugin_dock_widget("napari-menndl", "MENNDL workflow")
    lines = [workflow.dock(0).choice.about, workflow.dock(1).setup.about]
    assert [line.text() for line in lines] == ["", ""]
    about = {"high tension": 200e3, "dwell time": 2e-6, "name": "<b>Titan"}
    viewer.open(recorded(tmp_path / "m.emd", **about), plugin="napari-menndl")
    for line in lines:
        assert line.text().replace("\u00a0", " ").replace("\u2060", "") == "200 kV, 2 µs per pixel, 0.0106 nm/px"
        assert "Frame time: 500 ms" in line.toolTip()
        assert "Instrument: &lt;b&gt;Titan" in line.toolTip()  # the words of a file are no mark-up
    viewer.window.resize(1280, 800)
    workflow.go_to(1)
    pool = workflow.dock(1).setup.pool
    qtbot.waitUntil(lambda: lines[1].height() == lines[1].heightForWidth(lines[1].width()))
    qtbot.waitUntil(lambda: pool.height() >= pool.minimumSizeHint().height())  # nothing is cut for it
    viewer.layers.clear()
    assert [line.text() for line in lines] == ["", ""]
    viewer.add_image(np.zeros((3, 32, 32)))
    assert all(line.text() == "uncalibrated:\u00a0sizes\u00a0in\u00a0px" for line in lines)
