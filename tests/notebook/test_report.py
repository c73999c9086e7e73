"""One page holds all of a search, needs nothing beside it and runs nothing."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from napari_menndl import Annotation, InputError, Run, SearchSpace, compare
from napari_menndl.cli import app
from napari_menndl.genome import FOUNDERS
from napari_menndl.notebook import plot_four_panels, plot_genome, write_report
from napari_menndl.pool import SerialPool
from napari_menndl.search import RunFolder, SearchRunner, SearchSettings
from napari_menndl.task import TrainingTask
from napari_menndl.training.job import run as train

#: A name is text on the page, whatever it looks like.
CLASS = "<script>defect</script>"


class Page(HTMLParser):
    """Text of a page, its tags, and the sources of its pictures."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.sources, self.words = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def truth(simulated):
    return Annotation.from_labels(
        (simulated.labels > 0).astype("uint8"), [CLASS], pixel_size=simulated.movie.pixel_size
    )


@pytest.fixture(scope="module")
def searched(simulated, truth, tmp_path_factory):
    """The run of a real search of one network, quickly trained."""
    settings = SearchSettings(budget="1networks", pool="serial", pixels=200_000, rungs=1, founders=("dilated_fcn",))
    task = TrainingTask.from_movie(simulated.movie, truth, frames=[0])
    folder = RunFolder.create(tmp_path_factory.mktemp("search") / "tiny.menndl", settings, SearchSpace(), task)
    pool = SerialPool(train)
    with folder.lock():
        SearchRunner(folder, pool).run()
    pool.close()
    return Run(folder)


@pytest.fixture(scope="module")
def page(searched, simulated, truth, tmp_path_factory):
    return Page(write_report(searched, tmp_path_factory.mktemp("report") / "page.html", simulated.movie, truth, [0]))


def test_the_page_says_what_was_searched_with_what_result(page, searched):
    status = searched.status()
    assert f"{status['answer']['fitness']:.3f} ± {status['answer']['error']:.3f}" in page.text
    assert f"{status['networks']} networks, {status['evaluations']} evaluations" in page.text
    assert CLASS in page.text
    assert searched.task.digest in page.text
    assert all(version in page.text for version in searched.folder.versions.values())
    assert "Scores on 3 annotated frames of the movie" in page.text


def test_the_page_needs_nothing_beside_it_and_runs_nothing(page):
    assert "script" not in page.tags
    assert len(page.sources) == 7
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium here")
def test_a_browser_without_a_network_opens_the_page_and_has_nothing_to_complain_of(searched, tmp_path):
    page = write_report(searched, tmp_path / "page.html")
    offline = ("--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND")
    command = [
        "chromium",
        *offline,
        f"--user-data-dir={tmp_path}",
        "--enable-logging=stderr",
        "--dump-dom",
        page.as_uri(),
    ]
    told = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert "For a methods section" in told.stdout
    assert "CONSOLE" not in told.stderr


def test_every_member_of_the_answer_is_drawn(page, searched):
    assert page.tags.count("svg") == len(searched.status()["answer"]["members"])


def test_the_command_on_the_page_can_be_given_with_a_movie(page, simulated, tmp_path):
    command = re.search(r"napari-menndl search (MOVIE .*?) The run folder keeps", page.text)[1].split()
    told = CliRunner().invoke(app, ["search", *command])
    assert "No such option" not in told.output
    assert "MOVIE" in told.output  # which is no file: the only thing wrong with it
    assert "founders=('dilated_fcn',)" in page.text


def test_a_search_that_has_found_nothing_yet_has_a_page(run, tmp_path):
    assert "None yet." in Page(write_report(run, tmp_path / "page.html")).text


def test_a_notebook_shows_each_object_by_what_is_in_it(searched, simulated, truth):
    shown = {
        "the run": (searched._repr_html_(), "1 networks, 1 evaluations"),
        "the movie": (simulated.movie._repr_html_(), '<td style="text-align:left">Pixel size</td>'),
        "the annotation": (truth._repr_html_(), "frame 2"),
        "the review": (compare(truth, truth)._repr_html_(), "1.000"),
        "the prediction": (searched.predict(simulated.movie)._repr_html_(), "0 of them on disk"),
        "the genome": (FOUNDERS["unet"]()._repr_svg_(), "conv 3×3"),
    }
    for words, expected in shown.values():
        assert expected in words
        assert "<script" not in words
    assert '<img src="data:image/png' in shown["the movie"][0]
    assert shown["the genome"][0].count("<polygon") > 10
    assert shown["the genome"][0] == plot_genome(FOUNDERS["unet"]())._repr_svg_()


def test_four_panels_show_frames_that_the_search_has_not_learned_from(searched, simulated, truth):
    axes = plot_four_panels(searched, simulated.movie, truth).axes
    titles = [axis.get_title(loc="left").partition(":")[0] for axis in axes]
    assert titles == 2 * ["Raw", "Expert", "Fourier method", "Evolved network"]
    assert [axis.texts[0].get_text() for axis in axes[::4]] == ["frame 1", "frame 2"]


def test_a_movie_without_its_annotation_is_refused(searched, simulated, tmp_path):
    with pytest.raises(InputError, match="annotation"):
        write_report(searched, tmp_path / "page.html", simulated.movie)


def test_the_command_line_writes_the_page_and_replaces_none(searched, tmp_path):
    place = tmp_path / "page.html"
    assert CliRunner().invoke(app, ["report", str(searched.path), "--out", str(place)]).exit_code == 0
    assert place.exists()
    assert CliRunner().invoke(app, ["report", str(searched.path), "--out", str(place)]).exit_code == 2
