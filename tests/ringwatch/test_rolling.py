from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ringwatch.rolling import Rolling, SortedKeys
from ringwatch.topics import create_topics
from schemas.call import ANSWERS, SEIZURES, CallFact
from schemas.log import NewRecord
from schemas.settings import Settings
from schemas.times import HOUR
from schemas.topics import CALLS
from streams.agents.app import changelog_of
from streams.agents.campaigns import campaign_key
from streams.agents.epochs import CLAIM_KEY
from streams.agents.replay import Replay
from streams.transports.local.log import LocalLog

_PATIENCE_SECONDS = 30.0


@pytest.fixture
def log(settings: Settings) -> Iterator[LocalLog]:
    """A log with its topics and changelogs."""
    log = LocalLog.open(settings.log_path)
    create_topics(log, 1)
    yield log
    log.close()


@pytest.fixture
def facts(
    settings: Settings, traffic: Any, as_records: Callable[..., Iterator[NewRecord]], log: LocalLog
) -> list[CallFact]:
    """The last facts of the stretch's calls; what the agents would have kept of them is in the changelogs."""
    replay = Replay(settings)
    last: dict[str, CallFact] = {}
    for record in replay.run(as_records(traffic.stretch, settings)):
        if record.topic == CALLS.name:
            fact = CallFact.decode(record.value or b"")
            last[fact.call_sid] = fact
    kept = [
        NewRecord(changelog_of(stage), key, packed, partition=0)
        for stage in ("numbers", "campaigns")
        for key, packed in replay.tables[stage].items()
    ]
    asyncio.run(_append(log, kept))
    return list(last.values())


async def _append(log: LocalLog, records: list[NewRecord]) -> None:
    await log.append(records)


@asynccontextmanager
async def _following(log: LocalLog, settings: Settings) -> AsyncIterator[Rolling]:
    rolling, stop = Rolling(log, settings), asyncio.Event()
    assert isinstance(rolling.readiness(), str)
    task = asyncio.create_task(rolling.run(stop))
    try:
        await _until(lambda: rolling.readiness() is True)
        yield rolling
    finally:
        stop.set()
        await task


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


def test_windows_are_what_counting_the_calls_gives(log: LocalLog, settings: Settings, facts: list[CallFact]) -> None:
    """For each number and campaign the day's attempts, seizures and answers are those of the calls themselves."""

    async def run() -> None:
        async with _following(log, settings) as rolling:
            _check(rolling.numbers(None, 100, None), Counter(fact.number for fact in facts), facts, "number")
            _check(rolling.campaigns(None, 100), Counter(fact.campaign for fact in facts), facts, "campaign")

    asyncio.run(run())


