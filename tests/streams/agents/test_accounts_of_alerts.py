"""Alerts on numbers and campaigns name the account of the call, which is what lets an account's alert inhibit them."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence

import msgspec
import pytest

from schemas.alert import Alert, AlertState, Severity, Subject, SubjectKind
from schemas.call import CallFact, Contribution, Direction, Disposition, FactKind, Origin
from schemas.log import Record
from schemas.rule_settings.answers import NoAnswerStreak
from schemas.rules import AnswerRateCollapse, Rules, VolumeSpike
from schemas.settings import Alerting, Settings
from schemas.times import HOUR, MINUTE, SECOND
from schemas.topics import ALERTS
from sinks.alerts.router import Router
from streams.agents.accounts import accounts_stage
from streams.agents.campaigns import CampaignsStage
from streams.agents.numbers import numbers_stage
from streams.agents.stage import Stage

START = 1_795_000_000_000
Factory = Callable[[Settings, MutableMapping[bytes, bytes]], Stage]


def call(place: int, at: int, disposition: Disposition | None = None, account: str = "AC1") -> CallFact:
    """One call of one of three numbers: placed, or ended with a disposition."""
    ended = disposition is not None
    return CallFact(
        fact=FactKind.ENDED if ended else FactKind.PLACED,
        revision=int(ended),
        origin=Origin(0, place, int(ended)),
        at=at,
        call_sid=f"CA{place}",
        account_sid=account,
        number=f"+1202555010{place % 3}",
        contact="+12025550199",
        campaign="spring-sale",
        direction=Direction.OUTBOUND_API,
        counted=True,
        before=Contribution(at) if ended else None,
        after=Contribution(at, at if ended else None, disposition),
    )


def alerts_of(factory: Factory, settings: Settings, facts: Sequence[CallFact]) -> list[Alert]:
    """What a stage says of facts of one key."""
    stage = factory(settings, {})
    key = "AC1" if factory is accounts_stage else "spring-sale" if factory is CampaignsStage else "+12025550100"
    records = [Record("facts", 0, place, fact.at, key.encode(), fact.encode()) for place, fact in enumerate(facts)]
    emissions = stage.process(records).emissions
    return [Alert.decode(record.value or b"") for record in emissions if record.topic == ALERTS.name]


def told(alerts: Sequence[Alert]) -> set[tuple[str, str]]:
    """Rule and value of what people are told while all of these fire."""
    router = Router(Alerting())
    for alert in alerts:
        router.take(alert, START)
    notices = router.due(START + MINUTE)
    return {(alert.labels["rule"], alert.labels["value"]) for notice in notices for alert in notice.alerts}


def test_an_accounts_spike_is_told_in_place_of_its_campaigns_and_numbers() -> None:
    """A burst of one account makes three alerts, of which the account's is told; another account's keeps its own."""
    rule = VolumeSpike(number_limit=4, campaign_limit=6, account_limit=8)
    settings = Settings(rules=Rules(volume_spike=rule))
    burst = [call(place, START + place * SECOND) for place in range(30)]
    account, campaign, number = (
        alerts_of(factory, settings, burst) for factory in (accounts_stage, CampaignsStage, numbers_stage)
    )
    spikes = [alert for alert in (*account, *campaign, *number) if alert.rule == "volume_spike"]
    assert {alert.subject.kind.value for alert in spikes} == {"account", "campaign", "number"}
    assert told(spikes) == {("volume_spike", "AC1")}
    others = [msgspec.structs.replace(fact, account_sid="AC2") for fact in burst]
    elsewhere = [alert for alert in alerts_of(CampaignsStage, settings, others) if alert.rule == "volume_spike"]
    assert told([*account, *elsewhere]) == {("volume_spike", "AC1"), ("volume_spike", "spring-sale")}


@pytest.mark.parametrize("rule", ["answer_rate_collapse", "no_answer_streak"])
def test_alerts_about_answers_name_the_account(rule: str) -> None:
    """A collapse and a streak carry the account of the call, so that an alert above them can stand for them."""
    settings = Settings(
        rules=Rules(
            answer_rate_collapse=AnswerRateCollapse(learning_calls=30, fleet_calls_per_day=200.0),
            no_answer_streak=NoAnswerStreak(chance=0.01, least_calls=5),
        )
    )
    ends = [Disposition.ANSWERED if place % 2 else Disposition.NO_ANSWER for place in range(600)]
    ends += [Disposition.NO_ANSWER] * 300
    facts = [call(place, START + place * MINUTE, end) for place, end in enumerate(ends)]
    found = [alert for alert in alerts_of(CampaignsStage, settings, facts) if alert.rule == rule]
    assert found
    assert {alert.evidence["account_sid"] for alert in found} == {"AC1"}
    below = next(alert for alert in found if alert.state is AlertState.FIRING)
    above = Alert(
        alert_id="above",
        sequence=1,
        rule=rule,
        subject=Subject(SubjectKind.ACCOUNT, "AC1"),
        state=AlertState.FIRING,
        severity=Severity.WARNING,
        at=START + 15 * HOUR,
        since=START,
        evidence={},
        message="all of the account's calls",
    )
    elsewhere = msgspec.structs.replace(above, subject=Subject(SubjectKind.ACCOUNT, "AC2"))
    assert told([below, above]) == {(rule, "AC1")}
    assert told([below, elsewhere]) == {(rule, below.subject.value), (rule, "AC2")}
