"""Scenarios about how the company's own numbers are used, registered and signed."""

from __future__ import annotations

from schemas.alert import SubjectKind
from schemas.times import DAY, HOUR
from streams.ingest.simulator.faults import Fault, Register, Twist
from streams.ingest.simulator.scenario import Campaign, Scenario
from streams.ingest.simulator.truth import Companion
from streams.ingest.simulator.worlds import PAST, STRETCH, quiet_week, week

_NUMBER, _CAMPAIGN, _ACCOUNT = SubjectKind.NUMBER, SubjectKind.CAMPAIGN, SubjectKind.ACCOUNT


_SILENT = Twist(volume=0.0)

# Six numbers, so that one dead number is no news about its campaign.
_SIX = (Campaign(name="spring-sale", numbers=6, calls_per_day=150.0, answer_rate=0.36),)
# Numbers in six of the areas where people are called, four exchanges each; the rule looks at the campaign.
_EVERYWHERE = (
    Campaign(name="spring-sale", numbers=24, calls_per_day=30.0, answer_rate=0.36, neighbors=True, completed_only=0),
)
_LAUNCH = (
    Campaign(name="spring-sale", numbers=8, calls_per_day=170.0, answer_rate=0.36),
    Campaign(name="renewals", numbers=2, calls_per_day=20.0, answer_rate=0.40, purpose="service"),
)

NUMBER_SCENARIOS: tuple[Scenario, ...] = (
    week(
        "no-answer-streak",
        "Three days to learn from, then nobody answers one number any more.",
        Fault(
            rule="no_answer_streak",
            # The answer rate's own chart is about as fast; with this number it is not ahead.
            number=4,
            starts=STRETCH,
            twist=Twist(dead=True),
            note="answers fall from about 36 % to none",
            also=(Companion("answer_rate_collapse", _NUMBER), Companion("answer_rate_collapse", _CAMPAIGN)),
        ),
        campaigns=_SIX,
    ),
    week(
        "neighbor-spoofing",
        "Three days to learn from, then people are called from a number of the same exchange where there is one.",
        Fault(
            rule="neighbor_spoofing",
            starts=STRETCH,
            twist=Twist(from_neighbors=True),
            note="people are called from a number next door",
            also=(Companion("neighbor_spoofing", _NUMBER),),
        ),
        campaigns=_EVERYWHERE,
    ),
    quiet_week(
        "mixed-purpose",
        "Three days as it should be, then half of one number's calls are for a campaign of another purpose.",
        Fault(
            rule="mixed_purpose",
            number=1,
            starts=STRETCH,
            twist=Twist(calls_for=1, calls_for_share=0.5),
            note="half of the calls are for renewals instead of spring-sale",
            also=(Companion("number_rest", _NUMBER),),
        ),
    ),
    quiet_week(
        "number-rest",
        "A number calls for one purpose, rests two days, and then calls for another.",
        Fault(
            rule="number_rest",
            number=1,
            starts=STRETCH,
            rests=2 * DAY,
            twist=Twist(calls_for=1, calls_for_share=1.0),
            note="after two days of rest all calls are for renewals instead of spring-sale",
        ),
    ),
    quiet_week(
        "ramp-up",
        "A number that is new on Thursday makes some 160 calls from its first day on.",
        Fault(
            rule="ramp_up",
            number=1,
            starts=STRETCH,
            before=_SILENT,
            twist=Twist(volume=8.0),
            register=Register(is_new=True),
            note="a new number makes some 160 calls on its first day",
        ),
    ),
    week(
        "campaign-ramp-up",
        "A campaign that is new on Thursday makes 1,300 calls on its first day.",
        Fault(
            rule="ramp_up",
            starts=STRETCH,
            before=_SILENT,
            register=Register(is_new=True),
            note="a new campaign makes some 1,300 calls on its first day",
            also=(Companion("volume_spike", _ACCOUNT),),
        ),
        campaigns=_LAUNCH,
    ),
    quiet_week(
        "attestation",
        "Three days to learn from, then one number's calls are signed B instead of A.",
        Fault(
            rule="attestation",
            number=2,
            starts=STRETCH,
            twist=Twist(stir_status="B"),
            note="StirStatus falls from A to B",
            tolerance=2 * HOUR,
        ),
    ),
    quiet_week(
        "unregistered-number",
        "A week in which the register does not know one number, and says of another that its profile was rejected.",
        Fault(
            rule="unregistered_number",
            number=1,
            starts=PAST + STRETCH,
            register=Register(missing=True),
            note="not in the register",
        ),
        Fault(
            rule="unregistered_number",
            campaign=1,
            number=1,
            starts=PAST + STRETCH,
            register=Register(trust_hub="twilio-rejected"),
            note="Trust Hub rejected its profile",
        ),
    ),
)
"""The scenarios about the company's own numbers."""
