"""Scenarios in which a share of a number's or campaign's calls rises: blocked, invalid, short, silent and the like."""

from __future__ import annotations

import msgspec

from schemas.alert import SubjectKind
from schemas.times import DAY, HOUR
from streams.ingest.simulator.faults import Fault, Twist
from streams.ingest.simulator.scenario import Campaign, Scenario
from streams.ingest.simulator.truth import Companion
from streams.ingest.simulator.worlds import STRETCH, WORLD, week

_NUMBER, _CAMPAIGN = SubjectKind.NUMBER, SubjectKind.CAMPAIGN

# A sum that was above zero by chance when the rise began dates it too early, by a day's calls and more.
_TOLERANCE = 2 * DAY


def _pair(rule: str) -> tuple[Companion, ...]:
    return (Companion(rule, _NUMBER), Companion(rule, _CAMPAIGN))


# What never reaches a phone is not answered either.
_FEWER_ANSWERS = _pair("answer_rate_collapse")
# Who hears no voice, or nobody at all, hangs up.
_SHORT_TOO = _pair("short_calls")
# Calls that the dialer takes back do not count as having been left to ring, so that all others weigh more.
_OF_FEWER_SEIZURES = (*_pair("blocked_calls"), *_pair("invalid_numbers"), *_pair("answer_rate_collapse"))


def _both(rule: str, twist: Twist, note: str, also: tuple[Companion, ...] = ()) -> tuple[Fault, Fault]:
    """The same fault with one number of the second campaign, and with the whole of the first."""
    return (
        _of_number(rule, twist, note, (Companion(rule, _CAMPAIGN), *also), campaign=1),
        _of_campaign(rule, twist, note, also),
    )


def _of_number(rule: str, twist: Twist, note: str, also: tuple[Companion, ...] = (), *, campaign: int = 0) -> Fault:
    return Fault(
        rule=rule,
        campaign=campaign,
        number=2,
        starts=STRETCH,
        twist=twist,
        note=note,
        also=also,
        tolerance=_TOLERANCE,
    )


def _of_campaign(rule: str, twist: Twist, note: str, also: tuple[Companion, ...] = ()) -> Fault:
    return Fault(
        rule=rule,
        starts=STRETCH,
        twist=twist,
        note=note,
        also=(Companion(rule, _NUMBER), *also),
        tolerance=_TOLERANCE,
    )


# Machines answer more often here, so that there are enough of them.
_MACHINES = (
    Campaign(name="spring-sale", numbers=3, calls_per_day=180.0, answer_rate=0.42, machine_share=0.6),
    Campaign(name="renewals", numbers=3, calls_per_day=180.0, answer_rate=0.42, machine_share=0.6, purpose="service"),
)
# How long a call rang is known only if all its events are subscribed to.
_WATCHED = tuple(msgspec.structs.replace(campaign, completed_only=0, calls_per_day=100.0) for campaign in WORLD)
_HEARD = (
    Campaign(name="spring-sale", numbers=4, calls_per_day=110.0, answer_rate=0.36, insights=True),
    Campaign(name="renewals", numbers=3, calls_per_day=110.0, answer_rate=0.40, insights=True, purpose="service"),
)

SHARE_SCENARIOS: tuple[Scenario, ...] = (
    week(
        "blocked-calls",
        "Three days to learn from, then carriers block a quarter of one number's calls.",
        _of_number("blocked_calls", Twist(blocked=0.25), "blocked calls rise from about 2 % to 27 %", _FEWER_ANSWERS),
    ),
    week(
        "campaign-blocked-calls",
        "Three days to learn from, then carriers block a quarter of a campaign's calls.",
        _of_campaign("blocked_calls", Twist(blocked=0.25), "blocked calls rise from about 2 % to 27 %", _FEWER_ANSWERS),
    ),
    week(
        "invalid-numbers",
        "Three days to learn from, then a campaign gets a list in which a fifth of the numbers do not exist.",
        _of_campaign(
            "invalid_numbers", Twist(invalid=0.2), "calls to nowhere rise from about 3 % to 22 %", _FEWER_ANSWERS
        ),
    ),
    week(
        "short-calls",
        "Three days to learn from, then half of the people who answer hang up at once.",
        *_both("short_calls", Twist(short=0.5), "people gone within 10 seconds rise from 6 % to 53 %"),
    ),
    week(
        "short-ring",
        "Three days to learn from, then the dialer gives up after 12 seconds of ringing.",
        *_both(
            "short_ring", Twist(gives_up=12.0), "calls are given up after 12 seconds of ringing", _OF_FEWER_SEIZURES
        ),
        campaigns=_WATCHED,
    ),
    week(
        "voicemail-hangup",
        "Three days to learn from, then the dialer hangs up on six of ten answering machines.",
        *_both("voicemail_hangup", Twist(drops=0.6), "six of ten machines are hung up on at once", _SHORT_TOO),
        campaigns=_MACHINES,
    ),
    week(
        "silent-calls",
        "Three days to learn from, then Voice Insights hears silence on a quarter of the answered calls.",
        *_both("silent_calls", Twist(silent=0.25), "silent calls rise from 1 % to 25 %"),
        campaigns=_HEARD,
    ),
    week(
        "opt-out-surge",
        "Three days to learn from, then one person in five who answers says stop, instead of one in 200.",
        *_both("opt_out_surge", Twist(opt_outs=0.2), "people who say stop rise from 0.5 % to 20 %"),
        opt_out_share=0.005,
    ),
    week(
        "abandonment",
        "Three days to learn from, then an eighth of the people who answer reach no agent.",
        Fault(
            rule="abandonment",
            starts=STRETCH,
            twist=Twist(abandoned=0.12),
            note="people who answer and reach no agent rise from 1 % to 12 %",
            # The law counts in blocks of 30 days, and so does the alert.
            tolerance=30 * DAY,
        ),
        campaigns=(
            Campaign(name="spring-sale", numbers=4, calls_per_day=110.0, answer_rate=0.36, agents=True),
            Campaign(name="renewals", numbers=3, calls_per_day=110.0, answer_rate=0.40, agents=True, purpose="service"),
        ),
    ),
    week(
        "missing-callbacks",
        "Three days to learn from, then six of ten calls never tell of their end, for four hours.",
        Fault(
            rule="missing_callbacks",
            of_account=True,
            starts=STRETCH - 2 * HOUR,
            ends=STRETCH - 6 * HOUR,
            twist=Twist(terminal_loss=0.6),
            note="six of ten terminal callbacks never come",
        ),
    ),
)
"""The scenarios in which a share rises."""
