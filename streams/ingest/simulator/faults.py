"""What can go wrong with a number's or campaign's calls, and with calls to one person."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.times import DAY
from streams.ingest.simulator.truth import Companion


class Twist(msgspec.Struct, frozen=True, kw_only=True):
    """What is different about calls while a fault lasts; None or the default is as ever.

    Attributes:
        volume: what the volume is multiplied by.
        odds: what the odds of an answer are multiplied by.
        dead: whether nobody answers at all.
        blocked: share of calls that a carrier blocks, beside those that are blocked anyway.
        invalid: share of calls to numbers that do not exist, beside those that are anyway.
        short: share of people who answer and are gone within 10 seconds, beside those who are anyway.
        gives_up: seconds of ringing after which the dialer cancels a call.
        drops: share of answering machines on which the call is dropped at once.
        silent: share of answered calls on which Voice Insights hears silence, instead of the scenario's.
        abandoned: share of people who answer and reach no agent, instead of the scenario's.
        opt_outs: share of people who answer and say stop, instead of the scenario's.
        stir_status: the attestation of the calls.
        terminal_loss: share of terminal callbacks that never come.
        calls_for: place of another campaign that the number calls for.
        calls_for_share: share of the calls that are for the other campaign.
        from_neighbors: whether calls are made from a number in the exchange of the person called, if there is one.
    """

    volume: float = 1.0
    odds: float = 1.0
    dead: bool = False
    blocked: float = 0.0
    invalid: float = 0.0
    short: float = 0.0
    gives_up: float | None = None
    drops: float = 0.0
    silent: float | None = None
    abandoned: float | None = None
    opt_outs: float | None = None
    stir_status: str | None = None
    terminal_loss: float = 0.0
    calls_for: int | None = None
    calls_for_share: float = 0.0
    from_neighbors: bool = False


NONE = Twist()
"""Calls as ever."""


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """How a number's row of the register differs from that of a well-kept number.

    Attributes:
        missing: whether the register does not know the number at all.
        trust_hub: the state of its profile.
        is_new: whether the present use of the number, or the campaign, begins with the fault.
    """

    missing: bool = False
    trust_hub: str = "twilio-approved"
    is_new: bool = False


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something goes wrong with the calls of a number, a campaign or the account.

    Attributes:
        rule: the rule that should find it.
        campaign: the campaign's place among the scenario's.
        number: a number's place in the campaign, before the seed turns it; None is the whole campaign.
        of_account: whether it befalls all campaigns of the account.
        starts: how long before the end it begins, in milliseconds.
        ends: how long before the end it is over, in milliseconds; None if it lasts.
        twist: what it does.
        before: what is different before it begins; what it says lasts until then.
        rests: how long the number rests before it begins, in milliseconds.
        register: how the register tells of the number.
        note: what was done, in one sentence.
        also: what may come with it.
        tolerance: how far the onset that an alert names may be off, in milliseconds.
    """

    rule: str
    campaign: int = 0
    number: int | None = None
    of_account: bool = False
    starts: int
    ends: int | None = None
    twist: Twist = NONE
    before: Twist = NONE
    rests: int = 0
    register: Register = Register()
    note: str
    also: tuple[Companion, ...] = ()
    tolerance: int = DAY


class Whom(StrEnum):
    """Who is called too early, too often, or from too many numbers."""

    EASTERN = "eastern"
    """Somebody in the zone that the fleet works for."""
    PACIFIC = "pacific"
    """Somebody whose number lies in the Pacific zone."""
    MOVED = "moved"
    """Somebody with an Eastern number who lives in the Pacific zone, as the register knows."""


class Attempts(msgspec.Struct, frozen=True, kw_only=True):
    """One person is called at set times, in a way that a rule forbids.

    Attributes:
        rule: the rule that should find it.
        campaign: the campaign's place among the scenario's.
        numbers: places of the numbers that call, one for each call, before the seed turns them.
        starts: how long before the end each call is placed, in milliseconds, the first first.
        breach: place of the call that is one too many.
        whom: who is called.
        invalid: whether the person's number does not exist; else nobody answers.
        note: what was done, in one sentence.
        also: what may come with it.
        tolerance: how far the onset that an alert names may be off, in milliseconds.
    """

    rule: str
    campaign: int
    numbers: tuple[int, ...]
    starts: tuple[int, ...]
    breach: int
    whom: Whom = Whom.EASTERN
    invalid: bool = False
    note: str
    also: tuple[Companion, ...] = ()
    tolerance: int = DAY
