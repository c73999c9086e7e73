"""Defects that drift along with their sample, and of which one does something: it is told, and nothing else is."""

import json

import numpy as np
import pandas as pd
import pytest

from napari_menndl.errors import InputError
from napari_menndl.metrics.defect_table import DEFECT_COLUMNS
from napari_menndl.tracks import TrackSettings, track_defects
from napari_menndl.tracks.events import AT_BORDER, EVENT_COLUMNS, EVENTS

SHAPE, FRAMES, PIXEL = (200, 220), 12, 0.025
DRIFT = np.array([0.8, -1.5])
#: Defects that stay: (y, x) [px], far from each other and from the border.
STAYING = [(60, 70), (64, 150), (90, 110), (110, 60), (120, 160), (140, 100), (130, 130), (75, 120)]
KNOWN = {"shape": SHAPE, "frames": FRAMES, "pixel_size": PIXEL, "frame_time": 0.5, "dose": 1e5}


def rows(places, name="S vacancy", area=30, start=0):
    """A defect at one place after the other, from a frame on; None where it is missed."""
    return [
        {"frame": t, "class": name, "y": place[0], "x": place[1], "area_px": area}
        for t, place in enumerate(places, start)
        if place is not None
    ]


def movie(*others, drift=DRIFT):
    """A table of those that stay and of others, drifting."""
    stay = [row for place in STAYING for row in rows([place] * FRAMES, "Mo substitution")]
    table = pd.DataFrame([*stay, *(row for other in others for row in other)])
    # Each frame is seen a little otherwise, but always in the same way.
    table["y"] += 0.3 * np.sin(7.0 * np.arange(len(table))) + drift[0] * table["frame"]
    table["x"] += 0.3 * np.cos(5.0 * np.arange(len(table))) + drift[1] * table["frame"]
    return table.sort_values("frame", kind="stable", ignore_index=True)


HERE, ACROSS, HOP = (100.0, 85.0), (100.0, 97.5), 12.5 * PIXEL
WHOLE, LATE, EARLY = [HERE] * FRAMES, [HERE] * 7, [HERE] * 5
STORIES = {
    "it stays": ([rows(WHOLE)], []),
    "it is born": ([rows(LATE, start=5)], [("born", 5, "S vacancy")]),
    "it vanishes": ([rows(EARLY)], [("vanished", 5, "S vacancy")]),
    "it hops": ([rows([HERE] * 6 + [ACROSS] * 6)], [("moved", 6, "S vacancy")]),
    "it is missed for two frames": ([rows([*[HERE] * 5, None, None, *[HERE] * 5])], []),
    "it is found once only": ([rows([HERE], start=5)], []),
    "it becomes a hole": (
        [rows([HERE] * 6), rows([HERE] * 6, "hole", 200, start=6)],
        [("changed", 6, "hole")],
    ),
    "it is taken for another class once": (
        [rows([*[HERE] * 5, None, *[HERE] * 6]), rows([HERE], "S2 vacancy", start=5)],
        [],
    ),
    "it grows": (
        [rows([HERE] * 6, "hole", 150), rows([HERE] * 6, "hole", 300, start=6)],
        [("grown", 6, "hole")],
    ),
    "it heals": (
        [rows([HERE] * 6, "hole", 300), rows([HERE] * 6, "hole", 150, start=6)],
        [("shrunk", 6, "hole")],
    ),
    "a hole's outline changes, and with it the centre": (
        [rows([HERE] * 6 + [(100.0, 92.0)] * 6, "hole", 400)],
        [],
    ),
    "one dies where another is born, out of reach": (
        [rows(EARLY), rows([(100.0, 125.0)] * 7, start=5)],
        [("born", 5, "S vacancy"), ("vanished", 5, "S vacancy")],
    ),
}


@pytest.mark.parametrize(("others", "told"), STORIES.values(), ids=STORIES)
def test_what_happens_is_told_and_nothing_else(others, told):
    events = track_defects(movie(*others), **KNOWN).events
    assert sorted(zip(events["event"], events["frame"], events["class"], strict=True)) == sorted(told)
    assert events["counted"].all()


