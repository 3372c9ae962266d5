"""What becomes of one call: how long it rings, who answers, how it ends."""

from __future__ import annotations

import msgspec

from schemas.call import CallStatus
from schemas.times import SECOND
from streams.ingest.simulator.draws import Draw, Weighted, between, lognormal, normal, pick
from streams.ingest.simulator.scenario import Scenario


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call as it went, times in milliseconds since the epoch.

    Attributes:
        placed_at: when Twilio began to dial; for a call that never left Twilio, when it was asked for.
        dialed: whether it left Twilio.
        rang_at: None if it did not ring.
        answered_at: None if nobody answered.
        ended_at: when it was over.
        status: the terminal CallStatus.
        sip_code: the final SIP response; None if there was none.
        answered_by: the verdict of answering machine detection; None without it.
        verdict_milliseconds: MachineDetectionDuration of a verdict in a request of its own; None if there is none.
        machine: whether a machine answered, whatever the verdict.
    """

    placed_at: int
    dialed: bool = True
    rang_at: int | None
    answered_at: int | None
    ended_at: int
    status: CallStatus
    sip_code: str | None
    answered_by: str | None = None
    verdict_milliseconds: int | None = None
    machine: bool = False


class _Ending(msgspec.Struct, frozen=True):
    """A way to end unanswered: status, SIP code, seconds from ringing or dialing to the end, chance to have rung."""

    status: CallStatus
    sip_code: str | None
    seconds: tuple[float, float]
    rings: float


# Busy comes with 487 as often as captured bodies show it; 603 is told as failed or, for a rejection, as no-answer.
# The dialer lets it ring 30 seconds, the least that is recommended, before Twilio gives up.
_NO_ANSWER = _Ending(CallStatus.NO_ANSWER, "487", (30.1, 31.0), 1.0)
_UNREACHABLE = _Ending(CallStatus.NO_ANSWER, "480", (15.0, 28.0), 1.0)
_BUSY = _Ending(CallStatus.BUSY, "486", (0.5, 2.0), 0.4)
_BUSY_487 = _Ending(CallStatus.BUSY, "487", (1.0, 4.0), 1.0)
_INVALID = _Ending(CallStatus.FAILED, "404", (0.3, 1.5), 0.0)
_BLOCKED = _Ending(CallStatus.FAILED, "603", (0.2, 2.0), 0.3)
_REJECTED = _Ending(CallStatus.NO_ANSWER, "603", (2.0, 12.0), 1.0)
_NETWORK = _Ending(CallStatus.FAILED, "503", (0.5, 3.0), 0.0)

_ORDINARY: Weighted[_Ending] = (
    (_NO_ANSWER, 0.70),
    (_UNREACHABLE, 0.06),
    (_BUSY, 0.09),
    (_BUSY_487, 0.05),
    (_INVALID, 0.05),
    (_BLOCKED, 0.015),
    (_REJECTED, 0.015),
    (_NETWORK, 0.02),
)
# A labelled number: phones silence it and carriers block it; bad and busy numbers are as many as before.
_LABELLED: Weighted[_Ending] = (
    (_NO_ANSWER, 0.58),
    (_UNREACHABLE, 0.06),
    (_BUSY, 0.07),
    (_BUSY_487, 0.03),
    (_INVALID, 0.04),
    (_BLOCKED, 0.15),
    (_REJECTED, 0.05),
    (_NETWORK, 0.02),
)

_MACHINES: Weighted[str] = (
    ("machine_start", 0.80),
    ("machine_end_beep", 0.10),
    ("machine_end_silence", 0.05),
    ("machine_end_other", 0.03),
    ("fax", 0.02),
)
# A verdict of unknown is a detection that ran out of time.
_UNKNOWN_SHARE = 0.04


def place_call(draw: Draw, scenario: Scenario, placed_at: int, odds: float, machines: float, *, labelled: bool) -> Call:
    """Draw what becomes of a call.

    Args:
        draw: the number's stream.
        scenario: the shares that hold for every call.
        placed_at: when it is placed.
        odds: odds of an answer, if the call reaches the network and is left to ring.
        machines: share of machines among the answers.
        labelled: whether its number is under a collapse, whose unanswered calls end in other ways.
    """
    fate = draw()
    if fate < scenario.unplaced_share:
        return Call(
            placed_at=placed_at,
            dialed=False,
            rang_at=None,
            answered_at=None,
            ended_at=placed_at + int(between(draw, 50.0, 400.0)),
            status=CallStatus.FAILED,
            sip_code=None,
        )
    dialing = _milliseconds(lognormal(draw, 1.8, 0.4))
    if fate < scenario.unplaced_share + scenario.cancel_share:
        rang_at = placed_at + dialing
        ended_at = rang_at + _milliseconds(between(draw, 3.0, 20.0))
        return unanswered(placed_at, rang_at, ended_at, CallStatus.CANCELED, "487")
    if draw() < odds / (1.0 + odds):
        return _answered(draw, scenario, placed_at, placed_at + dialing, machine=draw() < machines)
    ending = pick(draw, _LABELLED if labelled else _ORDINARY)
    rings = draw() < ending.rings
    ended_at = placed_at + dialing + _milliseconds(between(draw, *ending.seconds))
    return unanswered(placed_at, placed_at + dialing if rings else None, ended_at, ending.status, ending.sip_code)


def place_conversation(draw: Draw, placed_at: int, least_seconds: float) -> Call:
    """Draw a call that a person answers and that lasts at least so long, without machine detection."""
    rang_at = placed_at + _milliseconds(lognormal(draw, 1.8, 0.4))
    answered_at = rang_at + _human_ring(draw)
    return Call(
        placed_at=placed_at,
        rang_at=rang_at,
        answered_at=answered_at,
        ended_at=answered_at + _milliseconds(least_seconds + between(draw, 3.0, 15.0)),
        status=CallStatus.COMPLETED,
        sip_code="200",
    )


def unanswered(placed_at: int, rang_at: int | None, ended_at: int, status: CallStatus, sip_code: str | None) -> Call:
    """A call that left Twilio and that nobody answered."""
    return Call(
        placed_at=placed_at, rang_at=rang_at, answered_at=None, ended_at=ended_at, status=status, sip_code=sip_code
    )


def _answered(draw: Draw, scenario: Scenario, placed_at: int, rang_at: int, *, machine: bool) -> Call:
    if machine:
        # Voicemail takes over after 20 to 28 seconds; the message left is about as long.
        answered_at = rang_at + _milliseconds(min(28.0, max(12.0, 23.0 + 2.5 * normal(draw))))
        talk = lognormal(draw, 24.0, 0.3)
    else:
        answered_at = rang_at + _human_ring(draw)
        talk = between(draw, 1.0, 9.0) if draw() < scenario.short_share else 10.0 + lognormal(draw, 55.0, 1.0)
    # An hour is longer than any conversation the model means.
    ended_at = answered_at + _milliseconds(min(talk, 3_600.0))
    answered_by, verdict = None, None
    if draw() < scenario.detection_share:
        answered_by = pick(draw, _MACHINES) if machine else "human"
        if draw() < _UNKNOWN_SHARE:
            answered_by = "unknown"
        if draw() < scenario.asynchronous_share:
            # A person's greeting is over sooner than a recorded one.
            verdict = _milliseconds(lognormal(draw, 3.5 if machine else 2.2, 0.25))
    return Call(
        placed_at=placed_at,
        rang_at=rang_at,
        answered_at=answered_at,
        ended_at=ended_at,
        status=CallStatus.COMPLETED,
        sip_code="200",
        answered_by=answered_by,
        verdict_milliseconds=verdict,
        machine=machine,
    )


def _human_ring(draw: Draw) -> int:
    return _milliseconds(min(28.0, max(2.0, lognormal(draw, 11.0, 0.5))))


def _milliseconds(seconds: float) -> int:
    return int(seconds * SECOND)
