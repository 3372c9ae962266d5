from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Subject, SubjectKind
from schemas.call import CallFact, CallStatus, Direction, Disposition, FactKind, Origin
from schemas.callback import Callback, CallbackKind
from schemas.dead_letter import DeadLetter
from schemas.log import NewRecord, Record
from schemas.rule_settings.conduct import MissingCallbacks as MissingCallbacksSettings
from schemas.settings import Assembly
from schemas.times import HOUR, MINUTE, SECOND
from schemas.topics import ACCOUNTS, CALLS, CAMPAIGNS, CONTACTS, DEADLETTERS
from streams.agents.assemble import AssembleStage
from streams.agents.call import Known, disposition_of, merge, read
from streams.agents.stage import Effects, process_all
from streams.detectors.missing_callbacks import MissingCallbacks

START = 1_795_000_000_000

Make = Callable[..., Callback]
Lay = Callable[..., list[Record]]


def _assemble(records: Sequence[Record], data: dict[bytes, bytes] | None = None) -> list[CallFact]:
    stage = AssembleStage(Assembly(), {} if data is None else data)
    return _facts(process_all(stage, records))


def _facts(effects: Effects) -> list[CallFact]:
    return [CallFact.decode(emission.value or b"") for emission in effects.emissions if emission.topic == CALLS.name]


def _answered_call(make: Make, sid: str = "CA1", start: int = START) -> list[Callback]:
    return [
        make(sid, CallStatus.INITIATED, start, sequence=0),
        make(sid, CallStatus.RINGING, start + 2 * SECOND, sequence=1, stir_status="A"),
        make(sid, CallStatus.IN_PROGRESS, start + 12 * SECOND, sequence=2),
        make(sid, CallStatus.COMPLETED, start + 42 * SECOND, sequence=3, call_duration=30, sip_code=200),
    ]


def test_a_call_with_all_callbacks_is_placed_once_and_ended_once(make_callback: Make, as_records: Lay) -> None:
    """Four callbacks in order give one `placed` and one `ended` with ring and talk time and the STIR status."""
    placed, ended = _assemble(as_records(_answered_call(make_callback)))
    assert (placed.fact, ended.fact) == (FactKind.PLACED, FactKind.ENDED)
    assert placed.before is None
    assert placed.after.attempted_at == START
    assert (ended.ring_seconds, ended.talk_seconds, ended.stir_status) == (10, 30, "A")
    assert (ended.placed_at, ended.answered_at, ended.ended_at) == (START, START + 12 * SECOND, START + 42 * SECOND)
    assert ended.after.disposition is Disposition.ANSWERED
    assert ended.status is CallStatus.COMPLETED


def test_a_lone_terminal_callback_places_and_ends_the_call(make_callback: Make, as_records: Lay) -> None:
    """With only `completed` subscribed one callback of sequence 0 tells both facts; when it was placed is unknown."""
    only = make_callback("CA1", CallStatus.COMPLETED, START, sequence=0, call_duration=13)
    placed, ended = _assemble(as_records([only]))
    assert (placed.placed_at, ended.placed_at) == (None, None)
    assert ended.answered_at == START - 13 * SECOND
    assert placed.after.attempted_at == START
    assert ended.ring_seconds is None


def test_a_repeated_callback_tells_nothing(make_callback: Make, as_records: Lay) -> None:
    """Every callback twice gives the facts of every callback once."""
    once = _answered_call(make_callback)
    twice = [callback for callback in once for _ in range(2)]
    assert [f.fact for f in _assemble(as_records(twice))] == [FactKind.PLACED, FactKind.ENDED]


def test_a_late_machine_verdict_revises_the_call(make_callback: Make, as_records: Lay) -> None:
    """An answering-machine verdict of four fields after the end revises the call and says before and after."""
    verdict = make_callback(
        "CA1",
        None,
        None,
        kind=CallbackKind.MACHINE_VERDICT,
        received_at=START + 50 * SECOND,
        answered_by="machine_start",
    )
    *_, revised = _assemble(as_records([*_answered_call(make_callback), verdict]))
    assert revised.fact is FactKind.REVISED
    assert revised.before is not None
    assert (revised.before.disposition, revised.after.disposition) == (Disposition.ANSWERED, Disposition.MACHINE)
    assert revised.revision == 2


