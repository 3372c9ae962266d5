from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState
from schemas.call import CallFact, CallStatus, Contribution, Direction, Disposition, FactKind, Origin
from schemas.callback import Callback
from schemas.log import NewRecord, Record
from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.rule_settings.contacts import RepeatCalls
from schemas.rules import Rules
from schemas.settings import Assembly, Settings
from schemas.suppression import Suppression, read_suppression_key
from schemas.times import DAY, HOUR, MINUTE, SECOND, from_iso
from schemas.topics import ALERTS, CAMPAIGNS, CONTACTS, OPTOUTS, SUPPRESSIONS
from streams.agents.assemble import AssembleStage
from streams.agents.contacts import ContactsStage
from streams.agents.stage import process_all

START = from_iso("2026-11-23T14:00:00Z")
PERSON = "+13055550123"


def fact(
    offset: int,
    at: int,
    contact: str = PERSON,
    *,
    kind: FactKind = FactKind.PLACED,
    how: Disposition | None = None,
    number: str = "+12025550100",
    campaign: str = "spring-sale",
    source: int = 0,
) -> CallFact:
    """A fact of a contact, from an offset of a partition of `callbacks`."""
    return CallFact(
        fact=kind,
        revision=0 if kind is FactKind.PLACED else 1,
        origin=Origin(source, offset, 0),
        at=at,
        call_sid=f"CA{source}-{offset}",
        account_sid="AC1",
        number=number,
        contact=contact,
        campaign=campaign,
        direction=Direction.OUTBOUND_API,
        counted=True,
        after=Contribution(attempted_at=at, ended_at=None if how is None else at, disposition=how),
    )


def signal(at: int, contact: str = PERSON, *, opted_out: bool = True, **fields: object) -> OptOut:
    """A signal of a person."""
    given_fields: dict[str, object] = {
        "source": OptOutSource.STOP_WORD,
        "channel": Channel.MESSAGING,
        "campaign": "spring-sale",
        **fields,
    }
    return OptOut(contact=contact, opted_out=opted_out, at=at, **given_fields)  # type: ignore[arg-type]


def laid(records: Sequence[CallFact | OptOut], first: int = 0, partition: int = 0) -> list[Record]:
    """Records in a partition of their topic."""
    topic = CONTACTS.name if isinstance(records[0], CallFact) else OPTOUTS.name
    return [
        Record(topic, partition, place, record.at, record.contact.encode(), record.encode())
        for place, record in enumerate(records, first)
    ]


def alerts(emissions: Sequence[NewRecord]) -> list[Alert]:
    """The transitions among what was emitted."""
    return [Alert.decode(record.value or b"") for record in emissions if record.topic == ALERTS.name]


def opted_out(emissions: Sequence[NewRecord]) -> list[CallFact]:
    """The facts among what was emitted that go to campaigns."""
    return [CallFact.decode(record.value or b"") for record in emissions if record.topic == CAMPAIGNS.name]


def test_the_rules_of_contacts_speak() -> None:
    """Too many calls, from too many numbers, too late, and to a number that is none: each rule fires on the person."""
    calls = [fact(place, START + place * HOUR, number=f"+1202555010{place}") for place in range(3)]
    calls += [fact(9, from_iso("2026-11-24T02:00:00Z"))]
    ends = [
        fact(20 + place, from_iso("2026-11-24T02:01:00Z") + place, kind=FactKind.ENDED, how=Disposition.INVALID)
        for place in range(2)
    ]
    emissions = process_all(ContactsStage(Settings(), {}), laid([*calls, *ends])).emissions
    fired = [alert.rule for alert in alerts(emissions) if alert.state is AlertState.FIRING]
    assert sorted(fired) == ["caller_id_rotation", "calling_hours", "invalid_numbers", "repeat_calls"]
    keys = {read_suppression_key(record.key or b"")[1] for record in emissions if record.topic == SUPPRESSIONS.name}
    assert keys == {"calling_hours", "invalid_numbers", "repeat_calls"}


