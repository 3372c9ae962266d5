"""Verdicts that come after later ones of their key, from a worker that was taken for dead."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import msgspec
import pytest

from schemas.alert import Subject, SubjectKind
from schemas.log import NewRecord
from schemas.suppression import cause_header
from sinks.feed.suppressions import GRACE, HeldSuppressions

_PERSON = Subject(SubjectKind.CONTACT, "+12025550123")


def _caused(record: NewRecord, offset: int, at: int) -> NewRecord:
    return msgspec.structs.replace(record, headers=cause_header(offset, at))


@pytest.mark.parametrize("stop_is_last", [True, False])
def test_a_verdict_is_not_undone_by_an_earlier_one(feed: SimpleNamespace, *, stop_is_last: bool) -> None:
    """Whoever opted out last stays suppressed, and who opted in last stays free, whatever is said again; also anew."""
    stop, start = feed.suppression_record(feed.suppression()), feed.tombstone(_PERSON.value)
    first, last = (start, stop) if stop_is_last else (stop, start)

    async def scenario() -> None:
        log = feed.MemoryLog()
        first_, last_ = _caused(first, 10, 1_000), _caused(last, 11, 2_000)
        await log.append([first_, last_, first_])
        for _ in range(2):
            async with feed.running(log) as service:
                assert (service.board.suppressions.get(_PERSON, feed.NOW) is not None) == stop_is_last
                assert len(service.board.journal.events(0, 10)) == 2
                assert len(service.board.overtaken) == 1

    asyncio.run(scenario())


def test_a_source_made_anew_and_a_clock_set_back_are_believed(feed: SimpleNamespace) -> None:
    """A later verdict holds though its cause has a lower offset, or an earlier time, or tells of none."""

    async def scenario() -> None:
        stop, start = feed.suppression_record(feed.suppression()), feed.tombstone(_PERSON.value)
        for later in (_caused(stop, 3, 3_000), _caused(stop, 12, 1_500), stop):
            log = feed.MemoryLog()
            await log.append([_caused(stop, 10, 1_000), _caused(start, 11, 2_000), later])
            async with feed.running(log) as service:
                assert service.board.suppressions.get(_PERSON, feed.NOW) is not None

    asyncio.run(scenario())


def test_ends_are_remembered_for_as_long_as_they_can_be_overtaken(feed: SimpleNamespace) -> None:
    """An end of more than a day ago is let go, a later one is kept; else the memory of them would grow for ever."""
    held = HeldSuppressions(sweep_every=4)
    verdict = feed.suppression()
    times = {"old": feed.NOW - GRACE - 1, "new": feed.NOW - GRACE}

    def is_remembered(scope: str) -> bool:
        ((_, earlier),) = cause_header(9, times[scope] - 1)
        return held.is_overtaken(msgspec.structs.replace(verdict, scope=scope), earlier)

    for scope, at in times.items():
        ((_, cause),) = cause_header(10, at)
        held.lift(_PERSON, verdict.rule, scope, at, cause)
    assert (is_remembered("old"), is_remembered("new")) == (True, True)
    for other in range(2):
        held.apply(verdict, verdict.encode(), feed.NOW + other - 1)
    assert (is_remembered("old"), is_remembered("new")) == (False, True)