def test_a_machine_verdict_before_any_status_waits_for_it(make_callback: Make, as_records: Lay) -> None:
    """A verdict alone names no number and tells nothing; the call that follows carries it."""
    verdict = make_callback(
        "CA1", None, None, kind=CallbackKind.MACHINE_VERDICT, received_at=START, answered_by="human"
    )
    facts = _assemble(as_records([verdict, *_answered_call(make_callback)]))
    assert [f.fact for f in facts] == [FactKind.PLACED, FactKind.ENDED]
    assert facts[-1].after.disposition is Disposition.HUMAN


def test_a_terminal_callback_that_overtakes_moves_the_attempt_back(make_callback: Make, as_records: Lay) -> None:
    """When the end comes first, the attempt is corrected to its own time once the earlier callback arrives."""
    initiated, *_, completed = _answered_call(make_callback)
    *_, revised = _assemble(as_records([completed, initiated]))
    assert revised.fact is FactKind.REVISED
    assert revised.before is not None
    assert (revised.before.attempted_at, revised.after.attempted_at) == (START + 42 * SECOND, START)


def test_a_call_that_never_ends_is_closed_by_event_time(make_callback: Make, as_records: Lay) -> None:
    """After four hours of other calls' event time a silent call ends as unfinished, at its own deadline."""
    silent = make_callback("CA1", CallStatus.RINGING, START)
    other = make_callback("CA2", CallStatus.INITIATED, START + 4 * HOUR)
    facts = _assemble(as_records([silent, other]))
    closed = next(f for f in facts if f.call_sid == "CA1" and f.fact is FactKind.ENDED)
    assert closed.after.disposition is Disposition.UNFINISHED
    assert closed.after.ended_at == START + 4 * HOUR
    assert (closed.status, closed.ended_at) == (None, None)


def test_a_tick_closes_calls_where_traffic_has_stopped(make_callback: Make, as_records: Lay) -> None:
    """Time told by a tick closes a silent call like time told by a callback."""
    silent = make_callback("CA1", CallStatus.RINGING, START)
    tick = make_callback("", None, None, kind=CallbackKind.TICK, received_at=START + 5 * HOUR)
    assert [f.fact for f in _assemble(as_records([silent, tick]))] == [FactKind.PLACED, FactKind.ENDED]


def test_calls_closed_together_are_told_in_one_order(make_callback: Make, as_records: Lay) -> None:
    """Calls that fall silent are closed in the order of their deadlines, also after a restart in between."""
    calls = [
        make_callback("CAb", CallStatus.INITIATED, START),
        make_callback("CAa", CallStatus.INITIATED, START + MINUTE),
        make_callback("CAb", CallStatus.RINGING, START + 2 * MINUTE),
        make_callback("CAc", CallStatus.INITIATED, START + 9 * HOUR),
    ]
    records = as_records(calls)
    data: dict[bytes, bytes] = {}
    process_all(AssembleStage(Assembly(), data), records[:3])
    restarted = _facts(process_all(AssembleStage(Assembly(), data), records[3:]))
    assert [fact.call_sid for fact in restarted] == ["CAa", "CAb", "CAc"]
    assert restarted == _assemble(records)[2:]


def test_a_call_keeps_the_campaign_of_its_first_fact(make_callback: Make, as_records: Lay) -> None:
    """A request of the call that names another campaign later moves no later fact to it."""
    start, *rest = _answered_call(make_callback)
    gather = make_callback("CA1", None, START + SECOND, kind=CallbackKind.GATHER, campaign="autumn")
    other = [make_callback("CA1", c.status, c.happened_at, campaign="autumn", call_duration=30) for c in rest]
    facts = _assemble(as_records([start, gather, *other]))
    assert {fact.campaign for fact in facts} == {"spring-sale"}


def test_an_unusable_time_does_not_move_the_watermark(make_callback: Make, as_records: Lay) -> None:
    """A callback whose Timestamp could not be used, met by a wrong clock perhaps, closes nobody else's call."""
    silent = make_callback("CA1", CallStatus.RINGING, START)
    odd = make_callback("CA2", CallStatus.RINGING, None, received_at=START + 400 * 24 * HOUR)
    odd = msgspec.structs.replace(odd, params={"Timestamp": "Thu, 01 Jan 2015 00:00:00 +0000"})
    assert [fact.fact for fact in _assemble(as_records([silent, odd]))] == [FactKind.PLACED, FactKind.PLACED]


