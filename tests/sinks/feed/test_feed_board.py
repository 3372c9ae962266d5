"""The board: what holds now."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Severity, Subject, SubjectKind
from schemas.log import NewRecord
from schemas.suppression import Suppression
from schemas.times import DAY
from sinks.feed.alerts import HeldAlerts
from sinks.feed.board import Board
from sinks.feed.suppressions import GRACE, HeldSuppressions


def test_board_holds_the_latest_transition_of_each_alert(feed: SimpleNamespace) -> None:
    """Duplicates by id and sequence change nothing, and an older sequence never overwrites a newer one."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        fired = feed.alert(sequence=1)
        resolved = feed.alert(sequence=3, state=AlertState.RESOLVED, at=feed.NOW + 60_000)
        late = feed.alert(sequence=2, state=AlertState.ACKNOWLEDGED, at=feed.NOW + 30_000)
        await log.append([feed.alert_record(one) for one in (fired, fired, resolved, late, fired)])
        async with feed.running(log) as service:
            held = service.board.alerts.get(fired.alert_id)
            assert held.current == resolved
            assert sorted(held.transitions) == [1, 2, 3]
            assert service.board.records["alerts"] == 5
            assert [event.payload for event in service.board.journal.events(0, 10)] == [fired, resolved, late]

    asyncio.run(scenario())


def test_board_follows_what_is_written_after_it_caught_up(feed: SimpleNamespace) -> None:
    """A suppression written later appears, and its tombstone takes it away."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        async with feed.running(log) as service:
            person = Subject(SubjectKind.CONTACT, "+12025550123")
            await log.append([feed.suppression_record(feed.suppression())])
            await service.settled()
            assert service.board.suppressions.get(person, feed.NOW) == feed.suppression()
            await log.append([feed.tombstone("+12025550123")])
            await service.settled()
            assert service.board.suppressions.get(person, feed.NOW) is None
            assert len(service.board.suppressions) == 0

    asyncio.run(scenario())


def test_board_skips_and_counts_what_it_cannot_read(feed: SimpleNamespace) -> None:
    """A damaged record, one of a newer version and a tombstone without a subject stop nobody."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        newer = feed.suppression().encode().replace(b'"v":1', b'"v":99')
        await log.append(
            [
                NewRecord("alerts", b"x", b"{not json"),
                NewRecord("alerts", b"x", None),
                NewRecord("suppressions", b"contact:+1", newer),
                NewRecord("suppressions", b"nobody:+1\x1fopt_out\x1f", None),
                NewRecord("suppressions", b"\xff", None),
                feed.suppression_record(feed.suppression()),
            ]
        )
        async with feed.running(log) as service:
            assert service.board.unreadable == {"alerts": 2, "suppressions": 3}
            assert len(service.board.suppressions) == 1

    asyncio.run(scenario())


def test_board_tries_again_while_the_log_is_away(feed: SimpleNamespace) -> None:
    """A log that is away at start and later only delays the board, and readiness says so in words."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        log.away = True
        async with feed.running(log, wait=False) as service:
            await feed.soon(lambda: service.board.retries >= 1)
            assert service.board.readiness() == "the log can't be read: the disk is full"
            log.away = False
            await asyncio.wait_for(service.board.caught_up.wait(), 10)
            log.away = True
            await feed.soon(lambda: service.board.readiness() is not True)
            log.away = False
            await log.append([feed.suppression_record(feed.suppression())])
            await service.settled()
            assert service.board.readiness() is True
        assert service.board.readiness() == "stopped"

    asyncio.run(scenario())


def test_board_catches_up_where_the_last_records_were_compacted_away(
    feed: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end of the log that no record leads to does not keep the board waiting for ever."""
    monkeypatch.setattr("sinks.feed.board.SETTLE", 0.2)

    async def scenario() -> None:
        log = feed.MemoryLog()
        await log.append([feed.suppression_record(feed.suppression(), 0), feed.tombstone("+12025550123", partition=0)])
        log.compact("suppressions", 0, {0, 1})
        async with feed.running(log) as service:
            assert service.board.caught_up.is_set()

    asyncio.run(scenario())


def test_oldest_resolved_alerts_go_first(feed: SimpleNamespace) -> None:
    """Past its limits the board forgets the oldest resolved alerts, then the oldest of all."""
    held = HeldAlerts(max_resolved=2, max_alerts=4)
    for run in range(1, 6):
        state = AlertState.FIRING if run == 1 else AlertState.RESOLVED
        held.apply(feed.alert(run=run, state=state, at=feed.NOW + run), run)
    listed, following = held.page(lambda _: True, None, 10)
    assert [alert.at - feed.NOW for alert in listed] == [5, 4, 1]
    assert following is None
    for run in range(6, 12):
        held.apply(feed.alert(run=run, at=feed.NOW + run), run)
    listed, _ = held.page(lambda _: True, None, 10)
    assert [alert.at - feed.NOW for alert in listed] == [11, 10, 9, 8]


def test_suppression_past_its_end_does_not_hold(feed: SimpleNamespace) -> None:
    """Time is an argument: a suppression holds until the very millisecond of its end, and lists leave it out after."""
    held = HeldSuppressions()
    limited = feed.suppression(until=feed.NOW + 10)
    held.apply(limited, limited.encode(), feed.NOW)
    assert held.get(limited.subject, feed.NOW + 9) == limited
    assert held.get(limited.subject, feed.NOW + 10) is None
    assert held.page(lambda _: True, feed.NOW + 9, None, 5) == ([limited], None)
    assert held.page(lambda _: True, feed.NOW + 10, None, 5) == ([], None)
    assert held.state(feed.NOW + 9) != held.state(feed.NOW + 10)
    assert list(held.all(feed.NOW + 10)) == []


