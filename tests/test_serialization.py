"""Dataclasses become JSON and come back: what is stored stays as it is, byte for byte, and nothing foreign is read."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from napari_menndl.errors import InputError
from napari_menndl.genome.genes import Conv
from napari_menndl.genome.genome import Genome
from napari_menndl.search.facts import Fact, iterate_facts
from napari_menndl.search.journal import Journal
from napari_menndl.serialization import check_types, decode, encode, from_mapping
from napari_menndl.settings import setting

GENOME = (
    '{"layers":[{"kind":"conv","filters":16,"kernel":[3,3],"stride":1,"dilation":1,"depthwise":false,"norm":"batch",'
    '"activation":"relu","dropout":0.0}],"skips":[],"training":{"optimiser":"adamw","learning_rate":0.01,'
    '"weight_decay":0.01,"schedule":"onecycle","bce":1.0,"focal":0.0,"dice":0.0,"class_weight":5.0,"balance":0.5,'
    '"batch":4,"tile":64,"normalisation":"local","radius":20.0,"flips":true,"contrast":0.0,"gamma":0.0,"noise":0.0,'
    '"blur":0.0,"zoom":0.0,"jitter":0.0},"inputs":[{"kind":"frame","reach":0}]}'
)
SCORE = '{"name":"hole","f1":0.5,"average_precision":0.25,"pixel_f1":0.2,"threshold":0.03,"tp":1,"fp":2,"fn":0}'
EVALUATION = (
    '{"rung":"0","fitness":0.375,"error":null,"scores":[%s],"absent":["vacancy"],"loss":[0.5,null],"parameters":160,'
    '"flops":310.0,"train_flops":6e8,"share":1.0,"seconds":3.5,"latency":0.0,"peak_memory":522629120,"device":"cpu",'
    '"failure":%s}'
)
FAILURE = '{"kind":"diverged","message":"The loss is not finite.","traceback":""}'
ENDED = '"key":"7/0","slot":"host/2/0","started":3.5,"finished":7.25'
ANSWER = (
    f'"members":[{{"id":7,"key":"7/1","networks":[["7/1",0],["7/1+",1]],"genome":{GENOME},"fitness":0.5,'
    f'"thresholds":{{"hole":null}},"classes":null}}],"thresholds":{{"hole":0.5}},"fitness":0.5,"error":null,'
    f'"scores":[{SCORE}]'
)
RUNG = '{"name":"0","pixels":6000000,"folds":null,"split":0,"all_labels":false}'
#: A line of every kind, as in run folders, without time and checksum.
LINES = {
    "started": '"slots":2,"budget":"240s","learns":{"frames":1,"defects":{"hole":2}}',
    "resumed": '"slots":2,"budget":"240s","learns":{}',
    "born": f'"id":7,"rung":{RUNG},"parents":[1,2],"origin":"crossover","inherits":"1/0","genome":{GENOME}',
    "promoted": '"id":7,"rung":"1","weights_of":"7/0"',
    "arrived": '"id":8,"island":"a1","theirs":3,"rung":"1","fitness":0.5',
    "evaluated": f'{ENDED},"evaluation":{EVALUATION % (SCORE, "null")}',
    "failed": f'{ENDED},"evaluation":{EVALUATION % ("", FAILURE)}',
    "refit": f'{ENDED},"folds":[0,1],"evaluation":{EVALUATION % ("", "null")}',
    "lost": f'{ENDED},"failure":{FAILURE}',
    "weights_missing": '"key":"7/1","weights_of":"7/0","damaged":true',
    "retired": '"ids":[3,4]',
    "best": '"id":7,"key":"7/1","fitness":0.5',
    "answer": ANSWER,
    "finished": f'{ANSWER},"reason":"240 s are over","elapsed":240.5',
    "stopped": '"reason":"asked to stop","elapsed":null',
    "telemetry": '"elapsed":5.0,"slots":1,"slot_seconds":5.1,"gpu_seconds":0.0,"median":null,"pool":{"workers":1}',
    "merged": '"run":"/runs/a","island":"a1","networks":7,"finished":true,"fitness":null',
}


def kinds() -> list[str]:
    found, classes = [], [Fact]
    while classes:
        classes += (one := classes.pop()).__subclasses__()
        found += [one.kind] if "kind" in vars(one) and one.kind else []
    return sorted(found)


@pytest.mark.parametrize("kind", kinds())
def test_a_stored_line_is_written_again_byte_for_byte(tmp_path, kind):
    text = f'{{"kind":"{kind}","time":1795705641.25,{LINES[kind]}}}'.replace("6e8", "600000000.0")
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.record(**json.loads(text))
        journal.commit()
    [(fact, _)] = iterate_facts(tmp_path / "journal.jsonl")
    assert json.dumps(fact.to_json(), separators=(",", ":")) == text


def test_a_line_of_another_version_is_read_as_far_as_it_is_known_and_one_without_its_key_is_damage(tmp_path):
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.record("best", id=7, key="7/1", fitness=0.5, of_a_newer_version=[1])
        journal.record("unheard of", id=7)
        journal.record("best", id=7, fitness=0.5)
        journal.commit()
    facts = iterate_facts(tmp_path / "journal.jsonl")
    fact, _ = next(facts)
    assert (fact.kind, fact.key.network, fact.key.level) == ("best", 7, 1)
    with pytest.raises(InputError, match=r"journal that a search wrote; found .*the field key"):
        next(facts)


def test_a_stored_genome_keeps_its_bytes_and_its_digest():
    genome = Genome.from_json(json.loads(GENOME))
    assert genome == Genome((Conv(16, (3, 3)),))
    assert json.dumps(genome.to_json(), separators=(",", ":")) == GENOME
    assert genome.digest == "1406a17f0172354f"


@dataclass(frozen=True)
class Probe:
    name: str
    width: float | None = None
    sides: tuple[tuple[int, int], ...] = ()
    of: dict[str, float] | None = None


WHOLE = Probe("a", 0.5, ((1, 2), (3, 4)), {"x": 1.0})


@pytest.mark.parametrize("lenient", [True, False])
def test_what_was_encoded_is_decoded(lenient):
    for probe in (WHOLE, Probe("b")):
        assert decode(Probe, json.loads(json.dumps(encode(probe))), "probe", lenient=lenient) == probe


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"name": 3}, "str for probe.name; found 3"),
        ({"width": "wide"}, "a finite number for probe.width; found 'wide'"),
        ({"width": True}, "a finite number for probe.width"),
        ({"width": float("inf")}, "a finite number for probe.width"),
        ({"sides": [[1, 2], [3]]}, r"a list of 2 for probe.sides\[1\]"),
        ({"sides": [[1, 2.5]]}, r"int for probe.sides\[0\]\[1\]"),
        ({"of": {"x": None}}, r"a finite number for probe.of\['x'\]"),
        ({"of": [1]}, "names and values for probe.of"),
        ({"height": 1}, "the fields name, width, sides, of; found unknown height"),
    ],
)
def test_what_does_not_fit_is_named_by_its_place(changed, says):
    with pytest.raises(InputError, match=says):
        decode(Probe, encode(WHOLE) | changed, "probe")


@pytest.mark.parametrize("data", [None, 3, "a", [], {}, {"width": 1.0}])
def test_what_is_no_record_is_refused_even_where_values_are_not_checked(data):
    for lenient in (True, False):
        with pytest.raises(InputError):
            decode(Probe, data, "probe", lenient=lenient)


@dataclass(frozen=True, kw_only=True)
class Settings:
    size: int = setting(3, "Size of it", "px", min=1, max=9)
    slots: int | None = setting(None, "Slots", min=1)
    path: str

    def __post_init__(self) -> None:
        check_types(self)


def test_settings_take_the_types_they_declare():
    given = from_mapping(Settings, {"size": np.int64(4), "path": "a"})
    assert (given, type(given.size)) == (Settings(size=4, path="a"), int)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "a value for path; found none"),
        ({"path": "a", "sise": 3}, "settings among size, slots, path; found sise"),
        ({"path": "a", "size": 3.0}, "int for size; found 3.0"),
        ({"path": "a", "size": np.arange(3)}, "int for size"),
        ({"path": "a", "size": 10}, r"size \(size of it\) between 1 and 9 px; found 10. The default is 3."),
        ({"path": "a", "slots": 0}, "slots between 1 and inf; found 0. The default is None."),
    ],
)
def test_settings_that_are_not_allowed_are_refused_by_name(wrong, says):
    with pytest.raises(InputError, match=says):
        from_mapping(Settings, wrong)
