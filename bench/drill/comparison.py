"""What is there after a fault, against what an undisturbed run makes of the same callbacks."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from bench.drill.callers import identity
from bench.drill.differences import Difference, Kind
from bench.drill.expected import COUNTING, Outcome, Undisturbed, windows_of
from bench.drill.reading import Changelog, in_order_of_arrival, now_ms
from bench.drill.stand import Stand
from schemas.alert import Alert
from schemas.call import CallFact
from schemas.callback import Callback, CallbackKind
from schemas.log import Record
from schemas.suppression import Suppression, read_suppression_key
from schemas.topics import ALERTS, CALLBACKS, CALLS, OPTOUTS, SUPPRESSIONS
from schemas.wire import UnreadableRecordError
from streams.agents.app import changelog_of

# The feed follows the log by itself.
_FEED_SECONDS: Final = 15.0
_PAGE: Final = 1_000


class Comparison:
    """Compares after each fault; what was found wrong once is not told again.

    Args:
        stand: what is drilled.
    """

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._undisturbed = Undisturbed(stand.settings)
        self._live = Outcome({}, {}, {}, [])
        self._changelogs = {stage: Changelog(changelog_of(stage), stand.reader) for stage in COUNTING}
        self._read: dict[int, int] = {}
        self._known: set[Difference] = set()
        self._received: Counter[str] = Counter()
        self._messages: set[str] = set()
        self._told_twice: set[str] = set()

    @property
    def alerts(self) -> int:
        """How many alerts an undisturbed run has."""
        return len(self._undisturbed.outcome.alerts)

    async def past(self) -> None:
        """Take in what was laid in before the drill."""
        await self._take_new()

    async def compare(self, also: Iterable[Difference] = ()) -> list[Difference]:
        """Give what differs now and did not before; all must be settled.

        Args:
            also: what was found elsewhere.
        """
        callbacks = await self._take_new()
        found = {
            *also,
            *await self._callbacks(callbacks),
            *await self._calls(),
            *await self._windows(),
            *self._alerts(self._live.alerts, "in the log"),
            *self._suppressions(self._live.suppressions, "in the log"),
            *await self._feed(),
        }
        new = sorted(found - self._known)
        self._known |= found
        if new:
            self._live.write(self._stand.folder / "alerts-told.ndjson")
            self._undisturbed.outcome.write(self._stand.folder / "alerts-undisturbed.ndjson")
        return new

    async def _take_new(self) -> list[Record]:
        stand = self._stand
        callbacks = [record for record in await stand.reader.new(CALLBACKS.name) if _is_request(record)]
        optouts = await stand.reader.new(OPTOUTS.name)
        replayed = [*in_order_of_arrival(callbacks), *sorted(optouts, key=lambda record: record.timestamp)]
        await asyncio.to_thread(self._undisturbed.take, replayed)
        for topic in (CALLS, ALERTS, SUPPRESSIONS):
            for record in await stand.reader.new(topic.name):
                try:
                    self._live.take(record.topic, record.key, record.value)
                except UnreadableRecordError:
                    # Put there by the drill itself.
                    continue
        return callbacks

    async def _callbacks(self, callbacks: list[Record]) -> set[Difference]:
        """Each accepted request is in the history, and each record of the log is there once."""
        stand = self._stand
        places = {(record.partition, record.offset) for record in callbacks}
        rows = await self._rows(callbacks)
        counted = Counter((row["log_partition"], row["log_offset"]) for row in rows)
        lost = {f"callbacks[{p}]@{offset} is not in the history" for p, offset in places - counted.keys()}
        double = {f"callbacks[{p}]@{offset} is there {n} times" for (p, offset), n in counted.items() if n > 1}
        for row in rows:
            self._received[identity(_loaded(row["params"]))] += 1
        messages = await stand.sql("SELECT sid FROM opt_outs WHERE endpoint = '/twilio/messaging'")
        sids = {row["sid"] for row in messages}
        for request, accepted in stand.callers.accepted.items():
            params = json.loads(request)
            if "MessageSid" in params:
                if params["MessageSid"] not in sids:
                    lost.add(f"{params['MessageSid']} is not in the history")
                continue
            written, most = self._received[request], accepted + stand.callers.doubtful[request]
            if written < accepted:
                lost.add(f"{params.get('CallSid')}: accepted {accepted}, in the history {written}: {request}")
            if written > most:
                double.add(f"{params.get('CallSid')}: sent {most}, in the history {written}: {request}")
        for request in self._received.keys() - stand.callers.accepted.keys() - stand.callers.doubtful.keys():
            double.add(f"nobody sent {request}")
        return _as_differences(Kind.LOST, lost) | _as_differences(Kind.DOUBLE, double)

    async def _rows(self, callbacks: list[Record]) -> list[dict[str, Any]]:
        first: dict[int, int] = {}
        for record in callbacks:
            first[record.partition] = min(record.offset, first.get(record.partition, record.offset))
        rows: list[dict[str, Any]] = []
        for partition, offset in first.items():
            rows += await self._stand.sql(
                "SELECT log_partition, log_offset, params::VARCHAR AS params FROM callbacks "
                f"WHERE kind <> 'tick' AND log_partition = {partition} AND log_offset >= {offset}"
            )
        return rows

    async def _calls(self) -> set[Difference]:
        """Each call is there once, with its final word."""
        rows = await self._stand.sql(
            "SELECT call_sid, status, sip_code, ring_seconds, talk_seconds, epoch_ms(placed_at) AS placed_at, "
            "epoch_ms(answered_at) AS answered_at, epoch_ms(ended_at) AS ended_at FROM calls"
        )
        counted = Counter(row["call_sid"] for row in rows)
        wanted = self._undisturbed.outcome.calls
        found = {row["call_sid"]: row for row in rows}
        lost = {f"call {sid} is not in the history" for sid in wanted.keys() - found.keys()}
        double = {f"call {sid} is there {n} times" for sid, n in counted.items() if n > 1}
        double |= {f"call {sid}: nobody made it" for sid in found.keys() - wanted.keys()}
        lost |= {
            f"call {sid} is {_word_of(wanted[sid])}, and in the history {row}"
            for sid, row in found.items()
            if sid in wanted and _word_of(wanted[sid]) != {key: row[key] for key in row if key != "call_sid"}
        }
        return _as_differences(Kind.LOST, lost) | _as_differences(Kind.DOUBLE, double)

    async def _windows(self) -> set[Difference]:
        found: dict[str, bytes] = {}
        for stage, changelog in self._changelogs.items():
            found |= windows_of(stage, await changelog.states(), self._stand.settings)
        wanted = self._undisturbed.windows()
        differing = {name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)}
        return _as_differences(Kind.WINDOWS, differing)

    def _alerts(self, found: dict[str, Alert], where: str) -> set[Difference]:
        wanted = set(map(_alert_word, self._undisturbed.outcome.alerts.values()))
        told = set(map(_alert_word, found.values()))
        return _missing_and_extra(wanted, told, where)

    def _suppressions(self, found: Iterable[bytes], where: str) -> set[Difference]:
        wanted = set(map(_suppression_word, self._undisturbed.outcome.suppressions))
        return _missing_and_extra(wanted, set(map(_suppression_word, found)), where)

    async def _feed(self) -> set[Difference]:
        """The feed says the same, after a moment."""
        until = time.monotonic() + _FEED_SECONDS
        while True:
            differences = await self._ask_feed()
            if not differences or time.monotonic() > until:
                return differences
            await asyncio.sleep(0.5)

    async def _ask_feed(self) -> set[Difference]:
        alerts = {
            f"{item['rule']} of {item['subject']['kind']} {item['subject']['value']} "
            f"({item['alert_id']}) is {item['state']}"
            for item in await self._pages("/v1/alerts")
        }
        wanted = set(map(_alert_word, self._undisturbed.outcome.alerts.values()))
        suppressed = {f"{item['kind']} {item['value']}" for item in await self._pages("/v1/suppressions")}
        now = now_ms()
        held = map(Suppression.decode, self._undisturbed.outcome.suppressions.values())
        # The feed shows what holds now; simulated calls lie far back.
        verdicts = {
            f"{one.subject.kind.value} {one.subject.value}" for one in held if one.until is None or one.until > now
        }
        return _missing_and_extra(wanted, alerts, "on the feed") | _missing_and_extra(
            verdicts, suppressed, "on the feed"
        )

    async def _pages(self, path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        while True:
            page = await self._stand.ask("feed", path, limit=_PAGE, **after)
            items += page["items"]
            if page["next"] is None:
                return items
            after = {"after": page["next"]}


def _is_request(record: Record) -> bool:
    """Whether a record is a request of Twilio's: neither a tick nor what the drill spoilt."""
    try:
        return Callback.decode(record.value or b"").kind is not CallbackKind.TICK
    except UnreadableRecordError:
        return False