def test_an_end_after_the_closing_revises_it(make_callback: Make, as_records: Lay) -> None:
    """A call closed as unfinished whose end comes after all is revised to that end."""
    calls = [
        make_callback("CA1", CallStatus.RINGING, START),
        make_callback("CA2", CallStatus.INITIATED, START + 4 * HOUR),
        make_callback("CA1", CallStatus.COMPLETED, START + 4 * HOUR + MINUTE, call_duration=5),
    ]
    *_, revised = _assemble(as_records(calls))
    assert revised.fact is FactKind.REVISED
    assert revised.status is CallStatus.COMPLETED


def test_ended_calls_are_forgotten_in_time(make_callback: Make, as_records: Lay) -> None:
    """An hour of event time after its end nothing is kept of a call."""
    data: dict[bytes, bytes] = {}
    later = make_callback("CA2", CallStatus.INITIATED, START + 2 * HOUR)
    _assemble(as_records([*_answered_call(make_callback), later]), data)
    assert b"cCA1" not in data
    assert b"cCA2" in data


def test_a_callback_of_a_forgotten_call_reaches_the_history_only(make_callback: Make, as_records: Lay) -> None:
    """A repeat that comes after its call was forgotten is told with `counted` false, so it counts nowhere twice."""
    calls = [
        *_answered_call(make_callback),
        make_callback("CA2", CallStatus.INITIATED, START + 3 * HOUR),
        make_callback("CA1", CallStatus.COMPLETED, START + 42 * SECOND, sequence=3, call_duration=30),
    ]
    again = [fact for fact in _assemble(as_records(calls)) if fact.call_sid == "CA1"][2:]
    assert again
    assert not any(fact.counted for fact in again)


@pytest.mark.parametrize(
    ("direction", "parent", "child_legs", "counted"),
    [
        (Direction.OUTBOUND_API, None, False, True),
        (Direction.OUTBOUND_API, "CA0", False, False),
        (Direction.OUTBOUND_DIAL, "CA0", False, False),
        (Direction.OUTBOUND_DIAL, "CA0", True, True),
        (Direction.INBOUND, None, True, False),
    ],
)
def test_only_the_chosen_legs_count(
    make_callback: Make, as_records: Lay, direction: Direction, parent: str | None, child_legs: bool, counted: bool
) -> None:
    """Outbound first legs count; child legs only where the settings say so; inbound calls never."""
    only = make_callback("CA1", CallStatus.COMPLETED, direction=direction, parent_call_sid=parent)
    stage = AssembleStage(Assembly(count_child_legs=child_legs), {})
    effects = process_all(stage, as_records([only]))
    assert {fact.counted for fact in _facts(effects)} == {counted}
    assert any(emission.topic == CAMPAIGNS.name for emission in effects.emissions) is counted


def test_facts_go_to_every_topic_that_needs_them(make_callback: Make, as_records: Lay) -> None:
    """All facts reach calls and campaigns, the attempt accounts, attempt and answer contacts; each under its key."""
    effects = process_all(AssembleStage(Assembly(), {}), as_records(_answered_call(make_callback)))
    keys: dict[str, list[bytes | None]] = {}
    for emission in effects.emissions:
        keys.setdefault(emission.topic, []).append(emission.key)
    assert keys == {
        CALLS.name: [b"+12025550100"] * 2,
        CAMPAIGNS.name: [b"spring-sale"] * 2,
        ACCOUNTS.name: [b"AC1"],
        CONTACTS.name: [b"+12025550199"] * 2,
    }


