from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.alert import Alert
from schemas.call import CallFact
from schemas.callback import Callback
from schemas.dead_letter import DeadLetter
from schemas.opt_out import OptOut
from schemas.suppression import Suppression
from schemas.wire import UnreadableRecordError, Versioned

RECORDS: tuple[type[Versioned], ...] = (Alert, CallFact, Callback, DeadLetter, OptOut, Suppression)


class _Note(Versioned, frozen=True, kw_only=True):
    VERSION: ClassVar[int] = 2

    v: int = 2
    text: str
    count: int | None = None


@given(st.text(), st.none() | st.integers(-(2**63), 2**63 - 1))
@example("\u0000\U0001f600", 0)
@settings(deadline=None)
def test_a_record_survives_its_bytes(text: str, count: int | None) -> None:
    """What is written is read again, whatever the text holds."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return  # half a surrogate pair is no text that could have come in
    note = _Note(text=text, count=count)
    assert _Note.decode(note.encode()) == note


@pytest.mark.parametrize("version", [0, 1, 2])
def test_versions_so_far_are_read(version: int) -> None:
    """Bytes of this version and of those before are read, and keep their number."""
    assert _Note.decode(b'{"v": %d, "text": "a"}' % version).v == version


def test_a_newer_version_is_refused() -> None:
    """Bytes of a newer program are refused with what to do, whatever else they hold."""
    with pytest.raises(
        UnreadableRecordError, match=r"^_Note of version 3, this program reads up to 2: upgrade ringwatch$"
    ):
        _Note.decode(b'{"v": 3, "text": "a"}')


def test_unknown_fields_are_passed_over() -> None:
    """A field that this program does not know changes nothing."""
    assert _Note.decode(b'{"v": 2, "new": {"deep": [1]}, "text": "a"}') == _Note(text="a")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"text": 1}',
        b'{"text": "a", "count": "1"}',
        b"\xff\xfe",
        b'{"text": "\xff"}',
    ],
)
def test_bytes_that_are_no_record_say_so(data: bytes) -> None:
    """Damaged, foreign and incomplete bytes raise one kind of error that names the record."""
    with pytest.raises(UnreadableRecordError, match=r"^no _Note: "):
        _Note.decode(data)


@pytest.mark.parametrize("record", RECORDS)
@given(data=st.binary(max_size=60))
@settings(deadline=None, max_examples=30)
def test_no_bytes_make_a_record_raise_anything_else(record: type[Versioned], data: bytes) -> None:
    """Whatever lies in a topic, reading it gives a record or the one error that is expected."""
    with pytest.raises(UnreadableRecordError):
        record.decode(data)