def test_facts_too_late_are_shown_to_no_rule() -> None:
    """A fact further behind its partition's watermark than the lateness is late; other partitions have their own."""
    data: dict[bytes, bytes] = {}
    stage = ContactsStage(Settings(), data)
    calls = [fact(0, START + HOUR), fact(1, START), fact(2, START + HOUR - 2 * MINUTE), fact(0, START, source=1)]
    assert alerts(stage.process(laid(calls)).emissions)[0].evidence["attempts_per_day"] == 3
    state = stage._states.get(PERSON.encode())
    assert state is not None
    assert (state.late, state.watermarks) == (1, {0: START + HOUR, 1: START})


def test_settings_of_the_campaign_hold() -> None:
    """A campaign's own limits hold for the calls of that campaign."""
    rules = Rules(repeat_calls=RepeatCalls(campaigns={"renewals": {"enabled": False}}))
    stage = ContactsStage(Settings(rules=rules), {})
    calls = [fact(place, START + place * MINUTE, campaign="renewals") for place in range(5)]
    assert stage.process(laid(calls)).emissions == []
    assert stage.process(laid([fact(5 + place, START + (9 + place) * MINUTE) for place in range(3)], 5)).emissions != []


def test_a_campaign_is_told_of_a_first_opt_out() -> None:
    """The first signal that names a campaign is told to it, once, with an origin below zero; lists are not told."""
    stage = ContactsStage(Settings(), {})
    signals = [
        signal(1, source=OptOutSource.DO_NOT_CALL_LIST, channel=Channel.VOICE, said="national"),
        signal(2, campaign=None),
        signal(3, sid="SM3", number="+12025550100", account_sid="AC1"),
        signal(4, sid="SM4"),
        signal(5, opted_out=False),
        signal(6, sid="SM6", campaign="renewals"),
    ]
    emissions = stage.process(laid(signals, first=10, partition=3)).emissions
    first, again = opted_out(emissions)
    assert (first.fact, first.campaign, first.at, first.origin) == (
        FactKind.OPTED_OUT,
        "spring-sale",
        3,
        Origin(-4, 12, 0),
    )
    assert (first.number, first.call_sid, first.account_sid, first.contact) == ("+12025550100", "SM3", "AC1", PERSON)
    assert (first.counted, first.revision, first.after, first.direction) == (
        True,
        0,
        Contribution(attempted_at=3),
        Direction.UNKNOWN,
    )
    assert (again.campaign, again.origin) == ("renewals", Origin(-4, 15, 0))
    told = [record for record in emissions if record.topic == CAMPAIGNS.name]
    assert [record.key for record in told] == [b"spring-sale", b"renewals"]
    assert [record.timestamp for record in told] == [3, 6]


def test_a_person_told_again_is_no_news() -> None:
    """A signal that was taken in before, by its message, tells its campaign nothing more."""
    stage = ContactsStage(Settings(), {})
    signals = [signal(1, sid="SM1"), signal(2, opted_out=False, sid="SM2"), signal(3, sid="SM1")]
    assert len(opted_out(stage.process(laid(signals)).emissions)) == 1


def test_bytes_of_before_facts_are_read_and_no_opt_out_is_lost() -> None:
    """A state of version 1 keeps its opt-out and its offset, and goes on as version 2."""
    opt_out = bytes((1,)) + msgspec.msgpack.encode([["voice"], 1, 1, 5, 1, 0, ["CA1:1"]])
    data = {PERSON.encode(): bytes((1,)) + msgspec.msgpack.encode([7, opt_out])}
    stage = ContactsStage(Settings(), data)
    # The same signal again, another one, and a call.
    assert stage.process(laid([signal(5)], first=7)).emissions == []
    assert stage.process(laid([signal(6, sid="SM9")], first=8)).emissions == []
    stage.process(laid([fact(0, START)]))
    assert data[PERSON.encode()][0] == 2
    kept = ContactsStage(Settings(), data)._states.get(PERSON.encode())
    assert kept is not None
    assert kept.opt_out.describe()["channels"] == ["messaging", "voice"]
    assert (kept.applied, kept.told, kept.watermarks) == (8, True, {0: START})