@pytest.mark.parametrize(
    ("status", "sip_code", "answered_by", "disposition"),
    [
        (CallStatus.COMPLETED, 200, "human", Disposition.HUMAN),
        (CallStatus.COMPLETED, 200, "machine_end_beep", Disposition.MACHINE),
        (CallStatus.COMPLETED, 200, "fax", Disposition.MACHINE),
        (CallStatus.COMPLETED, 200, "unknown", Disposition.ANSWERED),
        (CallStatus.BUSY, 487, None, Disposition.BUSY),
        (CallStatus.NO_ANSWER, 487, None, Disposition.NO_ANSWER),
        (CallStatus.NO_ANSWER, 603, None, Disposition.BLOCKED),
        (CallStatus.FAILED, 603, None, Disposition.BLOCKED),
        (CallStatus.FAILED, 404, None, Disposition.INVALID),
        (CallStatus.FAILED, 480, None, Disposition.NO_ANSWER),
        (CallStatus.FAILED, 503, None, Disposition.FAILED),
        (CallStatus.FAILED, None, None, Disposition.NOT_PLACED),
        (CallStatus.CANCELED, 487, None, Disposition.CANCELED),
    ],
)
def test_dispositions_follow_status_code_and_verdict(
    status: CallStatus, sip_code: int | None, answered_by: str | None, disposition: Disposition
) -> None:
    """Each pair of status and SIP code has its class, and a canceled call is not an unanswered one."""
    assert disposition_of(status, sip_code, answered_by) is disposition


def test_a_poison_record_becomes_a_dead_letter_and_stops_nobody(make_callback: Make, as_records: Lay) -> None:
    """Bytes that are no callback are set aside with their place and reason; their neighbours are assembled."""
    records = as_records(_answered_call(make_callback))
    records.insert(2, Record("callbacks", 0, 99, START, b"CA9", b"\xff{not json"))
    effects = process_all(AssembleStage(Assembly(), {}), records)
    assert [f.fact for f in _facts(effects)] == [FactKind.PLACED, FactKind.ENDED]
    (letter,) = [emission for emission in effects.emissions if emission.topic == DEADLETTERS.name]
    assert DeadLetter.decode(letter.value or b"").reason.startswith("no Callback: ")


def _callbacks() -> st.SearchStrategy[Callback]:
    seconds = st.integers(0, 90)
    return st.builds(
        lambda sid, kind, status, at, usable, received, answered_by, duration, sip, campaign: Callback(
            call_sid=sid,
            account_sid="AC1",
            kind=kind,
            endpoint="/twilio/voice",
            received_at=START + received * SECOND,
            params={},
            campaign=campaign,
            happened_at=START + at * SECOND if usable and kind is not CallbackKind.MACHINE_VERDICT else None,
            status=status if kind is not CallbackKind.MACHINE_VERDICT else None,
            sequence=at % 4,
            number="+12025550100" if kind is CallbackKind.STATUS else None,
            contact="+12025550199" if kind is CallbackKind.STATUS else None,
            direction=Direction.OUTBOUND_API if kind is CallbackKind.STATUS else Direction.UNKNOWN,
            answered_by=answered_by,
            call_duration=duration,
            sip_code=sip,
        ),
        st.sampled_from(["CA1", "CA2", "CA3"]),
        st.sampled_from([CallbackKind.STATUS] * 4 + [CallbackKind.MACHINE_VERDICT, CallbackKind.CALL_SUMMARY]),
        st.sampled_from(list(CallStatus)),
        seconds,
        st.booleans(),
        seconds,
        st.sampled_from([None, None, "human", "machine_start", "unknown"]),
        st.sampled_from([None, 0, 7, 30]),
        st.sampled_from([None, 200, 404, 487, 603]),
        st.sampled_from(["spring-sale"]),
    )


