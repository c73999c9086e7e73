"""Forms are what their settings say, and give back what they were given."""

import pytest
from magicgui.widgets import ComboBox, FloatSpinBox, Select

from napari_menndl.annotation.fourier import FourierSettings
from napari_menndl.genome.ranges import Limits
from napari_menndl.search.settings import SearchSettings
from napari_menndl.simulation.acquisition import Acquisition
from napari_menndl.simulation.sample import Sample
from napari_menndl.widgets.form import lay_out, make_form, read_form


@pytest.mark.parametrize("settings", [Sample, Acquisition, FourierSettings, Limits], ids=lambda one: one.__name__)
def test_an_untouched_form_holds_the_defaults(qapp, settings):
    assert read_form(make_form(settings), settings) == settings()


def test_an_untouched_form_of_a_search_holds_its_defaults_but_what_no_box_can_leave_empty(qapp):
    form = make_form(SearchSettings)
    boxes = {name: form[name].value for name in ("slots", "networks_per_gpu")}
    assert read_form(form, SearchSettings) == SearchSettings(**boxes)


def test_rows_are_titled_limited_explained_and_offer_choices(qapp):
    form = make_form(FourierSettings, spots={"max": 50})
    assert (form["radius"].label, form["sign"].label) == ("Normalisation radius [px]", "Sign")
    assert (form["radius"].min, form["radius"].max, form["spots"].max) == (1, 1000, 50)
    assert "ring around" in form["edge"].tooltip
    assert isinstance(form["sign"], ComboBox)
    assert form["sign"].choices == ("dark", "bright", "both")
    assert isinstance(make_form(SearchSettings)["founders"], Select)
    assert make_form(Sample)["mo_fraction"].label == "Mo on W sites"


def test_what_is_typed_is_read(qapp, qtbot):
    form = make_form(Sample)
    body = lay_out(form)
    qtbot.addWidget(body)
    box = form["s_loss"].native
    assert isinstance(form["s_loss"], FloatSpinBox)
    box.lineEdit().selectAll()
    qtbot.keyClicks(box, "0.0034")
    assert read_form(form, Sample) == Sample(s_loss=0.0034)
