"""Laws that hold for every detector as its stage shows it facts: each rule for itself, on a log that makes it speak."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import isabstract, isclass
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import streams.detectors
from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.log import NewRecord, Record
from schemas.rule_settings.numbers import RampStage
from schemas.rules import Rules
from schemas.settings import Settings
from schemas.times import HOUR, MINUTE, SECOND
from schemas.topics import ACCOUNTS, ALERTS, CALLS, CAMPAIGNS, CONTACTS, OPTOUTS, Topic
from streams.agents.accounts import accounts_stage
from streams.agents.bundle import Choice
from streams.agents.campaigns import CampaignsStage, name_of_campaign
from streams.agents.choices import OF_ACCOUNTS, OF_CONTACTS, OF_NUMBERS
from streams.agents.contacts import ContactsStage, ContactState
from streams.agents.numbers import numbers_stage
from streams.agents.stage import Stage, process_all
from streams.agents.subject import AppliedOrigins, SubjectState
from streams.detectors.answer_states import RULE as ANSWER_RATE_COLLAPSE
from streams.detectors.detector import Detector
from streams.detectors.opt_out import RULE as OPT_OUT
from streams.detectors.share_rule import ShareRule
from streams.detectors.volume_alerts import RULE as VOLUME_SPIKE
from tests.streams.agents import traffic as t
from tests.streams.agents.tables import campaign_state, without_pending
from tests.streams.agents.traffic import LATENESS, Traffic

Factory = Callable[[Settings, MutableMapping[bytes, bytes]], Stage]
Table = dict[bytes, bytes]

NUMBER, CAMPAIGN, CONTACT, ACCOUNT = (
    SubjectKind.NUMBER,
    SubjectKind.CAMPAIGN,
    SubjectKind.CONTACT,
    SubjectKind.ACCOUNT,
)

# Rules that fire within dozens of calls: a law about silence says little.
_SHARES = {
    "learning_trials": 30,
    "trials_between_false_alarms": 1_000.0,
    "least_hits": 2,
    "recovery_trials": 5,
    "dwell_minutes": 1.0,
    "suppress": True,
}
_EAGER: dict[str, dict[str, object]] = {
    "answer_rate_collapse": {
        "fleet_calls_per_day": 100.0,
        "learning_calls": 20,
        "learning_hours": 0.1,
        "recovery_calls": 5,
        "dwell_minutes": 1.0,
        # A campaign of two numbers may have both of them suppressed, by whichever rule.
        "suppress_share": 1.0,
    },
    "no_answer_streak": {"chance": 0.01, "least_calls": 3, "recovery_answers": 2, "dwell_minutes": 1.0},
    "volume_spike": {"number_limit": 6, "campaign_limit": 10, "account_limit": 12, "calm_buckets": 1},
    **dict.fromkeys(["opt_out_surge", "blocked_calls", "short_calls", "short_ring", "voicemail_hangup"], _SHARES),
    "silent_calls": _SHARES,
    "invalid_numbers": _SHARES,
    "caller_id_rotation": {"numbers": 2, "days": 1},
    "neighbor_spoofing": {"block_contacts": 50, "tail_probability": 0.01, "least_matches": 5},
    "mixed_purpose": {"calls": 2, "window_days": 2},
    "number_rest": {"calls": 2, "rest_days": 3, "suppress": True},
    "ramp_up": {"number_stages": [RampStage(4, 5)], "campaign_stages": [RampStage(4, 8)]},
    "abandonment": {"least_answered": 10},
    "missing_callbacks": {
        "learning_calls": 20,
        "calls_between_false_alarms": 1_000.0,
        "least_calls": 2,
        "recovery_calls": 5,
        "dwell_minutes": 1.0,
        "quiet_chance": 0.01,
    },
}


class Case(NamedTuple):
    """One rule at one stage."""

    factory: Factory
    topic: Topic
    rule: str
    kinds: frozenset[SubjectKind]
    traffic: Traffic | None

    @property
    def rules(self) -> Rules:
        """The settings with this rule on alone."""
        chosen = {name: {**_EAGER.get(name, {}), "enabled": name == self.rule} for name in Rules.model_fields}
        if self.rule == "no_answer_streak":
            # It asks answer_rate_collapse for the chance of an answer; that rule itself is too slow to speak.
            chosen[ANSWER_RATE_COLLAPSE] |= {"enabled": True, "fleet_calls_per_day": 1e20, "false_alarms_per_day": 1e-9}
        return Rules.model_validate(chosen)

    def log(self, seed: int, *, far: float = 0.1) -> list[Record]:
        """What makes the rule speak; some facts are too late."""
        random = Random(seed)
        if self.traffic is None:
            return t.signals(random)
        calls = list(t.calls_of(self.traffic, random))
        return t.laid(t.arriving(calls, random, delay=LATENESS * 3 // 4, far=far), self.topic)


def _case(factory: Factory, topic: Topic, rule: str, traffic: Traffic | None, *kinds: SubjectKind) -> Case:
    return Case(factory, topic, rule, frozenset(kinds), traffic)


_SPIKE = Traffic(t.answered, step=4 * MINUTE, bad_step=5 * SECOND)
_DAYS = Traffic(t.new, step=HOUR, phases=(60, 40, 30, 40, 40))
_COLLAPSE = Traffic(t.answered, phases=(80, 60, 30, 60, 160), fleet=t.FLEET)
_PEOPLE = Traffic(t.anybody, step=40 * MINUTE)


def _share(call: t.CallOf) -> Traffic:
    """Bad on one number, which stands out, and later on so many that it is the campaign's."""
    return Traffic(call, phases=(60, 40, 30, 60, 90), fleet=t.FLEET)