@pytest.mark.parametrize("drift", [(0, 0), (3, 0), (-2, 2.3), (0, -4)])
def test_the_events_do_not_depend_on_the_drift(drift):
    others = [rows([HERE] * 6 + [ACROSS] * 6), rows([(80.0, 92.0)] * 7, start=5)]
    found = track_defects(movie(*others, drift=np.array(drift)), **KNOWN)
    assert sorted(found.events["event"]) == ["born", "moved"]
    moved = found.events[found.events["event"] == "moved"].iloc[0]
    assert moved["distance_nm"] == pytest.approx(HOP, abs=0.02)
    step = np.diff(found.drift[["y", "x"]].to_numpy(), axis=0)
    assert np.abs(step - drift).max() < 0.7
    # Places are those of the frame in which it happened.
    assert moved["x"] == pytest.approx(ACROSS[1] + drift[1] * 6, abs=0.7)


def test_backwards_births_are_deaths():
    others = [
        rows([HERE] * 6 + [ACROSS] * 6),
        rows([(80.0, 92.0)] * 7, start=5),
        rows([(150.0, 150.0)] * 4),
        rows([(105.0, 130.0)] * 9, start=2),
    ]
    table = movie(*others)
    backwards = table.assign(frame=FRAMES - 1 - table["frame"])
    there, back = (track_defects(one, **KNOWN).rates for one in (table, backwards))
    whole = [
        one[(one["interval"] == "all") & (one["class"] == "all")].set_index("event")["rate"] for one in (there, back)
    ]
    assert whole[0]["born"] == pytest.approx(whole[1]["vanished"])
    assert whole[0]["vanished"] == pytest.approx(whole[1]["born"])
    assert whole[0]["moved"] == pytest.approx(whole[1]["moved"])


def test_a_defect_that_drifts_into_view_is_not_born():
    edge = [(100.0 + i, 3.0) for i in range(6)]
    drifting = movie(rows([None] * 6 + edge), drift=np.array([0, 1.0]))
    leaving = [(p[0], SHAPE[1] - 12.0) for p in edge]
    events = track_defects(drifting, **KNOWN).events
    assert events["event"].tolist() == ["entered"]
    assert not events["counted"].any()
    gone = movie(rows(leaving), drift=np.array([0, 1.0]))
    assert track_defects(gone, **KNOWN).events["event"].tolist() == ["left"]


def test_what_is_there_from_the_start_was_not_born_and_the_end_is_no_death():
    found = track_defects(movie(rows(WHOLE)), **KNOWN)
    assert found.events.empty
    assert tuple(found.events.columns) == EVENT_COLUMNS
    assert len(found) == len(STAYING) + 1


def test_births_too_near_the_first_frame_are_told_but_do_not_count():
    late, early = rows(LATE, start=5), rows([(80.0, 92.0)] * 11, start=1)
    events = track_defects(movie(late, early), **KNOWN).events
    assert dict(zip(events["frame"], events["counted"], strict=True)) == {1: False, 5: True}


def test_a_vacancy_that_a_growing_hole_takes_says_so():
    hole = [*rows([HERE] * 6, "hole", 300), *rows([HERE] * 6, "hole", 1500, start=6)]
    found = track_defects(movie(hole, rows([(100.0, 103.0)] * 6)), **KNOWN)
    gone = found.events[found.events["event"] == "vanished"].iloc[0]
    names = found.trajectories.groupby("track")["class"].first()
    assert names[gone["into"]] == "hole"


def test_the_columns_are_those_of_every_table_of_defects():
    found = track_defects(movie(), **KNOWN).trajectories
    assert tuple(found.columns) == ("track", *DEFECT_COLUMNS)
    assert found["time_s"].tolist() == (found["frame"] * 0.5).tolist()
    assert np.allclose(found["y_nm"], found["y"] * PIXEL)
    assert np.allclose(found["area_nm2"], found["area_px"] * PIXEL**2)


def test_rates_are_counts_over_area_and_time():
    found = track_defects(movie(rows(LATE, start=5), drift=np.zeros(2)), bins=2, **KNOWN)
    born = found.rates[(found.rates["event"] == "born") & (found.rates["class"] == "S vacancy")].set_index("interval")
    reach = found.settings.reach / PIXEL
    area = (SHAPE[0] - 2 * reach) * (SHAPE[1] - 2 * reach) * PIXEL**2
    # Frames in which a birth is noticed: after two that may miss it, before three that confirm it.
    seconds = 0.5 * len(range(3, FRAMES - 2))
    whole = born.loc["all"]
    assert whole["count"] == 1
    assert whole["area"] == pytest.approx(area, rel=0.01)
    assert whole["duration"] == seconds
    assert whole["rate"] == pytest.approx(1 / (area * seconds), rel=0.01)
    assert whole["per_dose"] == pytest.approx(1 / (area * 1e5 * seconds / 0.5), rel=0.01)
    assert whole["rate_low"] == pytest.approx(0.02532 * whole["rate"], rel=1e-3)
    assert whole["rate_high"] == pytest.approx(5.5716 * whole["rate"], rel=1e-3)
    assert (whole["unit"], whole["per_dose_unit"]) == ("1/(nm² s)", "1/e⁻")
    assert born.loc[["0", "1"], "count"].tolist() == [1, 0]


