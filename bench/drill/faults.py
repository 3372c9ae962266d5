"""The faults, each a function that does it to a stand under load and gives the moment that it was over."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

import msgspec

from bench.drill.differences import Difference, Kind
from bench.drill.reading import now_ms
from bench.drill.stand import OTHER_ACCOUNT, SESSION_SECONDS, Stand
from schemas.log import NewRecord
from schemas.times import HOUR
from schemas.topics import CALLBACKS, CALLS, CAMPAIGNS
from streams.agents.app import CHANGELOGS, changelog_of
from streams.ingest.simulator import Line
from streams.transports.kafka.topics import create_topics

Act = Callable[[Stand], Awaitable[float]]
Check = Callable[[Stand], Awaitable[set[Difference]]]

_POISON: Final = b'{"version": "poison'
_CALLS_WITH_WRONG_CLOCK: Final = 40


class Fault(msgspec.Struct, frozen=True):
    """One fault.

    Attributes:
        name: on the command line and in the table.
        what: one sentence.
        act: does it; gives the moment of the monotonic clock from which the way back is counted.
        brokers: how many there must be.
        check: gives what else is wrong once all is worked off.
    """

    name: str
    what: str
    act: Act
    brokers: int = 3
    check: Check | None = None


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


async def _jump_clocks(stand: Stand) -> float:
    age = stand.settings.assembly.past_tolerance_hours * HOUR
    lines = []
    for place in range(_CALLS_WITH_WRONG_CLOCK):
        jump = 3 * HOUR if place % 2 else -round(age) - 3 * HOUR
        lines.append(_ended_call(place, now_ms() + jump))
    await stand.callers.play(lines)
    return time.monotonic()


def _ended_call(place: int, at: int) -> Line:
    """A call of an account of its own, as what is simulated lies far from the time of receipt that it is given."""
    params = {
        "CallSid": f"CAc10c{place:028x}",
        "AccountSid": OTHER_ACCOUNT,
        "From": "+12025550198",
        "To": f"+1202555{place:04d}",
        "Direction": "outbound-api",
        "CallStatus": "completed",
        "CallDuration": "20",
        "SequenceNumber": "0",
        "CallbackSource": "call-progress-events",
        "Timestamp": format_datetime(datetime.fromtimestamp(at / 1_000, UTC)),
    }
    return Line(at, "/twilio/voice/wrong-clocks", params)


async def _clocks_are_filed(stand: Stand) -> set[Difference]:
    """Each such call is in the history, with what is wrong with it."""
    rows = await stand.sql(
        f"SELECT count(*) AS filed FROM callbacks WHERE account_sid = '{OTHER_ACCOUNT}' "
        "AND happened_at IS NULL AND list_any_value(list_filter(problems, p -> p LIKE 'Timestamp:%')) IS NOT NULL"
    )
    missing = _CALLS_WITH_WRONG_CLOCK - rows[0]["filed"]
    return {Difference(Kind.LOST, f"{missing} wrong clocks are not filed")} if missing > 0 else set()


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
        _jump_clocks,
        check=_clocks_are_filed,
    ),
    Fault("changelog recreated", "The changelog of the numbers is deleted, and made anew.", _recreate_changelog),
    Fault("only broker away", "The only broker is stopped for 30 s.", _stop_only_broker, brokers=1),
)