def test_silent_people_are_forgotten_and_those_with_something_kept_are_not() -> None:
    """After 60 days of silence a person is removed, but for who opted out, is on a list, or had an alert."""
    data: dict[bytes, bytes] = {}
    stage = ContactsStage(Settings(), data)
    people = {name: f"+1212555{place:04}" for place, name in enumerate(["silent", "stopped", "listed", "alerted"])}
    stage.process(laid([fact(place, START, person) for place, person in enumerate(people.values())]))
    stage.process(
        laid(
            [
                signal(START, people["stopped"]),
                signal(START, people["listed"], source=OptOutSource.DO_NOT_CALL_LIST, said="national"),
            ]
        )
    )
    stage.process(laid([fact(10 + place, START + place, people["alerted"]) for place in range(3)], 10))
    assert len(data) == 4
    later = [fact(20 + place, START + 62 * DAY + place * HOUR) for place in range(2)]
    effects = [stage.process(laid([one], 20 + place)) for place, one in enumerate(later)]
    assert {name for name, person in people.items() if person.encode() in data} == {"stopped", "listed", "alerted"}
    removed = [change.key for effect in effects for change in effect.changes if change.value is None]
    assert removed == [people["silent"].encode()]


def test_who_comes_back_after_silence_starts_anew_swept_or_not() -> None:
    """A person called again after 60 days has no earlier calls, whether or not the sweep had come by."""
    stage = ContactsStage(Settings(), {})
    stage.process(laid([fact(0, START)]))
    stage.process(laid([fact(1, START + 61 * DAY)], 1))
    state = stage._states.get(PERSON.encode())
    assert state is not None
    assert state.detectors.describe(START + 61 * DAY, "spring-sale")["calling_hours"]["calls"] == 1
    # What was applied before is not applied again.
    assert stage.process(laid([fact(0, START)])).emissions == []
    assert state.late == 0


def test_a_state_is_small() -> None:
    """One call costs less than 250 bytes; whatever happens to a person, what is kept stays below 5 kB."""
    data: dict[bytes, bytes] = {}
    stage = ContactsStage(Settings(), data)
    stage.process(laid([fact(0, START)]))
    assert len(data[PERSON.encode()]) < 250
    random = Random(3)
    calls = []
    for place in range(1_500):
        kind, how = random.choice(
            [(FactKind.PLACED, None), (FactKind.ENDED, Disposition.INVALID), (FactKind.ENDED, Disposition.HUMAN)]
        )
        number = f"+1202555{random.randint(0, 99):04}"
        calls.append(fact(place, START + place * 20 * MINUTE, kind=kind, how=how, number=number, source=place % 12))
    stage.process(laid(calls))
    assert len(data[PERSON.encode()]) < 5_000