CASES = [
    _case(numbers_stage, CALLS, "volume_spike", _SPIKE, NUMBER),
    _case(numbers_stage, CALLS, "ramp_up", _DAYS, NUMBER),
    _case(numbers_stage, CALLS, "mixed_purpose", Traffic(t.mixing, step=2 * HOUR), NUMBER),
    _case(numbers_stage, CALLS, "number_rest", Traffic(t.turning, step=2 * HOUR), NUMBER),
    _case(numbers_stage, CALLS, "attestation", Traffic(t.signed), NUMBER),
    _case(numbers_stage, CALLS, "unregistered_number", Traffic(t.registered), NUMBER),
    _case(accounts_stage, ACCOUNTS, "volume_spike", _SPIKE, ACCOUNT),
    _case(
        accounts_stage,
        ACCOUNTS,
        "missing_callbacks",
        Traffic(t.watched, step=25 * MINUTE, phases=(480, 30, 60, 30, 30), silence=8 * HOUR),
        ACCOUNT,
    ),
    _case(CampaignsStage, CAMPAIGNS, "volume_spike", _SPIKE, CAMPAIGN),
    _case(CampaignsStage, CAMPAIGNS, "answer_rate_collapse", _COLLAPSE, NUMBER, CAMPAIGN),
    _case(CampaignsStage, CAMPAIGNS, "no_answer_streak", Traffic(t.answered), NUMBER),
    _case(CampaignsStage, CAMPAIGNS, "opt_out_surge", _share(t.opting_out), NUMBER, CAMPAIGN),
    _case(CampaignsStage, CAMPAIGNS, "blocked_calls", _share(t.blocked), NUMBER, CAMPAIGN),
    _case(CampaignsStage, CAMPAIGNS, "invalid_numbers", Traffic(t.invalid), CAMPAIGN),
    _case(CampaignsStage, CAMPAIGNS, "short_calls", _share(t.short), NUMBER, CAMPAIGN),
    _case(CampaignsStage, CAMPAIGNS, "short_ring", _share(t.given_up), NUMBER, CAMPAIGN),
    _case(CampaignsStage, CAMPAIGNS, "voicemail_hangup", _share(t.on_machine), NUMBER, CAMPAIGN),
    _case(CampaignsStage, CAMPAIGNS, "silent_calls", _share(t.silent), NUMBER, CAMPAIGN),
    _case(CampaignsStage, CAMPAIGNS, "ramp_up", _DAYS, CAMPAIGN),
    _case(
        CampaignsStage,
        CAMPAIGNS,
        "neighbor_spoofing",
        Traffic(t.neighboring, phases=(90, 0, 0, 150, 150)),
        CAMPAIGN,
    ),
    _case(
        CampaignsStage,
        CAMPAIGNS,
        "abandonment",
        Traffic(t.abandoned, step=14 * HOUR, phases=(60, 40, 30, 20, 80)),
        CAMPAIGN,
    ),
    _case(ContactsStage, CONTACTS, "calling_hours", _PEOPLE, CONTACT),
    _case(ContactsStage, CONTACTS, "repeat_calls", _PEOPLE, CONTACT),
    _case(ContactsStage, CONTACTS, "caller_id_rotation", _PEOPLE, CONTACT),
    _case(ContactsStage, CONTACTS, "invalid_numbers", Traffic(t.invalid), CONTACT),
    _case(ContactsStage, OPTOUTS, "opt_out", None, CONTACT),
]
OF_FACTS = [case for case in CASES if case.traffic is not None]


def _id(case: Case) -> str:
    return f"{case.rule}-{case.topic.name}"


