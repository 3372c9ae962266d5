from __future__ import annotations

from collections.abc import Iterator
from random import Random

from schemas.call import CallFact, Contribution, Direction, Disposition, FactKind, Origin
from schemas.log import NewRecord, Record
from schemas.rule_settings.answers import NoAnswerStreak
from schemas.rules import Rules
from schemas.settings import Settings
from schemas.suppression import Suppression, read_suppression_key
from schemas.times import MINUTE, from_iso
from schemas.topics import SUPPRESSIONS
from streams.agents.campaigns import CampaignsStage

START = from_iso("2026-11-02T00:00:00Z")
BAD = "+12025550100"
NUMBERS = [BAD, *(f"+12025550{number}" for number in range(101, 110))]
RULE = "answer_rate_collapse"


class Calls:
    """Two campaigns that call from the same numbers in turn, answered by a seeded coin, through the real stage."""

    def __init__(self) -> None:
        # A streak would be quicker, and tell of the same.
        rules = Rules(no_answer_streak=NoAnswerStreak(enabled=False))
        self.stage = CampaignsStage(Settings(rules=rules), {})
        self.random = Random(2)
        self.offset = 0
        self.told: list[NewRecord] = []

    def play(self, rounds: int, down: tuple[str, ...] = ()) -> list[NewRecord]:
        """Every number calls so often for each campaign; the suppressions' records. BAD is down in the named ones."""
        emissions = self.stage.process(list(self._records(rounds, down))).emissions
        found = [record for record in emissions if record.topic == SUPPRESSIONS.name]
        self.told += found
        return found

    def _records(self, rounds: int, down: tuple[str, ...]) -> Iterator[Record]:
        for _ in range(rounds):
            for number in NUMBERS:
                for campaign in ("spring", "autumn"):
                    rate = 0.02 if number == BAD and campaign in down else 0.35
                    fact = self._call(number, campaign, answered=self.random.random() < rate)
                    key, value = campaign.encode(), fact.encode()
                    yield Record("campaigns", 0, self.offset, fact.at, key, value)
                    self.offset += 1

    def _call(self, number: str, campaign: str, *, answered: bool) -> CallFact:
        at = START + self.offset * MINUTE // 2
        disposition = Disposition.HUMAN if answered else Disposition.NO_ANSWER
        return CallFact(
            fact=FactKind.ENDED,
            revision=0,
            origin=Origin(0, self.offset, 0),
            at=at,
            call_sid=f"CA{self.offset}",
            account_sid="AC1",
            number=number,
            contact="+12025550199",
            campaign=campaign,
            direction=Direction.OUTBOUND_API,
            counted=True,
            before=Contribution(at - MINUTE),
            after=Contribution(at - MINUTE, at, disposition, 30 if answered else 0, 10),
        )


def test_one_campaigns_recovery_leaves_the_others_suppression() -> None:
    """A number is suppressed for each campaign it is down in; where it recovers, that record's tombstone is written."""
    calls = Calls()
    assert calls.play(300) == []
    asked = calls.play(120, down=("spring", "autumn"))
    assert {_scope(record) for record in asked} == {"spring", "autumn"}
    for record in asked:
        verdict = Suppression.decode(record.value or b"")
        assert read_suppression_key(record.key or b"") == (verdict.subject, verdict.rule, verdict.scope)
    recovered = calls.play(150, down=("spring",))
    assert [_scope(record) for record in recovered if record.value is None] == ["autumn"]
    last = {record.key: record.value for record in calls.told}
    assert [read_suppression_key(key or b"")[2] for key, value in last.items() if value is not None] == ["spring"]


def _scope(record: NewRecord) -> str:
    subject, rule, scope = read_suppression_key(record.key or b"")
    assert (subject.value, rule) == (BAD, RULE)
    return scope
