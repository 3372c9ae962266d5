from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from ringwatch.topics import create_topics
from schemas.alert import Alert, Subject, SubjectKind
from schemas.dead_letter import DeadLetter
from schemas.log import NewRecord, Record
from schemas.settings import Settings
from schemas.times import SECOND
from schemas.topics import ALERTS, CALLBACKS, CALLS, DEADLETTERS, OPTOUTS
from streams.agents.app import APP_ID, STAGES, changelog_of
from streams.agents.campaigns import CampaignState, name_of_campaign
from streams.agents.epochs import CLAIM_KEY, FOUNDING_KEY
from streams.agents.replay import Replay
from streams.agents.subject import SubjectState
from streams.ingest.simulator.play import Delivered, play
from streams.transports.alignment import PATIENCE
from streams.transports.local.log import LocalLog

AgentsOn = Callable[[Settings], AbstractAsyncContextManager[Any]]
AllRecords = Callable[..., Iterator[Record]]
AsRecords = Callable[..., Iterator[NewRecord]]


def _by_key(records: Sequence[Record] | Sequence[NewRecord]) -> dict[bytes, list[bytes]]:
    values: dict[bytes, list[bytes]] = {}
    for record in records:
        values.setdefault(record.key or b"", []).append(record.value or b"")
    return values


def _subjects(values: dict[bytes, list[bytes]]) -> set[tuple[str, Subject]]:
    alerts = [Alert.decode(value) for run in values.values() for value in run]
    return {(alert.rule, alert.subject) for alert in alerts}


def _rings(settings: Settings, table: dict[bytes, bytes]) -> dict[str, bytes]:
    lateness = round(settings.lateness_seconds * SECOND)
    rule = settings.rules.volume_spike
    rings = {}
    for key, packed in table.items():
        subject = Subject(SubjectKind.NUMBER, key.decode())
        rings[subject.value] = SubjectState.from_bytes(packed, subject, lateness, rule).counts.ring.to_bytes()
    return rings


