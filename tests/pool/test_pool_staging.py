"""What every job needs, brought to the machines: whole, once, and noticed when it is damaged."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_menndl.errors import InputError
from napari_menndl.pool.worker import staging
from napari_menndl.pool.worker.node_cache import NodeCache, NotStagedError
from napari_menndl.pool.worker.staging import (
    SharedInput,
    StagedInput,
    digest_of,
    files_of,
    pieces_of,
    write_piece,
)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "home" / "task.zarr"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_bytes(bytes(range(256)) * 20)
    (folder / "empty").write_bytes(b"")
    (folder / "zarr.json").write_text("{}")
    return folder


@pytest.fixture
def staged(source):
    return StagedInput.of(SharedInput("task", source))


@pytest.fixture
def cache(tmp_path):
    return NodeCache(tmp_path / "scratch" / "napari-menndl")


def far(staged):
    """The same as seen from a machine that cannot read the source."""
    return StagedInput(staged.name, "/nowhere/" + staged.base, staged.digest)


def upload(cache, staged, source):
    part = cache.part(staged)
    for piece in pieces_of(source):
        write_piece(part, piece)
    cache.put(staged, part)


def contents(folder):
    return [(name, file.read_bytes()) for name, file in files_of(folder)]


def left(cache):
    return sorted(one.name for one in cache.folder.iterdir() if not one.name.endswith(".lock"))


def test_a_copy_is_what_was_carried(cache, staged, source):
    assert contents(cache.find(staged)) == contents(source)
    assert left(cache) == [staged.digest]


def test_what_cannot_be_read_there_is_asked_for_and_then_found(cache, staged, source):
    with pytest.raises(NotStagedError):
        cache.find(far(staged))
    upload(cache, staged, source)
    assert contents(cache.find(far(staged))) == contents(source)
    assert left(cache) == [staged.digest]


def test_a_lone_file_is_carried_alike_and_in_pieces(cache, source, monkeypatch):
    monkeypatch.setattr(staging, "PIECE", 1000)
    file = source / "deep" / "file"
    staged = StagedInput.of(SharedInput("network", file))
    assert len(list(pieces_of(file))) == 6
    upload(cache, staged, file)
    assert cache.find(far(staged)).read_bytes() == file.read_bytes()


def test_nothing_to_carry_is_said_at_once(tmp_path):
    with pytest.raises(InputError, match="nothing there"):
        StagedInput.of(SharedInput("task", tmp_path / "none"))


def flip(file, rng):
    data = bytearray(file.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    file.write_bytes(data)


def cut(file, rng):
    os.truncate(file, rng.integers(file.stat().st_size))


def remove(file, rng):
    file.unlink()


@pytest.mark.parametrize("damage", [flip, cut, remove], ids=lambda one: one.__name__)
@pytest.mark.parametrize("seed", range(5))
def test_damage_is_noticed_by_the_next_process_and_mended(cache, staged, source, damage, seed):
    damage(cache.find(staged) / "deep" / "file", np.random.default_rng([seed, 0]))
    assert not NodeCache(cache.folder).intact(staged)
    with pytest.raises(NotStagedError):
        NodeCache(cache.folder).find(far(staged))
    assert contents(NodeCache(cache.folder).find(staged)) == contents(source)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_digest_changes_with_every_byte_and_name(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    names = st.sampled_from(["a", "b", "c/a", "c/b"])
    files = data.draw(st.dictionaries(names, st.binary(max_size=8), min_size=1), label="files")
    other = data.draw(st.dictionaries(names, st.binary(max_size=8), min_size=1), label="other")
    for top, these in (("1/x", files), ("2/x", other)):
        for name, content in these.items():
            (folder / top / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / top / name).write_bytes(content)
    assert (digest_of(folder / "1/x") == digest_of(folder / "2/x")) == (files == other)


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "task.zarr/../../escaped", "", "a\\..\\b", "C:x"])
def test_nothing_is_unpacked_outside(cache, staged, name):
    part = cache.part(staged)
    with pytest.raises(ValueError, match="is not written"):
        write_piece(part, ({"name": name, "offset": 0}, b"x"))
    assert not list(part.iterdir())


@pytest.mark.parametrize("extra", ["task.zarr/more", "beside"])
def test_what_was_not_announced_is_not_taken_into_use(cache, staged, source, extra):
    part = cache.part(staged)
    for piece in [*pieces_of(source), ({"name": extra, "offset": 0}, b"x")]:
        write_piece(part, piece)
    with pytest.raises(ValueError, match="not the one that was announced"):
        cache.put(staged, part)
    assert left(cache) == []


def test_many_at_once_make_one_copy(cache, staged, source):
    found = []
    threads = [threading.Thread(target=lambda: found.append(NodeCache(cache.folder).find(staged))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert contents(found[0]) == contents(source)
    assert left(cache) == [staged.digest]


def test_a_process_killed_while_it_stages_holds_up_nobody(cache, staged, source):
    script = (
        "import time\nfrom pathlib import Path\nfrom napari_menndl.pool.worker import node_cache, staging\n"
        "def slowly(folder, piece):\n print('writing', flush=True)\n time.sleep(60)\n"
        "node_cache.write_piece = slowly\n"
        f"cache = node_cache.NodeCache(Path({str(cache.folder)!r}))\n"
        f"cache.find(staging.StagedInput.of(staging.SharedInput('task', {str(source)!r})))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "writing\n"
    process.kill()
    process.communicate()
    began = time.monotonic()
    assert contents(cache.find(staged)) == contents(source)
    assert time.monotonic() - began < 5


def test_copies_that_nobody_used_for_a_week_are_removed(cache, staged, source):
    cache.find(staged)
    for name, days in (("a" * 64, 8), ("b" * 64, 6), (f".{'c' * 64}.1", 1)):
        (cache.folder / name).mkdir()
        os.utime(cache.folder / name, (time.time() - days * 86400,) * 2)
    cache.part(staged).rmdir()
    assert left(cache) == sorted([staged.digest, "b" * 64])
