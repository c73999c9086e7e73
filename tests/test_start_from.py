"""A search that starts from another one: its networks are born first, with what they learned, never what they saw."""

import shutil
import warnings
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import DefectClass
from napari_menndl.cli import app
from napari_menndl.errors import InputError
from napari_menndl.genome.evaluation import Evaluation
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.genome.genes import Blob, Conv
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.plan import make_plan
from napari_menndl.genome.space import SearchSpace
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.network.module import Network
from napari_menndl.network.weights import from_bytes, of_fold
from napari_menndl.opening import open_network
from napari_menndl.predict.ensemble import members_of
from napari_menndl.predict.trained import TrainedNetwork
from napari_menndl.run import Run
from napari_menndl.search.candidate import EvaluationKey, Founder
from napari_menndl.search.evolution import Evolution
from napari_menndl.search.facts import Born, WeightsMissing
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.settings import SearchSettings
from napari_menndl.start_from import read_founders
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.inheritance import inherit
from tiny import PIXEL_SIZE, SETTINGS, SPACE, dots, finish, prepare


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A finished search, and its network as a file."""
    place = tmp_path_factory.mktemp("start")
    finish(prepare(place / "run", budget="2networks")).best.save(place / "best.safetensors")
    return place


def task_of(*names, seed=1, pixel_size=PIXEL_SIZE):
    """Another movie of dots, and its task; with several classes, half the dots are of each."""
    frames, labels = dots()
    frames = frames + np.random.default_rng(seed).normal(0, 3, frames.shape).astype(np.float32)
    if len(names) > 1:
        labels[:, :, 32:] *= 2
    annotation = Annotation.from_labels(labels)
    annotation.classes = [DefectClass(name) for name in names] if names else annotation.classes
    movie = open_movie(frames, pixel_size=pixel_size)
    return movie, TrainingTask.from_movie(movie, annotation)


@contextmanager
def noted(words):
    """One warning with these words; none if there are none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    said = [str(one.message) for one in caught if "Starting from" in str(one.message)]
    assert len(said) == bool(words)
    assert all(words in one for one in said)


def search_from(source, place, movie, task, budget="1networks", **settings):
    given = read_founders(source, movie, task, SPACE)
    known = {**SETTINGS, "budget": budget, "pool": "serial", "start_from": str(source), **settings}
    return Run(RunFolder.create(place, SearchSettings.from_json(known), SPACE, task, given=given))


def born(run):
    return [fact for fact in run.folder.facts() if isinstance(fact, Born)]


def learned(run, key, fold):
    """The networks that the founder with these weights begins as."""
    weights = run.folder.read_weights(key)
    genome = next(one.genome for one in run.folder.founders if one.weights == key)
    return inherit(weights, 0, genome, make_plan(genome, len(run.task.class_names)), seed=5)[fold]


@pytest.mark.parametrize("source", ["best.safetensors", "run"])
def test_its_networks_are_born_first_with_their_weights_whatever_becomes_of_the_source(place, tmp_path, source):
    copied = tmp_path / source
    (shutil.copytree if (place / source).is_dir() else shutil.copy)(place / source, copied)
    movie, task = task_of()
    with noted(""):
        run = search_from(copied, tmp_path / "next", movie, task)
    first = members_of(open_network(copied))[0]
    (shutil.rmtree if copied.is_dir() else type(copied).unlink)(copied)
    finish(run)
    fact = born(run)[0]
    assert fact.origin == f"founder {copied.stem} 1"
    assert fact.inherits == "start/0"
    assert Genome.from_json(fact.genome) == first.bred_genome
    assert not any(isinstance(one, WeightsMissing) for one in run.folder.facts())
    for name, tensor in learned(run, fact.inherits, 0).items():
        assert np.array_equal(tensor, first.weights[name])
    run.folder.change_budget("2networks")
    finish(run)
    assert len(born(run)) == 2


def test_all_networks_of_a_run_are_taken_best_first(place):
    movie, task = task_of()
    given = read_founders(place / "run", movie, task, SPACE)
    facts = {fact.id: Genome.from_json(fact.genome) for fact in born(Run(RunFolder.open(place / "run")))}
    assert {one.genome for one in given.founders} == set(facts.values())
    answer = open_network(place / "run")
    assert given.founders[0].genome == members_of(answer)[0].bred_genome
    assert len(given.weights) == len(given.founders)


@pytest.mark.parametrize("frame", [0, 1])
def test_of_networks_that_saw_this_movie_the_genomes_alone_are_taken(place, frame):
    frames, labels = dots()
    movie = open_movie(frames, pixel_size=PIXEL_SIZE)
    task = TrainingTask.from_movie(movie, Annotation.from_labels(labels), frame)
    with noted("trained on this movie, so their genomes alone"):
        given = read_founders(place / "best.safetensors", movie, task, SPACE)
    assert given.founders
    assert not given.weights
    cropped = TrainingTask.from_movie(movie, Annotation.from_labels(labels), (0, 1))
    with noted("trained on this movie"):
        assert not read_founders(place / "run", movie, cropped, SPACE).weights


def test_a_run_on_the_same_task_goes_on_fold_by_fold(place, tmp_path):
    old = Run(RunFolder.open(place / "run"))
    with noted(""):
        run = search_from(place / "run", tmp_path / "next", open_movie(dots()[0], pixel_size=PIXEL_SIZE), old.task)
    key = EvaluationKey(old.status()["answer"]["members"][0]["key"])
    tensors, _ = from_bytes(old.folder.read_weights(key))
    for fold in range(old.task.folds):
        for name, tensor in of_fold(tensors, fold).items():
            assert np.array_equal(learned(run, EvaluationKey.given(0), fold)[name], tensor)