def _without_slicing(settings: Settings, table: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """A table without what says how its records were cut into slices: the numbers that a campaign moved last."""
    whole = dict(table)
    for key, packed in table.items():
        name = name_of_campaign(key)
        if name is not None:
            state = CampaignState.from_bytes(packed, name, round(settings.lateness_seconds * SECOND), settings.rules)
            state.moved = {}
            whole[key] = state.to_bytes()
    return whole


async def _apply(
    agents_on: AgentsOn, settings: Settings, records: Sequence[NewRecord], batch: int
) -> dict[str, dict[bytes, bytes]]:
    """Append records in batches, each once the one before was applied; give the tables."""
    async with agents_on(settings) as agents:
        for some in _batches(records, batch):
            await agents.log.append(some)
            await agents.idle()
        # Without records there may still be what an earlier life of the program left.
        await agents.idle()
        return {name: agents.table(name) for name, _ in STAGES}


def _batches(records: Sequence[NewRecord], size: int) -> Iterator[Sequence[NewRecord]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]


def _read(settings: Settings, topic: str, all_records: AllRecords) -> list[Record]:
    log = LocalLog.open(settings.log_path)
    try:
        return [record for partition in range(log.topics()[topic]) for record in all_records(log, topic, partition)]
    finally:
        log.close()


def test_tables_come_back_as_they_were(
    settings: Settings, traffic: Any, agents_on: AgentsOn, as_records: AsRecords, all_records: AllRecords
) -> None:
    """After a restart each table holds the bytes it held before, which are the last ones of its changelog."""
    records = list(as_records(traffic.stretch[:1_500], settings))
    before = asyncio.run(_apply(agents_on, settings, records, 400))
    after = asyncio.run(_apply(agents_on, settings, [], 1))
    assert all(before.values())
    assert after == before
    for name, table in before.items():
        last = {record.key: record.value for record in _read(settings, changelog_of(name), all_records)}
        del last[CLAIM_KEY], last[FOUNDING_KEY]
        assert {key: value for key, value in last.items() if value is not None} == table


def _copy_without(settings: Settings, copy: Settings, left_out: str) -> None:
    """Copy a log with its committed offsets; of one topic, nothing that is in it."""
    copy.data.mkdir()
    old, new = LocalLog.open(settings.log_path), LocalLog.open(copy.log_path)

    async def fill() -> None:
        for topic in old.topics():
            records = old.read(topic, 0, 0, 1_000_000) if topic != left_out else []
            again = [NewRecord(r.topic, r.key, r.value, r.partition, r.timestamp, r.headers) for r in records]
            if again:
                await new.append(again)
        await new.commit_offsets(APP_ID, old.committed(APP_ID))

    try:
        create_topics(new, copy.partitions)
        asyncio.run(fill())
    finally:
        old.close()
        new.close()


@pytest.mark.parametrize("stage", ["numbers", "calls-in-progress"])
def test_states_whose_changelog_is_gone_are_made_again(
    stage: str, settings: Settings, traffic: Any, agents_on: AgentsOn, as_records: AsRecords, tmp_path: Path
) -> None:
    """With an empty changelog a stage begins with its sources anew, and nobody counts anything twice."""
    before = asyncio.run(_apply(agents_on, settings, list(as_records(traffic.stretch[:1_500], settings)), 400))
    copy = settings.model_copy(update={"data": tmp_path / "copy"})
    _copy_without(settings, copy, changelog_of(stage))
    after = asyncio.run(_apply(agents_on, copy, [], 1))
    for name, table in before.items():
        assert _without_slicing(settings, after[name]) == _without_slicing(settings, table), name
    assert _rings(settings, after["numbers"]) == _rings(settings, before["numbers"])


def test_agents_say_what_a_replay_says(
    settings: Settings, traffic: Any, agents_on: AgentsOn, as_records: AsRecords, all_records: AllRecords
) -> None:
    """With one partition the agents leave the replay's tables and, key by key, its bytes in `alerts` and `calls`."""
    records = list(as_records(traffic.lines, settings))
    tables = asyncio.run(_apply(agents_on, settings, records, 5_000))
    replay = Replay(settings)
    emitted = list(replay.run(records))
    for topic in (ALERTS.name, CALLS.name):
        expected = _by_key([record for record in emitted if record.topic == topic])
        assert expected
        assert _by_key(_read(settings, topic, all_records)) == expected
    injected = {(incident.rule, incident.subject) for incident in traffic.incidents}
    assert injected <= _subjects(_by_key(_read(settings, ALERTS.name, all_records)))
    for name, table in replay.tables.items():
        assert _without_slicing(settings, tables[name]) == _without_slicing(settings, dict(table)), name


@pytest.mark.parametrize("batch", [60, 20_000], ids=["as it comes", "after a standstill"])
def test_four_partitions_count_and_warn_as_one_does(
    batch: int, settings: Settings, traffic: Any, agents_on: AgentsOn, as_records: AsRecords, all_records: AllRecords
) -> None:
    """With four partitions, windows, rules and subjects are those of one, be it as traffic comes or from a backlog."""
    records = list(as_records(traffic.lines if batch > 60 else traffic.stretch, settings))
    spread = settings.model_copy(update={"partitions": 4})
    tables = asyncio.run(_apply(agents_on, spread, records, batch))
    replay = Replay(settings)
    expected = _by_key([record for record in replay.run(records) if record.topic == ALERTS.name])
    assert {rule for rule, _ in _subjects(expected)} >= {"volume_spike", "opt_out"}
    assert _rings(settings, tables["numbers"]) == _rings(settings, dict(replay.tables["numbers"]))
    assert _subjects(_by_key(_read(spread, ALERTS.name, all_records))) == _subjects(expected)


def test_callbacks_that_came_side_by_side_are_not_waited_for(
    settings: Settings, traffic: Any, agents_on: AgentsOn, as_records: AsRecords
) -> None:
    """A partition whose callbacks are not in order of receipt, as from two gateways, is worked off without a pause."""
    records = list(as_records(traffic.lines[:2_000], settings))
    shuffled = [record for some in _batches(records, 5) for record in reversed(some)]

    async def apply() -> None:
        # Waiting would cost the patience at every fetch, of which there are four.
        async with asyncio.timeout(2 * PATIENCE), agents_on(settings) as agents:
            await agents.log.append(shuffled)
            await agents.idle()

    asyncio.run(apply())


def test_a_poison_record_becomes_a_dead_letter_and_stops_nobody(
    settings: Settings, traffic: Any, agents_on: AgentsOn, as_records: AsRecords, all_records: AllRecords
) -> None:
    """Bytes that are no callback are set aside with the reason; what lies before and after counts as without them."""
    records = list(as_records(traffic.stretch[:600], settings))
    poison = NewRecord(CALLBACKS.name, b"CApoison", b'{"v":1,"call_sid":', timestamp=1)
    tables = asyncio.run(_apply(agents_on, settings, [*records[:300], poison, *records[300:]], 700))
    [letter] = [DeadLetter.decode(record.value or b"") for record in _read(settings, DEADLETTERS.name, all_records)]
    places = [r.offset for r in _read(settings, CALLBACKS.name, all_records) if r.key == b"CApoison"]
    assert letter.source == f"{CALLBACKS.name}[0]@{places[0]}"
    assert letter.reason
    assert (letter.key, letter.body) == (b"CApoison", poison.value)
    without = Replay(settings)
    list(without.run(records))
    assert _rings(settings, tables["numbers"]) == _rings(settings, dict(without.tables["numbers"]))


def test_a_stop_under_load_loses_nothing(
    settings: Settings, traffic: Any, start_up: Callable[[], Any], agents_on: AgentsOn, all_records: AllRecords
) -> None:
    """SIGTERM amid requests ends the program with 0 in seconds; what it answered is in the log, and counted once."""
    child = start_up()
    address = child.wait_for_address(settings.data)
    taken: list[Delivered] = []
    code, seconds = asyncio.run(_stop_amid_requests(child, settings, traffic, address, taken))
    assert code == 0, child.said
    assert seconds < 20
    accepted = [delivered for delivered in taken if delivered.status is not None and delivered.status < 300]
    assert 300 <= len(accepted) < len(traffic.stretch)
    inputs = [*_read(settings, CALLBACKS.name, all_records), *_read(settings, OPTOUTS.name, all_records)]
    held = {record.key for record in inputs}
    assert {(d.line.params.get("CallSid") or d.line.params["From"]).encode() for d in accepted} <= held
    asyncio.run(_apply(agents_on, settings, [], 1))
    replay = Replay(settings)
    again = [NewRecord(r.topic, r.key, r.value, r.partition, r.timestamp) for r in inputs]
    told = [record for record in replay.run(again) if record.topic == CALLS.name]
    assert _by_key(_read(settings, CALLS.name, all_records)) == _by_key(told)


async def _stop_amid_requests(
    child: Any, settings: Settings, traffic: Any, address: str, taken: list[Delivered]
) -> tuple[int, float]:
    token = settings.accounts[traffic.account_sid].get_secret_value()
    url = settings.public_url or ""
    playing = asyncio.create_task(
        play(traffic.stretch, address, url, token, concurrency=8, retries=0, on_progress=taken.append)
    )
    async with asyncio.timeout(60):
        while len(taken) < 300:  # noqa: ASYNC110 - a count that grows, not an event
            await asyncio.sleep(0.001)
    began = time.monotonic()
    code = await asyncio.to_thread(child.stop)
    seconds = time.monotonic() - began
    await playing
    return code, seconds


_PLAIN_FAUST = """
import asyncio, sys
from pathlib import Path
import faust
from schemas.topics import Cleanup
from streams.transports.local.driver import release_log, share_log

async def run(path, words):
    log = share_log(path)
    log.create_topic("words", 1, Cleanup.DELETE, None)
    log.create_topic("count-counts-changelog", 1, Cleanup.COMPACT, None)
    app = faust.App("count", broker=f"local://{path}", store="memory://", topic_partitions=1, web_enabled=False,
                    topic_disable_leader=True, topic_allow_declare=False)
    counts = app.Table("counts", default=int, partitions=1)
    seen = asyncio.Event()

    @app.agent(app.topic("words", key_type=str, value_type=str))
    async def count(stream):
        async for word in stream:
            counts[word] += 1
            if word == "end":
                seen.set()

    await app.start()
    for word in words:
        await count.send(key=word, value=word)
    await asyncio.wait_for(seen.wait(), 30)
    print(sorted(counts.items()))
    await app.stop()
    app.transport.release()
    release_log(path)

asyncio.run(run(Path(sys.argv[1]), sys.argv[2:]))
"""


def _count(path: Path, *words: str) -> str:
    child = subprocess.run(
        [sys.executable, "-c", _PLAIN_FAUST, str(path), *words], capture_output=True, text=True, timeout=90, check=False
    )
    assert child.returncode == 0, child.stderr
    return child.stdout.strip()


def test_plain_faust_runs_on_a_local_url(tmp_path: Path) -> None:
    """A Faust app of anybody's, with a table, runs on `local://` by entry point, and its table survives a restart."""
    assert _count(tmp_path / "log", "a", "b", "a", "end") == "[('a', 2), ('b', 1), ('end', 1)]"
    assert _count(tmp_path / "log", "b", "end") == "[('a', 2), ('b', 2), ('end', 2)]"
