import math
import os
import resource
import subprocess
import sys
import zlib
from contextlib import suppress

import pytest

from napari_menndl.errors import InputError
from napari_menndl.search.journal import Journal, iterate_journal


def read_journal(path, offset=0):
    """What was added since the last time, and the offset for the next."""
    facts = []
    with suppress(FileNotFoundError):
        for fact, end in iterate_journal(path, offset):
            facts.append(fact)
            offset = end
    return facts, offset


def write(path, *numbers):
    with Journal(path) as journal:
        for number in numbers:
            journal.record("counted", number=number)
        journal.commit()


def numbers(facts):
    return [fact["number"] for fact in facts]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def test_what_was_committed_is_read(path):
    write(path, 1, 2)
    write(path, 3)
    assert numbers(read_journal(path)[0]) == [1, 2, 3]


def test_what_was_not_committed_is_not_there(path):
    with Journal(path) as journal:
        journal.record("counted", number=1)
        assert read_journal(path) == ([], 0)


def test_what_is_shown_is_read_once(path):
    with Journal(path) as journal:
        journal.record("counted", number=1)
        journal.flush()
        facts, offset = read_journal(path)
        assert numbers(facts) == [1]
        journal.record("counted", number=2)
        journal.commit()
        assert numbers(read_journal(path, offset)[0]) == [2]
    assert numbers(read_journal(path)[0]) == [1, 2]


def test_reader_goes_on_where_it_was(path):
    assert read_journal(path) == ([], 0)
    write(path, 1, 2)
    facts, offset = read_journal(path)
    write(path, 3)
    facts, offset = read_journal(path, offset)
    assert numbers(facts) == [3]
    assert read_journal(path, offset) == ([], offset)


def test_births_can_be_read_without_their_genomes(path):
    """What stands in a text cannot be taken for the genome."""
    birth = {"id": 3, "origin": 'mutation: ,"genome":{', "genome": {"layers": [{"genome": {}}]}}
    with Journal(path) as journal:
        journal.record("born", **birth)
        journal.record("counted", number=1, genome={"layers": []})
        journal.commit()
    whole = [fact for fact, _ in iterate_journal(path)]
    short = [fact for fact, _ in iterate_journal(path, genomes=False)]
    assert whole[0]["genome"] == birth["genome"]
    assert short == [{name: one for name, one in whole[0].items() if name != "genome"}, whole[1]]


def test_checksum_is_the_last_key_and_that_of_the_text_before_it(path):
    write(path, 1)
    body, _, rest = path.read_bytes().rpartition(b',"crc32":"')
    assert rest == f'{zlib.crc32(body):08x}"}}\n'.encode()


def test_torn_line_is_dropped_wherever_it_is_torn(path):
    write(path, 1, 2)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole)):
        path.write_bytes(whole[:end])
        assert numbers(read_journal(path)[0]) == [1]
        write(path, 3)
        assert numbers(read_journal(path)[0]) == [1, 3]


def test_zeros_after_the_end_are_dropped(path):
    """A file system that lost power leaves a block that was promised and not written."""
    write(path, 1)
    with path.open("ab") as file:
        file.write(bytes(4096))
    write(path, 2)
    assert numbers(read_journal(path)[0]) == [1, 2]


def test_damaged_line_is_named_to_the_writer_and_skipped_by_the_reader(path):
    write(path, 1, 2, 3)
    path.write_bytes(path.read_bytes().replace(b'"number":2', b'"number":7'))
    with pytest.raises(InputError, match="line 2 of"):
        Journal(path)
    with pytest.warns(UserWarning, match="line 2 of"):
        assert numbers(read_journal(path)[0]) == [1, 3]


def test_what_is_not_finite_is_not_known(path):
    with Journal(path) as journal:
        journal.record("counted", number=[1.0, math.nan, math.inf])
        journal.commit()
    assert numbers(read_journal(path)[0]) == [[1.0, None, None]]


def test_full_disk_loses_and_doubles_nothing(path):
    """The limit on the size of a file stands for a full disk; the pause makes room, a little at a time."""
    write(path, 1)
    limit = path.stat().st_size + 30
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    pauses = []

    def pause(error):
        pauses.append(path.stat().st_size)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit + 30 * len(pauses), before[1]))

    with Journal(path, pause) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            for number in (2, 3):
                journal.record("counted", number=number)
            journal.commit()
            journal.record("counted", number=4)
            journal.commit()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert pauses
    assert pauses[0] == limit - 30  # no part of a line stays behind
    assert numbers(read_journal(path)[0]) == [1, 2, 3, 4]


def test_full_disk_is_an_error_where_nobody_waits(path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path) as journal:
        journal.record("counted", number=1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        try:
            with pytest.raises(OSError, match="too large"):
                journal.commit()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        journal.commit()
    assert numbers(read_journal(path)[0]) == [1]


def test_killed_writer_loses_nothing_that_it_acknowledged(path):
    script = """
import sys
from pathlib import Path
from napari_menndl.search.journal import Journal
with Journal(Path(sys.argv[1])) as journal:
    for number in range(10**9):
        journal.record("counted", number=number, padding="x" * 300)
        journal.commit()
        print(number, flush=True)
"""
    writer = subprocess.Popen([sys.executable, "-c", script, os.fspath(path)], stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(100):
            acknowledged = int(writer.stdout.readline())
    finally:
        writer.kill()
        rest = writer.communicate()[0].split()
    acknowledged = int(rest[-1]) if rest else acknowledged
    found = numbers(read_journal(path)[0])
    assert found == list(range(len(found)))
    assert len(found) > acknowledged