def test_what_founders_had_seen_is_remembered_by_the_next_networks(place, tmp_path):
    run = finish(search_from(place / "best.safetensors", tmp_path / "next", *task_of(), budget="1networks"))
    movie = open_movie(dots()[0], pixel_size=PIXEL_SIZE)
    with noted("trained on this movie"):
        assert not read_founders(run.path, movie, Run(RunFolder.open(place / "run")).task, SPACE).weights


def test_classes_are_known_by_their_names(place, tmp_path):
    movie, task = task_of("other", "defect")
    with noted("new to its networks: other"):
        run = search_from(place / "best.safetensors", tmp_path / "next", movie, task)
    old = members_of(open_network(place / "best.safetensors"))[0].weights["steps.head_conv.weight"]
    head = learned(run, EvaluationKey.given(0), 0)["steps.head_conv.weight"]
    assert np.array_equal(head[1], old[0])
    assert not head[0].any()


@pytest.mark.parametrize(
    ("size", "words"),
    [((0.02, 0.02), ""), ((0.04, 0.04), "pixels are 2 times as large"), (None, "pixel size of one of the movies")],
)
def test_another_pixel_size_is_said(place, size, words):
    with noted(words):
        read_founders(place / "best.safetensors", *task_of(pixel_size=size), SPACE)


def network(genome, names=("defect",)):
    weights = Network(make_plan(genome, len(names)), 0).state_dict()
    return TrainedNetwork(genome, weights, names, (0.5,) * len(names), (MatchRule(3.0),) * len(names), PIXEL_SIZE)


def test_a_file_without_a_card_gives_its_genomes_alone(tmp_path):
    with noted("trained on is unknown"):
        given = read_founders(network(FOUNDERS["dilated_fcn"]()).save(tmp_path / "a.safetensors"), *task_of(), SPACE)
    assert [one.weights for one in given.founders] == [None]


def test_inputs_that_were_fitted_to_classes_are_fitted_anew_for_others(place, tmp_path):
    card = open_network(place / "best.safetensors").card
    fitted = Genome((), inputs=(Blob(2.0), Blob(3.0)))
    two = replace(network(fitted, ("a", "b")), unfitted=FOUNDERS["blobs"](), card=card).save(tmp_path / "a.safetensors")
    given = read_founders(two, *task_of(), SPACE)
    assert [one.genome for one in given.founders] == [FOUNDERS["blobs"]()]
    assert not given.weights
    same = read_founders(two, *task_of("a", "b"), SPACE)
    assert same.weights


def test_networks_outside_of_the_space_are_judged_and_have_no_offspring(place, tmp_path):
    card = open_network(place / "best.safetensors").card
    large = replace(network(Genome((Conv(64),) * 3)), card=card).save(tmp_path / "large.safetensors")
    with noted("1 of 1 lie outside of the search space"):
        given = read_founders(large, *task_of(), SPACE)
    evolution = Evolution(SPACE, SearchSettings.from_json(SETTINGS), given.founders)
    (first,) = evolution.ask(1)
    assert (first.origin, first.inherits) == ("founder large 1", EvaluationKey.given(0))
    evolution.tell(first.key, Evaluation("0", fitness=0.9))
    assert evolution.best.id == first.id
    assert not evolution.population


def test_a_founder_that_is_given_is_born_once_and_inherits_only_if_the_settings_say_so():
    given = (Founder("founder mine 1", FOUNDERS["unet"](), EvaluationKey.given(0)),)
    for inherit_, weights in ((True, EvaluationKey.given(0)), (False, None)):
        settings = SearchSettings(founders=("bank_logistic", "unet", "dilated_fcn"), inherit=inherit_)
        asked = Evolution(SearchSpace(), settings, given).ask(3)
        assert [one.origin for one in asked] == ["founder mine 1", "founder bank_logistic", "founder dilated_fcn"]
        assert [one.inherits for one in asked] == [weights, None, None]


def test_single_images_need_no_neighbours(place, tmp_path):
    card = open_network(place / "best.safetensors").card
    source = replace(network(FOUNDERS["deep_fcn"]()), card=card).save(tmp_path / "a.safetensors")
    space = SearchSpace().for_single_frames()
    given = read_founders(source, *task_of(), space)
    assert [one.genome.reach for one in given.founders] == [0]
    assert given.weights


def test_what_holds_no_network_is_refused_before_there_is_a_run_folder(place, tmp_path):
    frames, labels = dots()
    write_movie(open_movie(frames, pixel_size=PIXEL_SIZE), tmp_path / "movie.tif")
    Annotation.from_labels(labels).save(tmp_path / "labels.zarr")
    words = ["search", tmp_path / "movie.tif", "--annotation", tmp_path / "labels.zarr", "--run", tmp_path / "run"]
    for source, said in ((tmp_path / "movie.tif", "a movie or an image"), (tmp_path / "no", "does not exist")):
        result = CliRunner().invoke(app, [*map(str, words), "--start-from", str(source)])
        assert result.exit_code == 2
        assert said in result.stderr
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="no network evaluated"):
        read_founders(prepare(tmp_path / "empty").path, *task_of(), SPACE)


def test_a_damaged_list_of_founders_is_refused(place, tmp_path):
    run = search_from(place / "best.safetensors", tmp_path / "next", *task_of())
    record = run.path / "search.json"
    record.write_text(record.read_text().replace('"origin"', '"wrong"'))
    with pytest.raises(InputError, match=r"founders in search\.json"):
        RunFolder.open(run.path)
