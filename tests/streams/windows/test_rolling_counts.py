from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.call import CallFact, Contribution, Direction, Disposition, FactKind, Origin
from schemas.times import DAY, HOUR, MINUTE, SECOND
from streams.windows import Cell, HourOfWeekRate, Ring, RollingCounts, Span, UnreadableStateError, changes

LATENESS = 2 * MINUTE
START = 20_000 * DAY
SPANS = {Span.FIVE_MINUTES: (MINUTE, 5), Span.HOUR: (MINUTE, 60), Span.DAY: (HOUR, 24), Span.WEEK: (HOUR, 168)}


def fact(
    kind: FactKind,
    at: int,
    before: Contribution | None,
    after: Contribution,
    *,
    counted: bool = True,
    partition: int = 0,
) -> CallFact:
    """A fact of some call; only times and contributions matter here."""
    return CallFact(
        fact=kind, revision=0, origin=Origin(partition, 0, 0), at=at, call_sid="CA1", account_sid="AC1",
        number="+12025550100",
        contact="+12025550199", campaign="c", direction=Direction.OUTBOUND_API, counted=counted, before=before,
        after=after,
    )  # fmt: skip


def facts_of_calls(random: Random, calls: int, span: int) -> list[CallFact]:
    """Placed, ended and perhaps revised, with times and outcomes at random; some calls tell of their end only."""
    facts = []
    for _ in range(calls):
        placed_at = START + random.randrange(span)
        ended_at = placed_at + random.randrange(10 * MINUTE)
        disposition = random.choice(list(Disposition))
        talk, ring = random.randrange(30), random.choice([None, 0, 12])
        placed = Contribution(placed_at)
        ended = Contribution(placed_at, ended_at, disposition, talk, ring)
        if random.random() < 0.8:
            facts.append(fact(FactKind.PLACED, placed_at, None, placed))
            facts.append(fact(FactKind.ENDED, ended_at, placed, ended))
        else:
            facts.append(fact(FactKind.ENDED, ended_at, None, ended))
        if random.random() < 0.3:
            revised = Contribution(placed_at, ended_at, random.choice(list(Disposition)), talk, ring)
            facts.append(fact(FactKind.REVISED, ended_at + random.randrange(LATENESS), ended, revised))
    return facts


def time_of(one: CallFact) -> int:
    """The time a fact is judged by: the latest it changes for a first fact, else the earliest."""
    times = [at for at, _, _ in changes(one.before, one.after)]
    if not times:
        return one.at
    return max(times) if one.before is None else min(times)


def shuffled(random: Random, facts: list[CallFact], most: int) -> list[CallFact]:
    """An order in which each fact is at most so late against those before it."""
    keyed = []
    for one in facts:
        time = time_of(one)
        keyed.append((time + random.randint(min(one.at - time, most), most), random.random(), one))
    return [one for _, _, one in sorted(keyed, key=lambda entry: entry[:2])]


def run(facts: list[CallFact], cuts: set[int] | None = None) -> RollingCounts:
    """Apply facts; at each cut the state goes through its bytes."""
    counts = RollingCounts(LATENESS)
    for index, one in enumerate(facts):
        if cuts and index in cuts:
            counts = RollingCounts.from_bytes(counts.to_bytes(), LATENESS)
        counts.apply(one)
    return counts


def check(counts: RollingCounts, moves: Sequence[tuple[int, int, int]], as_of: int) -> None:
    """Compare all windows with a plain list of what was counted."""
    for span, (length, buckets) in SPANS.items():
        last = as_of // length
        expected = [0] * len(Cell)
        for at, cell, amount in moves:
            if last - buckets < at // length <= last:
                expected[cell] += amount
        tally = counts.read(span)
        assert [getattr(tally, cell.name.lower()) for cell in Cell] == expected, span


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([10 * MINUTE, 3 * HOUR, 9 * DAY]))
def test_windows_do_not_depend_on_order_within_the_lateness(seed: int, calls: int, span: int) -> None:
    """Any order within the lateness and any split into slices gives the same bytes, equal to brute force."""
    random = Random(seed)
    facts = facts_of_calls(random, calls, span)
    first = run(shuffled(random, facts, LATENESS))
    order = shuffled(random, facts, LATENESS)
    second = run(order, {random.randrange(len(facts)) for _ in range(5)})
    assert first.late == second.late == 0
    assert first.to_bytes() == second.to_bytes()
    moves = [change for one in facts for change in changes(one.before, one.after)]
    check(second, moves, max(one.at for one in facts))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([10 * MINUTE, 3 * HOUR, 9 * DAY]))