def test_a_hop_is_counted_per_defect_as_well():
    found = track_defects(movie(rows([HERE] * 6 + [ACROSS] * 6), drift=np.zeros(2)), **KNOWN)
    rates = found.rates[(found.rates["interval"] == "all") & (found.rates["event"] == "moved")].set_index("class")
    assert rates.loc["S vacancy", "per_defect"] == pytest.approx(1 / rates.loc["S vacancy", "duration"])
    assert rates.loc["all", "per_defect"] == pytest.approx(1 / 9 / rates.loc["all", "duration"])


def test_without_scales_the_units_become_pixels_and_frames_and_that_is_said():
    with (
        pytest.warns(UserWarning, match="The pixel size is unknown"),
        pytest.warns(UserWarning, match="The frame time is unknown"),
    ):
        found = track_defects(movie(rows(LATE, start=5)), shape=SHAPE, frames=FRAMES)
    assert len(found.notes) == 2
    assert found.summary()["units"] == {"length": "px", "time": "frame"}
    assert set(found.rates["unit"]) == {"1/(px² frame)"}
    assert found.events["event"].tolist() == ["born"]
    assert found.trajectories[["time_s", "y_nm", "area_nm2"]].isna().all(axis=None)
    # Reach, move and growth follow from the usual size of a defect.
    assert found.settings.reach == pytest.approx(5 * np.sqrt(30 / np.pi))


def test_frames_without_a_defect_are_missing_where_others_have_many():
    table = movie(rows(WHOLE), rows([(80.0, 92.0)] * FRAMES), rows([(150.0, 150.0)] * FRAMES))
    lacking = table[~table["frame"].isin([4, 5])]
    known = {name: value for name, value in KNOWN.items() if name != "frames"}
    with pytest.warns(UserWarning, match="Frames 4 to 5 without a defect.*not looked at"):
        found = track_defects(lacking, **known)
    assert found.events.empty
    assert found.drift["frame"].tolist() == [0, 1, 2, 3, *range(6, FRAMES)]


def test_an_empty_movie_has_no_events_and_upper_limits():
    found = track_defects(movie().iloc[:0], **KNOWN)
    assert len(found) == 0
    whole = found.rates[(found.rates["event"] == "born") & (found.rates["interval"] == "all")].iloc[0]
    assert whole["rate"] == 0 < whole["rate_high"]


def test_the_drift_of_too_few_defects_is_not_guessed():
    with pytest.warns(UserWarning, match="drift cannot be told"):
        found = track_defects(pd.DataFrame(rows(WHOLE)), **KNOWN)
    assert (found.drift[["y", "x"]] == 0).all(axis=None)
    given = track_defects(movie(rows(WHOLE)), drift=np.arange(FRAMES)[:, None] * DRIFT, **KNOWN)
    assert np.allclose(given.drift[["y", "x"]].iloc[-1], DRIFT * (FRAMES - 1))
    assert given.events.empty


def test_the_drift_of_a_frame_with_too_few_defects_is_taken_from_those_beside():
    places = [(40.0 + 30 * i, 50.0 + 25 * j) for i in range(4) for j in range(4)]
    table = movie(*(rows([place] * FRAMES) for place in places))
    few = table[(table["frame"] != 5) | (table["y"] == table["y"][table["frame"] == 5].min())]
    lone = few[(few["frame"] != 5) | ~few.duplicated("frame")]
    lone.loc[lone["frame"] == 5, ["y", "x"]] = (150.0, 20.0)
    with pytest.warns(UserWarning, match="drift in frame 5 cannot be told"):
        found = track_defects(lone, **KNOWN)
    assert np.allclose(found.drift[["y", "x"]], np.arange(FRAMES)[:, None] * DRIFT, atol=0.1)


def test_trajectories_of_another_program_are_kept():
    table = movie(rows(LATE, start=5))
    table["particle"] = np.where(table["class"] == "S vacancy", 99, table.groupby("frame").cumcount())
    found = track_defects(table, linked="particle", **KNOWN)
    assert len(found) == table["particle"].nunique()
    part = table.assign(particle=table["particle"].where(table["particle"] != 99))
    assert len(track_defects(part, linked="particle", **KNOWN)) == len(STAYING) + len(LATE)
    with pytest.raises(InputError, match="two of 0"):
        track_defects(table.assign(particle=0), linked="particle", **KNOWN)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "semicolons.csv"])
