"""Physics and bookkeeping of simulated movies."""

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy import ndimage

from napari_menndl.simulation.acquisition import Acquisition
from napari_menndl.simulation.imaging import Scan, columns_signal, detect, perfect_scan, strengths
from napari_menndl.simulation.lattice import evolve, make_lattice
from napari_menndl.simulation.sample import CLASS_NAMES, Kind, Sample
from napari_menndl.simulation.simulate import LABEL_RADIUS, simulate_movie
from napari_menndl.simulation.snr import acquisition_for_snr, vacancy_snr

STILL = {"drift": 0.0, "wander": 0.0, "jitter": 0.0, "flyback": 0.0, "defocus": 0.0}
CLEAN = {"background": 0.0, "contamination": 0.0, "contamination_growth": 0.0}
UNCHANGING = Sample(s_loss=0, s_hop=0, mo_hop=0, hole_nucleation=0, hole_growth=0)
PERFECT = replace(UNCHANGING, mo_fraction=0, s_vacancies=0, s2_vacancies=0, w_vacancies=0, hole_density=0)


@pytest.fixture(scope="module")
def movie():
    return simulate_movie(8, (160, 176))


def one_column(strength, acquisition, size=61, defocus=0.0):
    scan = replace(perfect_scan(size, size), defocus=defocus)
    return columns_signal(np.array([[size // 2, size // 2]]), np.array([strength]), acquisition, scan)


def test_contrast_follows_z_to_the_power_1_7():
    metal = np.array([True, True, True, False, False, False])
    kind = np.array([Kind.PERFECT, Kind.MO, Kind.W_VACANCY, Kind.PERFECT, Kind.S_VACANCY, Kind.S2_VACANCY])
    w, mo, none, s2, s, empty = strengths(metal, kind, 1.7)
    assert (w, none, empty) == (1, 0, 0)
    assert mo == pytest.approx(0.38, abs=0.005)
    assert s2 == pytest.approx(0.15, abs=0.005)
    assert s2 - s == pytest.approx(0.074, abs=0.001)  # a missing S is about 7 % of a W column


def test_lattice_is_the_honeycomb_of_ws2():
    sample = Sample()
    lattice = make_lattice(sample, 5, 6, 0.5, np.random.default_rng(0))
    lengths = np.linalg.norm(np.diff(lattice.positions[lattice.bonds], axis=1)[:, 0], axis=1)
    steps = np.linalg.norm(np.diff(lattice.positions[lattice.steps], axis=1)[:, 0], axis=1)
    assert np.allclose(lengths, 0.184, atol=1e-3)
    assert np.allclose(steps, 0.3186)
    assert (lattice.metal[lattice.bonds].sum(axis=1) == 1).all()
    cell = np.sqrt(3) / 2 * 0.3186**2
    assert lattice.metal.sum() == pytest.approx(6 * 7 / cell, rel=0.05)
    inner = ((lattice.positions > 0) & (lattice.positions < (5, 6))).all(axis=1)
    assert (np.bincount(lattice.bonds.ravel())[inner] == 3).all()


def test_scattered_fraction_is_what_a_w_column_scatters_in_focus():
    acquisition = Acquisition()
    assert one_column(1.0, acquisition).max() == pytest.approx(acquisition.scattered_fraction, rel=0.01)


def test_probe_has_tails():
    plain = one_column(1.0, Acquisition(tail_fraction=0))
    tails = one_column(1.0, Acquisition())
    far = 30 + round(0.184 / 0.025)  # at the neighbouring column
    assert plain[30, far] < 1e-4 * plain.max()
    assert tails[30, far] > 5e-3 * tails.max()


@pytest.mark.parametrize("defocus", [0.0, 3.0, -8.0])
def test_defocus_blurs_and_loses_nothing(defocus):
    sharp, blurred = one_column(1.0, Acquisition(), 101), one_column(1.0, Acquisition(), 101, defocus)
    assert blurred.sum() == pytest.approx(sharp.sum(), rel=1e-3)
    assert blurred.max() <= sharp.max()


def test_columns_are_drawn_where_they_are():
    scan = perfect_scan(50, 60)
    signal = columns_signal(np.array([[20.3, 31.6]]), np.ones(1), Acquisition(), scan)
    assert np.allclose(ndimage.center_of_mass(signal), (20.3, 31.6), atol=0.02)


def test_scan_errors_move_what_is_seen():
    dx = np.full((50, 60), 2.0)
    signal = columns_signal(
        np.array([[20.0, 30.0]]), np.ones(1), Acquisition(tail_fraction=0), Scan(np.ones((50, 1)), dx)
    )
    assert np.allclose(ndimage.center_of_mass(signal), (19, 28), atol=0.02)


def test_a_missing_s_lowers_its_column_as_computed():
    acquisition = Acquisition(tail_fraction=0, dose=3e6, gain=0.1, readout_noise=0, **STILL, **CLEAN)
    sample = replace(UNCHANGING, s_vacancies=0.1, displacement=0.0)
    simulation = simulate_movie(1, (128, 128), sample=sample, acquisition=acquisition)
    counts = (simulation.movie.frame(0) - acquisition.offset) / acquisition.gain / acquisition.electrons
    found = simulation.events[simulation.events["class"] == "S vacancy"]
    inner = found[(found[["y", "x"]] > 5).all(axis=1) & (found[["y", "x"]] < 122).all(axis=1)]
    levels = ndimage.map_coordinates(counts, inner[["y", "x"]].to_numpy().T, order=3)
    assert np.median(levels) == pytest.approx(acquisition.scattered_fraction * (16 / 74) ** 1.7, rel=0.05)


@pytest.mark.parametrize("dose", [2e3, 3e4])
def test_mean_counts_match_the_dose(dose):
    acquisition = Acquisition(dose=dose, **STILL, **CLEAN)
    simulation = simulate_movie(1, (192, 192), sample=PERFECT, acquisition=acquisition)
    counts = (simulation.movie.frame(0) - acquisition.offset) / acquisition.gain
    whole = one_column(1.0, acquisition, 101).sum()  # [share x px]
    columns = 1 + 2 * (16 / 74) ** 1.7
    per_cell = np.sqrt(3) / 2 * (0.3186 / acquisition.pixel_size) ** 2
    assert counts.mean() == pytest.approx(acquisition.electrons * whole * columns / per_cell, rel=0.02)


def test_noise_is_that_of_detected_electrons_and_of_reading_out():
    acquisition = Acquisition()
    grey = detect(np.full((300, 300), 0.01), acquisition, np.random.default_rng(0)).astype(float)
    counts = 0.01 * acquisition.electrons
    assert grey.mean() == pytest.approx(acquisition.offset + acquisition.gain * counts, rel=0.01)
    assert grey.var() == pytest.approx(acquisition.gain**2 * counts + acquisition.readout_noise**2, rel=0.02)


def test_default_snr_is_five():
    assert vacancy_snr(Sample(), Acquisition()) == pytest.approx(5, abs=0.05)


@pytest.mark.parametrize("snr", [1.5, 3, 5, 10, 60])
def test_acquisition_reaches_the_snr_asked_for(snr):
    assert vacancy_snr(Sample(), acquisition_for_snr(snr)) == pytest.approx(snr, rel=1e-3)


def test_snr_is_what_a_matched_filter_finds():
    acquisition = replace(acquisition_for_snr(5), **CLEAN)
    size = 61
    scan = perfect_scan(size, size)
    sample = replace(PERFECT, displacement=0.0)
    a = 0.3186 / acquisition.pixel_size
    cells = np.stack(np.meshgrid(np.arange(-8, 9), np.arange(-8, 9)), -1).reshape(-1, 2) @ np.array(
        [[0, a], [a * 0.75**0.5, a / 2]]
    )
    s = (16 / 74) ** 1.7
    positions = np.concatenate([cells, cells - (a / 3**0.5, 0)]) + size // 2
    whole = columns_signal(positions, np.repeat([2 * s, 1.0], len(cells)), acquisition, scan)
    missing = columns_signal(np.array([[size // 2] * 2]), np.array([s]), acquisition, scan)
    rng = np.random.default_rng(0)
    template = missing / (whole - missing + 1e-9)
    with_it = [(detect(whole - missing, acquisition, rng) * template).sum() for _ in range(300)]
    without = [(detect(whole, acquisition, rng) * template).sum() for _ in range(300)]
    found = (np.mean(without) - np.mean(with_it)) / np.std(with_it)
    assert found == pytest.approx(vacancy_snr(sample, acquisition), rel=0.15)


def test_same_seeds_same_bits(movie):
    again = simulate_movie(8, (160, 176))
    assert np.array_equal(movie.labels, again.labels)
    assert movie.events.equals(again.events)
    assert np.array_equal(movie.movie.frames[5].compute(), again.movie.frames.compute()[5])


def test_another_noise_seed_is_the_same_sample(movie):
    again = simulate_movie(8, (160, 176), noise_seed=1)
    assert np.array_equal(movie.labels, again.labels)
    assert movie.events.equals(again.events)
    assert not np.array_equal(movie.movie.frame(0), again.movie.frame(0))
    assert np.corrcoef(movie.movie.frame(0).ravel(), again.movie.frame(0).ravel())[0, 1] > 0.8


def test_another_snr_is_the_same_sample(movie):
    hard = simulate_movie(8, (160, 176), snr=2)
    assert hard.snr == pytest.approx(2, rel=1e-3)
    assert np.array_equal(movie.labels, hard.labels)
    assert movie.events.equals(hard.events)


def test_another_area_is_fresh(movie):
    fresh = simulate_movie(8, (160, 176), area_seed=1)
    both = (movie.labels[0] > 0) & (fresh.labels[0] > 0)
    assert both.sum() < 0.5 * (movie.labels[0] > 0).sum()
    assert not np.array_equal(movie.movie.frame(0), fresh.movie.frame(0))


def test_a_longer_movie_begins_like_a_shorter_one(movie):
    short = simulate_movie(3, (160, 176))
    assert np.array_equal(movie.labels[:3], short.labels)
    assert np.array_equal(movie.movie.frames[:3].compute(), short.movie.frames.compute())


def test_every_class_is_in_the_first_frame_of_the_default_movie():
    simulation = simulate_movie(1)
    assert set(np.unique(simulation.labels[0])) == set(range(6))
    assert simulation.class_names == CLASS_NAMES
    assert simulation.movie.pixel_size == (0.025, 0.025)
    assert simulation.movie.frame_time == pytest.approx(0.994, abs=1e-3)


def test_events_agree_with_labels(movie):
    present = movie.events[movie.events.event != "vanished"]
    for row in present.itertuples():
        label = CLASS_NAMES.index(row[3]) + 1
        if row[3] != "hole":  # a hole's centre need not lie in it
            assert movie.labels[row.frame, round(row.y), round(row.x)] == label
    for t in range(8):
        for c, name in enumerate(CLASS_NAMES[:-1]):
            mask = movie.labels[t, 5:-5, 5:-5] == c + 1
            points = present[(present.frame == t) & (present["class"] == name)]
            count = ndimage.label(mask, np.ones((3, 3)))[1]
            assert count <= len(points) + 1  # a disc may reach in from outside
    assert not present.duplicated(["defect", "frame"]).any()


def test_defects_are_born_once_and_stay_until_they_vanish(movie):
    events = simulate_movie(20, (200, 200), sample=Sample(s_loss=0.01, hole_nucleation=0.1), area_seed=2).events
    assert {"present", "born", "grew", "vanished"} <= set(events.event)
    born = events[events.event == "born"]
    assert (born.frame == born.born).all()
    assert not born.defect.duplicated().any()
    assert (events.born <= events.frame).all()
    for _, rows in events.groupby("defect"):
        assert rows["class"].nunique() == 1
        assert (rows.event.iloc[:-1] != "vanished").all()


def test_holes_only_grow():
    sample = Sample()
    lattice = make_lattice(sample, 6, 6, 1, np.random.default_rng(3))
    states = evolve(sample, lattice, 30, np.random.default_rng(3))
    holes = np.array([state.kind == Kind.HOLE for state in states])
    assert (holes[1:] >= holes[:-1]).all()
    assert holes[-1].sum() > 1.5 * holes[0].sum() > 0
    for state in states:  # what touches is one hole
        pairs = lattice.bonds[(state.kind == Kind.HOLE)[lattice.bonds].all(axis=1)]
        assert (state.defect[pairs[:, 0]] == state.defect[pairs[:, 1]]).all()


def test_holes_are_as_large_in_a_large_area_as_in_a_small_one():
    sample = Sample()

    def columns_per_hole(side, seed):
        lattice = make_lattice(sample, side, side, 1, np.random.default_rng(seed))
        (state,) = evolve(sample, lattice, 1, np.random.default_rng(seed))
        holes = state.defect[state.kind == Kind.HOLE]
        return len(holes) / len(np.unique(holes))

    small = np.mean([columns_per_hole(8, seed) for seed in range(16)])
    assert columns_per_hole(32, 0) == pytest.approx(small, rel=0.3)


def test_nothing_scatters_in_a_hole():
    acquisition = Acquisition(**STILL, **CLEAN, dose=3e5, gain=1)
    simulation = simulate_movie(1, (200, 200), sample=Sample(hole_density=0.06), acquisition=acquisition)
    inside = ndimage.distance_transform_edt(simulation.labels[0] == 5) > 8
    frame = simulation.movie.frame(0) - acquisition.offset
    assert inside.any()
    assert frame[inside].mean() < 0.1 * frame[simulation.labels[0] == 0].mean()


def test_rates_of_change_are_those_asked_for():
    sample = replace(PERFECT, s_loss=0.01)
    lattice = make_lattice(sample, 12, 12, 0, np.random.default_rng(0))
    states = evolve(sample, lattice, 11, np.random.default_rng(0))
    left = np.select([states[-1].kind == Kind.S_VACANCY, states[-1].kind == Kind.S2_VACANCY], [1, 0], 2)
    assert left[~lattice.metal].mean() / 2 == pytest.approx(0.99**10, abs=0.015)


def test_point_defects_are_discs_smaller_than_half_the_bond(movie):
    labels = movie.labels[0]
    assert LABEL_RADIUS < 0.184 / 2
    parts, count = ndimage.label(labels == 2, np.ones((3, 3)))
    areas = ndimage.sum_labels(parts > 0, parts, np.arange(1, count + 1))
    assert np.median(areas) == pytest.approx(np.pi * (LABEL_RADIUS / 0.025) ** 2, rel=0.15)


def test_drift_moves_the_sample_and_shears_each_frame():
    steady = Acquisition(**(STILL | {"drift": 2.0}))  # 2 nm/s
    simulation = simulate_movie(2, (160, 160), sample=replace(UNCHANGING, mo_fraction=0.2), acquisition=steady)
    events = simulation.events.pivot_table(index="defect", columns="frame", values=["y", "x"]).dropna()
    moved = np.hypot(events["y"][1] - events["y"][0], events["x"][1] - events["x"][0]).mean()
    assert moved == pytest.approx(2.0 * simulation.movie.frame_time / 0.025, rel=0.2)
    still = simulate_movie(
        2, (160, 160), sample=replace(UNCHANGING, mo_fraction=0.2), acquisition=Acquisition(**STILL)
    ).movie.frame(0)
    sheared = simulation.movie.frame(0)
    shifts = []
    for rows in (slice(0, 30), slice(60, 90), slice(130, 160)):  # how far each strip is from where it belongs
        spectrum = (
            np.fft.fft2(still[rows] - still[rows].mean()) * np.fft.fft2(sheared[rows] - sheared[rows].mean()).conj()
        )
        peak = np.unravel_index(np.abs(np.fft.ifft2(spectrum)).argmax(), spectrum.shape)
        shifts.append(peak)
    assert len(set(shifts)) == 3


def test_contamination_grows_and_the_background_varies():
    dirty = Acquisition(**STILL, contamination_growth=0.01, background_variation=0.5)
    simulation = simulate_movie(4, (128, 128), sample=UNCHANGING, acquisition=dirty)
    means = [simulation.movie.frame(t).mean() for t in range(4)]
    assert means == sorted(means)
    assert ndimage.gaussian_filter(simulation.movie.frame(0), 15).std() > 1


def test_focus_changes_from_frame_to_frame():
    simulation = simulate_movie(6, (96, 96), sample=UNCHANGING, acquisition=Acquisition(defocus=5.0))
    sharpness = [np.percentile(simulation.movie.frame(t), 99.5) for t in range(6)]
    assert np.ptp(sharpness) > 30


@pytest.mark.parametrize("settings", [Sample, Acquisition])
def test_every_parameter_has_title_unit_help_source_and_stands_in_the_docs(settings):
    for f in fields(settings):
        assert f.metadata.keys() >= {"title", "unit", "help", "min", "max", "source"}
        assert all(f.metadata[key] for key in ("title", "unit", "help", "source"))
        assert f.metadata["min"] <= f.default <= f.metadata["max"]
        assert f"{f.name} : float [{f.metadata['unit']}], by default" in settings.__doc__


def test_a_large_simulation_opens_without_being_rendered():
    simulation = simulate_movie(1, (64, 2048))
    assert simulation.movie.frames.chunksize == (1, 64, 2048)
    assert simulation.movie.frame(0).shape == (64, 2048)
