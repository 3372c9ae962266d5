"""When a callback came in, read without the rest of its record."""

from __future__ import annotations

import msgspec

from schemas.log import Record


class _Received(msgspec.Struct):
    received_at: int


_decoder = msgspec.json.Decoder(_Received)


def arrival_of(record: Record) -> int | None:
    """When the gateway had a callback, in ms since the epoch; None for what is damaged.

    The log's own time is when it was appended, which for lines that are played in later says nothing of their order.
    But nothing came in later than it was appended: a gateway whose clock is ahead must not have its callbacks wait.

    >>> from schemas.callback import Callback, CallbackKind
    >>> tick = Callback(call_sid="", account_sid="", kind=CallbackKind.TICK, endpoint="", received_at=7, params={})
    >>> arrival_of(Record("callbacks", 0, 0, 9, None, tick.encode()))
    7
    >>> arrival_of(Record("callbacks", 0, 0, 5, None, tick.encode()))
    5
    """
    try:
        return min(_decoder.decode(record.value or b"").received_at, record.timestamp)
    except msgspec.MsgspecError:
        return None
