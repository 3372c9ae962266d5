"""What the history is measured with: records as a topic holds them, ten million calls, and the question to them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from schemas.call import CallFact, CallStatus, Contribution, Direction, Disposition, FactKind, Origin
from schemas.callback import Callback, CallbackKind
from schemas.log import Record
from schemas.times import DAY, SECOND, from_iso
from sinks.history.store import History

START = from_iso("2026-11-23T00:00:00Z")
NUMBERS = 2_000
BATCH = 20_000  # the default of `history.batch_rows`

ASR_OF_A_DAY = """
    SELECT number,
        count(*) FILTER (disposition IN ('human', 'machine', 'answered')) AS answered,
        count(*) FILTER (disposition NOT IN ('canceled', 'not_placed', 'unfinished')) AS seizures,
        answered / nullif(seizures, 0) AS asr
    FROM calls WHERE placed_at >= TIMESTAMPTZ '2026-11-23 00:00:00Z' AND placed_at < TIMESTAMPTZ '2026-11-24 00:00:00Z'
    GROUP BY number
"""


def sid(prefix: str, number: int) -> str:
    """A Twilio id: two letters and 32 random-looking hexadecimal digits."""
    return f"{prefix}{random.Random(number).getrandbits(128):032x}"


def callbacks(calls: int, spacing: float) -> Iterator[Record]:
    """Three status callbacks a call, as the gateway writes them, in the order they come."""
    offset = 0
    statuses = (CallStatus.INITIATED, CallStatus.RINGING, CallStatus.COMPLETED)
    for call in range(calls):
        number, contact = f"+1202555{call % NUMBERS:04d}", f"+1303{call % 10_000_000:07d}"
        for sequence, status in enumerate(statuses):
            at = START + int(call * spacing) + sequence * 10 * SECOND
            call_sid = sid("CA", call)
            params: dict[str, str | list[str]] = {
                "AccountSid": "AC" + "0" * 32, "ApiVersion": "2010-04-01", "CallSid": call_sid,
                "CallStatus": status.value, "Called": contact, "CalledCity": "DENVER", "CalledCountry": "US",
                "CalledState": "CO", "CalledZip": "80202", "Caller": number, "CallerCity": "WASHINGTON",
                "CallerCountry": "US", "CallerState": "DC", "CallerZip": "20001", "From": number, "To": contact,
                "Direction": "outbound-api", "Timestamp": "Mon, 23 Nov 2026 14:00:00 +0000",
                "SequenceNumber": str(sequence), "CallbackSource": "call-progress-events",
            }  # fmt: skip
            record = Callback(
                call_sid=call_sid, account_sid="AC" + "0" * 32, kind=CallbackKind.STATUS, endpoint="/twilio/voice",
                received_at=at + 200, params=params, campaign="spring-sale", happened_at=at, status=status,
                sequence=sequence, number=number, contact=contact, direction=Direction.OUTBOUND_API,
            )  # fmt: skip
            yield Record(
                "callbacks", call % 4, offset // 12 * 3 + offset % 3, at + 200, call_sid.encode(), record.encode()
            )
            offset += 1


def facts(calls: int, spacing: float) -> Iterator[Record]:
    """Two facts a call: placed, and ended 20 seconds later; a tenth is revised half an hour after that."""
    pending: list[tuple[int, int, str]] = []
    for call in range(calls):
        at = START + int(call * spacing)
        pending.append((at, call, "placed"))
        pending.append((at + 20 * SECOND, call, "ended"))
        if call % 10 == 0:
            pending.append((at + 1_800 * SECOND, call, "revised"))
    pending.sort()
    offsets = [0, 0, 0, 0]
    for at, call, kind in pending:
        placed = START + int(call * spacing)
        ended = None if kind == "placed" else placed + 20 * SECOND
        outcome = (Disposition.NO_ANSWER, Disposition.HUMAN, Disposition.BUSY)[call % 3]
        before = None if kind == "placed" else Contribution(placed)
        if kind == "revised":
            before, outcome = Contribution(placed, ended, outcome), Disposition.MACHINE
        partition = call % 4
        fact = CallFact(
            fact=FactKind(kind), revision=("placed", "ended", "revised").index(kind),
            origin=Origin(partition, offsets[partition], 0), at=at, call_sid=sid("CA", call),
            account_sid="AC" + "0" * 32, number=f"+1202555{call % NUMBERS:04d}",
            contact=f"+1303{call % 10_000_000:07d}", campaign="spring-sale", direction=Direction.OUTBOUND_API,
            counted=True, before=before, placed_at=placed, ended_at=ended,
            after=Contribution(placed, ended, None if ended is None else outcome),
            status=None if ended is None else CallStatus.COMPLETED,
        )  # fmt: skip
        yield Record("calls", partition, offsets[partition], at, b"", fact.encode())
        offsets[partition] += 1


def batches(records: list[Record]) -> Iterator[list[Record]]:
    """Cut records as the sink does."""
    for start in range(0, len(records), BATCH):
        yield records[start : start + BATCH]


def fill(history: History, calls: int) -> None:
    """Fill `ended_calls` by SQL: the question is how it is read."""
    history._connection.execute(  # noqa: SLF001 - filled past the public door, for time
        """
        INSERT INTO ended_calls
        SELECT 'CA' || md5(i::VARCHAR), 'AC' || repeat('0', 32), '+1202555' || lpad((i % 2000)::VARCHAR, 4, '0'),
            '+1303' || lpad((i * 7919 % 10000000)::VARCHAR, 7, '0'), 'spring-sale', 'outbound-api', 'completed', NULL,
            200, 'A', t, NULL, t + INTERVAL 20 SECOND, 15, NULL,
            CASE i * 31 % 7 WHEN 0 THEN 'human' WHEN 1 THEN 'machine' WHEN 2 THEN 'busy' ELSE 'no_answer' END,
            NULL, true, 1, t + INTERVAL 20 SECOND
        FROM (SELECT i, TIMESTAMPTZ '2026-11-23 00:00:00Z' + to_milliseconds((i * ? / ?)::BIGINT) AS t
              FROM range(?) AS numbers(i))
        """,
        [DAY - 1, calls, calls],
    )


def timed(history: History) -> float:
    """Seconds of one such query."""
    started = time.perf_counter()
    assert history.query(ASR_OF_A_DAY, 100_000, 60).num_rows >= NUMBERS
    return time.perf_counter() - started