def _check(views: Any, subjects: Counter[str], facts: list[CallFact], attribute: str) -> None:
    assert [view.value for view in views] == sorted(subjects)
    for view in views:
        first = view.as_of // HOUR - 23
        own = [fact for fact in facts if getattr(fact, attribute) == view.value]
        day = view.windows["24h"]
        assert day["attempts"] == sum(fact.after.attempted_at // HOUR >= first for fact in own)
        ended = [fact.after.disposition for fact in own if (fact.after.ended_at or 0) // HOUR >= first]
        seizures = sum(disposition in SEIZURES for disposition in ended)
        answers = sum(disposition in ANSWERS for disposition in ended)
        assert day["asr"] == pytest.approx(answers / seizures)
        assert view.windows["5m"]["attempts"] <= view.windows["1h"]["attempts"] <= day["attempts"]
        of_all = {"volume_spike", "answer_rate_collapse", "blocked_calls", "short_calls", "ramp_up"}
        of_kind = {"number": {"no_answer_streak", "attestation"}, "campaign": {"abandonment", "invalid_numbers"}}
        assert set(view.rules) >= of_all | of_kind[attribute]
        # An ordinary day in a small world: nothing is said that would need a person.
        assert view.rules["blocked_calls"]["state"] in {"learning", "ok"}


def test_numbers_come_page_by_page_and_by_campaign(log: LocalLog, settings: Settings, facts: list[CallFact]) -> None:
    """Pages follow each other in order without gap or repeat; a campaign has its own numbers only."""

    async def run() -> None:
        async with _following(log, settings) as rolling:
            whole = [view.value for view in rolling.numbers(None, 100, None)]
            first = rolling.numbers(None, 4, None)
            second = rolling.numbers(first[-1].value, 4, None)
            assert [view.value for view in [*first, *second]] == whole
            sale = {fact.number for fact in facts if fact.campaign == "spring-sale"}
            assert {view.value for view in rolling.numbers(None, 100, "spring-sale")} == sale
            assert rolling.numbers(None, 100, "no such campaign") == []

    asyncio.run(run())


def test_one_subject_is_what_the_list_has(log: LocalLog, settings: Settings, facts: list[CallFact]) -> None:
    """Asking for one number or campaign gives the list's entry; a stranger is None."""

    async def run() -> None:
        async with _following(log, settings) as rolling:
            for view in rolling.numbers(None, 100, None):
                assert rolling.number(view.value) == view
            for view in rolling.campaigns(None, 100):
                assert rolling.campaign(view.value) == view
            assert rolling.number("+15005550006") is None
            assert rolling.campaign("no such campaign") is None

    assert facts
    asyncio.run(run())


def test_a_removed_subject_is_gone(log: LocalLog, settings: Settings, facts: list[CallFact]) -> None:
    """A tombstone in a changelog takes the number or campaign out of the lists while they are followed."""
    gone = facts[0]

    async def run() -> None:
        async with _following(log, settings) as rolling:
            assert rolling.number(gone.number) is not None
            await log.append(
                [
                    NewRecord(changelog_of("numbers"), gone.number.encode(), None, partition=0),
                    NewRecord(changelog_of("campaigns"), campaign_key(gone.campaign), None, partition=0),
                ]
            )
            await _until(lambda: rolling.campaign(gone.campaign) is None)
            assert rolling.number(gone.number) is None
            assert gone.number not in {view.value for view in rolling.numbers(None, 100, None)}
            assert gone.campaign not in {view.value for view in rolling.campaigns(None, 100)}

    asyncio.run(run())


def test_a_state_of_a_worker_taken_for_dead_is_passed_over(
    log: LocalLog, settings: Settings, facts: list[CallFact]
) -> None:
    """A state written under an older claim than the last one before it is not shown, nor is the claim a number."""
    number, changelog = facts[0].number, changelog_of("numbers")

    async def run() -> None:
        async with _following(log, settings) as rolling:
            before = rolling.numbers(None, 100, None)
            [(_, claimed)] = await log.append([NewRecord(changelog, CLAIM_KEY, b"claim", partition=0)])
            older = (("epoch", (claimed - 1).to_bytes(8, "big", signed=True)),)
            newer = (("epoch", claimed.to_bytes(8, "big", signed=True)),)
            await log.append(
                [
                    NewRecord(changelog, number.encode(), None, partition=0, headers=older),
                    NewRecord(changelog, facts[1].number.encode(), None, partition=0, headers=newer),
                ]
            )
            await _until(lambda: len(rolling.numbers(None, 100, None)) < len(before))
            expected = [view.value for view in before if view.value != facts[1].number]
            assert [view.value for view in rolling.numbers(None, 100, None)] == expected

    assert number != facts[1].number
    asyncio.run(run())


def test_without_calls_nothing_is_known(log: LocalLog, settings: Settings) -> None:
    """An empty log is read at once and knows nobody."""

    async def run() -> None:
        async with _following(log, settings) as rolling:
            assert (rolling.numbers(None, 10, None), rolling.campaigns(None, 10)) == ([], [])

    asyncio.run(run())


def test_keys_stay_in_order() -> None:
    """Keys come in order whatever the order they went in; a key that is there twice is there once."""
    keys = SortedKeys()
    for key in ("b", "a", "c", "b"):
        keys.add(key)
    assert list(keys.after(None)) == ["a", "b", "c"]
    assert list(keys.after("a")) == ["b", "c"]
    keys.remove("b")
    keys.remove("never there")
    assert list(keys.after(None)) == ["a", "c"]