of_every_rule = pytest.mark.parametrize("case", CASES, ids=_id)
of_every_rule_on_facts = pytest.mark.parametrize("case", OF_FACTS, ids=_id)
# A seed does not become simpler by being smaller.
few_logs = settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
seeds = given(seed=st.integers(0, 2**32))


def _detectors() -> Iterator[tuple[str, SubjectKind]]:
    """Every rule and kind of subject that the package has a class for."""
    for module in pkgutil.iter_modules(streams.detectors.__path__):
        for found in vars(import_module(f"streams.detectors.{module.name}")).values():
            if isclass(found) and issubclass(found, Detector | ShareRule) and not isabstract(found):
                yield from ((found.RULE, kind) for kind in found.SUBJECTS)


def play(case: Case, table: Table, slices: Sequence[Sequence[Record]], **chosen: Any) -> list[NewRecord]:
    """Have a stage apply slices one after the other; give all emissions."""
    stage = case.factory(Settings(rules=case.rules, **chosen), table)
    return [emission for records in slices for emission in process_all(stage, records).emissions]


def alerts(emissions: Sequence[NewRecord]) -> list[Alert]:
    """The transitions among emissions."""
    return [Alert.decode(record.value or b"") for record in emissions if record.topic == ALERTS.name]


def cut(random: Random, records: Sequence[Record]) -> list[Sequence[Record]]:
    """A log in slices: short ones, single records, and long ones."""
    slices = []
    start = 0
    while start < len(records):
        size = random.choice([1, random.randint(1, 10), random.randint(1, 200)])
        slices.append(records[start : start + size])
        start += size
    return slices


@cache
def whole(case_id: str, seed: int) -> tuple[list[Record], list[NewRecord], Table]:
    """A log of a rule, what came of it in one slice, and the table after it."""
    case = next(case for case in CASES if _id(case) == case_id)
    records = case.log(seed)
    table: Table = {}
    return records, play(case, table, [records]), table


@dataclass
class Kept:
    """What a table keeps, apart from what has to differ where facts came that were too late.

    Attributes:
        states: the bytes by key, without the origins applied and the count of late facts.
        counts: the rolling counts alone, by key, without late ones; none for people.
        late: how many facts came too late.
    """

    states: Table
    counts: Table
    late: int


def kept(case: Case, table: Table) -> Kept:
    """Take a table apart."""
    found = Kept({}, {}, 0)
    for key, packed in without_pending(table, case.rules).items():
        found.states[key] = packed
        name = name_of_campaign(key)
        if case.factory is ContactsStage:
            choice = Choice(CONTACT, OF_CONTACTS, case.rules)
            person = ContactState.from_bytes(packed, key.decode(), case.rules.opt_out, choice)
            found.late += person.late
            person.late, person.origins = 0, AppliedOrigins({})
            found.states[key] = person.to_bytes()
        elif case.factory is not CampaignsStage or name is not None:
            subject = _subject(case, key, packed) if name is None else campaign_state(packed, name, case.rules)
            found.late += subject.counts.late
            subject.counts.late, subject.applied = 0, AppliedOrigins({})
            found.states[key], found.counts[key] = subject.to_bytes(), subject.counts.to_bytes()
    return found


def _subject(case: Case, key: bytes, packed: bytes) -> SubjectState:
    kind, detectors = (NUMBER, OF_NUMBERS) if case.topic is CALLS else (ACCOUNT, OF_ACCOUNTS)
    choice = Choice(kind, detectors, case.rules)
    return SubjectState.from_bytes(packed, Subject(kind, key.decode()), LATENESS, case.rules.volume_spike, choice)


def test_every_detector_is_shown_facts_by_a_stage() -> None:
    """A new detector is found by looking into the package, and must have a log of its own here."""
    own = {
        (ANSWER_RATE_COLLAPSE, NUMBER),
        (ANSWER_RATE_COLLAPSE, CAMPAIGN),
        (OPT_OUT, CONTACT),
        *((VOLUME_SPIKE, kind) for kind in (NUMBER, CAMPAIGN, ACCOUNT)),
    }
    assert {(case.rule, kind) for case in CASES for kind in case.kinds} == own | set(_detectors())


@of_every_rule
@pytest.mark.parametrize("seed", [1, 2])
def test_the_log_of_a_rule_makes_it_speak(case: Case, seed: int) -> None:
    """With this rule on alone, its log fires on every kind of subject that it looks at; a law about silence is none."""
    _, story, _ = whole(_id(case), seed)
    fired = {alert.subject.kind for alert in alerts(story) if alert.rule == case.rule}
    assert fired == case.kinds


