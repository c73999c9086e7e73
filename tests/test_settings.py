"""What the description of a setting is good for: checks, docs, options; forms are tried in a window."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

import numpy as np
import pytest

from napari_menndl.annotation.classes import DefectClass
from napari_menndl.annotation.columns import ColumnSettings
from napari_menndl.annotation.fourier import FourierSettings
from napari_menndl.errors import InputError
from napari_menndl.genome.genes import Conv, GenomeError, TrainingGenes
from napari_menndl.genome.ranges import LayerSpace, Limits, TrainingSpace
from napari_menndl.metrics.detection import MatchRule, Truth
from napari_menndl.pool.settings import SlurmSettings
from napari_menndl.search.settings import SearchSettings
from napari_menndl.settings import check, documented, setting, unit_of, violations
from napari_menndl.simulation.acquisition import Acquisition
from napari_menndl.simulation.sample import Sample

FAMILIES = [
    Sample,
    Acquisition,
    FourierSettings,
    ColumnSettings,
    Conv,
    TrainingGenes,
    LayerSpace,
    TrainingSpace,
    Limits,
]


@documented
@dataclass(frozen=True)
class Probe:
    """A probe."""

    width: float = setting(0.1, "Width", "nm", "Of the core.", min=0.01, max=2, source="chosen")
    tails: float = setting(0.2, "Tails", "1", "Share of the beam.", min=0, max=0.9)
    shape: str = setting("round", "Shape", options=("round", "square"))
    windows: tuple[int, ...] = setting((3, 5), "Windows", "px", min=1)
    on: bool = setting(True, "On")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, []),
        ({"width": 0.01, "tails": 0.9, "windows": ()}, []),
        ({"width": 0.001}, ["between 0.01 and 2 nm"]),
        ({"tails": 1}, ["between 0 and 0.9"]),
        ({"shape": "oval"}, ["one of round, square"]),
        ({"windows": (3, 0, -1)}, ["between 1 and inf px"] * 2),
        ({"width": float("nan"), "tails": "much"}, ["between 0.01 and 2 nm", "between 0 and 0.9"]),
        ({"width": float("inf")}, ["between 0.01 and 2 nm"]),
        ({"width": None}, ["between 0.01 and 2 nm"]),
    ],
)
def test_what_is_not_allowed_is_found_value_by_value(given, expected):
    assert [allowed for _, _, allowed in violations(Probe(**given))] == expected


def test_the_error_names_setting_range_value_and_default():
    check(Probe())
    with pytest.raises(InputError) as error:
        check(Probe(width=3))
    assert str(error.value) == "Expected width between 0.01 and 2 nm; found 3. The default is 0.1."


BAD_VALUES = [
    (SearchSettings, {"crossover": float("nan")}, "crossover between 0 and 1; found nan"),
    (SearchSettings, {"replacement": "youngest"}, "replacement among age, worst"),
    (SlurmSettings, {"stagger": 1e9}, "stagger between 0 and 100000 min; found 1e"),
    (FourierSettings, {"sign": "grey"}, "sign among dark, bright, both"),
    (FourierSettings, {"radius": 0}, "radius between 1 and 1000 px; found 0"),
    (FourierSettings, {"spots": 2.5}, "int for spots"),
    (FourierSettings, {"smoothing": "much"}, "float for smoothing"),
    (FourierSettings, {"threshold": float("nan")}, "threshold that is a number"),
    (FourierSettings, {"inner": 0.2, "outer": 0.1}, "a rising band"),
    (ColumnSettings, {"sign": "grey"}, "sign among dark, bright, both"),
    (ColumnSettings, {"comparison": "far"}, "comparison among around, all"),
    (ColumnSettings, {"kind": -1}, "kind between 0 and 999; found -1"),
    (ColumnSettings, {"kind": True}, "int for kind"),
    (ColumnSettings, {"ceiling": float("nan")}, "ceiling that is a number"),
    (ColumnSettings, {"threshold": None}, "float for threshold"),
    (DefectClass, {"name": "a", "tolerance": "2"}, "float for tolerance; found '2'"),
    (DefectClass, {"name": "a", "extended": "no"}, "bool for extended; found 'no'"),
]


@pytest.mark.parametrize(("settings", "values", "says"), BAD_VALUES)
def test_settings_are_refused_by_type_range_and_choice(settings, values, says):
    with pytest.raises(InputError, match=re.escape(says)):
        settings(**values)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"tolerance": -1.0}, "tolerance (largest distance) between 0 and inf px; found -1.0"),
        ({"tolerance": float("nan")}, "between 0 and inf px; found nan"),
        ({"tolerance": "near"}, "between 0 and inf px; found 'near'"),
        ({"tolerance": 2.0, "min_area": 0}, "min_area (smallest area) between 1 and inf px"),
        ({"tolerance": 2.0, "extended": "no"}, "extended (matched by overlap) one of False, True"),
    ],
)
def test_match_rule_is_refused_by_what_scores_with_it(values, says):
    frame = np.zeros((1, 8, 8))
    with pytest.raises(InputError, match=re.escape(says)):
        Truth(frame[:, None] > 0, frame == 0, ("a",), (MatchRule(**values),))


@pytest.mark.parametrize("settings", [FourierSettings, ColumnSettings])
def test_an_infinite_threshold_finds_nothing_and_is_allowed(settings):
    assert settings(threshold=float("inf")).threshold == float("inf")
    assert settings(threshold=np.float32(2)).threshold == 2.0


def test_the_docs_list_every_setting():
    assert "width : float [nm], by default 0.1\n        Of the core. Source: chosen." in Probe.__doc__
    assert "tails : float [1], by default 0.2\n        Share of the beam.\n" in Probe.__doc__
    assert "on : bool, by default True" in Probe.__doc__


def test_a_bare_number_has_no_unit_to_show():
    assert [unit_of(one.metadata) for one in fields(Probe)] == ["nm", "", "", "px", ""]


@pytest.mark.parametrize("settings", [*FAMILIES, SearchSettings], ids=lambda family: family.__name__)
def test_every_setting_is_described_in_the_same_words_and_its_default_allowed(settings):
    for one in fields(settings):
        assert one.metadata.keys() >= {"title", "unit", "help"}, one.name
        assert one.metadata["title"]
    values = settings()
    assert [name for one, *_ in violations(values) if getattr(values, name := one.name) is not None] == []


def test_a_gene_out_of_bounds_says_which_and_what_is_allowed():
    with pytest.raises(GenomeError, match=r"kernel is 40, not between 1 and 31 px"):
        Conv(kernel=(3, 40))
    with pytest.raises(InputError, match=r"Limits; found stride is 0, not between 1 and 1024 px"):
        Limits(stride=0)
