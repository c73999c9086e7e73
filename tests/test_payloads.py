"""What somebody else wrote is data: opening it runs nothing, and reads and writes nothing outside the folder."""

import io
import json
import os
import pickle
import re
import shutil
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.numpy
import tifffile
import zarr

import tiny
from napari_menndl.annotation.annotation import Annotation
from napari_menndl.api import open_run
from napari_menndl.errors import InputError
from napari_menndl.genome.space import SearchSpace
from napari_menndl.movie.calibration import CalibrationWarning
from napari_menndl.movie.reading import open_movie
from napari_menndl.pool.spec import read_pool_file
from napari_menndl.predict.ensemble import open_predictor
from napari_menndl.predict.prediction import Prediction

FRAMES = np.arange(2 * 16 * 16, dtype=np.uint16).reshape(2, 16, 16)


class Payload:
    """Makes a folder wherever it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def objects(marker):
    return np.array([Payload(marker), None], object)


def npy(marker):
    content = io.BytesIO()
    np.save(content, objects(marker), allow_pickle=True)
    return content.getvalue()


def write_npy(folder, marker):
    (folder / "a.npy").write_bytes(npy(marker))
    return folder / "a.npy"


def write_ndata(folder, marker):
    with zipfile.ZipFile(folder / "a.ndata1", "w") as archive:
        archive.writestr("data.npy", npy(marker))
        archive.writestr("metadata.json", "{}")
    return folder / "a.ndata1"


def pickled_chunks(array, marker, dtype="|O", **about):
    """Let an array of zarr 2 say that pickle unpacks its chunks, and put the payload into them."""
    described = json.loads((array / ".zarray").read_text())
    (array / ".zarray").write_text(json.dumps({**described, "dtype": dtype, **about}))
    for chunk in [path for path in array.iterdir() if path.name[0].isdigit()]:
        chunk.write_bytes(pickle.dumps(Payload(marker)))


PICKLES = {
    "objects": {"filters": [{"id": "pickle"}]},
    "numbers": {"dtype": "<u2", "filters": [{"id": "pickle"}]},
    "numbers, as a compressor": {"dtype": "<u2", "compressor": {"id": "pickle"}},
    "behind another codec": {"dtype": "<u2", "filters": [{"id": "vlen-bytes"}, {"id": "pickle"}]},
}


def zarr_array(folder, marker, name="a.zarr", **about):
    array = zarr.create_array(str(folder / name), shape=(2, 16, 16), dtype="u2", zarr_format=2, compressors=None)
    array[:] = FRAMES
    pickled_chunks(folder / name, marker, **about)
    return folder / name


def zspy(folder, marker, **about):
    zarr.open_group(str(folder / "a.zspy"), mode="w", zarr_format=2).create_group("Experiments/a")
    zarr_array(folder / "a.zspy" / "Experiments" / "a", marker, "data", **about)
    return folder / "a.zspy"


def write_hdf5(folder, marker, suffix=".h5"):
    with h5py.File(folder / f"a{suffix}", "w") as file:
        group = file.create_group("Experiments/a")
        group.create_dataset(
            "data", data=np.array([[pickle.dumps(Payload(marker)).hex()] * 4] * 4, h5py.string_dtype())
        )
        group["references"] = np.array([[group.ref] * 4] * 4, h5py.ref_dtype)
        group["opaque"] = np.full((4, 4), np.void(pickle.dumps(Payload(marker)).ljust(200)))
    return folder / f"a{suffix}"


def write_emi(folder, marker):
    (folder / "a.emi").write_bytes(pickle.dumps(Payload(marker)))
    (folder / "a_1.ser").write_bytes(pickle.dumps(Payload(marker)))
    return folder / "a.emi"


FILES = {
    "npy": write_npy,
    "ndata1": write_ndata,
    "HDF5": write_hdf5,
    "HyperSpy": lambda folder, marker: write_hdf5(folder, marker, ".hspy"),
    "emi": write_emi,
    **{f"zarr, {name}": lambda f, m, about=about: zarr_array(f, m, **about) for name, about in PICKLES.items()},
    **{f"zspy, {name}": lambda f, m, about=about: zspy(f, m, **about) for name, about in PICKLES.items()},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("opened", [open_movie, Annotation.open], ids=["movie", "labels"])
@pytest.mark.parametrize("kind", FILES)
def test_no_movie_and_no_labels_run_anything(kind, opened, tmp_path):
    path = FILES[kind](tmp_path, tmp_path / "ran")
    with pytest.raises(InputError):
        opened(path).frame(0)
    assert not (tmp_path / "ran").exists()


# What we wrote, and somebody has changed


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A run folder; to be copied before it is changed."""
    return tiny.finish(tiny.prepare(tmp_path_factory.mktemp("searched") / "a.menndl")).path


