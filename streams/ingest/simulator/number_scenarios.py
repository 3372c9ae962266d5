"""Scenarios about how the company's own numbers are used, registered and signed."""

from __future__ import annotations

from schemas.alert import SubjectKind
from schemas.times import DAY, HOUR
from streams.ingest.simulator.faults import Fault, Register, Scope, Twist
from streams.ingest.simulator.scenario import Campaign, Scenario
from streams.ingest.simulator.truth import Companion
from streams.ingest.simulator.worlds import CONTACTS, PAST, QUIET_WORLD, STRETCH

_NUMBER, _CAMPAIGN, _ACCOUNT = SubjectKind.NUMBER, SubjectKind.CAMPAIGN, SubjectKind.ACCOUNT


def _scenario(
    name: str,
    description: str,
    *faults: Fault,
    campaigns: tuple[Campaign, ...] = QUIET_WORLD,
    false_alarms: int = 0,
) -> Scenario:
    return Scenario(
        name=name,
        description=description,
        campaigns=campaigns,
        past=PAST,
        stretch=STRETCH,
        contacts_per_number=CONTACTS,
        faults=faults,
        false_alarms=false_alarms,
    )


# Answer rates may cost one false alarm in 10,000 calls, of numbers and again of campaigns: here some 5,000 each.
_FALSE_ALARMS = 1

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
    _scenario(
        "no-answer-streak",
        "Three days to learn from, then nobody answers one number any more.",
        Fault(
            rule="no_answer_streak",
            campaign=0,
            # The answer rate's own chart is about as fast; with this number it is not ahead.
            number=4,
            scope=Scope.NUMBER,
            starts=STRETCH,
            twist=Twist(dead=True),
            note="answers fall from about 36 % to none",
            also=(Companion("answer_rate_collapse", _NUMBER), Companion("answer_rate_collapse", _CAMPAIGN)),
        ),
        campaigns=_SIX,
        false_alarms=_FALSE_ALARMS,
    ),
    _scenario(
        "neighbor-spoofing",
        "Three days to learn from, then people are called from a number of the same exchange where there is one.",
        Fault(
            rule="neighbor_spoofing",
            campaign=0,
            number=None,
            scope=Scope.CAMPAIGN,
            starts=STRETCH,
            twist=Twist(from_neighbors=True),
            note="people are called from a number next door",
            also=(Companion("neighbor_spoofing", _NUMBER),),
        ),
        campaigns=_EVERYWHERE,
        false_alarms=_FALSE_ALARMS,
    ),
    _scenario(
        "mixed-purpose",
        "Three days as it should be, then half of one number's calls are for a campaign of another purpose.",
        Fault(
            rule="mixed_purpose",
            campaign=0,
            number=1,
            scope=Scope.NUMBER,
            starts=STRETCH,
            twist=Twist(calls_for=1, calls_for_share=0.5),
            note="half of the calls are for renewals instead of spring-sale",
            also=(Companion("number_rest", _NUMBER),),
        ),
    ),
    _scenario(
        "number-rest",
        "A number calls for one purpose, rests two days, and then calls for another.",
        Fault(
            rule="number_rest",
            campaign=0,
            number=1,
            scope=Scope.NUMBER,
            starts=STRETCH,
            rests=2 * DAY,
            twist=Twist(calls_for=1, calls_for_share=1.0),
            note="after two days of rest all calls are for renewals instead of spring-sale",
        ),
    ),
    _scenario(
        "ramp-up",
        "A number that is new on Thursday makes some 160 calls from its first day on.",
        Fault(
            rule="ramp_up",
            campaign=0,
            number=1,
            scope=Scope.NUMBER,
            starts=STRETCH,
            before=_SILENT,
            twist=Twist(volume=8.0),
            register=Register(is_new=True),
            note="a new number makes some 160 calls on its first day",
        ),
    ),
    _scenario(
        "campaign-ramp-up",
        "A campaign that is new on Thursday makes 1,300 calls on its first day.",
        Fault(
            rule="ramp_up",
            campaign=0,
            number=None,
            scope=Scope.CAMPAIGN,
            starts=STRETCH,
            before=_SILENT,
            register=Register(is_new=True),
            note="a new campaign makes some 1,300 calls on its first day",
            also=(Companion("volume_spike", _ACCOUNT),),
        ),
        campaigns=_LAUNCH,
        false_alarms=_FALSE_ALARMS,
    ),
    _scenario(
        "attestation",
        "Three days to learn from, then one number's calls are signed B instead of A.",
        Fault(
            rule="attestation",
            campaign=0,
            number=2,
            scope=Scope.NUMBER,
            starts=STRETCH,
            twist=Twist(stir_status="B"),
            note="StirStatus falls from A to B",
            tolerance=2 * HOUR,
        ),
    ),
    _scenario(
        "unregistered-number",
        "A week in which the register does not know one number, and says of another that its profile was rejected.",
        Fault(
            rule="unregistered_number",
            campaign=0,
            number=1,
            scope=Scope.NUMBER,
            starts=PAST + STRETCH,
            register=Register(missing=True),
            note="not in the register",
        ),
        Fault(
            rule="unregistered_number",
            campaign=1,
            number=1,
            scope=Scope.NUMBER,
            starts=PAST + STRETCH,
            register=Register(trust_hub="twilio-rejected"),
            note="Trust Hub rejected its profile",
        ),
    ),
)
"""The scenarios about the company's own numbers."""