@given(st.lists(_callbacks(), min_size=1, max_size=12), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=150)
def test_a_call_reads_the_same_in_any_order(callbacks: list[Callback], random: object) -> None:
    """Merging is commutative and idempotent: any order, with any repeats, reads the same."""
    shuffled = [*callbacks, *callbacks[:3]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    known, other = Known(), Known()
    for callback in callbacks:
        merge(known, callback)
    for callback in shuffled:
        merge(other, callback)
    assert known == other
    if known.first_at is not None:
        assert read(known) == read(other)


@given(
    st.lists(_callbacks(), min_size=1, max_size=25),
    st.lists(st.integers(1, 6), max_size=25),
    st.data(),
)
@settings(deadline=None, max_examples=120)
def test_slices_and_crashes_change_no_byte(callbacks: list[Callback], sizes: list[int], data: st.DataObject) -> None:
    """Any split into slices, and a crash after any part of the state was written, emit the same facts."""
    records = [
        Record("callbacks", 0, place, callback.received_at, callback.call_sid.encode(), callback.encode())
        for place, callback in enumerate(callbacks)
    ]
    whole = process_all(AssembleStage(Assembly(), {}), records).emissions

    # What a changelog holds survives; what a crashed slice had written of its state is a beginning of its changes.
    survived: dict[bytes, bytes] = {}
    stage = AssembleStage(Assembly(), survived)
    emitted = []
    seen = set()
    start = 0
    sizes = [*sizes, len(records)]
    while start < len(records):
        size = sizes.pop(0) if sizes else len(records)
        before = dict(survived)
        effects = process_all(stage, records[start : start + size])
        for emission in effects.emissions:
            fact = CallFact.decode(emission.value or b"")
            identity = (emission.topic, fact.origin)
            if identity not in seen:
                seen.add(identity)
                emitted.append(emission)
        if data.draw(st.booleans(), label="crash"):
            written = data.draw(st.integers(0, len(effects.changes)), label="changes written")
            survived = before
            for change in effects.changes[:written]:
                if change.value is None:
                    survived.pop(change.key, None)
                else:
                    survived[change.key] = change.value
            stage = AssembleStage(Assembly(), survived)
            sizes.append(size)
            continue
        start += size
    assert emitted == whole


def _crashed(before: dict[bytes, bytes], effects: Effects, written: int) -> dict[bytes, bytes]:
    """What the table holds after a crash that came when so many changes were written."""
    survived = dict(before)
    for change in effects.changes[:written]:
        if change.value is None:
            survived.pop(change.key, None)
        else:
            survived[change.key] = change.value
    return survived


class _Reader:
    """Takes in what a stage that reads the facts takes in: of each key those whose origin ascends."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes | None, CallFact]] = []
        self._last: dict[tuple[str, bytes | None], Origin] = {}

    def read(self, emissions: Sequence[NewRecord]) -> None:
        for emission in emissions:
            fact = CallFact.decode(emission.value or b"")
            place = (emission.topic, emission.key)
            if place not in self._last or fact.origin > self._last[place]:
                self._last[place] = fact.origin
                self.taken.append((*place, fact))


@pytest.mark.parametrize("cut", [1, 2])
def test_a_crash_at_any_write_tells_nothing_twice(make_callback: Make, as_records: Lay, cut: int) -> None:
    """A call with a gap is told of once, wherever the slice that forgets it began and was cut off."""
    records = as_records(
        [
            make_callback("CA1", CallStatus.INITIATED, START, sequence=0),
            make_callback("CA1", CallStatus.COMPLETED, START + MINUTE, sequence=2, call_duration=5),
            make_callback("CA2", CallStatus.INITIATED, START + 3 * HOUR, sequence=0),
            make_callback("CA3", CallStatus.INITIATED, START + 9 * HOUR, sequence=0),
        ]
    )
    whole = _Reader()
    whole.read(process_all(AssembleStage(Assembly(), {}), records).emissions)
    assert [fact.missing_callbacks for *_, fact in whole.taken].count(1) == 1

    table: dict[bytes, bytes] = {}
    first = process_all(AssembleStage(Assembly(), table), records[:cut]).emissions
    changes = process_all(AssembleStage(Assembly(), dict(table)), records[cut:3]).changes
    for written in range(len(changes) + 1):
        survived = dict(table)
        reader = _Reader()
        reader.read(first)
        effects = process_all(AssembleStage(Assembly(), survived), records[cut:3])
        reader.read(effects.emissions)
        reader.read(process_all(AssembleStage(Assembly(), _crashed(table, effects, written)), records[cut:]).emissions)
        assert reader.taken == whole.taken


@given(
    st.lists(st.tuples(_callbacks(), st.sampled_from([0, 0, 0, 1, 2, 5, 30])), min_size=1, max_size=25),
    st.lists(st.integers(1, 6), max_size=25),
    st.data(),
)
@settings(deadline=None, max_examples=150)
def test_crashes_while_calls_are_closed_and_forgotten_tell_nothing_twice(
    callbacks: list[tuple[Callback, int]], sizes: list[int], data: st.DataObject
) -> None:
    """However much time passes between callbacks, and wherever it crashes, readers take in the same facts."""
    records, passed = [], 0
    for place, (callback, hours) in enumerate(callbacks):
        passed += hours * HOUR
        later = msgspec.structs.replace(
            callback,
            received_at=callback.received_at + passed,
            happened_at=None if callback.happened_at is None else callback.happened_at + passed,
        )
        records.append(
            Record("callbacks", 0, place, later.received_at, later.call_sid.encode(), later.encode()),
        )
    whole, reader = _Reader(), _Reader()
    whole.read(process_all(AssembleStage(Assembly(), {}), records).emissions)

    survived: dict[bytes, bytes] = {}
    stage = AssembleStage(Assembly(), survived)
    start = 0
    sizes = [*sizes, len(records)]
    while start < len(records):
        size = sizes.pop(0) if sizes else len(records)
        before = dict(survived)
        effects = process_all(stage, records[start : start + size])
        reader.read(effects.emissions)
        if data.draw(st.booleans(), label="crash"):
            survived = _crashed(
                before, effects, data.draw(st.integers(0, len(effects.changes)), label="changes written")
            )
            stage = AssembleStage(Assembly(), survived)
            sizes.append(size)
            continue
        start += size
    assert reader.taken == whole.taken


def _calls_with_gaps(make: Make, days: int) -> list[Callback]:
    """Calls of eight hours a day, two a minute; of every fiftieth a callback is missing."""
    calls = []
    for day in range(days):
        for place in range(8 * 120):
            start = START + day * 24 * HOUR + place * 30 * SECOND
            sid, sequence = f"CA{day}-{place}", 2 if place % 50 == 0 else 1
            calls.append(make(sid, CallStatus.INITIATED, start, sequence=0))
            calls.append(make(sid, CallStatus.NO_ANSWER, start + 20 * SECOND, sequence=sequence))
    return calls


def test_a_gap_is_told_with_the_time_at_which_it_became_known(make_callback: Make, as_records: Lay) -> None:
    """An account learns how long it takes until a gap is known, so that those of a day do not fire in the night."""
    assembly = Assembly(remember_minutes=600)
    records = as_records(_calls_with_gaps(make_callback, 6))
    effects = process_all(AssembleStage(assembly, {}), records)
    told = [CallFact.decode(one.value or b"") for one in effects.emissions if one.topic == ACCOUNTS.name]
    gaps = [fact for fact in told if fact.missing_callbacks]
    assert {fact.at - fact.after.attempted_at for fact in gaps} == {20 * SECOND + 10 * HOUR}
    rule = MissingCallbacks(MissingCallbacksSettings(), Subject(SubjectKind.ACCOUNT, "AC1"))
    assert [finding for fact in told for finding in rule.update(fact)] == []
    assert rule.state.gaps.delay == 20 * SECOND + 11 * HOUR


def test_a_gap_of_a_call_that_was_closed_is_told_with_its_end(make_callback: Make, as_records: Lay) -> None:
    """A call that never ended is waited for a day more, which is no measure of when gaps become known."""
    calls = [
        make_callback("CA1", CallStatus.INITIATED, START, sequence=0),
        make_callback("CA1", CallStatus.IN_PROGRESS, START + SECOND, sequence=2),
        make_callback("CA2", CallStatus.INITIATED, START + 5 * HOUR, sequence=0),
        make_callback("CA3", CallStatus.INITIATED, START + 40 * HOUR, sequence=0),
    ]
    effects = process_all(AssembleStage(Assembly(), {}), as_records(calls))
    told = [CallFact.decode(one.value or b"") for one in effects.emissions if one.topic == ACCOUNTS.name]
    assert [fact.at for fact in told if fact.missing_callbacks] == [START + SECOND + 4 * HOUR]


def test_a_tick_tells_the_accounts_that_nothing_came(make_callback: Make, as_records: Lay) -> None:
    """A tick makes one fact for each account that called lately, and none for one that rests."""
    calls = [
        make_callback("CA1", CallStatus.COMPLETED),
        msgspec.structs.replace(make_callback("CA2", CallStatus.COMPLETED), account_sid="AC2"),
    ]
    ticks = [
        make_callback("", None, None, kind=CallbackKind.TICK, received_at=START + hours * HOUR) for hours in (5, 9 * 24)
    ]
    effects = process_all(AssembleStage(Assembly(), {}), as_records([*calls, *ticks]))
    told = [CallFact.decode(one.value or b"") for one in effects.emissions if one.topic == ACCOUNTS.name]
    quiet = [(fact.account_sid, fact.at) for fact in told if fact.fact is FactKind.QUIET]
    assert quiet == [("AC1", START + 5 * HOUR), ("AC2", START + 5 * HOUR)]
