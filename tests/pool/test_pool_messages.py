"""Messages over pipes and through Dask."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_menndl.errors import Failure
from napari_menndl.pool.process import messages
from napari_menndl.pool.process.messages import outcome_from_message, outcome_to_message, pack, read_message, unpack
from napari_menndl.pool.protocol import Outcome

headers = st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=3)
several = st.lists(st.tuples(headers, st.binary(max_size=50)), max_size=4)


@settings(max_examples=50, deadline=None)
@given(several)
def test_unpack_undoes_pack(parts):
    assert unpack(pack(parts)) == parts


@settings(max_examples=50, deadline=None)
@given(several.filter(bool), st.data())
def test_a_cut_off_end_is_noticed(parts, data):
    packed = pack(parts)
    last = len(pack(parts[-1:]))
    cut = data.draw(st.integers(len(packed) - last + 1, len(packed) - 1))
    with pytest.raises(ValueError, match="cut off"):
        unpack(packed[:cut])


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">4sIQ", b"NMPL", 2**32 - 1, 0),
        struct.pack(">4sIQ", b"NMPL", 2, 2**60) + b"{}",
        struct.pack(">4sIQ", b"NMPL", 2, 0) + b"[]",
        struct.pack(">4sIQ", b"NMPL", 2, 0) + b"{!",
    ],
    ids=["foreign", "huge header", "huge attachment", "no object", "no JSON"],
)
def test_what_is_no_message_is_refused_before_memory_is_spent_on_it(data):
    with pytest.raises(ValueError, match=r".+"):
        read_message(io.BytesIO(data))


def test_a_message_over_the_limit_is_not_sent(monkeypatch):
    monkeypatch.setattr(messages, "LIMIT", 10)
    stream = io.BytesIO()
    with pytest.raises(ValueError, match="limit"):
        messages.write_message(stream, {}, b"x" * 11)
    assert stream.getvalue() == b""


@pytest.mark.parametrize("failure", [None, Failure("crashed", "twice", "Traceback …")])
def test_an_outcome_survives_its_message(failure):
    outcome = Outcome("7/1", None if failure else {"a": [1.5, None]}, b"\x00", failure, "host/0", 1.25, 2.5)
    assert outcome_from_message(unpack(pack([outcome_to_message(outcome)]))[0]) == outcome


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure": ["nonsense", "of a kind", ""]},
        {"failure": ["error"]},
        {"failure": 7},
        {"failure": ["error", "and a payload", ""]},
        {"payload": ["no", "object"]},
        {"payload": None},
        {"started": float("nan")},
        {"finished": "soon"},
    ],
    ids=str,
)
def test_an_outcome_that_makes_no_sense_is_refused(wrong):
    header, attachment = outcome_to_message(Outcome("7/1", {"a": 1}, b"", None, "host/0", 1.25, 2.5))
    with pytest.raises((KeyError, TypeError, ValueError)):
        outcome_from_message((header | wrong, attachment))
