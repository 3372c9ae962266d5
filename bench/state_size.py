"""Bytes and microseconds of the state of one number: its windows, its answers and its volume."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from time import perf_counter

from schemas.alert import Subject, SubjectKind
from schemas.call import SEIZURES, CallFact, Contribution, Direction, Disposition, FactKind, Origin
from schemas.rules import AnswerRateCollapse, VolumeSpike
from schemas.times import DAY, HOUR, MINUTE, SECOND, from_iso
from streams.detectors import CampaignAnswers, NumberAnswers, step
from streams.detectors import VolumeSpike as Spike
from streams.windows import RollingCounts, Span
from streams.windows.tally import ATTEMPTS

START = from_iso("2026-11-02T00:00:00Z")
LATENESS = 2 * MINUTE
NUMBER = "+12025550100"
OUTCOMES = [
    Disposition.HUMAN, Disposition.MACHINE, Disposition.BUSY, Disposition.FAILED, Disposition.CANCELED,
    Disposition.BLOCKED, *[Disposition.NO_ANSWER] * 5,
]  # fmt: skip


def facts(random: Random, calls_a_day: int, hours: tuple[int, int], days: int) -> list[CallFact]:
    """Placed and ended facts of one number, in order of time."""
    made = []
    for day in range(days):
        for _ in range(calls_a_day):
            placed_at = START + day * DAY + random.randrange(hours[0] * HOUR, hours[1] * HOUR)
            ended_at = placed_at + random.randrange(5, 120) * SECOND
            placed = Contribution(placed_at)
            ended = Contribution(placed_at, ended_at, random.choice(OUTCOMES), random.randrange(90), 18)
            made += [_fact(FactKind.PLACED, placed_at, None, placed), _fact(FactKind.ENDED, ended_at, placed, ended)]
    return sorted(made, key=lambda fact: fact.at)


def _fact(kind: FactKind, at: int, before: Contribution | None, after: Contribution) -> CallFact:
    return CallFact(
        fact=kind, revision=0, origin=Origin(0, 0, 0), at=at, call_sid="CA1", account_sid="AC1", number=NUMBER,
        contact="+12025550199", campaign="spring", direction=Direction.OUTBOUND_API, counted=True, before=before,
        after=after,
    )  # fmt: skip


def micros(work: Callable[[], object], times: int = 200) -> float:
    """The best of five means."""
    best = float("inf")
    for _ in range(5):
        began = perf_counter()
        for _ in range(times):
            work()
        best = min(best, (perf_counter() - began) / times * 1e6)
    return best


def measure(title: str, calls_a_day: int, hours: tuple[int, int], days: int = 21) -> None:
    """Feed a number and print what its state weighs and costs."""
    fed = facts(Random(1), calls_a_day, hours, days)
    counts = RollingCounts(LATENESS)
    spike = Spike(VolumeSpike(number_limit=None), Subject(SubjectKind.NUMBER, NUMBER), LATENESS)
    rule = AnswerRateCollapse()
    campaign, number = CampaignAnswers(rule, "spring"), NumberAnswers(rule, NUMBER, "spring")
    spent = [0.0, 0.0, 0.0]
    for fact in fed:
        marks = [perf_counter()]
        applied = counts.apply(fact)
        marks.append(perf_counter())
        for at, cell, amount in applied.changes:
            if cell == ATTEMPTS:
                spike.update(at, amount, counts.watermark or at)
        marks.append(perf_counter())
        ended = fact.after
        if ended.ended_at is not None and ended.disposition in SEIZURES:
            answered = ended.disposition in {Disposition.HUMAN, Disposition.MACHINE}
            step(campaign, number, ended.ended_at, answered)
        marks.append(perf_counter())
        for index in range(3):
            spent[index] += marks[index + 1] - marks[index]
    windows, answers, volume = counts.to_bytes(), number.to_bytes(), spike.to_bytes()
    print(f"{title}: {len(windows)} B windows, {len(answers)} B answers, {len(volume)} B volume")
    each = [part / len(fed) * 1e6 for part in spent]
    print(
        f"  a fact: windows {each[0]:.1f} us, volume {each[1]:.1f} us, answers {each[2]:.1f} us, "
        f"together {sum(each):.1f} us (the clock's own cost included)"
    )
    for name, data, load in (
        ("windows", windows, lambda: RollingCounts.from_bytes(windows, LATENESS).to_bytes()),
        ("answers", answers, lambda: NumberAnswers.from_bytes(answers, rule, NUMBER, "spring").to_bytes()),
        ("volume", volume, lambda: Spike.from_bytes(volume, spike.settings, spike.subject, LATENESS).to_bytes()),
    ):
        print(f"  {name}: load and store {micros(load):.1f} us for {len(data)} B")
    print(f"  windows: read 7 days {micros(lambda: counts.read(Span.WEEK)):.1f} us")


def main() -> None:
    """Print the figures."""
    measure("typical number (60 calls a day, 9 to 17 o'clock)", 60, (9, 17))
    measure("busy number (2,000 calls a day, round the clock)", 2_000, (0, 24))


if __name__ == "__main__":
    main()
