"""The event time that a record of `callbacks` tells, read without the rest of it."""

from __future__ import annotations

import msgspec

from schemas.callback import CallbackKind
from schemas.log import Record


class _Timed(msgspec.Struct):
    kind: CallbackKind
    received_at: int
    happened_at: int | None = None


_decoder = msgspec.json.Decoder(_Timed)


def time_told_by(record: Record) -> int | None:
    """The event time in ms since the epoch; None for requests that carry no time of Twilio's, and for what is damaged.

    >>> from schemas.callback import Callback
    >>> tick = Callback(call_sid="", account_sid="", kind=CallbackKind.TICK, endpoint="", received_at=7, params={})
    >>> time_told_by(Record("callbacks", 0, 0, 0, None, tick.encode()))
    7
    """
    try:
        timed = _decoder.decode(record.value or b"")
    except msgspec.MsgspecError:
        return None
    if timed.kind is CallbackKind.TICK:
        return timed.received_at
    return timed.happened_at if timed.kind is CallbackKind.STATUS else None
