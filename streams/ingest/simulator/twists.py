"""What a fault makes of a call: drawn beside the call's own stream, so that all else stays as it was."""

from __future__ import annotations

import msgspec

from schemas.call import CallStatus
from schemas.times import SECOND
from streams.ingest.simulator.calls import Call, unanswered
from streams.ingest.simulator.draws import Draw, between
from streams.ingest.simulator.faults import NONE, Twist

# What is refused by a carrier, or does not exist, is over soon after it was dialed.
_REFUSED_SECONDS = (1.5, 4.0)
# As Twilio lets it ring where nobody answers.
_RINGS_OUT_SECONDS = (30.1, 31.0)
_SHORT_SECONDS = (1.0, 9.0)
# A machine's greeting has hardly begun.
_DROPPED_SECONDS = (1.2, 2.9)
# People who hear nobody wait a while with music, longer than a short call.
_ABANDONED_SECONDS = (11.0, 20.0)


def twisted(call: Call, twist: Twist, draw: Draw) -> Call:
    """Give what becomes of a call under a fault.

    Args:
        call: as it would have gone.
        twist: what is different.
        draw: the stream of the number's faults.
    """
    if twist is NONE or not call.dialed:
        return call
    ended_early = _refused(call, twist, draw) or _rung_out(call, twist, draw)
    if ended_early is not None:
        return ended_early
    if call.answered_at is None:
        return call
    if not call.machine:
        return _lasting(call, _drawn(draw, _SHORT_SECONDS)) if draw() < twist.short else call
    return _dropped(call, draw) if draw() < twist.drops else call


def _refused(call: Call, twist: Twist, draw: Draw) -> Call | None:
    for share, sip_code in ((twist.blocked, "603"), (twist.invalid, "404")):
        if draw() < share:
            ended_at = call.placed_at + _drawn(draw, _REFUSED_SECONDS)
            return unanswered(call.placed_at, None, ended_at, CallStatus.FAILED, sip_code)
    return None


def _rung_out(call: Call, twist: Twist, draw: Draw) -> Call | None:
    placed_at, rang_at = call.placed_at, call.rang_at
    if rang_at is None:
        return None
    if twist.dead and call.answered_at is not None:
        return unanswered(placed_at, rang_at, rang_at + _drawn(draw, _RINGS_OUT_SECONDS), CallStatus.NO_ANSWER, "487")
    if twist.gives_up is not None:
        patience = rang_at + _drawn(draw, (twist.gives_up, twist.gives_up + 1.0))
        if (call.ended_at if call.answered_at is None else call.answered_at) > patience:
            return unanswered(placed_at, rang_at, patience, CallStatus.CANCELED, "487")
    return None


def _dropped(call: Call, draw: Draw) -> Call:
    dropped = _lasting(call, _drawn(draw, _DROPPED_SECONDS))
    if dropped.verdict_milliseconds is None or call.answered_at is None:
        return dropped
    # It is the verdict that makes the dialer hang up.
    return msgspec.structs.replace(dropped, verdict_milliseconds=(dropped.ended_at - call.answered_at) * 4 // 5)


def abandoned(call: Call, draw: Draw) -> Call:
    """Give what becomes of a call when the person who answered reaches no agent."""
    return _lasting(call, _drawn(draw, _ABANDONED_SECONDS))


def _lasting(call: Call, milliseconds: int) -> Call:
    assert call.answered_at is not None
    return msgspec.structs.replace(call, ended_at=call.answered_at + milliseconds)


def _drawn(draw: Draw, seconds: tuple[float, float]) -> int:
    return int(between(draw, *seconds) * SECOND)