def test_a_table_in_a_file_says_the_same(tmp_path, suffix):
    table = movie(rows(LATE, start=5))
    known = track_defects(table, **KNOWN).trajectories
    path = tmp_path / f"defects.{suffix}"
    if suffix == "parquet":
        known.to_parquet(path)
    elif suffix == "csv":
        known.to_csv(path, index=False)
    else:  # as spreadsheets of other countries write it
        known.to_csv(path, index=False, sep=";", decimal=",")
    found = track_defects(path, shape=SHAPE, frames=FRAMES, dose=1e5)
    assert found.observed.pixel_size == pytest.approx((PIXEL, PIXEL))
    assert found.observed.frame_time == pytest.approx(0.5)
    pd.testing.assert_frame_equal(found.trajectories, known, check_dtype=False)


def test_everything_is_written_and_read_back(tmp_path):
    found = track_defects(movie(rows([HERE] * 6 + [ACROSS] * 6), rows(EARLY, "hole", 300)), **KNOWN)
    written = {path.name for path in found.save(tmp_path / "new" / "tracks")}
    names = ("trajectories", "events", "rates", "drift")
    assert written == {*(f"{n}.{s}" for n in names for s in ("csv", "parquet")), "tracks.json", "tracks.png"}
    for name in names:
        table = getattr(found, name).fillna(-1).replace("", -1)
        for suffix, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
            again = read(tmp_path / "new" / "tracks" / f"{name}.{suffix}").fillna(-1).replace("", -1)
            pd.testing.assert_frame_equal(again.astype(object), table.astype(object), check_exact=False)
    summary = json.loads((tmp_path / "new" / "tracks" / "tracks.json").read_text())
    assert set(summary["events"]) == {*EVENTS, *AT_BORDER}
    assert summary["settings"]["gap"] == 2


def test_a_layer_of_tracks_for_the_viewer():
    from napari.layers import Tracks

    found = track_defects(movie(rows(LATE, start=5)), **KNOWN)
    data, about, kind = found.as_layer()
    layer = Tracks(data, **about)
    assert kind == "tracks"
    assert len(np.unique(layer.data[:, 0])) == len(found)
    assert np.allclose(layer.scale, (0.5, PIXEL, PIXEL))
    assert "class" in layer.features


@pytest.mark.parametrize(
    ("change", "given", "expected"),
    [
        (lambda t: t.drop(columns="y"), {}, "columns frame, y, x"),
        (lambda t: t.assign(frame=t["frame"] + 0.5), {}, "whole numbers"),
        (lambda t: t.assign(frame=-1), {}, "from 0"),
        (lambda t: t, {"frames": 5}, "frames looked at"),
        (lambda t: t, {"shape": (50, 50)}, "hold all defects"),
        (lambda t: t, {"dose": -1}, "positive dose"),
        (lambda t: t, {"rich": 3}, "settings among reach"),
        (lambda t: t, {"reach": -1}, "between 0 and 10000 nm"),
        (lambda t: t, {"gap": -1}, "between 0 and 100"),
        (lambda t: t, {"drift": np.zeros((3, 2))}, "a shift"),
        (lambda t: t.assign(y_nm=t["y"] * 0.1, x_nm=t["x"] * 0.1), {}, "0.1 × 0.1 nm, as in the table"),
        (lambda t: t.assign(movie=np.where(t["y"] > 100, "a", "b")), {}, "Choose one: --movie"),
        (lambda t: t.assign(movie="a"), {"movie": "c"}, "one of the movies a"),
        (lambda t: t, {"linked": "particle"}, "a column 'particle'"),
    ],
)
def test_what_cannot_be_meant_is_refused(change, given, expected):
    with pytest.raises(InputError, match=expected):
        track_defects(change(movie()), **KNOWN | given)


def test_what_a_network_missed_is_left_out_of_a_reviews_table():
    found, missed = movie(), movie(rows(WHOLE))
    table = missed.assign(outcome=np.where(missed["class"] == "S vacancy", "false negative", "true positive"))
    with pytest.warns(UserWarning, match="12 defects that the network missed"):
        assert len(track_defects(table, **KNOWN)) == len(track_defects(found, **KNOWN))


def test_settings_are_described_in_words():
    assert "[frames]" in TrackSettings.__doc__