def _loaded(params: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(params) if isinstance(params, str) else params
    return loaded


def _word_of(fact: CallFact) -> dict[str, Any]:
    return {
        "status": None if fact.status is None else fact.status.value,
        "sip_code": fact.sip_code,
        "ring_seconds": fact.ring_seconds,
        "talk_seconds": fact.talk_seconds,
        "placed_at": fact.placed_at,
        "answered_at": fact.answered_at,
        "ended_at": fact.ended_at,
    }


def _alert_word(alert: Alert) -> str:
    return f"{alert.rule} of {alert.subject.kind.value} {alert.subject.value} ({alert.alert_id}) is {alert.state.value}"


def _suppression_word(key: bytes) -> str:
    subject, rule, scope = read_suppression_key(key)
    return f"suppression of {subject.kind.value} {subject.value} by {rule} {scope}"


def _missing_and_extra(wanted: set[str], found: set[str], where: str) -> set[Difference]:
    return {
        *(Difference(Kind.ALERT_MISSING, f"{word} {where}") for word in wanted - found),
        *(Difference(Kind.ALERT_EXTRA, f"{word} {where}") for word in found - wanted),
    }


def _as_differences(kind: Kind, words: Iterable[str]) -> set[Difference]:
    return {Difference(kind, word) for word in words}