def _story(seed: int) -> tuple[list[Record], list[Record]]:
    """Facts and signals of some people, in the order of their topics."""
    random = Random(seed)
    people = [f"+1{area}5550{place}" for place, area in enumerate([305, 850, 212, 808, 800, 709] * 2)]
    at = START
    facts: list[CallFact] = []
    offsets = [0, 0]
    for _ in range(200):
        at += random.randint(0, 40 * 60) * SECOND
        source = random.randint(0, 1)
        offsets[source] += 1
        kind, how = random.choice(
            [(FactKind.PLACED, None)] * 3
            + [(FactKind.ENDED, Disposition.INVALID)] * 2
            + [(FactKind.ENDED, Disposition.NO_ANSWER)]
        )
        late = random.choice([0, 0, 0, MINUTE, 3 * MINUTE])
        number = f"+1202555010{random.randint(0, 4)}"
        facts.append(
            fact(offsets[source], at - late, random.choice(people), kind=kind, how=how, number=number, source=source)
        )
    signals = [
        signal(
            START + place * HOUR,
            random.choice(people),
            opted_out=random.random() < 0.7,
            sid=f"SM{random.randint(0, 30)}",
            source=random.choice([OptOutSource.STOP_WORD, OptOutSource.DO_NOT_CALL_LIST]),
            said="national",
        )
        for place in range(60)
    ]
    return laid(facts), laid(signals)


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=12)
def test_slices_crashes_and_repeats_change_nothing(seed: int) -> None:
    """Two sources in any slices, crashes after any part of the state was written, and repeats give one story."""
    random = Random(seed)
    facts, signals = _story(seed)
    table: dict[bytes, bytes] = {}
    whole = ContactsStage(Settings(), table)
    story = process_all(whole, facts).emissions
    story += process_all(whole, signals).emissions
    assert len(alerts(story)) > 10

    survived: dict[bytes, bytes] = {}
    stage = ContactsStage(Settings(), survived)
    told: dict[NewRecord, None] = {}
    position = {CONTACTS.name: 0, OPTOUTS.name: 0}
    sources = {CONTACTS.name: facts, OPTOUTS.name: signals}
    while any(position[name] < len(records) for name, records in sources.items()):
        name = random.choice([name for name, records in sources.items() if position[name] < len(records)])
        start, size = position[name], random.randint(1, 60)
        before = dict(survived)
        effects = process_all(stage, sources[name][start : start + size])
        told.update(dict.fromkeys(effects.emissions))
        if random.random() < 0.3:
            survived = before
            for change in effects.changes[: random.randint(0, len(effects.changes))]:
                if change.value is None:
                    survived.pop(change.key, None)
                else:
                    survived[change.key] = change.value
            stage = ContactsStage(Settings(), survived)
            continue
        position[name] = start + size - random.randint(0, size // 8)
    assert survived == table
    assert set(told) == set(story)


@pytest.mark.parametrize("topic", [CONTACTS.name, OPTOUTS.name])
def test_a_record_that_is_none_stops_nobody(topic: str) -> None:
    """Garbage in either source becomes a dead letter, and what comes after it is applied."""
    good = laid([fact(5, from_iso("2026-11-24T05:00:00Z"))] if topic == CONTACTS.name else [signal(START)], first=1)
    garbage = Record(topic, 0, 0, START, b"x", b"{")
    emissions = process_all(ContactsStage(Settings(), {}), [garbage, *good]).emissions
    assert [record.topic for record in emissions].count("deadletters") == 1
    assert len(alerts(emissions)) == 1
    held = [Suppression.decode(record.value or b"") for record in emissions if record.topic == SUPPRESSIONS.name]
    assert [suppression.subject.value for suppression in held] == [PERSON]


@pytest.mark.parametrize(("between", "fires"), [(CallStatus.BUSY, True), (CallStatus.COMPLETED, False)])
def test_only_an_answered_call_comes_between_calls_that_found_no_such_number(
    make_callback: Callable[..., Callback], as_records: Callable[..., list[Record]], between: CallStatus, fires: bool
) -> None:
    """A busy line between two calls that found no such number is not told to the contact; an answer is."""
    ends = [(CallStatus.FAILED, 404), (between, 200), (CallStatus.FAILED, 404)]
    callbacks = [
        make_callback(f"CA{place}", status, START + place * HOUR, sip_code=code, call_duration=40, contact=PERSON)
        for place, (status, code) in enumerate(ends)
    ]
    emitted = process_all(AssembleStage(Assembly(), {}), as_records(callbacks)).emissions
    told = [CallFact.decode(record.value or b"") for record in emitted if record.topic == CONTACTS.name]
    found = alerts(process_all(ContactsStage(Settings(), {}), laid(told)).emissions)
    assert ("invalid_numbers" in {alert.rule for alert in found}) is fires