@pytest.fixture
def run(searched, tmp_path):
    return Path(shutil.copytree(searched, tmp_path / "a.menndl"))


@pytest.mark.parametrize("about", PICKLES.values(), ids=PICKLES)
def test_arrays_of_ours_run_nothing(about, run, tmp_path):
    Annotation.from_labels(FRAMES > 9).save(tmp_path / "labels.zarr")
    for group, name, look in (
        (tmp_path / "labels.zarr", "labels", lambda: Annotation.open(tmp_path / "labels.zarr").frame(0)),
        (run / "task.zarr", "frames", lambda: open_run(run).task),
    ):
        for part in [path for path in (group / name).rglob("*") if path.is_file()]:
            part.unlink()
        (group / "zarr.json").rename(group / "attributes")
        (group / ".zgroup").write_text('{"zarr_format": 2}')
        (group / ".zattrs").write_text(json.dumps(json.loads((group / "attributes").read_text())["attributes"]))
        zarr_array(group, tmp_path / "ran", name, **about)
        with pytest.raises(InputError):
            look()
    assert not (tmp_path / "ran").exists()


def test_a_network_file_is_never_unpickled(tmp_path):
    import torch

    torch.save({"a": Payload(tmp_path / "ran")}, tmp_path / "torch.safetensors")
    (tmp_path / "pickle.safetensors").write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    safetensors.numpy.save_file(
        {"a": np.zeros(3, np.float32)},
        tmp_path / "other.safetensors",
        {"napari-menndl": json.dumps({"schema": 1, "kind": "network", "genome": {"__class__": "os.mkdir"}})},
    )
    for path in tmp_path.glob("*.safetensors"):
        with pytest.raises(InputError):
            open_predictor(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a": 1e999999}', "NaN", '{"layers": {"__reduce__": []}}', '"a"'])
def test_json_of_others_is_refused(content, run, tmp_path):
    (tmp_path / "space.json").write_text(content)
    with pytest.raises(InputError):
        SearchSpace.open(tmp_path / "space.json")
    for name in ("search.json", "task.zarr/zarr.json"):
        (run / name).write_text(content)
        with pytest.raises(InputError):
            open_run(run).task


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.mkdir", "!!python/object/new:os.mkdir", "!!python/name:os.mkdir"]
)
def test_yaml_constructs_no_objects(tag, tmp_path):
    (tmp_path / "pool.yaml").write_text(f"kind: local\nslots: {tag} ['{tmp_path / 'ran'}']\n")
    with pytest.raises(InputError):
        read_pool_file(tmp_path / "pool.yaml")
    assert not (tmp_path / "ran").exists()


def test_yaml_without_an_end_is_refused(tmp_path):
    (tmp_path / "pool.yaml").write_text("[" * 2_000)
    with pytest.raises(InputError):
        read_pool_file(tmp_path / "pool.yaml")


