"""The faults, each a function that does it to a stand under load and gives the moment that it was over."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

import msgspec

from bench.drill.differences import Difference, Kind
from bench.drill.reading import now_ms
from bench.drill.stand import SESSION_SECONDS, Stand
from schemas.call import CallStatus
from schemas.log import NewRecord
from schemas.times import HOUR
from schemas.topics import CALLBACKS, CALLS, CAMPAIGNS
from streams.agents.app import CHANGELOGS, changelog_of
from streams.ingest.simulator import Line
from streams.transports.kafka.topics import create_topics

Act = Callable[[Stand], Awaitable[float]]
Spoil = Callable[[Stand, Sequence[Line]], Sequence[Line]]
Check = Callable[[Stand], Awaitable[set[Difference]]]

_OVERTAKEN_BY: Final = 20
_POISON: Final = b'{"version": "poison'


class Fault(msgspec.Struct, frozen=True):
    """One fault.

    Attributes:
        name: on the command line and in the table.
        what: one sentence.
        act: does it; gives the moment of the monotonic clock from which the way back is counted.
        brokers: how many there must be.
        check: gives what else is wrong once all is worked off.
        spoil: changes the lines before they are played.
    """

    name: str
    what: str
    act: Act
    brokers: int = 3
    check: Check | None = None
    spoil: Spoil | None = None


async def _kill_workers(stand: Stand) -> float:
    for name in ("worker-1", "worker-2", "worker-1"):
        stand[name].kill()
        killed = time.monotonic()
        if name != "worker-1" or len(stand[name].ended) < 2:
            await asyncio.sleep(5)
    return killed


async def _join_and_leave(stand: Stand) -> float:
    await stand.start("worker", "worker-3").listens()
    await asyncio.sleep(8)
    await stand["worker-3"].stop()
    return time.monotonic()


async def _stop_gracefully(stand: Stand) -> float:
    for name in ("worker-1", "gateway", "history", "feed", "worker-2"):
        code = await stand[name].stop()
        if code != 0:
            raise RuntimeError(f"{name} ended with {code} when it was told to stop: {stand[name].said}")
        stand.start(name)
        await stand[name].listens()
    return time.monotonic()


async def _kill_broker(stand: Stand) -> float:
    stand.cluster.kill(2)
    await asyncio.sleep(8)
    await asyncio.to_thread(stand.cluster.start, 2)
    return time.monotonic()


async def _stop_only_broker(stand: Stand) -> float:
    await asyncio.to_thread(stand.cluster.stop, 1)
    await asyncio.sleep(30)
    await asyncio.to_thread(stand.cluster.start, 1)
    return time.monotonic()


async def _make_zombie(stand: Stand) -> float:
    worker = stand["worker-1"]
    worker.send(signal.SIGSTOP)
    await asyncio.sleep(SESSION_SECONDS + 5)
    worker.send(signal.SIGCONT)
    return time.monotonic()


async def _poison(stand: Stand) -> float:
    await stand.log.append(
        [
            NewRecord(topic.name, key, _POISON, partition=partition)
            for topic, key in ((CALLBACKS, b"CApoison"), (CALLS, b"+12025550199"), (CAMPAIGNS, b"spring-sale"))
            for partition in range(stand.settings.partitions)
        ]
    )
    return time.monotonic()


async def _poison_is_set_aside(stand: Stand) -> set[Difference]:
    """Each record was put aside once, by agents or history, and nothing else was."""
    rows = await stand.sql(
        "SELECT topic, count(DISTINCT source) AS sources, count(*) AS letters FROM ("
        "SELECT split_part(source, '[', 1) AS topic, source FROM dead_letters) GROUP BY topic"
    )
    found = set()
    for topic in {CALLBACKS.name, CALLS.name, CAMPAIGNS.name} | {row["topic"] for row in rows}:
        sources, letters = next(((row["sources"], row["letters"]) for row in rows if row["topic"] == topic), (0, 0))
        if sources < stand.settings.partitions:
            found.add(Difference(Kind.LOST, f"{sources} dead letters of {topic}"))
        if letters > stand.settings.partitions:
            found.add(Difference(Kind.DOUBLE, f"{letters} dead letters of {topic}"))
    return found


def _with_wrong_clocks(stand: Stand, lines: Sequence[Line]) -> list[Line]:
    """Let the clock behind some callbacks of calls be hours ahead, or hours before what is tolerated.

    Only of those amid a call: one without a time of its own is counted when it was received, and simulated calls lie
    far from that.
    """
    too_old = round(stand.settings.assembly.past_tolerance_hours * HOUR) + 3 * HOUR
    begun: dict[str, int] = {}
    spoilt: list[Line] = []
    for place, line in enumerate(lines):
        first = begun.setdefault(line.params.get("CallSid", ""), place)
        # Callers overtake each other by some lines; the beginning of the call must have come before.
        if line.params.get("CallStatus") != CallStatus.IN_PROGRESS.value or place - first < _OVERTAKEN_BY:
            spoilt.append(line)
            continue
        at = now_ms() + (3 * HOUR if place % 2 else -too_old)
        shown = format_datetime(datetime.fromtimestamp(at / 1_000, UTC))
        spoilt.append(msgspec.structs.replace(line, params={**line.params, "Timestamp": shown}))
        stand.wrong_clocks.add(shown)
    return spoilt


async def _nothing_more(_: Stand) -> float:
    await asyncio.sleep(10)
    return time.monotonic()


async def _clocks_are_filed(stand: Stand) -> set[Difference]:
    """Each callback with a wrong clock is in the history, with what is wrong with it."""
    sent = sum(
        count
        for request, count in stand.callers.accepted.items()
        if json.loads(request).get("Timestamp") in stand.wrong_clocks
    )
    [row] = await stand.sql(
        "SELECT count(*) AS filed FROM callbacks WHERE happened_at IS NULL "
        "AND len(list_filter(problems, lambda problem: starts_with(problem, 'Timestamp:'))) > 0"
    )
    if not sent:
        return {Difference(Kind.LOST, "no callback had a wrong clock")}
    missing = sent - row["filed"]
    return {Difference(Kind.LOST, f"{missing} of {sent} wrong clocks are not filed")} if missing > 0 else set()


async def _recreate_changelog(stand: Stand) -> float:
    topic = changelog_of("numbers")
    await asyncio.to_thread(stand.delete_topic, topic)
    await asyncio.sleep(1)
    await asyncio.to_thread(create_topics, stand.settings, CHANGELOGS)
    stand.reader.start_over(topic)
    return time.monotonic()


FAULTS: Final = (
    Fault("worker killed", "Workers are killed with SIGKILL under load, three times.", _kill_workers),
    Fault("worker joins and leaves", "A third worker joins under load, and leaves.", _join_and_leave),
    Fault("graceful stop", "Each process is stopped with SIGTERM under load, one after the other.", _stop_gracefully),
    Fault("broker killed", "One broker of three is killed with SIGKILL, and started 8 s later.", _kill_broker),
    Fault("zombie", "A worker is stopped with SIGSTOP past its session, and continued.", _make_zombie),
    Fault(
        "poison",
        "Records that can't be read lie in callbacks, calls and campaigns.",
        _poison,
        check=_poison_is_set_aside,
    ),
    Fault(
        "clocks jump",
        "Callbacks carry times hours ahead, and hours before what is tolerated.",
        _nothing_more,
        check=_clocks_are_filed,
        spoil=_with_wrong_clocks,
    ),
    Fault("changelog recreated", "The changelog of the numbers is deleted, and made anew.", _recreate_changelog),
    Fault("only broker away", "The only broker is stopped for 30 s.", _stop_only_broker, brokers=1),
)
