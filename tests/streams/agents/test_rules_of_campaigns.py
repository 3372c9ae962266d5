from __future__ import annotations

import msgspec
import pytest

from schemas.alert import Alert, Severity, Subject, SubjectKind
from schemas.call import CallFact, Disposition, Origin
from schemas.log import Record
from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.rules import OptOutRule, Rules, VolumeSpike
from schemas.settings import Settings
from schemas.times import DAY
from schemas.topics import ALERTS
from streams.agents.campaigns import CampaignsStage, number_key
from streams.agents.contacts import ContactsStage
from streams.agents.subject import SubjectState
from tests.streams import facts

START = 1_795_000_000_000
NUMBER = Subject(SubjectKind.NUMBER, "+12025550100")
RULE = VolumeSpike(number_limit=5, campaigns={"renewals": {"number_limit": 3}})


def attempt(offset: int, campaign: str) -> CallFact:
    """One more attempt of the number in the same minute."""
    return facts.placed(START + offset, origin=Origin(0, offset, 0), number=NUMBER.value, campaign=campaign)


@pytest.mark.parametrize(("campaign", "fires_at"), [("spring-sale", 5), ("renewals", 3)])
@pytest.mark.parametrize("kept", [True, False], ids=["in memory", "through its bytes"])
def test_a_number_is_held_to_its_campaigns_limit(campaign: str, fires_at: int, kept: bool) -> None:
    """The limit of a number is that of the campaign it calls for, also after its state was packed and read again."""
    state = SubjectState(NUMBER, 120_000, RULE)
    fired = []
    for offset in range(6):
        if state.apply(attempt(offset, campaign)):
            fired.append(offset + 1)
        if not kept:
            state = SubjectState.from_bytes(state.to_bytes(), NUMBER, 120_000, RULE)
    assert fired == [fires_at]


def test_a_call_told_too_late_does_not_turn_a_number_to_its_campaign() -> None:
    """The campaign that a number called for last is that of its last call in time; its limit holds."""
    state = SubjectState(NUMBER, 120_000, RULE)
    state.apply(attempt(200_000, "spring-sale"))
    late = msgspec.structs.replace(attempt(0, "renewals"), origin=Origin(0, 200_001, 0))
    assert state.apply(late) == []
    assert (state.campaigns, state.counts.late, state.spike.settings.number_limit) == (["spring-sale"], 1, 5)


def ended(offset: int, campaign: str, at: int) -> Record:
    """A call of the number that nobody answered, as a record of one partition."""
    where = {"origin": Origin(0, offset, 0), "number": NUMBER.value, "campaign": campaign}
    fact = facts.ended(at, Disposition.NO_ANSWER, attempted_at=at - 30_000, **where)
    return Record("campaigns", 0, offset, at, campaign.encode(), fact.encode())


def test_a_number_whose_calls_are_old_is_kept_while_they_come() -> None:
    """Where a campaign's calls are months behind another's, as in a backfill, its numbers are not taken for silent."""
    data: dict[bytes, bytes] = {}
    stage = CampaignsStage(Settings(), data)
    key = number_key("renewals", NUMBER.value)
    stage.process([ended(0, "renewals", START)])
    before = data[key]
    stage.process([ended(1, "spring-sale", START + 100 * DAY), ended(2, "renewals", START + 60_000)])
    assert data[key] != before


def test_an_opt_out_is_as_severe_as_its_campaign_says() -> None:
    """The campaign of the signal decides the severity of its alert."""
    rule = OptOutRule(campaigns={"renewals": {"severity": "critical"}})
    stage = ContactsStage(Settings(rules=Rules(opt_out=rule)), {})
    signals = [
        OptOut(
            contact=f"+1202555019{place}",
            opted_out=True,
            source=OptOutSource.DTMF,
            channel=Channel.VOICE,
            at=START,
            campaign=campaign,
        )
        for place, campaign in enumerate(("renewals", "spring-sale", None))
    ]
    records = [Record("optouts", 0, at, START, one.contact.encode(), one.encode()) for at, one in enumerate(signals)]
    emitted = [record for record in stage.process(records).emissions if record.topic == ALERTS.name]
    severities = [Alert.decode(record.value or b"").severity for record in emitted]
    assert severities == [Severity.CRITICAL, Severity.INFO, Severity.INFO]


def test_a_bucket_is_as_long_for_every_campaign() -> None:
    """A campaign can't have buckets of its own length: a number that changes campaigns would lose its count."""
    with pytest.raises(ValueError, match="bucket_minutes is one for all"):
        VolumeSpike(campaigns={"renewals": {"bucket_minutes": 10}})