@of_every_rule
@few_logs
@seeds
def test_slices_change_nothing(case: Case, seed: int) -> None:
    """However a log is cut, and wherever the stage is made anew from its bytes, what is said and kept is the same."""
    random = Random(seed)
    records, story, table = whole(_id(case), seed)
    for _ in range(2):
        again: Table = {}
        said: list[NewRecord] = []
        slices = cut(random, records)
        while slices:
            some = random.randint(1, 20)
            said += play(case, again, slices[:some])
            slices = slices[some:]
        assert said == story
        assert without_pending(again, case.rules) == without_pending(table, case.rules)


@of_every_rule
@few_logs
@seeds
def test_what_was_applied_is_not_applied_again(case: Case, seed: int) -> None:
    """Any part of what a stage has applied says nothing and moves no state when it is told again, nor later on."""
    random = Random(seed)
    records, story, _ = whole(_id(case), seed)
    known = random.randint(len(records) // 2, len(records))
    begin = random.randint(0, known)
    table: Table = {}
    said = play(case, table, [records[:known]])
    before = without_pending(table, case.rules)
    for repeated in (records[:begin], records[begin:known], records[:known]):
        assert play(case, table, [repeated]) == []
        assert without_pending(table, case.rules) == before
    assert said + play(case, table, [records[known:]]) == story


@of_every_rule_on_facts
@few_logs
@seeds
def test_what_is_too_late_neither_speaks_nor_moves(case: Case, seed: int) -> None:
    """Bad calls told after the lateness leave all that is said and known as it is without them, and are counted."""
    assert case.traffic is not None
    random = Random(seed)
    on_time = t.arriving(list(t.calls_of(case.traffic, random)), random, delay=LATENESS * 3 // 4)
    told = t.with_late_calls(case.traffic, on_time, case.topic, random)
    records = t.laid(told, case.topic)
    with_late: Table = {}
    without: Table = {}
    said = play(case, with_late, [records])
    alone = play(case, without, [[record for record, one in zip(records, told, strict=True) if not one.is_late]])
    assert said == alone
    mixed, clean = kept(case, with_late), kept(case, without)
    assert mixed.states == clean.states
    assert (clean.late, mixed.late) == (0, sum(one.is_late for one in told))
    assert mixed.late > 5


@pytest.mark.parametrize(
    "case",
    [case._replace(traffic=Traffic(t.invalid)) for case in {case.topic.name: case for case in OF_FACTS}.values()],
    ids=lambda case: case.topic.name,
)
@few_logs
@seeds
def test_a_larger_lateness_takes_in_all_that_a_smaller_one_does(case: Case, seed: int) -> None:
    """Of the same log, what is too late for a lateness is too late for every shorter one."""
    records = case.log(seed, far=0.3)[:150]
    too_late = [_too_late(case, records, lateness) for lateness in (0, MINUTE, 5 * MINUTE, 15 * MINUTE)]
    assert all(longer <= shorter for shorter, longer in pairwise(too_late))
    assert too_late[-1] < too_late[0]


def _too_late(case: Case, records: Sequence[Record], lateness: int) -> set[int]:
    """The places of the facts that come too late for a lateness in milliseconds."""
    table: Table = {}
    stage = case.factory(Settings(rules=case.rules, lateness_seconds=lateness / SECOND), table)
    late: set[int] = set()
    for place, record in enumerate(records):
        process_all(stage, [record])
        if kept(case, table).late > len(late):
            late.add(place)
    return late


@of_every_rule_on_facts
@few_logs
@seeds
def test_another_order_within_the_lateness_counts_alike(case: Case, seed: int) -> None:
    """The windows are the same byte for byte, and the rule fires on the same subjects; at which call may differ."""
    assert case.traffic is not None
    random = Random(seed)
    calls = list(t.calls_of(case.traffic, random))
    tables: list[Table] = [{}, {}]
    stories = [
        alerts(play(case, table, [t.laid(t.arriving(calls, random, delay=LATENESS * 3 // 4), case.topic)]))
        for table in tables
    ]
    first, second = (kept(case, table) for table in tables)
    assert first.late == second.late == 0
    assert first.counts == second.counts
    # A chart on a subject with a handful of bad calls may pass its limit in one order and not in the other.
    decided = {*t.NUMBERS[:1], "spring-sale"} if case.traffic.fleet is t.FLEET else None
    fired = [
        {
            alert.subject
            for alert in story
            if alert.rule == case.rule and (decided is None or alert.subject.value in decided)
        }
        for story in stories
    ]
    assert fired[0] == fired[1]
    assert fired[0]
    if case.rule == VOLUME_SPIKE:
        # This rule promises more: the same runs, which end at the same time.
        runs = [
            {(alert.alert_id, alert.since, alert.at if alert.state is AlertState.RESOLVED else 0) for alert in story}
            for story in stories
        ]
        assert runs[0] == runs[1]