def test_storing_counts_leaves_them_as_they_are(seed: int, calls: int, span: int) -> None:
    """Counts that are stored again and again while they go on read and store as those that never were."""
    random = Random(seed)
    facts = shuffled(random, facts_of_calls(random, calls, span), LATENESS)
    never, often = RollingCounts(LATENESS), RollingCounts(LATENESS)
    for one in facts:
        never.apply(one)
        often.apply(one)
        if random.random() < 0.5:
            stored = often.to_bytes()
            assert stored == often.to_bytes()
    assert [often.read(span) for span in SPANS] == [never.read(span) for span in SPANS]
    assert often.to_bytes() == never.to_bytes()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_late_facts_are_left_out_whole(seed: int, calls: int) -> None:
    """Whatever the order, what is counted is exactly the facts that came within the lateness, each whole."""
    random = Random(seed)
    facts = facts_of_calls(random, calls, HOUR)
    random.shuffle(facts)
    moves: list[tuple[int, int, int]] = []
    watermark, late = -LATENESS, 0
    for one in facts:
        moved = changes(one.before, one.after)
        if moved and time_of(one) < watermark - LATENESS:
            late += 1
        else:
            moves += moved
        watermark = max(watermark, one.at)
    counts = run(facts, {calls // 2, calls})
    assert counts.late == late
    check(counts, moves, watermark)


def test_the_lateness_is_a_sharp_bound() -> None:
    """A fact exactly the lateness behind the watermark counts, one a millisecond older does not."""
    counts = RollingCounts(LATENESS)
    assert counts.apply(fact(FactKind.PLACED, START, None, Contribution(START))).changes == [(START, 0, 1)]
    edge = START - LATENESS
    assert not counts.apply(fact(FactKind.PLACED, edge, None, Contribution(edge))).late
    assert counts.apply(fact(FactKind.PLACED, edge - 1, None, Contribution(edge - 1))) == ([], True)
    assert (counts.late, counts.read(Span.HOUR).attempts, counts.watermark) == (1, 2, START)


def test_a_long_call_that_only_tells_of_its_end_counts() -> None:
    """A first fact is as late as its end is, so that long calls are not left out where only ends are subscribed."""
    counts = RollingCounts(LATENESS)
    counts.apply(fact(FactKind.PLACED, START, None, Contribution(START)))
    ended = Contribution(START - 20 * MINUTE, START, Disposition.HUMAN, 1_190, 8)
    assert not counts.apply(fact(FactKind.ENDED, START, None, ended)).late
    assert (counts.read(Span.HOUR).attempts, counts.read(Span.HOUR).human) == (2, 1)


def test_what_came_too_late_is_never_taken_back() -> None:
    """A verdict on a call whose end came too late is too late itself, so no count falls below zero."""
    counts = RollingCounts(LATENESS)
    counts.apply(fact(FactKind.PLACED, START, None, Contribution(START)))
    ended = Contribution(START - 30 * MINUTE, START - 10 * MINUTE, Disposition.ANSWERED, 60, 8)
    verdict = Contribution(START - 30 * MINUTE, START - 10 * MINUTE, Disposition.MACHINE, 60, 8)
    assert counts.apply(fact(FactKind.ENDED, START - 10 * MINUTE, None, ended)).late
    assert counts.apply(fact(FactKind.REVISED, START + SECOND, ended, verdict)).late
    assert (counts.read(Span.HOUR).answered, counts.read(Span.HOUR).machine) == (0, 0)


def test_facts_that_do_not_count_leave_no_trace() -> None:
    """An uncounted fact moves neither windows nor watermark."""
    counts = RollingCounts(LATENESS)
    assert counts.apply(fact(FactKind.PLACED, START, None, Contribution(START), counted=False)) == ([], False)
    assert counts.to_bytes() == RollingCounts(LATENESS).to_bytes()


def test_silence_reads_as_empty_windows() -> None:
    """Without a fact every window is empty and its rates unknown."""
    tally = RollingCounts(LATENESS).read(Span.DAY)
    assert (tally.attempts, tally.asr) == (0, None)


def test_a_ring_refuses_what_is_older_than_it() -> None:
    """A count older than 168 hours is reported and dropped; one older than 60 minutes stays in the hours."""
    ring = Ring()
    assert ring.add(START, Cell.ATTEMPTS, 1)
    assert ring.add(START - 2 * HOUR, Cell.ATTEMPTS, 1)
    assert not ring.add(START - 168 * HOUR, Cell.ATTEMPTS, 1)
    assert (ring.read(Span.HOUR, START).attempts, ring.read(Span.WEEK, START).attempts) == (1, 2)


def test_buckets_leave_the_ring_as_time_advances() -> None:
    """After a week of silence nothing of the past is left in the bytes."""
    ring = Ring()
    ring.add(START, Cell.ATTEMPTS, 1)
    ring.advance(START + 168 * HOUR)
    fresh = Ring()
    fresh.advance(START + 168 * HOUR)
    assert ring.to_bytes() == fresh.to_bytes()


def test_bytes_of_another_version_are_refused() -> None:
    """The error names both versions and says what to do; damaged bytes are told as such."""
    data = RollingCounts(LATENESS).to_bytes()
    with pytest.raises(UnreadableStateError, match="stored version is 9, this program reads 1"):
        RollingCounts.from_bytes(b"\x09" + data[1:], LATENESS)
    with pytest.raises(UnreadableStateError, match="damaged bytes"):
        RollingCounts.from_bytes(data[:-1], LATENESS)
    with pytest.raises(UnreadableStateError, match="stored version is none"):
        Ring.from_bytes(b"")


def test_rates_forget_by_halves() -> None:
    """After eight weeks all counts are halved once, and the hour's rate stays what it was."""
    rate = HourOfWeekRate()
    rate.learn(10, START, 40, 100)
    rate.learn(34, START, 8, 20)
    assert rate.hour_of_day_rate(10, 0.5, 0.0) == 0.4
    rate.learn(10, START + 8 * 7 * DAY, 0, 0)
    assert (rate.answered[10], rate.calls[10], rate.day_calls[10], rate.all_calls) == (20, 50, 60, 60)
    assert (rate.learned, rate.rate(10, 0.9, 0.0)) == (120, 0.4)


def attempts(partition: int) -> list[CallFact]:
    """An attempt a minute, told by one partition."""
    moments = [START + minute * MINUTE for minute in range(50)]
    return [fact(FactKind.PLACED, at, None, Contribution(at), partition=partition) for at in moments]


def test_a_partition_that_lags_behind_is_not_late() -> None:
    """Facts of one partition, read an hour after those of another, all count, as if they had come side by side."""
    ahead, behind = attempts(0), attempts(1)
    skewed, aligned = RollingCounts(LATENESS), RollingCounts(LATENESS)
    for one in [*ahead, *behind]:
        skewed.apply(one)
    for pair in zip(ahead, behind, strict=True):
        for one in pair:
            aligned.apply(one)
    assert skewed.late == 0
    assert skewed.to_bytes() == aligned.to_bytes()
    assert skewed.settled() == skewed.watermark


def test_an_idle_partition_is_not_waited_for() -> None:
    """What is settled follows the slowest partition, but not one that has been silent for more than two hours."""
    counts = RollingCounts(LATENESS)
    for partition, at in ((0, START), (1, START + HOUR), (1, START + 2 * HOUR)):
        counts.apply(fact(FactKind.PLACED, at, None, Contribution(at), partition=partition))
    assert counts.settled() == START
    at = START + 2 * HOUR + 1
    counts.apply(fact(FactKind.PLACED, at, None, Contribution(at), partition=1))
    assert counts.settled() == at