def test_yaml_that_grows_beyond_its_file_is_refused(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    (tmp_path / "pool.yaml").write_text("\n".join([*lines, "kind: local", "slots: *a8"]))
    with pytest.raises(InputError) as caught:
        read_pool_file(tmp_path / "pool.yaml")
    assert len(str(caught.value)) < 2000


SECRET = "a word that nobody gave away"
XML = '<!DOCTYPE a [<!ENTITY s SYSTEM "file://{secret}">]>'


def test_xml_reads_no_other_file_and_does_not_grow(tmp_path):
    (tmp_path / "secret.txt").write_text(SECRET)
    doctype = XML.format(secret=tmp_path / "secret.txt")
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    for text in (doctype, f'<!DOCTYPE a [<!ENTITY l0 "ha">{laughs}]>'):
        entity = "&s;" if "SYSTEM" in text else "&l11;"
        (tmp_path / "a.xml").write_text(f"{text}<TrackMate><Model spatialunits='{entity}'/>{entity}</TrackMate>")
        with pytest.raises(InputError, match="document type") as caught:
            Annotation.from_points(tmp_path / "a.xml", (16, 16), 2)
        assert SECRET not in str(caught.value)
        ome = (
            f'<?xml version="1.0"?>{text}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{entity}</OME>'
        )
        tifffile.imwrite(tmp_path / "a.ome.tif", FRAMES, description=ome, metadata=None, photometric="minisblack")
        with pytest.warns(CalibrationWarning) as said:
            movie = open_movie(tmp_path / "a.ome.tif")
        assert np.array_equal(movie.frame(1), FRAMES[1])
        assert not any(SECRET in str(one.message) for one in said)


# Ways out of a folder

PARTS = ["networks", "requests", "task.zarr", "journal.jsonl", "search.log", "search.lock", "task.zarr/frames"]


@pytest.mark.parametrize("part", PARTS)
def test_a_link_out_of_a_run_folder_is_refused(part, run, tmp_path):
    """Else resuming it would empty a folder of requests, or cut another file to the length of the journal."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text(SECRET)
    target = outside if "." not in part or part.startswith("task") else outside / "mine"
    (run / part).rename(tmp_path / "before") if (run / part).exists() else None
    (run / part).symlink_to(target)
    with pytest.raises(InputError, match=f"link {part} "):
        open_run(run)
    assert (outside / "mine").read_text() == SECRET


def test_a_link_out_of_an_annotation_is_refused(tmp_path):
    for name in ("a", "b"):
        Annotation.from_labels(FRAMES > 9).save(tmp_path / f"{name}.zarr")
    chunk = next(path for path in (tmp_path / "a.zarr" / "labels" / "c").rglob("*") if path.is_file())
    chunk.unlink()
    chunk.symlink_to(tmp_path / "b.zarr" / chunk.relative_to(tmp_path / "a.zarr"))
    with pytest.raises(InputError, match="a folder that holds its own files"):
        Annotation.open(tmp_path / "a.zarr", mode="r+")


def test_a_link_inside_a_run_folder_is_none_of_our_business(run):
    (run / "latest.log").symlink_to("search.log")
    assert open_run(run).state == "finished"


@pytest.mark.parametrize("array", ["../b.zarr/labels", "labels/../../b.zarr/labels", "{folder}/b.zarr/labels"])
def test_an_annotation_names_no_array_elsewhere(array, tmp_path):
    for name in ("a", "b"):
        Annotation.from_labels(FRAMES > 9).save(tmp_path / f"{name}.zarr")
    about = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())
    about["attributes"]["array"] = array.format(folder=tmp_path)
    (tmp_path / "a.zarr" / "zarr.json").write_text(json.dumps(about))
    with pytest.raises(InputError):
        Annotation.open(tmp_path / "a.zarr")


@pytest.mark.parametrize("path", ["../other.zarr/0", "0/../../other.zarr/0", "{folder}/other.zarr/0"])
def test_an_ome_zarr_names_no_array_elsewhere(path, tmp_path):
    for name in ("a.zarr", "other.zarr"):
        root = zarr.open_group(str(tmp_path / name), mode="w", zarr_format=2)
        root.create_array("0", data=FRAMES)
        axes = [{"name": axis} for axis in "tyx"]
        root.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": path.format(folder=tmp_path)}]}]
    with pytest.raises(InputError):
        open_movie(tmp_path / "a.zarr")


def lines(journal, change):
    """The lines of a journal, changed, with right checksums."""
    facts = [json.loads(line) for line in journal.read_bytes().splitlines()]
    for fact in facts:
        fact.pop("crc32")
        change(fact)
        body = json.dumps(fact).encode()[:-1]
        yield body + b',"crc32":"%08x"}\n' % zlib.crc32(body)


JOURNALS = {
    "keys that climb": lambda fact: fact.update(json.loads(re.sub(r'"\d+/\d+\+?"', '"../../x/0"', json.dumps(fact)))),
    "numbers of another type": lambda fact: fact.update(id="0") if "id" in fact else None,
    "numbers without end": lambda fact: fact.update(id=10**15) if "id" in fact else None,
    "rungs without end": lambda fact: fact.update(key="0/999999999") if "key" in fact else None,
    "facts that lack all": lambda fact: [fact.pop(name) for name in list(fact) if name != "kind"],
    "lists instead": lambda fact: fact.update({name: [] for name in fact if name != "kind"}),
}


@pytest.mark.parametrize("kind", JOURNALS)
def test_a_journal_that_no_search_wrote_is_refused(kind, run):
    (run / "journal.jsonl").write_bytes(b"".join(list(lines(run / "journal.jsonl", JOURNALS[kind]))))
    with pytest.raises(InputError):
        open_run(run).best


def test_a_stored_prediction_names_its_own_arrays_only(tmp_path):
    with pytest.raises(InputError):
        Prediction.open(zarr_array(tmp_path, tmp_path / "ran", dtype="<u2", compressor={"id": "pickle"}))
    assert not (tmp_path / "ran").exists()