def test_ended_suppressions_are_swept_out(feed: SimpleNamespace) -> None:
    """A suppression long past its end is let go, by the time of the log's own records."""
    held = HeldSuppressions(sweep_every=2)
    ended = feed.suppression(until=feed.NOW)
    other = feed.suppression("+12025550199")
    held.apply(ended, ended.encode(), feed.NOW - DAY)
    held.apply(other, other.encode(), feed.NOW + GRACE + 1)
    assert len(held) == 1
    assert held.get(other.subject, feed.NOW) == other


def test_subject_is_suppressed_while_any_verdict_is_left(feed: SimpleNamespace) -> None:
    """Of several verdicts the one that holds longest is shown, one a subject, and a lift takes its own away only."""
    held = HeldSuppressions()
    now = feed.NOW
    spring = feed.suppression(rule="collapse", scope="spring", until=now + 50)
    autumn = feed.suppression(rule="collapse", scope="autumn", until=now + 90)
    for_good = feed.suppression()
    person = for_good.subject
    for verdict in (spring, for_good, autumn):
        held.apply(verdict, verdict.encode(), now)
    assert len(held) == 1
    assert held.get(person, now) == for_good
    assert held.page(lambda _: True, now, None, 5) == ([for_good], None)
    assert held.page(lambda one: one.rule == "collapse", now, None, 5) == ([autumn], None)
    assert [one.decode() for one in held.all(now)] == [for_good]
    held.lift(person, "opt_out", "", now)
    assert held.get(person, now) == autumn
    state = held.state(now)
    held.lift(person, "collapse", "autumn", now)
    assert held.state(now) != state
    assert [held.get(person, at) for at in (now, now + 49, now + 50)] == [spring, spring, None]
    held.lift(person, "collapse", "spring", now)
    assert (held.get(person, now), len(held)) == (None, 0)
    assert held.page(lambda _: True, now, None, 5) == ([], None)


def test_sweep_leaves_the_verdicts_that_hold(feed: SimpleNamespace) -> None:
    """Of a subject's verdicts only those long past their end are let go."""
    held = HeldSuppressions(sweep_every=2)
    ended = feed.suppression(until=feed.NOW, scope="spring")
    lasting = feed.suppression(scope="autumn")
    held.apply(ended, ended.encode(), feed.NOW - DAY)
    held.apply(lasting, lasting.encode(), feed.NOW + GRACE + 1)
    assert held.get(ended.subject, feed.NOW - 1) == lasting
    held.lift(lasting.subject, "opt_out", "autumn", feed.NOW)
    assert len(held) == 0


_STEPS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 4), st.sampled_from(list(AlertState)), st.integers(0, 9)), max_size=60
)


def _alert(run: int, sequence: int, state: AlertState, at: int) -> Alert:
    return Alert(
        alert_id=f"a{run}",
        sequence=sequence,
        rule="r",
        subject=Subject(SubjectKind.NUMBER, "+12025550100"),
        state=state,
        severity=Severity.INFO,
        at=at,
        since=at,
        evidence={},
        message="m",
    )


@given(_STEPS, st.integers(1, 4))
@settings(deadline=None, max_examples=100)
def test_alert_pages_agree_with_a_plain_sort(steps: list[tuple[int, int, AlertState, int]], limit: int) -> None:
    """Pages put together are all alerts, newest first, whatever came in which order."""
    held = HeldAlerts()
    plain: dict[str, Alert] = {}
    seen: set[tuple[int, int]] = set()
    for offset, (run, sequence, state, at) in enumerate(steps):
        alert = _alert(run, sequence, state, at)
        assert held.apply(alert, offset) is ((run, sequence) not in seen)
        seen.add((run, sequence))
        known = plain.get(alert.alert_id)
        if known is None or alert.sequence > known.sequence:
            plain[alert.alert_id] = alert
    listed: list[Alert] = []
    page, following = held.page(lambda _: True, None, limit)
    listed += page
    while following is not None:
        page, following = held.page(lambda _: True, following, limit)
        listed += page
    assert listed == sorted(plain.values(), key=lambda one: (one.at, one.alert_id), reverse=True)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.booleans()), max_size=60), st.integers(1, 4))
@settings(deadline=None, max_examples=100)
def test_suppression_pages_agree_with_a_plain_sort(steps: list[tuple[int, bool, bool]], limit: int) -> None:
    """Pages put together are all suppressions in order of their keys, whenever somebody looked meanwhile."""
    held = HeldSuppressions()
    plain: dict[str, Suppression] = {}
    for number, applied, looked in steps:
        subject = Subject(SubjectKind.CONTACT, f"+1202555010{number}")
        if applied:
            verdict = Suppression(subject=subject, rule="r", alert_id="a", at=1, until=None, reason="", evidence={})
            held.apply(verdict, verdict.encode(), 1)
            plain[subject.value] = verdict
        else:
            held.lift(subject, "r", "", 1)
            plain.pop(subject.value, None)
        if looked:
            held.page(lambda _: True, 1, None, 1)
    listed: list[Suppression] = []
    page, following = held.page(lambda _: True, 1, None, limit)
    listed += page
    while following is not None:
        page, following = held.page(lambda _: True, 1, following, limit)
        listed += page
    assert listed == [plain[value] for value in sorted(plain)]


def test_board_can_be_made_before_its_loop_runs(feed: SimpleNamespace) -> None:
    """The front door may put the parts together before it starts an event loop."""
    log = feed.MemoryLog()
    board = Board(log)

    async def scenario() -> None:
        async with feed.running(log, board=board) as service:
            await log.append([feed.alert_record(feed.alert())])
            await service.settled()
            assert len(board.alerts) == 1

    asyncio.run(scenario())
